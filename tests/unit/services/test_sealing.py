"""Sealing at rest, and changing the key while sealed things are about."""

from __future__ import annotations

import base64
import secrets

import pytest

from controlplane.secret import Secret
from controlplane.services.sealing import Sealer, Unsealable


def key() -> Secret:
    return Secret(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


def test_what_was_sealed_opens_and_does_not_show() -> None:
    sealer = Sealer([key()])
    sealed = sealer.seal(b"hk_ab_secret\x00\xff")
    assert b"secret" not in sealed
    assert sealer.open(sealed) == b"hk_ab_secret\x00\xff"


def test_the_same_value_never_looks_the_same() -> None:
    sealer = Sealer([key()])
    assert sealer.seal(b"value") != sealer.seal(b"value")


def test_another_key_does_not_open_it_and_the_error_says_what_to_do() -> None:
    sealed = Sealer([key()]).seal(b"value")
    with pytest.raises(Unsealable, match="HUB_MASTER_KEY"):
        Sealer([key()]).open(sealed)


@pytest.mark.parametrize("place", [0, 1, 20, -1])
def test_a_changed_byte_is_noticed(place: int) -> None:
    sealer = Sealer([key()])
    changed = bytearray(base64.urlsafe_b64decode(sealer.seal(b"value")))
    changed[place] ^= 1
    with pytest.raises(Unsealable):
        sealer.open(base64.urlsafe_b64encode(bytes(changed)))


@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"\xff" * 100, b"gAAAAA"])
def test_rubbish_is_refused_in_the_same_words(rubbish: bytes) -> None:
    with pytest.raises(Unsealable):
        Sealer([key()]).open(rubbish)


def test_a_key_is_changed_without_losing_anything() -> None:
    old, new = key(), key()
    sealed = Sealer([old]).seal(b"value")
    both = Sealer([new, old])
    assert both.open(sealed) == b"value"
    assert not both.is_newest(sealed)
    rotated = both.rotate(sealed)
    assert both.is_newest(rotated)
    assert Sealer([new]).open(rotated) == b"value"
    with pytest.raises(Unsealable):
        Sealer([old]).open(rotated)


def test_new_things_are_sealed_with_the_first_key() -> None:
    old, new = key(), key()
    assert Sealer([new]).open(Sealer([new, old]).seal(b"value")) == b"value"


def test_what_does_not_open_cannot_be_rotated() -> None:
    with pytest.raises(Unsealable):
        Sealer([key()]).rotate(Sealer([key()]).seal(b"value"))


def test_a_sealer_without_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Sealer([])
