"""Events: written in the transaction of the change they tell of, read in an order without holes.

Sequence numbers become visible out of commit order, so a reader that asks for `id > last` loses what commits late. Each
row therefore stores its transaction's number, and a reader takes only rows of transactions older than every one still
running (`xid < pg_snapshot_xmin(pg_current_snapshot())`), ordered by (xid, id): whatever commits later lies behind it.
A long writing transaction anywhere in the cluster holds readers back until it ends; statement timeouts bound that.

Within one object the order of `id` is the order of the changes: an event is written after its row was locked. The
order of `xid` is not, where a transaction began to write before it waited for that row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select, text

from actors.people import Scope
from controlplane.store.database import Database
from controlplane.store.event_kinds import KINDS
from controlplane.store.fetching import Query
from controlplane.store.keys import key_of, missing
from controlplane.store.scope import covers
from controlplane.store.tables.orders import orders
from controlplane.store.transaction import tell_after_commit
from protocol.faults import ValidationError
from protocol.ids import OrderId

#: What listeners of `Database.listen` are told by.
NEWS: Final = "events"
#: How many rows are read at once.
PAGE: Final = 500
_SWEEP_PAGE: Final = 5_000
#: The largest number of PostgreSQL's bigint.
LARGEST: Final = 2**63 - 1

_EMIT = text("""
    INSERT INTO events (at, kind, order_id, customer_id, data)
    SELECT coalesce(u.at, clock_timestamp()), u.kind, u.order_id, coalesce(u.customer_id, o.user_id), u.data
    FROM unnest(CAST(:at AS timestamptz[]), CAST(:kind AS text[]), CAST(:order_id AS uuid[]),
                CAST(:customer_id AS uuid[]), CAST(:data AS text[]))
      WITH ORDINALITY AS u (at, kind, order_id, customer_id, data, position)
      LEFT JOIN orders o ON o.id = u.order_id
    ORDER BY u.position""")

_COLUMNS: Final = "id, xid, at, kind, order_id, customer_id, data"
#: In SQL: the first transaction number that may still be running; rows of those below it are all there are.
SETTLED: Final = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
#: In SQL: the first transaction number that was not given yet.
TO_COME: Final = "CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"

# One row at least: whether more is held back is said also where there is nothing to tell.
_AFTER: Final = Query(
    text(f"""
        SELECT h.held_back, {", ".join(f"e.{name}" for name in _COLUMNS.split(", "))}
        FROM (SELECT EXISTS (SELECT 1 FROM events WHERE xid >= {SETTLED}) AS held_back) AS h
          LEFT JOIN (
            SELECT {_COLUMNS} FROM events
            WHERE (xid, id) > (CAST(:xid AS bigint), CAST(:id AS bigint)) AND xid < {SETTLED}
            ORDER BY xid, id LIMIT :limit) AS e ON true
        ORDER BY e.xid, e.id""")
)

_LATEST = text(f"SELECT {_COLUMNS} FROM events WHERE xid < {SETTLED} ORDER BY xid DESC, id DESC LIMIT :limit")

_BETWEEN = """
    (xid, id) > (CAST(:xid AS bigint), CAST(:id AS bigint))
    AND (xid, id) <= (CAST(:until_xid AS bigint), CAST(:until_id AS bigint))"""

_GAP = {
    owned: text(f"SELECT {_COLUMNS} FROM events WHERE {_BETWEEN} {clause} ORDER BY xid, id LIMIT :limit")
    for owned, clause in {
        "all": "",
        "customer": "AND customer_id = :customer_id",
        "orders": "AND order_id = ANY(CAST(:orders AS uuid[]))",
    }.items()
}

# Backwards, and only rooms the reader may see: whoever has this page hears the rest over the socket.
_PAST = {
    of: text(f"""
        SELECT {_COLUMNS} FROM events
        WHERE {clause} (xid, id) < (CAST(:xid AS bigint), CAST(:id AS bigint)) AND xid < {SETTLED}
          AND split_part(kind, '.', 1) = ANY(CAST(:rooms AS text[]))
        ORDER BY xid DESC, id DESC LIMIT :limit""")
    for of, clause in {"all": "", "order": "order_id = :order_id AND"}.items()
}

_HORIZON = text("SELECT epoch, xid, id FROM event_horizon")
_OUT_OF_TIME = text(f"SELECT EXISTS (SELECT 1 FROM events WHERE xid >= {TO_COME})")
_FORGET_ALL = text("DELETE FROM events")
_NEW_EPOCH = text("UPDATE event_horizon SET epoch = epoch + 1, xid = 0, id = 0")
_OLDEST = text("SELECT xid, id, at FROM events ORDER BY xid, id LIMIT :limit")
_FORGET = text("DELETE FROM events WHERE (xid, id) <= (CAST(:xid AS bigint), CAST(:id AS bigint))")
_MOVE_HORIZON = text("""
    UPDATE event_horizon SET xid = :xid, id = :id
    WHERE (xid, id) < (CAST(:xid AS bigint), CAST(:id AS bigint))""")

_encode: Final = msgspec.json.Encoder().encode


class NewEvent(NamedTuple):
    """What is to be told.

    Args:
        kind: one of `event_kinds.KINDS`.
        data: of the type that the kind carries.
        at: None: when the database writes it.
        customer_id: whose it is; of an event of an order its owner, who need not be given.
    """

    kind: str
    data: msgspec.Struct
    at: datetime | None
    order_id: UUID | None = None
    customer_id: UUID | None = None


class Position(NamedTuple):
    """A place in the order of events."""

    xid: int
    id: int


#: After every event.
END: Final = Position(LARGEST, LARGEST)


def cursor_of(epoch: int, position: Position) -> str:
    """A place as consoles are told it."""
    return f"{epoch:x}-{position.xid:x}-{position.id:x}"


def position_of(epoch: int, cursor: str) -> Position | None:
    """The place of a cursor; None where it is none of this epoch."""
    try:
        told, xid, number = (int(part, 16) for part in cursor.split("-"))
    except ValueError:
        return None
    return Position(xid, number) if told == epoch and max(xid, number) <= LARGEST else None


class StoredEvent(NamedTuple):
    """An event as it is read; `data` is JSON."""

    position: Position
    kind: str
    at: datetime
    order_id: UUID | None
    customer_id: UUID | None
    data: bytes


class Horizon(NamedTuple):
    """Everything after `position` is still there; cursors of another epoch mean nothing."""

    epoch: int
    position: Position


class Past(NamedTuple):
    """Older events of one order, newest first; `cursors` are theirs, `more`: there are still older ones."""

    events: list[StoredEvent]
    cursors: list[str]
    more: bool


class News(NamedTuple):
    """What was read; `held_back`: there is more that a running transaction still hides."""

    events: list[StoredEvent]
    held_back: bool


def emit(
    connection: Connection,
    kind: str,
    *,
    at: datetime | None,
    data: msgspec.Struct,
    order_id: UUID | None = None,
    customer_id: UUID | None = None,
) -> None:
    """Tell the consoles of a change, in its transaction and after its rows are locked. Arguments as of `NewEvent`."""
    emit_all(connection, [NewEvent(kind, data, at, order_id, customer_id)])


def emit_all(connection: Connection, told: Sequence[NewEvent]) -> None:
    """The same for many changes, by one statement.

    Raises:
        TypeError: there is no such kind, or it carries something else.
    """
    if not told:
        return
    for event in told:
        known = KINDS.get(event.kind)
        if known is None or known.data != type(event.data).__name__:
            raise TypeError(f"no event {event.kind} carries {type(event.data).__name__}")
    connection.execute(
        _EMIT,
        {
            "at": [event.at for event in told],
            "kind": [event.kind for event in told],
            "order_id": [event.order_id for event in told],
            "customer_id": [event.customer_id for event in told],
            "data": [_encode(event.data).decode() for event in told],
        },
    )
    tell_after_commit(connection, NEWS)


class EventStore:
    """The events in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listen(self, listener: Any) -> None:
        """Have `listener()` called, on the trio thread, after every commit of this process that wrote events."""
        self._database.listen(NEWS, listener)

    async def begin(self, *, most: int) -> tuple[Horizon, list[StoredEvent]]:
        """The horizon and the latest events, oldest first; at a reader's start.

        Positions that lie in the future of this database come from another one (it was restored from a dump): those
        events are forgotten and a new epoch begins.
        """
        return await self._database.write(_begin, most)

    async def after(self, position: Position, *, limit: int = PAGE) -> News:
        """What has happened after `position`, in order."""
        rows = await self._database.fetch(_AFTER, xid=position.xid, id=position.id, limit=limit)
        return News([_event_of(row[1:]) for row in rows if row[1] is not None], rows[0][0])

    async def gap(
        self,
        position: Position,
        until: Position,
        *,
        limit: int,
        customer_id: UUID | None = None,
        orders: Sequence[UUID] = (),
    ) -> list[StoredEvent] | None:
        """What has happened after `position`, up to and with `until`.

        Args:
            customer_id: only what is this customer's.
            orders: only what is of these orders.

        Returns:
            None when that is more than `limit`, or partly forgotten.
        """
        return await self._database.read(_gap, position, until, limit, customer_id, list(orders))

    async def past(self, *, before: str | None, rooms: Collection[str], limit: int) -> Past:
        """What has happened to everybody, newest first, as far as it is still kept. Arguments as of `of_order`."""
        return await self._database.read(_past, None, before, sorted(rooms), limit)

    async def of_order(
        self, scope: Scope, order_id: OrderId, *, before: str | None, rooms: Collection[str], limit: int
    ) -> Past:
        """What has happened to one order, newest first, as far as it is still kept.

        Args:
            before: only what lies before this cursor, of a console or of a page before this one.
            rooms: which kinds, by their first part.

        Raises:
            NotFound: there is no such order within the scope.
            ValidationError: `before` is no cursor of this database.
        """
        return await self._database.read(_past_of, scope, order_id, before, sorted(rooms), limit)

    async def sweep(self, *, before: datetime) -> int:
        """Forget the oldest events, as far as they are older than `before`; returns how many, a bounded number."""
        return await self._database.write(_sweep, before)


