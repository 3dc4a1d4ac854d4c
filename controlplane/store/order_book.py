"""The order's book on PostgreSQL: its lifecycle by compare-and-set."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, select, update

from actors.people import Author, Scope
from controlplane.store import audit, events
from controlplane.store.database import Database
from controlplane.store.keys import missing
from controlplane.store.orders import ORDER_COLUMNS, order_of
from controlplane.store.outbox import hold
from controlplane.store.scope import covers
from controlplane.store.servers import shut_out
from controlplane.store.tables.orders import orders
from controlplane.store.versions import demand_version
from protocol.faults import Conflict
from protocol.ids import format_id, parse_id
from protocol.objects import Order
from protocol.words import AutomationMode, OrderStatus

EVERYTHING: Final = Scope.everything()


class PostgresOrderBook:
    """Implements `actors.ports.OrderBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, order_id: UUID) -> Order:
        return await self._database.read(_read, order_id)

    async def change_automation(
        self,
        order_id: UUID,
        mode: AutomationMode,
        *,
        author: Author,
        version: str | None,
        scope: Scope,
        at: datetime,
    ) -> Order:
        return await self._database.write(_change_automation, order_id, mode, author, version, scope, at)

    async def cancel(self, order_id: UUID, *, author: Author, version: str | None, scope: Scope, at: datetime) -> Order:
        return await self._database.write(_cancel, order_id, author, version, scope, at)

    async def move(
        self, order_id: UUID, expected: OrderStatus, to: OrderStatus, *, author: Author, at: datetime
    ) -> Order:
        return await self._database.write(_move, order_id, expected, to, author, at)


def _read(connection: Connection, order_id: UUID, scope: Scope = EVERYTHING, *, for_update: bool = False) -> Order:
    statement = select(*ORDER_COLUMNS).where(orders.c.id == order_id, covers(scope, orders.c.user_id))
    if for_update:
        statement = statement.with_for_update(key_share=True)
    found = connection.execute(statement).mappings().one_or_none()
    if found is None:
        raise missing("ord", format_id("ord", order_id))
    return order_of(found)


def _change_automation(
    connection: Connection,
    order_id: UUID,
    mode: AutomationMode,
    author: Author,
    version: str | None,
    scope: Scope,
    at: datetime,
) -> Order:
    before = _read(connection, order_id, scope, for_update=True)
    demand_version(before, version, f"the order {before.id}")
    if before.automation_mode is mode:
        return before
    if before.status is OrderStatus.CANCELLED:
        raise Conflict(f"order {before.id} is cancelled", details=before)
    connection.execute(update(orders).where(orders.c.id == order_id).values(automation_mode=mode, updated_at=at))
    after = _read(connection, order_id)
    _record(connection, author, "order.automation_changed", before, after, at)
    events.emit(connection, "order.automationChanged", at=at, order_id=order_id, data=after)
    return after


def _cancel(
    connection: Connection, order_id: UUID, author: Author, version: str | None, scope: Scope, at: datetime
) -> Order:
    # The server's row before the order's: the one order of locks on the tenant's side.
    hold(connection, [order_id])
    before = _read(connection, order_id, scope, for_update=True)
    demand_version(before, version, f"the order {before.id}")
    if before.status is OrderStatus.CANCELLED:
        raise Conflict(f"order {before.id} is cancelled already", details=before)
    shut_out(connection, order_id, author=author, at=at)
    return _move(connection, order_id, before.status, OrderStatus.CANCELLED, author, at)


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
