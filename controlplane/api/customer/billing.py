"""A customer's billing: subscription, the period that runs, and those before it (specification section 5)."""

from __future__ import annotations

from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller
from controlplane.api.guards_people import Customer
from controlplane.api.paging import Listing, Page
from controlplane.api.router import Router
from controlplane.store.billing import Billing, BillingPeriod

routes = Router("/api/v1/customer/billing", guard=Customer(), tag="Billing")


@routes.get("")
async def billing(call: Call[CustomerCaller]) -> Billing:
    """Read your subscription and the period that runs: what it holds, what is used of it, and what goes beyond.

    Models that are paid by use do not draw on the pool: they are counted as premium, at what they cost.
    """
    return await call.hub.billing.current(call.caller.customer_id)


@routes.get("/history")
async def billing_history(call: Call[CustomerCaller], query: Page) -> Listing[BillingPeriod]:
    """List your billing periods, the running one first.

    `UNBILLED` is over, and no bill was made of it: usage that comes late still counts, and it is shown by the limit
    and the prices that apply now.
    """
    found, total = await call.hub.billing.history(call.caller.customer_id, offset=query.offset, limit=query.page_size)
    return Listing(found, query.page, query.page_size, total)
