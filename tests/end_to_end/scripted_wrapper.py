"""A Safety Wrapper by script, straight on the `websockets` package: it says what the test says, right or wrong."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import rfc8785
import trio
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.trio.client import ClientConnection, connect
from websockets.typing import Subprotocol

SUBPROTOCOL = "letsbe.tenant.v1"
PROMISES = ("command", "approvalSettled", "configOffered", "void")
ANSWER_SECONDS = 10.0


def hash_of(tool: str, args: Any) -> str:
    """`argsHash` by the words of the protocol, with no code of the project."""
    return hashlib.sha256(rfc8785.dumps({"args": args, "tool": tool})).hexdigest()


def approval_request(**changes: Any) -> dict[str, Any]:
    """A sound approval request, but for the changes."""
    tool, args = changes.get("toolName", "file_delete"), changes.get("toolArgs", {"path": "/tmp/*"})
    return {
        "type": "approvalRequest",
        "id": str(uuid.uuid4()),
        "agentId": "it-admin",
        "commandClass": "red",
        "toolName": tool,
        "toolArgs": args,
        "argsHash": changes.get("argsHash") or hash_of(tool, args),
        "humanReadable": "IT Admin wants to delete /tmp/* (47 files, 2.3 GB)",
        **changes,
    }


class ScriptedWrapper:
    """One connection.

    Attributes:
        heard: every frame received, in order.
        last_seq: the highest promise received.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self.last_seq = 0

    async def say(self, frame: dict[str, Any] | str | bytes) -> None:
        """Send a frame, or anything else."""
        with trio.fail_after(ANSWER_SECONDS):
            await self.socket.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    async def hello(self, **changes: Any) -> dict[str, Any]:
        """Say hello and wait for the welcome."""
        await self.say(hello(**changes))
        return await self.hear("welcome")

    async def hear(self, *types: str, within_seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """The next frame of these types; others are kept in `heard` and passed over."""
        with trio.fail_after(within_seconds):
            while True:
                frame = json.loads(await self.socket.recv())
                self.heard.append(frame)
                self.last_seq = max(self.last_seq, frame.get("seq", 0))
                if frame["type"] in types:
                    return frame

    async def promise(self, *types: str) -> dict[str, Any]:
        """The next promise (of these types), not acknowledged."""
        return await self.hear(*(types or PROMISES))

    async def hears_nothing_before(self, frame: dict[str, Any], answer: str) -> list[dict[str, Any]]:
        """Say a frame and hear its answer: what came between. The socket keeps its order, so nothing came late."""
        began = len(self.heard)
        await self.say(frame)
        await self.hear(answer)
        return self.heard[began:-1]

    async def ack(self, seq: int | None = None) -> None:
        await self.say({"type": "ack", "seq": self.last_seq if seq is None else seq})

    async def ask(self, **changes: Any) -> dict[str, Any]:
        """Ask for an approval and wait until the Hub has it."""
        request = approval_request(**changes)
        await self.say(request)
        accepted = await self.hear("accepted", "refused")
        assert accepted == {"type": "accepted", "ids": [request["id"]]}, accepted
        return request

    async def verdict(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Say a message and hear `accepted` or `refused`."""
        await self.say(frame)
        return await self.hear("accepted", "refused")

    async def closed(self, within_seconds: float = ANSWER_SECONDS) -> tuple[int | None, str]:
        """Wait for the end; its code and words, no code where it came without a word."""
        with trio.fail_after(within_seconds):
            try:
                while True:
                    self.heard.append(json.loads(await self.socket.recv()))
            except ConnectionClosed as end:
                return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (None, "")


_boots = itertools.count(1)


def hello(**changes: Any) -> dict[str, Any]:
    """A sound hello, but for the changes."""
    return {
        "type": "hello",
        "protocolMin": 1,
        "protocolMax": 1,
        "wrapperVersion": "0.0.1-scripted",
        "bootId": f"boot-{next(_boots)}",
        "lastSeq": 0,
        "configVersion": 0,
        "capabilities": ["command", "approvalSettled", "configOffered", "query", "drain"],
        **changes,
    }


@asynccontextmanager
async def dial(
    url: str, key: str | None, *, subprotocol: str | None = SUBPROTOCOL, **options: Any
) -> AsyncIterator[ScriptedWrapper]:
    """Open a socket; whatever state it is in at the end, it is cut.

    Raises:
        InvalidStatus: the handshake was refused.
    """
    async with connect(
        url,
        subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
        additional_headers={} if key is None else {"Authorization": f"Bearer {key}"},
        compression=None,
        proxy=None,
        ping_interval=None,
        open_timeout=ANSWER_SECONDS,
        max_size=None,
        **options,
    ) as socket:
        try:
            yield ScriptedWrapper(socket)
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(socket.stream)
            # The library's reader waits until its queue is read.
            with contextlib.suppress(ConnectionClosed), trio.move_on_after(1):
                while True:
                    await socket.recv()


async def refusal(url: str, key: str | None, **options: Any) -> tuple[int, str, Headers]:
    """Dial and be refused: status, error code, headers."""
    try:
        async with dial(url, key, **options):
            raise AssertionError("the handshake was accepted")
    except InvalidStatus as refused:
        response = refused.response
        return response.status_code, json.loads(response.body or b"{}")["error"]["code"], response.headers
