"""Conversations asked of the real gateway: its sessions, and what was said in one, page by page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from protocol.tenant import Unanswered
from tests.integration.wrapper.conftest import Eager, OpenWrapper
from tests.openclaw.gateway_process import TOKEN, GatewayProcess, asking
from tests.openclaw.test_openclaw_bridge import connected
from wrapper.answerers import NoAnswer
from wrapper.gateway import GatewayAddress
from wrapper.keyring import Secret
from wrapper.openclaw import Bridge
from wrapper.openclaw_conversations import conversation_answerers
from wrapper.ports import SystemClock

SAID = [
    {"role": "user", "content": [{"type": "text", "text": "Is the backup done?"}], "timestamp": 1_773_584_000_000},
    {"role": "toolResult", "content": [{"type": "text", "text": "4.2 GB"}], "timestamp": 1_773_584_001_000},
    {"role": "assistant", "content": [{"type": "text", "text": "Yes,"}, {"type": "text", "text": "4.2 GB."}]},
]


async def a_session(gateway: GatewayProcess, name: str, label: str) -> str:
    """A session of the gateway with something said in it; its key."""
    async with asking(gateway.url) as asker:
        made = await asker.request("sessions.patch", {"key": f"agent:it-admin:{name}", "label": label})
    assert made["ok"], made
    transcript = Path(made["payload"]["path"]).parent / f"{made['payload']['entry']['sessionId']}.jsonl"
    transcript.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"type": "message", "id": str(number), "message": said} for number, said in enumerate(SAID)]
    transcript.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(made["payload"]["key"])


async def refused(answerer: Any, **params: Any) -> str:
    try:
        await answerer(params)
    except NoAnswer as refusal:
        return refusal.code
    raise AssertionError(f"answered: {params}")


async def test_conversations_are_read_page_by_page(
    open_wrapper: OpenWrapper, gateway: GatewayProcess, nursery: Any
) -> None:
    first, second = [await a_session(gateway, name, f"About {name}") for name in ("backups", "mail")]
    bridge = Bridge(GatewayAddress(gateway.url), Secret(TOKEN), randomness=Eager(), clock=SystemClock())
    answerers = conversation_answerers(bridge.request)
    conversations, conversation = answerers["conversations"], answerers["conversation"]
    assert await refused(conversations, agentId="it-admin") == Unanswered.FAILED  # not connected yet
    async with open_wrapper() as wrapper:
        nursery.start_soon(bridge.run, wrapper)
        await connected(wrapper)
        page = await conversations({"agentId": "it-admin", "limit": 1})
        more = await conversations({"agentId": "it-admin", "limit": 1, "cursor": page.next_cursor})
        assert {one.id: one.title for one in (*page.conversations, *more.conversations)} == {
            first: "About backups",
            second: "About mail",
        }
        assert all(one.last_message_at is not None for one in page.conversations)
        assert more.next_cursor is None
        assert (await conversations({"agentId": "sales"})).conversations == []
        told = await conversation({"agentId": "it-admin", "conversationId": first, "limit": 2})
        assert [(said.role, said.text) for said in told.messages] == [
            ("assistant", "Yes,\n4.2 GB."),
            ("tool", "4.2 GB"),
        ]
        rest = await conversation({"agentId": "it-admin", "conversationId": first, "cursor": told.next_cursor})
        assert [(said.role, said.text) for said in rest.messages] == [("user", "Is the backup done?")]
        assert rest.next_cursor is None
        assert rest.messages[0].at is not None
        assert rest.messages[0].at.isoformat() == "2026-03-15T14:13:20+00:00"
        unknown = {"agentId": "it-admin", "conversationId": "agent:it-admin:unknown"}
        assert await refused(conversation, **unknown) == Unanswered.NOT_FOUND
        assert await refused(conversation, agentId="sales", conversationId=first) == Unanswered.NOT_FOUND
        assert await refused(conversations, agentId="", limit=1000, cursor="x") == Unanswered.BAD_PARAMS
        assert await refused(conversations, agentId="it-admin", cursor="-1") == Unanswered.BAD_PARAMS
        nursery.cancel_scope.cancel()
