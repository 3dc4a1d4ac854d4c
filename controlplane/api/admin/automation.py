"""How an order moves: by itself, step by step, or not at all; and how it ends (specification section 4.3)."""

from __future__ import annotations

import msgspec

from actors.order.messages import CancelOrder, ChangeAutomation
from actors.tenant.messages import EndSession
from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.entity_tags import expected_version, show_version
from controlplane.api.guards_people import Staff
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from protocol.faults import Conflict, NotFound
from protocol.ids import OrderId
from protocol.objects import Order
from protocol.words import AutomationMode, OrderStatus

routes = Router("/api/v1/admin/orders", guard=Staff(Permission.ORDERS_READ), tag="Orders")

_WRITES = Staff(Permission.ORDERS_WRITE)


class Automation(msgspec.Struct, rename="camel"):
    """How an order moves, and where it stands."""

    automation_mode: AutomationMode
    status: OrderStatus


class NewMode(msgspec.Struct, rename="camel"):
    """The mode the order shall have."""

    automation_mode: AutomationMode


@routes.get("/{order_id}/automation", raises=(NotFound,))
async def automation(call: Call[StaffCaller], order_id: OrderId) -> Automation:
    """Read an order's automation mode; `ETag` is the order's, for `If-Match`."""
    order = show_version(call, await call.hub.orders.get(call.caller.scope, order_id))
    return Automation(order.automation_mode, order.status)


@routes.patch("/{order_id}/automation", guard=_WRITES, raises=(NotFound, Conflict))
async def change(call: Call[StaffCaller], order_id: OrderId, body: NewMode) -> Automation:
    """Let an order move by itself (AUTO), step by step (MANUAL) or not at all (PAUSED).

    With `If-Match`: only what was read.
    """
    message = ChangeAutomation(body.automation_mode, call.author, expected_version(call), call.caller.scope)
    order = show_version(call, await call.hub.order(order_id).ask(message))
    return Automation(order.automation_mode, order.status)


@routes.post("/{order_id}/cancel", guard=_WRITES, raises=(NotFound, Conflict))
async def cancel(call: Call[StaffCaller], order_id: OrderId) -> Order:
    """Cancel an order for good: its domain is free again, its server's key and registration tokens count no more.

    With `If-Match`: only what was read.
    """
    order = await call.hub.order(order_id).ask(CancelOrder(call.author, expected_version(call), call.caller.scope))
    await call.hub.tenant(order_id).ask(EndSession("the order was cancelled"))
    return show_version(call, order)