def _begin(connection: Connection, most: int) -> tuple[Horizon, list[StoredEvent]]:
    if connection.execute(_OUT_OF_TIME).scalar_one():
        connection.execute(_FORGET_ALL)
        connection.execute(_NEW_EPOCH)
    rows = connection.execute(_LATEST, {"limit": most}).all()
    return _horizon(connection), [_event_of(row) for row in reversed(rows)]


def _horizon(connection: Connection) -> Horizon:
    row = connection.execute(_HORIZON).one()
    return Horizon(row.epoch, Position(row.xid, row.id))


def _gap(
    connection: Connection,
    position: Position,
    until: Position,
    limit: int,
    customer_id: UUID | None,
    orders: list[UUID],
) -> list[StoredEvent] | None:
    if position < _horizon(connection).position:
        return None
    values: dict[str, object] = {
        "xid": position.xid,
        "id": position.id,
        "until_xid": until.xid,
        "until_id": until.id,
        "limit": limit + 1,
    }
    owned = "all"
    if customer_id is not None:
        owned, values["customer_id"] = "customer", customer_id
    elif orders:
        owned, values["orders"] = "orders", orders
    rows = connection.execute(_GAP[owned], values).all()
    return None if len(rows) > limit else [_event_of(row) for row in rows]


def _past_of(
    connection: Connection, scope: Scope, order_id: OrderId, before: str | None, rooms: list[str], limit: int
) -> Past:
    key = key_of("ord", order_id)
    known = select(orders.c.id).where(orders.c.id == key, covers(scope, orders.c.user_id))
    if connection.execute(known).one_or_none() is None:
        raise missing("ord", order_id)
    return _past(connection, key, before, rooms, limit)


