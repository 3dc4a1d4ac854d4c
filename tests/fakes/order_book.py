"""An order's book in memory."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
import trio

from actors.people import Author, Scope
from controlplane.store.versions import version_of
from protocol.faults import Conflict, NotFound, Overloaded
from protocol.ids import OrderId, format_id
from protocol.objects import Order
from protocol.words import AutomationMode, OrderStatus, Tier


class FakeOrderBook:
    """Implements `actors.ports.OrderBook` in memory."""

    def __init__(self) -> None:
        self.orders: dict[UUID, Order] = {}
        self.audit: list[tuple[str, Author]] = []
        self.away = False

    def open_order(self, order_id: UUID, *, status: OrderStatus, at: datetime) -> Order:
        """An order in this status."""
        order = self.orders[order_id] = Order(
            id=OrderId(format_id("ord", order_id)),
            user_id=format_id("cust", order_id),  # type: ignore[arg-type]
            status=status,
            tier=Tier.BUILD,
            domain="acme.test",
            tools=[],
            server_ip=None,
            ssh_port=22,
            automation_mode=AutomationMode.AUTO,
            dashboard_url="",
            portainer_url="",
            created_at=at,
            fulfilled_at=None,
        )
        return order

    async def load(self, order_id: UUID) -> Order:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise Overloaded("the database is not reachable at the moment")
        if order_id not in self.orders:
            raise NotFound(f"there is no order {format_id('ord', order_id)}")
        return self.orders[order_id]

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
        order = await self._as_it_was_seen(order_id, version, scope)
        if order.automation_mode is mode:
            return order
        if order.status is OrderStatus.CANCELLED:
            raise Conflict(f"order {order.id} is cancelled", details=order)
        self.orders[order_id] = msgspec.structs.replace(order, automation_mode=mode)
        self.audit.append(("order.automation_changed", author))
        return self.orders[order_id]

    async def cancel(self, order_id: UUID, *, author: Author, version: str | None, scope: Scope, at: datetime) -> Order:
        order = await self._as_it_was_seen(order_id, version, scope)
        if order.status is OrderStatus.CANCELLED:
            raise Conflict(f"order {order.id} is cancelled already", details=order)
        return await self.move(order_id, order.status, OrderStatus.CANCELLED, author=author, at=at)

    async def _as_it_was_seen(self, order_id: UUID, version: str | None, scope: Scope) -> Order:
        order = await self.load(order_id)
        if scope.customer_id is not None and format_id("cust", scope.customer_id) != order.user_id:
            raise NotFound(f"there is no order {order.id}")
        if version is not None and version != version_of(order):
            raise Conflict(f"the order {order.id} was changed meanwhile; read it again", details=order)
        return order

    async def move(
        self, order_id: UUID, expected: OrderStatus, to: OrderStatus, *, author: Author, at: datetime
    ) -> Order:
        order = await self.load(order_id)
        if order.status is not expected:
            raise Conflict(f"order {order.id} is no longer {expected}", details=order)
        fulfilled_at = at if to is OrderStatus.FULFILLED else order.fulfilled_at
        self.orders[order_id] = msgspec.structs.replace(
            order,
            status=to,
            fulfilled_at=fulfilled_at,
            failed_step=order.status if to is OrderStatus.FAILED else None,
        )
        self.audit.append((f"order.{to.value.lower()}", author))
        return self.orders[order_id]
