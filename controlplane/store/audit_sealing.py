"""Sealing: the next audit entries, in the order of their transactions, are chained and the chain's head is signed.

Entries are written by transactions that run side by side, and one with a lower position may commit later. As with
events (`store/events.py`), each stores its transaction's number, and only entries of transactions older than every one
still running are taken, in the order of (transaction, position): what commits later lies behind the head's place in
that order, so nothing is ever passed over. Numbers in the chain follow without a gap.

One node seals at a time: whoever gets the advisory lock, for one batch. Seals and head are one transaction, so that a
crash leaves what was sealed before.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, text

from actors.people import Author
from controlplane.store import audit
from controlplane.store.audit_chain import GENESIS, MOST_UNSIGNED, SEALED_COLUMNS, Entry, Signature, Signer, link
from controlplane.store.database import Database
from controlplane.store.events import LARGEST, SETTLED, TO_COME

#: The action of the entry that the sealer writes when it finds the chain broken.
BROKEN: Final = "audit.chain_broken"
#: How many waiting entries are counted for the figures, and no more.
MOST_COUNTED: Final = 100_000
# "hub-audi" as a number: whoever holds it seals.
_LOCK: Final = 0x6875622D61756469

#: In SQL: the sealed columns of an entry `e`, which `entry_of` takes from the beginning of a row.
ENTRY: Final = ", ".join(f"e.{name}" for name in SEALED_COLUMNS)
_BEHIND: Final = "(e.xid, e.position) > (CAST(:xid AS bigint), CAST(:position AS bigint))"
_UNSEALED: Final = "NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.entry_id = e.id)"

_TAKE_LOCK = text("SELECT pg_try_advisory_xact_lock(CAST(:lock AS bigint))")
HEAD = text("SELECT number, digest, xid, position, signed_at, key_id, signature FROM audit_head")
_SNAPSHOT = text(f"SELECT {SETTLED} AS oldest, {TO_COME} AS next")
_NEXT = text(f"""
    SELECT {ENTRY} FROM audit_entries e
    WHERE {_BEHIND} AND e.xid < {SETTLED} AND {_UNSEALED}
    ORDER BY e.xid, e.position LIMIT :most""")

# What a restored database brings from its former life, and what this one has settled meanwhile.
_STRAYS = text(f"""
    SELECT {ENTRY} FROM audit_entries e
    WHERE (e.xid >= {TO_COME} OR e.xid < {SETTLED}) AND {_UNSEALED}
    ORDER BY e.position LIMIT :most""")

_WAITING = text(f"""
    SELECT count(*) AS count, min(at) AS oldest
    FROM (
        SELECT e.at FROM audit_entries e WHERE {_BEHIND} AND {_UNSEALED} ORDER BY e.xid, e.position LIMIT :most
    ) AS waiting""")

_SEAL = text("""
    INSERT INTO audit_seals (number, entry_id, digest, sealed_at, key_id, signature)
    SELECT u.number, u.entry_id, u.digest, :at, u.key_id, u.signature
    FROM unnest(CAST(:numbers AS bigint[]), CAST(:entries AS uuid[]), CAST(:digests AS bytea[]),
                CAST(:key_ids AS text[]), CAST(:signatures AS bytea[]))
      AS u (number, entry_id, digest, key_id, signature)""")

_MOVE = text("""
    INSERT INTO audit_head (singleton, number, digest, xid, position, signed_at, key_id, signature)
    VALUES (true, :number, :digest, :xid, :position, :at, :key_id, :signature)
    ON CONFLICT (singleton) DO UPDATE SET number = excluded.number, digest = excluded.digest, xid = excluded.xid,
        position = excluded.position, signed_at = excluded.signed_at, key_id = excluded.key_id,
        signature = excluded.signature""")

_LAST = text("SELECT number, digest FROM audit_seals ORDER BY number DESC LIMIT 1")

_DIGEST = text("SELECT digest FROM audit_seals WHERE number = :number")


class Head(NamedTuple):
    """How far the chain goes.

    Args:
        number: how many entries are sealed.
        digest: of the last one.
        xid, position: the last one's place in the order of commits; what lies behind it waits.
        signed_at: when; None before the first entry.
        signature: over all that; None before the first entry.
    """

    number: int
    digest: bytes
    xid: int
    position: int
    signed_at: datetime | None
    signature: Signature | None


class Sealed(msgspec.Struct, frozen=True):
    """What one batch did.

    Args:
        count: how many entries it sealed.
        head: the chain after it.
        waiting: how many entries wait, up to `MOST_COUNTED`.
        oldest: when the first of them was written.
        more: there is more to seal at once.
        broken: what was wrong with the chain as it was found; None when nothing was.
    """

    count: int
    head: Head
    waiting: int
    oldest: datetime | None
    more: bool
    broken: str | None = None


class AuditSealing:
    """The chain in the database.

    Args:
        signer: signs the head.
    """

    def __init__(self, database: Database, signer: Signer) -> None:
        self._database = database
        self._signer = signer

    async def seal(self, *, at: datetime, most: int = MOST_UNSIGNED) -> Sealed | None:
        """Seal the next entries; None: another node is sealing.

        Args:
            most: how many at once; not more than `MOST_UNSIGNED`.
        """
        return await self._database.write(_seal, self._signer, at, min(most, MOST_UNSIGNED))

    async def head(self) -> Head:
        """How far the chain goes."""
        return await self._database.look(read_head)

    async def digest_at(self, number: int) -> bytes | None:
        """The digest of a number of the chain; None: it does not go so far."""
        return await self._database.look(partial(_digest, number=number))


def read_head(connection: Connection) -> Head:
    """How far the chain goes, as this connection sees it."""
    row = connection.execute(HEAD).one_or_none()
    if row is None:
        return Head(0, GENESIS, 0, 0, None, None)
    signature = None if row.signature is None else Signature(row.key_id, bytes(row.signature))
    return Head(row.number, bytes(row.digest), row.xid, row.position, row.signed_at, signature)


def entry_of(row: Row[Any]) -> Entry:
    """An entry from a row that begins with the sealed columns."""
    return Entry._make(row[: len(SEALED_COLUMNS)])


def _digest(connection: Connection, *, number: int) -> bytes | None:
    digest = connection.execute(_DIGEST, {"number": number}).scalar_one_or_none()
    return None if digest is None else bytes(digest)


def _seal(connection: Connection, signer: Signer, at: datetime, most: int) -> Sealed | None:
    if not connection.execute(_TAKE_LOCK, {"lock": _LOCK}).scalar_one():
        return None
    head = read_head(connection)
    snapshot = connection.execute(_SNAPSHOT).one()
    # Numbers of the future are another database's: this one was restored from a dump of it.
    restored = head.xid >= snapshot.next
    if restored:
        rows = connection.execute(_STRAYS, {"most": most}).all()
    else:
        rows = connection.execute(_NEXT, {"xid": head.xid, "position": head.position, "most": most}).all()
    entries = [entry_of(row) for row in rows]
    place = (head.xid, head.position)
    if not restored and entries:
        place = (entries[-1].xid, entries[-1].position)
    elif restored and len(entries) < most:
        place = (snapshot.oldest - 1, LARGEST)
    # A head signed by an older key is signed anew, so that that key may go.
    stale = head.signature is not None and head.signature.key_id != signer.newest
    broken = None
    if entries or place != (head.xid, head.position) or stale:
        number, digest, broken = _footing(connection, signer, head)
        if broken is not None:
            # The new signature covers the break: that there was one is said inside the chain, for ever.
            found = {"reason": broken, "headNumber": head.number, "goesOnAfter": number}
            audit.record(connection, Author.system(), BROKEN, "audit", at=at, after=found)
        head = _write(connection, signer, number, digest, entries, place, at)
    behind = {"xid": head.xid, "position": head.position, "most": MOST_COUNTED}
    waiting, oldest = connection.execute(_WAITING, behind).one()
    return Sealed(len(entries), head, waiting, oldest, len(entries) == most, broken)


def _footing(connection: Connection, signer: Signer, head: Head) -> tuple[int, bytes, str | None]:
    """Where the chain goes on, and what is wrong with it: what was signed must be what is there."""
    last = connection.execute(_LAST).one_or_none()
    number, digest = (0, GENESIS) if last is None else (last.number, bytes(last.digest))
    if number > head.number:
        return number, digest, f"seals go to {number}, the head says {head.number}"
    if number < head.number:
        return head.number, head.digest, f"the head says {head.number}, seals end at {number}"
    if digest != head.digest:
        return number, digest, f"seal {number} is not the one that was signed"
    if head.signature is None or head.signed_at is None:
        return number, digest, None if number == 0 else f"the head at {number} has no signature"
    right = signer.check_head(head.number, head.digest, head.xid, head.position, head.signed_at, head.signature)
    if right is None:
        return number, digest, f"the head at {number} was signed by a key that is not among the master keys"
    return number, digest, None if right else f"the signature of the head at {number} is wrong"


def _write(
    connection: Connection,
    signer: Signer,
    before: int,
    digest: bytes,
    entries: list[Entry],
    place: tuple[int, int],
    at: datetime,
) -> Head:
    """Seal entries behind `before`, whose digest is given, and sign."""
    digests: list[bytes] = []
    for entry in entries:
        digest = link(digest, entry)
        digests.append(digest)
    number = before + len(entries)
    if entries:
        last = signer.seal(number, digest)
        without: list[None] = [None] * (len(entries) - 1)
        values = {
            "numbers": list(range(before + 1, number + 1)),
            "entries": [entry.id for entry in entries],
            "digests": digests,
            "key_ids": [*without, last.key_id],
            "signatures": [*without, last.value],
            "at": at,
        }
        connection.execute(_SEAL, values)
    signature = signer.head(number, digest, *place, at)
    moved = Head(number, digest, *place, at, signature)
    connection.execute(
        _MOVE,
        {
            "number": number,
            "digest": digest,
            "xid": moved.xid,
            "position": moved.position,
            "at": at,
            "key_id": signature.key_id,
            "signature": signature.value,
        },
    )
    return moved
