"""The tools on a customer's servers, and how each is: asked live of every server (specification section 5)."""

from __future__ import annotations

import msgspec
import trio

from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller
from controlplane.api.guards_people import Customer
from controlplane.api.paging import Listing, Page
from controlplane.api.router import Router
from controlplane.store.orders import OrderQuery
from protocol.faults import Conflict, NotFound, Overloaded, TenantOffline
from protocol.ids import OrderId
from protocol.objects import Order, Spoken
from protocol.queries import TOOLS, Tools, ToolState

routes = Router("/api/v1/customer/tools", guard=Customer(), tag="Tools")


class DeployedTool(Spoken):
    """A tool of one order and how it is now.

    Args:
        status: `running`, `degraded`, `stopped` or another word of the server's; `missing` when the server does not
            know of it, `offline` when the server does not answer, `unknown` when it cannot say.
        detail: what is the matter, in words.
    """

    name: str
    order_id: OrderId
    domain: str
    status: str
    detail: str | None = None
    containers_running: int | None = None
    containers_stopped: int | None = None


@routes.get("")
async def list_tools(call: Call[CustomerCaller], query: Page) -> Listing[DeployedTool]:
    """List deployed tools with their status, order by order; `page` counts orders.

    Every server is asked at once. One that does not answer keeps nobody else's tools from being shown.
    """
    found, total = await call.hub.orders.list(
        call.caller.scope, OrderQuery(), offset=query.offset, limit=query.page_size
    )
    told: dict[OrderId, list[DeployedTool]] = {}

    async def ask(order: Order) -> None:
        told[order.id] = await _tools_of(call, order)

    async with trio.open_nursery() as nursery:
        for order in found:
            nursery.start_soon(ask, order)
    return Listing([tool for order in found for tool in told[order.id]], query.page, query.page_size, total)


class _Nothing(Spoken):
    """No params."""


async def _tools_of(call: Call[CustomerCaller], order: Order) -> list[DeployedTool]:
    if not order.tools:
        return []
    try:
        answer = await call.hub.questions.ask_tenant(order.id, TOOLS, _Nothing(), Tools)
    except (TenantOffline, Overloaded) as fault:
        return _all(order, "offline", fault.message)
    except (Conflict, NotFound) as fault:
        return _all(order, "unknown", fault.message)
    states = {state.name.lower(): state for state in answer.tools}
    missing = ToolState("", "missing", "the server does not know of it")
    return [_deployed(order, name, states.get(name.lower(), missing)) for name in order.tools]


def _all(order: Order, status: str, detail: str) -> list[DeployedTool]:
    return [_deployed(order, name, ToolState("", status, detail)) for name in order.tools]


def _deployed(order: Order, name: str, state: ToolState) -> DeployedTool:
    values = msgspec.structs.asdict(state) | {"name": name}
    return DeployedTool(order_id=order.id, domain=order.domain, **values)
