"""How an order moves: by itself, step by step, or not at all (specification section 4.3)."""

from __future__ import annotations

import msgspec

from actors.order.messages import ChangeAutomation
from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.guards_people import Staff
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from protocol.faults import NotFound
from protocol.ids import OrderId
from protocol.words import AutomationMode, OrderStatus

routes = Router("/api/v1/admin/orders", guard=Staff(Permission.ORDERS_READ), tag="Orders")


class Automation(msgspec.Struct, rename="camel"):
    """How an order moves, and where it stands."""

    automation_mode: AutomationMode
    status: OrderStatus


class NewMode(msgspec.Struct, rename="camel"):
    """The mode the order shall have."""

    automation_mode: AutomationMode


@routes.get("/{order_id}/automation", raises=(NotFound,))
async def automation(call: Call[StaffCaller], order_id: OrderId) -> Automation:
    """Read an order's automation mode."""
    order = await call.hub.orders.get(call.caller.scope, order_id)
    return Automation(order.automation_mode, order.status)


@routes.patch("/{order_id}/automation", guard=Staff(Permission.ORDERS_WRITE), raises=(NotFound,))
async def change(call: Call[StaffCaller], order_id: OrderId, body: NewMode) -> Automation:
    """Change an order's automation mode."""
    order = await call.hub.order(order_id).ask(ChangeAutomation(body.automation_mode, call.author))
    return Automation(order.automation_mode, order.status)
