"""A customer's usage of tokens: summed up by time, agent, model and order, and line by line (section 5)."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct, field

from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller
from controlplane.api.guards_people import Customer
from controlplane.api.paging import Listing, Page
from controlplane.api.router import Router
from controlplane.store.usage import By, UsageFilter, UsageLine, UsageSummary
from controlplane.store.usage_spans import Period
from protocol.faults import NotFound
from protocol.ids import OrderId

routes = Router("/api/v1/customer/usage", guard=Customer(), tag="Usage")

First = Annotated[date, Meta(description="The first day (UTC).", examples=["2026-03-01"])]
Last = Annotated[date, Meta(description="The last day (UTC), included; today, unless given.", examples=["2026-03-31"])]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class UsageQuery(Struct, frozen=True, rename="camel", kw_only=True):
    """Which usage to sum up: the last 30 days, 12 weeks or 12 months, unless `from` and `to` say otherwise."""

    period: Period = Period.DAY
    first: First | None = field(default=None, name="from")
    last: Last | None = field(default=None, name="to")
    order_id: OrderId | None = None


class BreakdownQuery(Page, frozen=True, rename="camel", kw_only=True):
    """Which lines of usage to list: this month's, unless `from` and `to` say otherwise; at most 92 days."""

    by: By = By.DAY
    first: First | None = field(default=None, name="from")
    last: Last | None = field(default=None, name="to")
    order_id: OrderId | None = None
    agent_id: Name | None = None
    model: Name | None = None


@routes.get("", raises=(NotFound,))
async def usage(call: Call[CustomerCaller], query: UsageQuery) -> UsageSummary:
    """Sum up your usage by agent, model and order, with a point for each day, week or month.

    Of all your orders, or of one by `orderId`. Weeks begin on Monday; days, weeks and months are those of UTC.
    """
    return await call.hub.usage.summary(call.caller.scope, query.period, query.first, query.last, query.order_id)


@routes.get("/breakdown", raises=(NotFound,))
async def breakdown(call: Call[CustomerCaller], query: BreakdownQuery) -> Listing[UsageLine]:
    """List what was used, newest first: a line for each agent and model a day, or an hour by `by=hour`.

    Hours are as the servers reported them; `revision` tells how often one was corrected. Hours are forgotten sooner
    than days.
    """
    wanted = UsageFilter(
        by=query.by,
        first=query.first,
        last=query.last,
        order_id=query.order_id,
        agent_id=query.agent_id,
        model=query.model,
    )
    found, total = await call.hub.usage.lines(call.caller.scope, wanted, offset=query.offset, limit=query.page_size)
    return Listing(found, query.page, query.page_size, total)
