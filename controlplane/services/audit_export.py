"""The audit log as a file: one entry a line, as JSON or as a table that a spreadsheet opens without harm."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from controlplane.store.audit_log import AuditEntry

Portions = AsyncGenerator[Sequence[AuditEntry]]


class ExportForm(StrEnum):
    """How a file of entries is written."""

    NDJSON = "ndjson"
    CSV = "csv"


#: The media types of the forms.
MEDIA_TYPES: Final = {ExportForm.NDJSON: "application/x-ndjson", ExportForm.CSV: "text/csv; charset=utf-8"}

_COLUMNS: Final = (
    "id",
    "at",
    "authorType",
    "authorId",
    "authorName",
    "action",
    "target",
    "orderId",
    "customerId",
    "address",
    "userAgent",
    "requestId",
    "chainNumber",
    "before",
    "after",
)
_PIECE_BYTES: Final = 32 * 1024
# What begins a formula, and what a spreadsheet skips to find one (OWASP, "CSV Injection").
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_encode: Final = msgspec.json.Encoder().encode


def file_name(form: ExportForm, at: datetime) -> str:
    """What the file is called."""
    return f"audit-{at.astimezone(UTC):%Y-%m-%dT%H-%M-%SZ}.{form.value}"


async def export(portions: Portions, form: ExportForm) -> AsyncGenerator[bytes]:
    """Entries as the bytes of a file, in pieces of some 32 KiB; a portion is read when its turn comes."""
    head, line = _WRITERS[form]
    yield head
    async with aclosing(portions):
        async for entries in portions:
            for piece in _pieces(line(entry) for entry in entries):
                yield piece


def ndjson_line(entry: AuditEntry) -> bytes:
    """One entry as one line of JSON, as the list shows it."""
    return _encode(entry) + b"\n"


def csv_line(cells: Iterable[object]) -> bytes:
    """One row of a table (RFC 4180); no cell is a formula."""
    row = io.StringIO()
    csv.writer(row, lineterminator="\r\n").writerow([harmless("" if cell is None else str(cell)) for cell in cells])
    return row.getvalue().encode()


def harmless(text: str) -> str:
    """A text that a spreadsheet takes as text: what would begin a formula stands behind an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _csv_entry(entry: AuditEntry) -> bytes:
    return csv_line(
        (
            entry.id,
            entry.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            entry.author.type,
            entry.author.id,
            entry.author.name,
            entry.action,
            entry.target,
            entry.order_id,
            entry.customer_id,
            entry.address,
            entry.user_agent,
            entry.request_id,
            entry.chain_number,
            None if entry.before is None else bytes(entry.before).decode(),
            None if entry.after is None else bytes(entry.after).decode(),
        )
    )


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size_bytes = 0
    for line in lines:
        gathered.append(line)
        size_bytes += len(line)
        if size_bytes >= _PIECE_BYTES:
            yield b"".join(gathered)
            gathered, size_bytes = [], 0
    if gathered:
        yield b"".join(gathered)


_WRITERS: Final[dict[ExportForm, tuple[bytes, Callable[[AuditEntry], bytes]]]] = {
    ExportForm.NDJSON: (b"", ndjson_line),
    ExportForm.CSV: (csv_line(_COLUMNS), _csv_entry),
}
