"""What a customer's agent did (specification section 5)."""

from __future__ import annotations

from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller
from controlplane.api.guards_people import Customer
from controlplane.api.paging import CursorListing, CursorPage
from controlplane.api.router import Router
from controlplane.store.activities import AgentActivity
from protocol.faults import NotFound
from protocol.ids import AgentConfigId

routes = Router("/api/v1/customer/agents/{agent_config_id}/activity", guard=Customer(), tag="Agents")


@routes.get("", raises=(NotFound,))
async def activity(
    call: Call[CustomerCaller], agent_config_id: AgentConfigId, query: CursorPage
) -> CursorListing[AgentActivity]:
    """List what an agent did, newest first; give `nextCursor` as `cursor` to go on."""
    agent = await call.hub.agents.get(call.caller.scope, agent_config_id)
    feed = await call.hub.activities.feed(agent.order_id, agent.agent_id, cursor=query.cursor, limit=query.limit)
    return CursorListing(feed.activities, query.limit, feed.next_cursor)
