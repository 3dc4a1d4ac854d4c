"""The audit log as its readers see it: entries by filters, newest first, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, DateTime, Row, and_, func, literal, select, tuple_

from controlplane.store import audit
from controlplane.store.audit import Author
from controlplane.store.database import Database
from controlplane.store.tables.accounts import audit_entries
from controlplane.store.tables.audit import audit_seals
from protocol.faults import ValidationError
from protocol.ids import AuditEntryId, CustomerId, OrderId, format_id, parse_id
from protocol.objects import Spoken

#: The action of the entry that an export writes about itself.
EXPORTED: Final = "audit.exported"
#: How many entries an export reads at once.
PORTION: Final = 500

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LARGEST: Final = 2**63 - 1
_e: Final = audit_entries.c
#: What callers call the filters.
_SPOKEN: Final = {
    "entry_id": "entryId",
    "action": "action",
    "author_id": "authorId",
    "target": "target",
    "customer_id": "customerId",
    "order_id": "orderId",
    "request_id": "requestId",
    "since": "from",
    "until": "to",
}


class AuditAuthor(Spoken):
    """Who made a change; `id` is null for the Hub itself."""

    type: str
    id: str | None
    name: str


class AuditEntry(Spoken, kw_only=True):
    """One change: who made it, from where, and what it changed.

    `before` and `after` are what changed, with secrets left out as `•••`. `chainNumber` is its number in the sealed
    chain; null: it waits to be sealed.
    """

    id: AuditEntryId
    at: datetime
    author: AuditAuthor
    action: str
    target: str
    before: msgspec.Raw | None
    after: msgspec.Raw | None
    address: str | None
    user_agent: str | None
    request_id: str | None
    order_id: OrderId | None
    customer_id: CustomerId | None
    chain_number: int | None


class AuditFilter(NamedTuple):
    """Which entries; None: any.

    Args:
        action: one action, or with a dot at its end all actions that begin so.
        since: at this time or later.
        until: before this time.
    """

    entry_id: AuditEntryId | None = None
    action: str | None = None
    author_id: str | None = None
    target: str | None = None
    customer_id: CustomerId | None = None
    order_id: OrderId | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Place(NamedTuple):
    """A place in the order of the log: entries go by time, those of one time by their position."""

    at: datetime
    position: int


class AuditPage(NamedTuple):
    """A portion of the log, newest first, and the cursor of what follows; None: nothing does."""

    entries: Sequence[AuditEntry]
    next_cursor: str | None


class AuditLog:
    """The audit entries in the database, to be read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditPage:
        """Entries, newest first.

        Raises:
            ValidationError: the cursor is none.
        """
        place = None if cursor is None else place_of(cursor)
        entries, following = await self._database.look(_page, wanted, place, limit)
        return AuditPage(entries, None if following is None else cursor_of(following))

    async def note_export(self, author: Author, wanted: AuditFilter, form: str, *, at: datetime) -> None:
        """Write into the log that it is being exported, and which part of it."""
        await self._database.write(_note, author, wanted, form, at)

    async def every(self, wanted: AuditFilter) -> AsyncGenerator[Sequence[AuditEntry]]:
        """All entries, newest first, in portions: each is read when the one before is done with.

        What is written meanwhile is newer than what was read, and is not among them.
        """
        place: Place | None = None
        while True:
            entries, place = await self._database.look(_page, wanted, place, PORTION)
            if entries:
                yield entries
            if place is None:
                return


def cursor_of(place: Place) -> str:
    """A place in letters that an address takes as they are."""
    return f"{(place.at - _EPOCH) // _MICROSECOND}.{place.position}"


def place_of(cursor: str) -> Place:
    """What `cursor_of` wrote.

    Raises:
        ValidationError: it is no cursor.
    """
    moment, _, position = cursor.partition(".")
    try:
        place = Place(_EPOCH + int(moment) * _MICROSECOND, int(position))
    except (ValueError, OverflowError):
        place = None
    if place is None or not 0 <= place.position <= _LARGEST:
        raise ValidationError.of("cursor", "is none that this list gave")
    return place


def _clauses(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """The filters in SQL, each with an index of its own that ends in (at, position)."""
    same = {
        _e.author_id: wanted.author_id,
        _e.target: wanted.target,
        _e.request_id: wanted.request_id,
        _e.id: _key("aud", wanted.entry_id),
        _e.customer_id: _key("cust", wanted.customer_id),
        _e.order_id: _key("ord", wanted.order_id),
    }
    clauses: list[ColumnElement[bool]] = [column == value for column, value in same.items() if value is not None]
    if wanted.action is not None:
        family, dot, rest = wanted.action.partition(".")
        whole = rest or not dot
        clauses.append(_e.action == wanted.action if whole else func.split_part(_e.action, ".", 1) == family)
    if wanted.since is not None:
        clauses.append(_e.at >= wanted.since)
    if wanted.until is not None:
        clauses.append(_e.at < wanted.until)
    return clauses


def _page(
    connection: Connection, wanted: AuditFilter, place: Place | None, limit: int
) -> tuple[list[AuditEntry], Place | None]:
    clauses = _clauses(wanted)
    if place is not None:
        behind = tuple_(literal(place.at, DateTime(timezone=True)), literal(place.position, BigInteger))
        clauses.append(tuple_(_e.at, _e.position) < behind)
    # One more than asked for tells whether there is more; seals are looked up for these few only.
    few = (
        select(audit_entries)
        .where(and_(True, *clauses))
        .order_by(_e.at.desc(), _e.position.desc())
        .limit(limit + 1)
        .subquery("e")
    )
    number = select(audit_seals.c.number).where(audit_seals.c.entry_id == few.c.id).scalar_subquery()
    ordered = select(few, number.label("number")).order_by(few.c.at.desc(), few.c.position.desc())
    rows = connection.execute(ordered).all()
    shown = rows[:limit]
    following = Place(shown[-1].at, shown[-1].position) if len(rows) > limit else None
    return [_entry(row) for row in shown], following


def _note(connection: Connection, author: Author, wanted: AuditFilter, form: str, at: datetime) -> None:
    filters = {_SPOKEN[name]: value for name, value in wanted._asdict().items() if value is not None}
    audit.record(connection, author, EXPORTED, "audit", at=at, after={"format": form, "filters": filters})


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=AuditEntryId(format_id("aud", row.id)),
        at=row.at,
        author=AuditAuthor(row.author_type, row.author_id, row.author_name),
        action=row.action,
        target=row.target,
        before=_raw(row.before),
        after=_raw(row.after),
        address=row.address,
        user_agent=row.user_agent,
        request_id=row.request_id,
        order_id=None if row.order_id is None else OrderId(format_id("ord", row.order_id)),
        customer_id=None if row.customer_id is None else CustomerId(format_id("cust", row.customer_id)),
        chain_number=row.number,
    )


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())


def _key(prefix: str, text: str | None) -> UUID | None:
    return None if text is None else parse_id(prefix, text)
