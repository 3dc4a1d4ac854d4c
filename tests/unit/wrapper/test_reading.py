"""Reading what was written by hand: every field that is wrong is named."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from protocol.faults import ValidationError
from wrapper.reading import read_fields


class Wish(msgspec.Struct, rename="camel"):
    agent_id: Annotated[str, Meta(min_length=1)]
    how_many: int = 3
    places: list[dict[str, int]] = []


def test_names_are_as_the_caller_writes_them():
    assert read_fields({"agentId": "a", "places": [{"x": 1}]}, Wish) == Wish("a", 3, [{"x": 1}])


def test_every_bad_field_is_named_with_its_place():
    with pytest.raises(ValidationError) as caught:
        read_fields({"howMany": "2", "places": [{}, {"x": "y"}], "agent_id": "a"}, Wish, where="wish.")
    assert [(problem.field, problem.message) for problem in caught.value.details] == [
        ("wish.agentId", "is required"),
        ("wish.howMany", "must be `int`, got `str`"),
        ("wish.places[1][...]", "must be `int`, got `str`"),
        ("wish.agent_id", "is unknown; there is agentId, howMany, places"),
    ]


@pytest.mark.parametrize("value", [None, 1, "{}", [], True])
def test_anything_but_an_object_is_refused(value: Any):
    with pytest.raises(ValidationError, match="body: must be an object"):
        read_fields(value, Wish)
