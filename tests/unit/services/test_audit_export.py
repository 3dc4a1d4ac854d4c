"""The audit log as a file: what a line is, what a spreadsheet makes of it, and how much is held at once."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.services.audit_export import ExportForm, csv_line, export, file_name, harmless
from controlplane.store.audit_log import AuditAuthor, AuditEntry, Place, cursor_of, place_of
from protocol.faults import ValidationError
from protocol.ids import AuditEntryId

AT = datetime(2026, 3, 15, 10, 0, 0, 5, tzinfo=UTC)


def entry(number: int = 1, **more: Any) -> AuditEntry:
    given: dict[str, Any] = {
        "id": AuditEntryId(f"aud_{number}"),
        "at": AT,
        "author": AuditAuthor("system", None, "LetsBe Hub"),
        "action": "order.created",
        "target": "ord_1",
        "before": None,
        "after": msgspec.Raw(b'{"tier":"Lite"}'),
        "address": None,
        "user_agent": None,
        "request_id": None,
        "order_id": None,
        "customer_id": None,
        "chain_number": 7,
    }
    return AuditEntry(**(given | more))


async def portions(*given: Sequence[AuditEntry]) -> AsyncGenerator[Sequence[AuditEntry]]:
    for one in given:
        yield one


async def written(form: ExportForm, *given: Sequence[AuditEntry]) -> list[bytes]:
    return [piece async for piece in export(portions(*given), form)]


async def test_a_line_of_json_is_an_entry() -> None:
    text = b"".join(await written(ExportForm.NDJSON, [entry(1)], [entry(2), entry(3)])).decode()
    lines = [msgspec.json.decode(line) for line in text.splitlines()]
    assert [line["id"] for line in lines] == ["aud_1", "aud_2", "aud_3"]
    assert lines[0]["after"] == {"tier": "Lite"}
    assert lines[0]["chainNumber"] == 7
    assert await written(ExportForm.NDJSON) == [b""]


async def test_a_table_begins_with_its_columns_also_without_an_entry() -> None:
    [head] = await written(ExportForm.CSV)
    assert head.startswith(b"id,at,authorType,")
    rows = list(csv.DictReader(io.StringIO(b"".join(await written(ExportForm.CSV, [entry()])).decode(), newline="")))
    assert rows[0]["at"] == "2026-03-15T10:00:00.000005Z"
    assert (rows[0]["authorId"], rows[0]["after"]) == ("", '{"tier":"Lite"}')


async def test_pieces_are_small_and_a_portion_is_read_when_its_turn_comes() -> None:
    read: list[int] = []

    async def endless() -> AsyncGenerator[Sequence[AuditEntry]]:
        while True:
            read.append(len(read))
            yield [entry(number, after=msgspec.Raw(b'"%s"' % (b"x" * 10_000))) for number in range(10)]

    pieces = export(endless(), ExportForm.NDJSON)
    sizes = [len(await anext(pieces)) for _ in range(7)]
    assert max(sizes) < 64 * 1024
    assert len(read) == 2
    await pieces.aclose()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://x")'])
def test_a_formula_becomes_text(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Olga", "1-1", "a=b", '{"a":-1}', "•••"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=2, max_size=5))
def test_a_row_is_read_back_as_it_was_written(cells: list[str]) -> None:
    [row] = csv.reader(io.StringIO(csv_line(cells).decode(), newline=""))
    assert row == [harmless(cell) for cell in cells]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)


def test_a_file_is_named_after_its_time() -> None:
    moved = AT.astimezone(timezone(timedelta(hours=2)))
    assert file_name(ExportForm.CSV, moved) == "audit-2026-03-15T10-00-00Z.csv"


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),
    st.integers(0, 2**63 - 1),
)
def test_a_cursor_is_a_place(at: datetime, position: int) -> None:
    assert place_of(cursor_of(Place(at, position))) == Place(at, position)


@pytest.mark.parametrize("cursor", ["", ".", "1", "1.", "1.2.3", "x.1", "1.-1", f"1.{2**63}", f"{'9' * 30}.1"])
def test_another_text_is_none(cursor: str) -> None:
    with pytest.raises(ValidationError):
        place_of(cursor)