def _past(connection: Connection, key: UUID | None, before: str | None, rooms: list[str], limit: int) -> Past:
    epoch = _horizon(connection).epoch
    position = END if before is None else position_of(epoch, before)
    if position is None:
        raise ValidationError.of("cursor", "is no cursor of this Hub's events; begin again without one")
    values: dict[str, object] = {"xid": position.xid, "id": position.id, "rooms": rooms, "limit": limit + 1}
    if key is not None:
        values["order_id"] = key
    found = [_event_of(row) for row in connection.execute(_PAST["all" if key is None else "order"], values)]
    page = found[:limit]
    return Past(page, [cursor_of(epoch, event.position) for event in page], len(found) > limit)


def _sweep(connection: Connection, before: datetime) -> int:
    last = None
    for row in connection.execute(_OLDEST, {"limit": _SWEEP_PAGE}):
        if row.at >= before:
            break
        last = row
    if last is None:
        return 0
    place = {"xid": last.xid, "id": last.id}
    connection.execute(_MOVE_HORIZON, place)
    return connection.execute(_FORGET, place).rowcount


def _event_of(row: Sequence[Any]) -> StoredEvent:
    number, xid, at, kind, order_id, customer_id, data = row
    return StoredEvent(Position(xid, number), kind, at, order_id, customer_id, data.encode())
