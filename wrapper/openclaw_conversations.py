"""Conversations as an OpenClaw gateway keeps them: its sessions, and what was said in one.

`sessions.list` and `chat.history` of gateway protocol 3; a conversation's id is the gateway's session key
(`agent:<agentId>:…`), a cursor the number of those that came before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

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
from protocol.tenant import Unanswered
from wrapper.answerers import Answerer, NoAnswer, params_of
from wrapper.gateway import GatewayLost, GatewayRefused
from wrapper.journal.database import sayable

#: Asks the gateway: method and params; the answer's payload.
AskGateway = Callable[[str, dict[str, Any]], Awaitable[bytes]]

#: As many as `chat.history` gives at most, and as far back as pages go.
DEEPEST: Final = 1000
TEXT_CHARACTERS: Final = 8000
_WORDS: Final = 300
_ROLES: Final = {"toolResult": "tool", "toolUse": "tool"}


class _Session(msgspec.Struct, rename="camel"):
    key: str
    label: str | None = None
    display_name: str | None = None
    derived_title: str | None = None
    channel: str | None = None
    last_channel: str | None = None
    updated_at: float | None = None


class _Sessions(msgspec.Struct):
    sessions: list[_Session] = []


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Said(msgspec.Struct):
    role: str = "other"
    content: str | list[_Part] | None = None
    timestamp: float | None = None


class _History(msgspec.Struct, rename="camel"):
    session_id: str | None = None
    messages: list[_Said] = []


def conversation_answerers(ask: AskGateway) -> dict[str, Answerer]:
    """What answers `conversations` and `conversation`."""

    async def conversations(params: dict[str, Any]) -> Conversations:
        asked = params_of(params, ConversationsAsked)
        before = _before(asked.cursor)
        wanted = before + asked.limit
        payload = await _asked(
            ask, "sessions.list", {"agentId": asked.agent_id, "limit": wanted + 1, "includeDerivedTitles": True}
        )
        found = _read(payload, _Sessions).sessions
        page = [_conversation(session) for session in found[before:wanted]]
        return Conversations(page, str(wanted) if len(found) > wanted and wanted < DEEPEST else None)

    async def conversation(params: dict[str, Any]) -> Messages:
        asked = params_of(params, ConversationAsked)
        if not asked.conversation_id.startswith(f"agent:{asked.agent_id}:"):
            raise NoAnswer(Unanswered.NOT_FOUND, "this agent has no such conversation")
        before = _before(asked.cursor)
        wanted = before + asked.limit
        payload = await _asked(
            ask, "chat.history", {"sessionKey": asked.conversation_id, "limit": min(wanted + 1, DEEPEST)}
        )
        history = _read(payload, _History)
        if history.session_id is None:
            raise NoAnswer(Unanswered.NOT_FOUND, "this agent has no such conversation")
        latest_first = history.messages[::-1]
        page = [_message(said) for said in latest_first[before:wanted]]
        return Messages(page, str(wanted) if len(latest_first) > wanted else None)

    return {CONVERSATIONS: conversations, CONVERSATION: conversation}


async def _asked(ask: AskGateway, method: str, params: dict[str, Any]) -> bytes:
    try:
        return await ask(method, params)
    except GatewayLost as error:
        raise NoAnswer(Unanswered.FAILED, "the OpenClaw gateway does not answer now") from error
    except GatewayRefused as error:
        raise NoAnswer(Unanswered.FAILED, f"the OpenClaw gateway refuses: {error}"[:_WORDS]) from error


def _read(payload: bytes, wanted: type[Any]) -> Any:
    try:
        return msgspec.json.decode(payload, type=wanted)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise NoAnswer(Unanswered.FAILED, "the OpenClaw gateway's answer cannot be read") from error


def _before(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 4 and int(cursor) < DEEPEST):
        raise NoAnswer(Unanswered.BAD_PARAMS, "the cursor is none of this server's")
    return int(cursor)


def _conversation(session: _Session) -> Conversation:
    return Conversation(
        id=session.key,
        title=_said(session.display_name or session.label or session.derived_title),
        channel=_said(session.channel or session.last_channel),
        last_message_at=_moment(session.updated_at),
    )


def _message(said: _Said) -> ConversationMessage:
    if isinstance(said.content, str):
        text = said.content
    else:
        text = "\n".join(part.text for part in said.content or () if part.text is not None)
    return ConversationMessage(
        role=sayable(_ROLES.get(said.role, said.role), _WORDS),
        text=sayable(text, TEXT_CHARACTERS),
        at=_moment(said.timestamp),
    )


def _said(text: str | None) -> str | None:
    return None if text is None else sayable(text, _WORDS)


def _moment(milliseconds: float | None) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
