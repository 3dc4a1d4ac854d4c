"""What was said with a customer's agents: asked live of the server where it is kept (specification section 5)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller
from controlplane.api.guards_people import Customer
from controlplane.api.paging import CursorListing, CursorPage
from controlplane.api.router import Router
from protocol.faults import Conflict, NotFound, TenantOffline
from protocol.ids import AgentConfigId
from protocol.queries import (
    CONVERSATION,
    CONVERSATIONS,
    Conversation,
    ConversationAsked,
    ConversationMessage,
    Conversations,
    ConversationsAsked,
    Messages,
)

routes = Router("/api/v1/customer/agents/{agent_config_id}/conversations", guard=Customer(), tag="Agents")

ConversationId = Annotated[str, Meta(min_length=1, max_length=200)]


@routes.get("", raises=(NotFound, Conflict, TenantOffline))
async def list_conversations(
    call: Call[CustomerCaller], agent_config_id: AgentConfigId, query: CursorPage
) -> CursorListing[Conversation]:
    """List an agent's conversations, the latest first.

    They are kept on your server and asked for there: TENANT_OFFLINE says that it does not answer now, CONFLICT that it
    is not set up to tell of conversations.
    """
    agent = await call.hub.agents.get(call.caller.scope, agent_config_id)
    asked = ConversationsAsked(agent.agent_id, query.limit, query.cursor)
    told = await call.hub.questions.ask_tenant(agent.order_id, CONVERSATIONS, asked, Conversations)
    return CursorListing(told.conversations, query.limit, told.next_cursor)


@routes.get("/{conversation_id}", raises=(NotFound, Conflict, TenantOffline))
async def read_conversation(
    call: Call[CustomerCaller], agent_config_id: AgentConfigId, conversation_id: ConversationId, query: CursorPage
) -> CursorListing[ConversationMessage]:
    """Read what was said in one conversation, the latest first."""
    agent = await call.hub.agents.get(call.caller.scope, agent_config_id)
    asked = ConversationAsked(agent.agent_id, conversation_id, query.limit, query.cursor)
    told = await call.hub.questions.ask_tenant(agent.order_id, CONVERSATION, asked, Messages)
    return CursorListing(told.messages, query.limit, told.next_cursor)
