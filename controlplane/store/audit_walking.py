"""Reading the audit log's chain from its first link to its last, in pages, for its examination."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, text

from controlplane.store.audit_chain import Entry, Signature
from controlplane.store.audit_sealing import ENTRY, Head, entry_of, read_head
from controlplane.store.database import Database
from controlplane.store.events import TO_COME

#: How many links are read at once.
PAGE: Final = 2_000

_LINKS = text(f"""
    SELECT {ENTRY}, s.number, s.entry_id, s.digest, s.key_id, s.signature
    FROM audit_seals s LEFT JOIN audit_entries e ON e.id = s.entry_id
    WHERE s.number > :after ORDER BY s.number LIMIT :most""")

# Page by page along the entries, so that no statement grows with the log.
_UNSEALED = text("""
    WITH page AS (
        SELECT id, xid, position, at, action, target FROM audit_entries
        WHERE position > :after ORDER BY position LIMIT :most
    )
    SELECT p.id, p.xid, p.position, p.at, p.action, p.target, s.number IS NULL AS unsealed
    FROM page p LEFT JOIN audit_seals s ON s.entry_id = p.id
    WHERE s.number IS NULL OR p.position = (SELECT max(position) FROM page)
    ORDER BY p.position""")

_ENDS = text(f"SELECT (SELECT max(position) FROM audit_entries) AS position, {TO_COME} AS next")


class Link(NamedTuple):
    """One seal, and the entry it is of; None: that is gone."""

    number: int
    entry_id: UUID
    digest: bytes
    signature: Signature | None
    entry: Entry | None


class Unsealed(NamedTuple):
    """An entry that no seal is of."""

    id: UUID
    xid: int
    position: int
    at: datetime
    action: str
    target: str


class Ends(NamedTuple):
    """Where the log and its chain end.

    Args:
        head: how far the chain goes.
        last_position: of the newest entry; 0 without any.
        restored: the head's place is another database's, from which this one was restored.
    """

    head: Head
    last_position: int
    restored: bool


class AuditWalk:
    """The chain, page by page; each page is another moment, and the chain only grows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ends(self) -> Ends:
        """Where it all ends now."""
        return await self._database.read(_ends)

    async def links(self, after: int) -> list[Link]:
        """The next links behind a number; empty at the end."""
        return await self._database.read(_links, after)

    async def unsealed(self, after: int) -> tuple[int, list[Unsealed]]:
        """Entries without a seal among the next ones behind a position, and the last position looked at.

        At the end that is the position given.
        """
        return await self._database.read(_unsealed, after)


def _ends(connection: Connection) -> Ends:
    head = read_head(connection)
    row = connection.execute(_ENDS).one()
    return Ends(head, row.position or 0, head.xid >= row.next)


def _links(connection: Connection, after: int) -> list[Link]:
    return [_link_of(row) for row in connection.execute(_LINKS, {"after": after, "most": PAGE})]


def _link_of(row: Row[Any]) -> Link:
    signature = None if row.signature is None else Signature(row.key_id, bytes(row.signature))
    entry = None if row.id is None else entry_of(row)
    return Link(row.number, row.entry_id, bytes(row.digest), signature, entry)


def _unsealed(connection: Connection, after: int) -> tuple[int, list[Unsealed]]:
    rows = connection.execute(_UNSEALED, {"after": after, "most": PAGE}).all()
    found = [Unsealed(row.id, row.xid, row.position, row.at, row.action, row.target) for row in rows if row.unsealed]
    return (rows[-1].position if rows else after), found
