"""Founding members: who has which number, and how many places are left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from actors.people import Author
from actors.runtime.ports import Clock, Ids
from controlplane.store import audit, events
from controlplane.store.customers import read_customer
from controlplane.store.database import Database
from controlplane.store.keys import key_of, missing
from controlplane.store.system_settings import chosen
from controlplane.system_settings.own import Hub
from protocol.faults import Conflict
from protocol.ids import CustomerId, format_id
from protocol.objects import Customer

# The lowest number nobody has. Its own lock, since a new row cannot be locked before it is there.
_LOCK: Final = text("LOCK TABLE founding_members IN SHARE ROW EXCLUSIVE MODE")
_CUSTOMER = text("SELECT id FROM users WHERE id = CAST(:id AS uuid) FOR NO KEY UPDATE")
_OF_CUSTOMER = text("SELECT number FROM founding_members WHERE user_id = CAST(:id AS uuid)")
_TAKEN = text("SELECT count(*) FROM founding_members")
_FREE = text("""
    SELECT min(n) FROM generate_series(1, CAST(:places AS integer)) AS n
    WHERE NOT EXISTS (SELECT 1 FROM founding_members f WHERE f.number = n)""")
_MAKE = text("""
    INSERT INTO founding_members (id, user_id, number, token_multiplier, expires_at, created_at)
    VALUES (CAST(:id AS uuid), CAST(:customer AS uuid), CAST(:number AS integer), CAST(:multiplier AS integer),
            CAST(:at AS timestamptz) + make_interval(months => CAST(:months AS integer)), CAST(:at AS timestamptz))""")
_LIST = text("""
    SELECT f.user_id, u.email, u.name, u.company, f.number, f.token_multiplier, f.expires_at, f.created_at
    FROM founding_members f JOIN users u ON u.id = f.user_id
    ORDER BY f.number LIMIT CAST(:limit AS bigint) OFFSET CAST(:offset AS bigint)""")


class Places(msgspec.Struct, frozen=True):
    """How many founding members there may be, are, and may still become."""

    total: int
    taken: int
    remaining: int


class Founder(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A founding member."""

    customer_id: CustomerId
    email: str
    name: str
    company: str | None
    number: int
    token_multiplier: int
    expires_at: datetime
    created_at: datetime


class FoundingMemberStore:
    """The founding members in the database."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def places(self) -> Places:
        """How many places there are, taken and left."""
        return await self._database.read(_places)

    async def list(self, *, offset: int, limit: int) -> tuple[Sequence[Founder], int]:
        """A portion of the founding members by their number, and how many there are in all."""
        return await self._database.read(_list, offset, limit)

    async def add(self, author: Author, customer_id: CustomerId) -> Customer:
        """Make a customer a founding member, with the lowest number that is free.

        Raises:
            NotFound: there is no such customer.
            Conflict: they are one already, or no place is left.
        """
        return await self._database.write(_add, author, customer_id, self._ids.uuid7(), self._clock.now())


def _places(connection: Connection, rules: Hub | None = None) -> Places:
    total = (rules or chosen(connection, Hub)).founding_member_places
    taken = connection.execute(_TAKEN).scalar_one()
    return Places(total, taken, max(0, total - taken))


def _list(connection: Connection, offset: int, limit: int) -> tuple[Sequence[Founder], int]:
    total = connection.execute(_TAKEN).scalar_one()
    rows = connection.execute(_LIST, {"offset": offset, "limit": limit}).mappings()
    return [
        Founder(customer_id=CustomerId(format_id("cust", row["user_id"])), **_rest(dict(row))) for row in rows
    ], total


def _rest(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "user_id"}


def _add(connection: Connection, author: Author, customer_id: CustomerId, key: UUID, now: datetime) -> Customer:
    customer = key_of("cust", customer_id)
    if connection.execute(_CUSTOMER, {"id": customer}).one_or_none() is None:
        raise missing("cust", customer_id)
    connection.execute(_LOCK)
    held = connection.execute(_OF_CUSTOMER, {"id": customer}).scalar_one_or_none()
    if held is not None:
        raise Conflict(f"this customer is founding member {held} already")
    rules = chosen(connection, Hub)
    places = _places(connection, rules)
    number = connection.execute(_FREE, {"places": places.total}).scalar_one_or_none()
    if number is None or places.remaining == 0:
        raise Conflict(f"all {places.total} places of founding members are taken")
    made = {
        "number": number,
        "multiplier": rules.founding_member_multiplier,
        "months": rules.founding_member_months,
    }
    connection.execute(_MAKE, {"id": key, "customer": customer, "at": now, **made})
    after = read_customer(connection, customer_id, now)
    audit.record(
        connection,
        author,
        "founding_member.added",
        customer_id,
        at=now,
        after=after.founding_member,
        customer_id=customer,
    )
    events.emit(connection, "customer.changed", at=now, customer_id=customer, data=after)
    return after
