"""Ids: UUIDv7 by the RFC, written and read as prefix and base32."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ids
from protocol.ids import PREFIXES, format_id, parse_id, uuid7


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_uuid7_carries_its_time_version_and_variant(unix_ms: int, random: bytes):
    value = uuid7(unix_ms, random)
    assert value.version == 7
    assert value.variant == "specified in RFC 4122"
    assert value.int >> 80 == unix_ms


def test_later_ids_sort_later():
    assert uuid7(1, b"\xff" * 10) < uuid7(2, b"\0" * 10)
    assert format_id("cmd", uuid7(1, b"\xff" * 10)) < format_id("cmd", uuid7(2, b"\0" * 10))


def test_the_text_is_a_typeid():
    # The example of the TypeID specification.
    value = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    assert format_id("prefix", value) == "prefix_01h455vb4pex5vsknk084sn02q"


@given(st.uuids(), st.sampled_from(sorted(PREFIXES.values())))
def test_what_was_written_is_read_back(value: UUID, prefix: str):
    assert parse_id(prefix, format_id(prefix, value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "appr_",
        "cmd_01h455vb4pex5vsknk084sn02q",
        "appr_01h455vb4pex5vsknk084sn02",
        "appr_01h455vb4pex5vsknk084sn02qq",
        "appr_81h455vb4pex5vsknk084sn02q",  # more than 128 bits
        "appr_01H455VB4PEX5VSKNK084SN02Q",
        "appr_01h455vb4pex5vsknk084sn02i",  # no such letter
        "appr_01h455vb4pex5vsknk084sn0²q",
        "01h455vb4pex5vsknk084sn02q",
    ],
)
def test_anything_else_is_refused(text: str):
    with pytest.raises(ValueError, match="not an id of the form appr_"):
        parse_id("appr", text)


def test_every_id_type_with_a_prefix_exists():
    assert all(hasattr(ids, name) for name in PREFIXES)
