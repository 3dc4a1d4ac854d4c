"""Secrets do not show themselves."""

from __future__ import annotations

import copy
import json
import pickle

import msgspec
import pytest

from controlplane.secret import Secret

HIDDEN = "correct horse battery staple"


@pytest.mark.parametrize("written", [str, repr, "{}".format, "{!r}".format, "{:>5}".format, lambda s: f"{[s]}"])
def test_a_secret_prints_as_dots(written: object) -> None:
    text = written(Secret(HIDDEN))  # type: ignore[operator]
    assert "•••" in text
    assert "horse" not in text


def test_it_is_revealed_on_demand() -> None:
    assert Secret(HIDDEN).reveal() == HIDDEN


def test_equal_to_the_same_secret_only() -> None:
    assert Secret("é1") == Secret("é1")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, msgspec.to_builtins, pickle.dumps])
def test_it_is_not_encoded_by_accident(encode: object) -> None:
    with pytest.raises(TypeError):
        encode({"key": Secret(HIDDEN)})  # type: ignore[operator]


def test_it_is_no_key_of_a_dictionary() -> None:
    with pytest.raises(TypeError):
        hash(Secret(HIDDEN))


def test_a_copy_is_itself() -> None:
    secret = Secret(HIDDEN)
    assert copy.deepcopy([secret])[0] is secret
    assert copy.copy(secret) is secret
