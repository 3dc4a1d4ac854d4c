"""An order's progress for a page outside the Hub, by API key (specification section 7)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from actors.people import Scope
from controlplane.api.call import Call
from controlplane.api.guards_outside import ApiKeyCaller, OutsideCaller
from controlplane.api.router import Router
from protocol.faults import NotFound
from protocol.ids import OrderId
from protocol.objects import Order
from protocol.words import OrderStatus, Tier

routes = Router("/api/v1/public/orders", guard=OutsideCaller(), tag="Public")


class Progress(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How far an order is; nothing of its customer or server.

    Args:
        dashboard_url: where the tenant's tools are, once they are.
    """

    id: OrderId
    status: OrderStatus
    tier: Tier
    domain: str
    dashboard_url: str | None
    created_at: datetime
    fulfilled_at: datetime | None


@routes.get("/{order_id}", raises=(NotFound,))
async def get_progress(call: Call[ApiKeyCaller], order_id: OrderId) -> Progress:
    """Read how far an order is, for its progress page."""
    return _progress(await call.hub.orders.get(Scope.everything(), order_id))


def _progress(order: Order) -> Progress:
    return Progress(
        id=order.id,
        status=order.status,
        tier=order.tier,
        domain=order.domain,
        dashboard_url=order.dashboard_url if order.status is OrderStatus.FULFILLED else None,
        created_at=order.created_at,
        fulfilled_at=order.fulfilled_at,
    )
