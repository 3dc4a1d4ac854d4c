"""Orders for programs outside the Hub, by API key: placed, and how far one is (specification section 7)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from actors.people import Scope
from controlplane.api.call import Call
from controlplane.api.fields import CompanyName, Domain, EmailAddress, PersonName, ToolNames, each_once
from controlplane.api.guards_outside import ApiKeyCaller, OrderingCaller, OutsideCaller
from controlplane.api.router import Router
from controlplane.store.outside_orders import Wish
from protocol.faults import Conflict, NotFound
from protocol.ids import OrderId
from protocol.objects import Order
from protocol.words import OrderStatus, Tier

routes = Router("/api/v1/public/orders", guard=OutsideCaller(), tag="Public")

Reference = Annotated[
    str,
    msgspec.Meta(
        max_length=255,
        pattern=r"^[!-~]{1,255}$(?!\n)",
        description="The caller's own id of what was bought: the same one again is the same order.",
        examples=["cs_live_a1b2c3"],
    ),
]


class OutsideOrder(msgspec.Struct, rename="camel"):
    """An order that was paid elsewhere; without `tools` it has those of its tier.

    `name` and `company` are of a customer who is new. One who has the address already is left as they are.
    """

    reference: Reference
    email: EmailAddress
    name: PersonName
    tier: Tier
    domain: Domain
    company: CompanyName | None = None
    tools: ToolNames | None = None


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


@routes.post(status=201, other_statuses=(200,), guard=OrderingCaller(), raises=(Conflict,))
async def place_order(call: Call[ApiKeyCaller], body: OutsideOrder) -> Progress:
    """Create an order that was paid elsewhere, in AUTO mode, with its customer where the address is new.

    Under a `reference` this key has sent before: 200 and the same order, or CONFLICT where the body is another one.
    """
    call.hub.limits.take("outside_order", call.caller.rate_key)
    wish = Wish(
        email=body.email,
        name=body.name,
        company=body.company,
        tier=body.tier,
        domain=body.domain.lower(),
        tools=None if body.tools is None else each_once(body.tools),
    )
    link = call.hub.accounts.first_password_link()
    placed = await call.hub.outside_orders.place(call.author, call.caller.key_id, body.reference, wish, link=link)
    call.response.status = 201 if placed.is_new else 200
    return _progress(placed.order)


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
