"""What live questions ask and what their answers hold: the shapes that both ends of a `query` keep to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta

from protocol.objects import Spoken

CONVERSATIONS: Final = "conversations"
CONVERSATION: Final = "conversation"
TOOLS: Final = "tools"

#: How many of a list are asked for at a time.
Limit = Annotated[int, Meta(ge=1, le=100)]
Cursor = Annotated[str, Meta(max_length=500)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class ConversationsAsked(Spoken):
    """Params of `conversations`: one agent's, the latest first."""

    agent_id: Name
    limit: Limit = 25
    cursor: Cursor | None = None


class ConversationAsked(Spoken):
    """Params of `conversation`: what was said in one, the latest first."""

    agent_id: Name
    conversation_id: Name
    limit: Limit = 25
    cursor: Cursor | None = None


class Conversation(Spoken):
    """One conversation with an agent.

    Args:
        channel: where it is held, as `webchat` or `mail`; None when the server does not say.
        message_count: None when the server does not count.
    """

    id: str
    title: str | None = None
    channel: str | None = None
    started_at: datetime | None = None
    last_message_at: datetime | None = None
    message_count: int | None = None


class ConversationMessage(Spoken):
    """One thing that was said.

    Args:
        role: `user`, `assistant`, `tool` or `system`.
        text: as it was written; never HTML.
    """

    role: str
    text: str
    at: datetime | None = None
    id: str | None = None


class Conversations(Spoken):
    """Answers `conversations`; `next_cursor` asks for those before, None where there are none."""

    conversations: list[Conversation]
    next_cursor: str | None = None


class Messages(Spoken):
    """Answers `conversation`; `next_cursor` asks for what was said before, None where nothing was."""

    messages: list[ConversationMessage]
    next_cursor: str | None = None


class ToolState(Spoken):
    """One deployed tool.

    Args:
        status: `running`, `degraded` (a part of it stands still or is unhealthy), `stopped`, or a word of the server's.
        detail: what is the matter with it.
    """

    name: str
    status: str
    detail: str | None = None
    containers_running: int | None = None
    containers_stopped: int | None = None


class Tools(Spoken):
    """Answers `tools`."""

    tools: list[ToolState]
