"""A customer's own agents: how they are, who they are, how far they may go (specification section 5)."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from actors.tenant.changes import (
    AgentChange,
    AgentName,
    AutonomyLevel,
    Overrides,
    Soul,
    ToolList,
    UnlockExternalComms,
    Unlocks,
    UpdateAgent,
)
from actors.tenant.messages import ChangeAgents
from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller
from controlplane.api.entity_tags import expected_version, show_version
from controlplane.api.guards_people import Customer
from controlplane.api.paging import Listing, Page
from controlplane.api.router import Router
from controlplane.store.agent_rows import AgentWithStatus
from controlplane.store.agent_tools import AgentTool
from protocol.faults import Conflict, NotFound
from protocol.ids import AgentConfigId

routes = Router("/api/v1/customer/agents", guard=Customer(), tag="Agents")


class OwnAgentPatch(Struct, frozen=True, rename="camel", kw_only=True):
    """What customers may change of an agent; what is absent stays."""

    name: AgentName | UnsetType = UNSET
    soul_md: Soul | UnsetType = UNSET
    tools_allowed: ToolList | UnsetType = UNSET
    tools_denied: ToolList | UnsetType = UNSET
    autonomy_level: AutonomyLevel | UnsetType = UNSET
    tool_overrides: Overrides | UnsetType = UNSET


class ExternalComms(Struct, frozen=True, rename="camel"):
    """Gates to the outside, by tool: true opens, false shuts; a tool that is not named keeps its gate."""

    unlocks: Unlocks


@routes.get("")
async def list_agents(call: Call[CustomerCaller], query: Page) -> Listing[AgentWithStatus]:
    """List your agents with their status, on all your servers."""
    found, total = await call.hub.agents.in_scope(call.caller.scope, offset=query.offset, limit=query.page_size)
    return Listing(found, query.page, query.page_size, total)


@routes.get("/{agent_config_id}", raises=(NotFound,))
async def get_agent(call: Call[CustomerCaller], agent_config_id: AgentConfigId) -> AgentWithStatus:
    """Read one agent: its character, tools and autonomy; `ETag` is for `If-Match`."""
    return _show(call, await call.hub.agents.get(call.caller.scope, agent_config_id))


@routes.get("/{agent_config_id}/tools", raises=(NotFound, Conflict))
async def agent_tools(call: Call[CustomerCaller], agent_config_id: AgentConfigId) -> list[AgentTool]:
    """List the tools an agent has or could be given: those of your applications, the general ones, its own."""
    found = await call.hub.agents.get(call.caller.scope, agent_config_id)
    return list(await call.hub.agents.tools(call.caller.scope, found.order_id, agent_config_id))


@routes.patch("/{agent_config_id}", raises=(NotFound, Conflict))
async def update_agent(
    call: Call[CustomerCaller], agent_config_id: AgentConfigId, body: OwnAgentPatch
) -> AgentWithStatus:
    """Change an agent; the new configuration is pushed at once.

    You may narrow an agent freely, and give it any tool that is not red besides those of its role. Red tools keep
    asking: `toolOverrides` takes `allow` for green and yellow tools, `ask` and `deny` for any.
    """
    return await _change(
        call, agent_config_id, UpdateAgent(agent=agent_config_id, version=expected_version(call), **asdict(body))
    )


@routes.patch("/{agent_config_id}/external-comms", raises=(NotFound, Conflict))
async def unlock_external_comms(
    call: Call[CustomerCaller], agent_config_id: AgentConfigId, body: ExternalComms
) -> AgentWithStatus:
    """Open or shut an agent's gates to the outside, tool by tool."""
    version = expected_version(call)
    change = UnlockExternalComms(agent=agent_config_id, version=version, unlocks=body.unlocks)
    return await _change(call, agent_config_id, change)


async def _change(call: Call[CustomerCaller], agent_config_id: AgentConfigId, change: AgentChange) -> AgentWithStatus:
    found = await call.hub.agents.get(call.caller.scope, agent_config_id)
    changed = await call.hub.tenant(found.order_id).ask(ChangeAgents(change, call.author, call.caller.scope))
    return _show(
        call, AgentWithStatus(**asdict(changed.agent), status=found.status, last_active_at=found.last_active_at)
    )


def _show(call: Call[CustomerCaller], agent: AgentWithStatus) -> AgentWithStatus:
    return show_version(call, agent, of=agent.config)
