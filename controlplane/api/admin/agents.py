"""Agents on a tenant's server, and the roles they are deployed in (specification section 4.8)."""

from __future__ import annotations

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from actors.tenant.changes import AgentChange, AgentValues, DeployAgent, RemoveAgent, Slug, UpdateAgent
from actors.tenant.messages import ChangeAgents
from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.entity_tags import expected_version, show_version
from controlplane.api.guards_people import Staff
from controlplane.api.paging import Listing, Page
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.store.agent_templates.template import AgentTemplate
from controlplane.store.agent_tools import AgentTool
from controlplane.store.agents import Configurations
from protocol.faults import Conflict, NotFound
from protocol.ids import OrderId
from protocol.objects import AgentConfig

routes = Router("/api/v1/admin", guard=Staff(Permission.AGENTS_READ), tag="Agents")

_WRITE = Staff(Permission.AGENTS_WRITE)


class AgentQuery(Page, rename="camel", kw_only=True, frozen=True):
    """Which agents to list.

    Args:
        include_removed: also those that are no longer deployed.
    """

    include_removed: bool = False


class AgentPatch(AgentValues, frozen=True, rename="camel", kw_only=True):
    """Values to change; what is absent stays, `externalCommsUnlocks: null` shuts every gate."""

    role: Slug | UnsetType = UNSET


@routes.get("/agents/templates")
async def templates(call: Call[StaffCaller]) -> list[AgentTemplate]:
    """List the roles an agent can be deployed in."""
    return list(call.hub.agents.templates())


@routes.get("/orders/{order_id}/agents", raises=(NotFound,))
async def list_agents(call: Call[StaffCaller], order_id: OrderId, query: AgentQuery) -> Listing[AgentConfig]:
    """List the agents on an order's server, in the order of their deployment."""
    found, total = await call.hub.agents.of_order(
        call.caller.scope,
        order_id,
        include_removed=query.include_removed,
        offset=query.offset,
        limit=query.page_size,
    )
    return Listing(found, query.page, query.page_size, total)


@routes.get("/orders/{order_id}/configuration", raises=(NotFound,))
async def configuration(call: Call[StaffCaller], order_id: OrderId) -> Configurations:
    """Read what is offered to an order's server beside what the server has applied."""
    return await call.hub.agents.configurations(call.caller.scope, order_id)


@routes.post("/orders/{order_id}/agents", status=201, guard=_WRITE, raises=(NotFound, Conflict))
async def deploy_agent(call: Call[StaffCaller], order_id: OrderId, body: DeployAgent) -> AgentConfig:
    """Deploy an agent; what the body leaves out comes from its role's template.

    The tools of a template are those of the applications on the order. The new configuration is pushed at once.
    """
    return await _change(call, order_id, body)


@routes.get("/orders/{order_id}/agents/{agent_id}", raises=(NotFound,))
async def get_agent(call: Call[StaffCaller], order_id: OrderId, agent_id: Slug) -> AgentConfig:
    """Read a deployed agent, named by its slug; `ETag` is for `If-Match`."""
    return show_version(call, await call.hub.agents.of_slug(call.caller.scope, order_id, agent_id))


@routes.get("/orders/{order_id}/agents/{agent_id}/tools", raises=(NotFound,))
async def agent_tools(call: Call[StaffCaller], order_id: OrderId, agent_id: Slug) -> list[AgentTool]:
    """List the tools an agent has or could be given: those of its server's applications, the general ones, its own."""
    return list(await call.hub.agents.tools(call.caller.scope, order_id, agent_id))


@routes.patch("/orders/{order_id}/agents/{agent_id}", guard=_WRITE, raises=(NotFound, Conflict))
async def update_agent(call: Call[StaffCaller], order_id: OrderId, agent_id: Slug, body: AgentPatch) -> AgentConfig:
    """Change an agent, by its slug; the new configuration is pushed at once. With `If-Match`: only what was read."""
    change = UpdateAgent(agent=agent_id, version=expected_version(call), **asdict(body))
    return show_version(call, await _change(call, order_id, change))


@routes.delete("/orders/{order_id}/agents/{agent_id}", guard=_WRITE, raises=(NotFound,))
async def remove_agent(call: Call[StaffCaller], order_id: OrderId, agent_id: Slug) -> AgentConfig:
    """Take an agent off the server; its history stays, and its slug is free again."""
    return await _change(call, order_id, RemoveAgent(agent=agent_id))


async def _change(call: Call[StaffCaller], order_id: OrderId, change: AgentChange) -> AgentConfig:
    changed = await call.hub.tenant(order_id).ask(ChangeAgents(change, call.author, call.caller.scope))
    return changed.agent
