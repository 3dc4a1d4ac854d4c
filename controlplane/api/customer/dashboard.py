"""A customer's overview: servers, agents, what waits, what was used, what was done last (specification section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller
from controlplane.api.guards_people import Customer
from controlplane.api.router import Router
from controlplane.store.activities import AgentActivity
from controlplane.store.backups import Backup
from controlplane.store.orders import OrderQuery
from controlplane.store.usage_spans import Period
from protocol.ids import AgentConfigId, OrderId, ServerId, parse_id
from protocol.objects import Order, Resources, Server, Spoken
from protocol.words import ApprovalStatus, OrderStatus, Presence, Tier

routes = Router("/api/v1/customer/dashboard", guard=Customer(), tag="Dashboard")

#: So many orders and agents, and so many lines of activity, are shown.
MOST: Final = 100
MOST_ACTIVITIES: Final = 10


class DashboardServer(Spoken, kw_only=True):
    """An order and how its server is; without one yet, what is known of a server is null."""

    order_id: OrderId
    server_id: ServerId | None
    domain: str
    tier: Tier
    order_status: OrderStatus
    presence: Presence | None
    last_seen_at: datetime | None
    pending_approvals: int
    resources: Resources | None
    last_backup: Backup | None


class DashboardAgent(Spoken, kw_only=True):
    """An agent and how it is."""

    id: AgentConfigId
    order_id: OrderId
    agent_id: str
    name: str
    role: str
    status: str
    last_active_at: datetime | None


class DashboardUsage(Spoken, kw_only=True):
    """What is used in the period that runs; without a subscription the limit is null."""

    token_limit: int | None
    tokens_used: int
    period_start: datetime
    period_end: datetime
    tokens_today: int


class Dashboard(Spoken, kw_only=True):
    """The overview: the newest hundred orders that are not cancelled, a hundred agents, the last ten activities."""

    servers: Sequence[DashboardServer]
    agents: Sequence[DashboardAgent]
    pending_approvals: int
    usage: DashboardUsage
    recent_activity: Sequence[AgentActivity]


@routes.get("")
async def dashboard(call: Call[CustomerCaller]) -> Dashboard:
    """Read your overview: your servers and agents, what waits for you, what is used, and what was done last."""
    hub, scope = call.hub, call.caller.scope
    agents, _ = await hub.agents.in_scope(scope, offset=0, limit=MOST)
    _, pending = await hub.approvals.page(scope=scope, status=ApprovalStatus.PENDING, page=1, page_size=1)
    return Dashboard(
        servers=await _servers(call),
        agents=[
            DashboardAgent(
                id=agent.id,
                order_id=agent.order_id,
                agent_id=agent.agent_id,
                name=agent.name,
                role=agent.role,
                status=agent.status,
                last_active_at=agent.last_active_at,
            )
            for agent in agents
        ],
        pending_approvals=pending,
        usage=await _usage(call),
        recent_activity=await hub.activities.newest(scope, limit=MOST_ACTIVITIES),
    )


async def _servers(call: Call[CustomerCaller]) -> list[DashboardServer]:
    hub, scope = call.hub, call.caller.scope
    orders, _ = await hub.orders.list(scope, OrderQuery(), offset=0, limit=MOST)
    shown = [order for order in orders if order.status is not OrderStatus.CANCELLED]
    keys = [parse_id("ord", order.id) for order in shown]
    servers = {server.order_id: server for _, _, server in await hub.servers.of_orders(keys, now=hub.clock.now())}
    backups = await hub.backups.last(scope)
    return [_server(order, servers.get(order.id), backups.get(order.id)) for order in shown]


def _server(order: Order, server: Server | None, backup: Backup | None) -> DashboardServer:
    return DashboardServer(
        order_id=order.id,
        server_id=None if server is None else server.id,
        domain=order.domain,
        tier=order.tier,
        order_status=order.status,
        presence=None if server is None else server.presence,
        last_seen_at=None if server is None else server.last_seen_at,
        pending_approvals=0 if server is None else server.pending_approvals,
        resources=None if server is None else server.resources,
        last_backup=backup,
    )


async def _usage(call: Call[CustomerCaller]) -> DashboardUsage:
    hub = call.hub
    period = (await hub.billing.current(call.caller.customer_id)).period
    today = hub.clock.now().astimezone(UTC).date()
    used_today = await hub.usage.summary(call.caller.scope, Period.DAY, today, today, None)
    return DashboardUsage(
        token_limit=period.token_limit,
        tokens_used=period.tokens_used,
        period_start=period.start,
        period_end=period.end,
        tokens_today=used_today.total.tokens_total,
    )
