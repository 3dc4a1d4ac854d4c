"""The order's book on PostgreSQL: its lifecycle by compare-and-set."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select, update

from actors.people import Author
from controlplane.store import audit, events
from controlplane.store.database import Database
from controlplane.store.keys import missing
from controlplane.store.orders import ORDER_COLUMNS, order_of
from controlplane.store.tables.orders import orders
from protocol.faults import Conflict
from protocol.ids import format_id, parse_id
from protocol.objects import Order
from protocol.words import AutomationMode, OrderStatus


class PostgresOrderBook:
    """Implements `actors.ports.OrderBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, order_id: UUID) -> Order:
        return await self._database.read(_read, order_id)

    async def change_automation(self, order_id: UUID, mode: AutomationMode, *, author: Author, at: datetime) -> Order:
        return await self._database.write(_change_automation, order_id, mode, author, at)

    async def move(
        self, order_id: UUID, expected: OrderStatus, to: OrderStatus, *, author: Author, at: datetime
    ) -> Order:
        return await self._database.write(_move, order_id, expected, to, author, at)


def _read(connection: Connection, order_id: UUID) -> Order:
    found = connection.execute(select(*ORDER_COLUMNS).where(orders.c.id == order_id)).mappings().one_or_none()
    if found is None:
        raise missing("ord", format_id("ord", order_id))
    return order_of(found)


def _change_automation(
    connection: Connection, order_id: UUID, mode: AutomationMode, author: Author, at: datetime
) -> Order:
    before = _read(connection, order_id)
    connection.execute(update(orders).where(orders.c.id == order_id).values(automation_mode=mode, updated_at=at))
    after = _read(connection, order_id)
    _record(connection, author, "order.automation_changed", before, after, at)
    events.emit(connection, "order.automationChanged", at=at, order_id=order_id, data=after)
    return after


def _move(
    connection: Connection, order_id: UUID, expected: OrderStatus, to: OrderStatus, author: Author, at: datetime
) -> Order:
    before = _read(connection, order_id)
    fulfilled_at = at if to is OrderStatus.FULFILLED else before.fulfilled_at
    moved = connection.execute(
        update(orders)
        .where(orders.c.id == order_id, orders.c.status == expected)
        .values(status=to, updated_at=at, fulfilled_at=fulfilled_at)
    )
    if moved.rowcount == 0:
        raise Conflict(f"order {before.id} is no longer {expected}", details=before)
    after = _read(connection, order_id)
    _record(connection, author, f"order.{to.value.lower()}", before, after, at)
    first, *others = to.value.lower().split("_")
    kind = f"order.{first}{''.join(word.capitalize() for word in others)}"
    events.emit(connection, kind, at=at, order_id=order_id, data=after)
    return after


def _record(connection: Connection, author: Author, action: str, before: Order, after: Order, at: datetime) -> None:
    was, is_now = audit.difference(before, after)
    audit.record(
        connection,
        author,
        action,
        after.id,
        at=at,
        before=was,
        after=is_now,
        customer_id=parse_id("cust", after.user_id),
    )
