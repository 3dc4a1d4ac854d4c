"""The order: the one through whom its lifecycle changes."""

from __future__ import annotations

from uuid import UUID

from actors.order.lifecycle import holds, may_follow
from actors.order.messages import CancelOrder, ChangeAutomation, MoveOrder
from actors.ports import OrderBook
from actors.runtime.actor import Actor
from actors.runtime.ports import Clock
from protocol.faults import Conflict
from protocol.ids import parse_id
from protocol.objects import Order


class OrderActor(Actor):
    """One order; its memory is the order as last seen in the book."""

    __slots__ = ("_book", "_clock", "_key", "_order")

    def __init__(self, actor_id: str, *, book: OrderBook, clock: Clock) -> None:
        self._key: UUID = parse_id("ord", actor_id)
        self._book = book
        self._clock = clock
        self._order: Order | None = None

    async def started(self) -> None:
        self._order = await self._book.load(self._key)

    def explain(self) -> dict[str, object]:
        order = self._order
        return {} if order is None else {"status": order.status, "automationMode": order.automation_mode}

    async def receive(self, message: object) -> Order:
        match message:
            case ChangeAutomation(mode, author, version, scope):
                self._order = await self._book.change_automation(
                    self._key, mode, author=author, version=version, scope=scope, at=self._clock.now()
                )
            case CancelOrder(author, version, scope):
                self._order = await self._book.cancel(
                    self._key, author=author, version=version, scope=scope, at=self._clock.now()
                )
            case MoveOrder(to, author):
                order = await self._book.load(self._key)
                if not may_follow(order.status, to, failed_step=order.failed_step):
                    raise Conflict(f"order {order.id} is {order.status}; it cannot become {to}", details=order)
                if holds(order.status, order.automation_mode, to):
                    raise Conflict(f"order {order.id} is paused", details=order)
                self._order = await self._book.move(self._key, order.status, to, author=author, at=self._clock.now())
            case _:
                raise TypeError(f"an order has no answer to {type(message).__name__}")
        return self._order
