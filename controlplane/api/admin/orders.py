"""Orders, as staff see them (specification section 4.3)."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.entity_tags import expected_version, show_version
from controlplane.api.fields import Domain, IpAddress, Port, Search, ToolNames, each_once, normal_address
from controlplane.api.guards_people import Staff
from controlplane.api.paging import Listing, Page
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.store.orders import NewOrder, OrderChange
from controlplane.store.orders import OrderQuery as Wanted
from protocol.faults import Conflict, NotFound
from protocol.ids import CustomerId, OrderId
from protocol.objects import Order
from protocol.words import AutomationMode, OrderStatus, Tier

routes = Router("/api/v1/admin/orders", guard=Staff(Permission.ORDERS_READ), tag="Orders")


class OrderQuery(Page, rename="camel", kw_only=True, frozen=True):
    """Which orders to list."""

    status: OrderStatus | None = None
    tier: Tier | None = None
    search: Search | None = None


class OrderBody(Struct, rename="camel"):
    """An order to create; without `tools` it has those of its tier, without `sshPort` the port of the settings."""

    user_id: CustomerId
    tier: Tier
    domain: Domain
    tools: ToolNames | None = None
    server_ip: IpAddress | None = None
    ssh_port: Port | None = None


class OrderPatch(Struct, rename="camel"):
    """Server details to change; what is absent stays, null clears the server's address."""

    tools: ToolNames | UnsetType = UNSET
    server_ip: IpAddress | UnsetType | None = UNSET
    ssh_port: Port | UnsetType = UNSET


@routes.get()
async def list_orders(call: Call[StaffCaller], query: OrderQuery) -> Listing[Order]:
    """List orders, newest first; `search` looks at domain, server address, customer and outside reference."""
    wanted = Wanted(status=query.status, tier=query.tier, search=query.search)
    found, total = await call.hub.orders.list(call.caller.scope, wanted, offset=query.offset, limit=query.page_size)
    return Listing(found, query.page, query.page_size, total)


@routes.post(status=201, guard=Staff(Permission.ORDERS_WRITE), raises=(Conflict,))
async def create_order(call: Call[StaffCaller], body: OrderBody) -> Order:
    """Create an order, in MANUAL mode with its payment confirmed."""
    new = NewOrder(
        user_id=body.user_id,
        tier=body.tier,
        domain=body.domain.lower(),
        tools=None if body.tools is None else each_once(body.tools),
        server_ip=None if body.server_ip is None else normal_address(body.server_ip, field="serverIp"),
        ssh_port=body.ssh_port,
        automation_mode=AutomationMode.MANUAL,
    )
    return await call.hub.orders.create(call.author, new)


@routes.get("/{order_id}", raises=(NotFound,))
async def get_order(call: Call[StaffCaller], order_id: OrderId) -> Order:
    """Read an order; `ETag` is for `If-Match`."""
    return show_version(call, await call.hub.orders.get(call.caller.scope, order_id))


@routes.patch("/{order_id}", guard=Staff(Permission.ORDERS_WRITE), raises=(NotFound, Conflict))
async def change_order(call: Call[StaffCaller], order_id: OrderId, body: OrderPatch) -> Order:
    """Change an order's server details. With `If-Match`: only what was read."""
    change = OrderChange(
        tools=body.tools if body.tools is UNSET else each_once(body.tools),
        server_ip=(
            normal_address(body.server_ip, field="serverIp") if isinstance(body.server_ip, str) else body.server_ip
        ),
        ssh_port=body.ssh_port,
    )
    version = expected_version(call)
    changed = await call.hub.orders.change(call.author, call.caller.scope, order_id, change, version=version)
    return show_version(call, changed)
