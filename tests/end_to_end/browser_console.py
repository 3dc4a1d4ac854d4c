"""A console by script, straight on the `websockets` package: what a page's script would do, and what it would not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.trio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.end_to_end.hub_process import HubProcess

SUBPROTOCOL = "letsbe.console.v1"
COOKIE = "next-auth.session-token"
ANSWER_SECONDS = 10.0


class BrowserConsole:
    """One open console.

    Attributes:
        heard: every frame received, in order.
        cursor: the newest one told.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self.cursor: str | None = None

    async def say(self, frame: dict[str, Any] | str | bytes) -> None:
        """Send a frame, or anything else."""
        with trio.fail_after(ANSWER_SECONDS):
            await self.socket.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    async def watch(self, *topics: str, since: str | None = None) -> dict[str, Any]:
        """Watch topics and wait for the answer."""
        await self.say({"type": "watch", "topics": list(topics)} | ({} if since is None else {"since": since}))
        return await self.hear("watching")

    async def hear(
        self,
        *types: str,
        which: Callable[[dict[str, Any]], object] = lambda _: True,
        within_seconds: float = ANSWER_SECONDS,
    ) -> dict[str, Any]:
        """The next frame of these types (of which `which` holds); others are kept in `heard` and passed over."""
        with trio.fail_after(within_seconds):
            while True:
                frame = json.loads(await self.socket.recv())
                self.heard.append(frame)
                self.cursor = frame.get("cursor", self.cursor)
                if frame["type"] in types and which(frame):
                    return frame

    async def event(self, kind: str, **options: Any) -> dict[str, Any]:
        """The next event of a kind."""
        return await self.hear("event", which=lambda frame: frame["kind"] == kind, **options)

    def events(self) -> list[dict[str, Any]]:
        """The events heard."""
        return [frame for frame in self.heard if frame["type"] == "event"]

    async def closed(self, within_seconds: float = ANSWER_SECONDS) -> tuple[int | None, str]:
        """Wait for the end; its code and words."""
        with trio.fail_after(within_seconds):
            try:
                while True:
                    self.heard.append(json.loads(await self.socket.recv()))
            except ConnectionClosed as end:
                return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (None, "")


@asynccontextmanager
async def open_console(
    hub: HubProcess,
    token: str | None,
    *,
    audience: str = "admin",
    origin: str | None = "own",
    bearer: bool = False,
    query: str = "",
    subprotocol: str = SUBPROTOCOL,
) -> AsyncIterator[BrowserConsole]:
    """Open a console's socket; whatever state it is in at the end, it is cut.

    Raises:
        InvalidStatus: the handshake was refused.
    """
    headers = {}
    if token is not None:
        headers = {"Authorization": f"Bearer {token}"} if bearer else {"Cookie": f"theme=dark; {COOKIE}={token}"}
    own = hub.url if origin == "own" else origin
    async with connect(
        f"{hub.url.replace('http', 'ws', 1)}/api/v1/{audience}/socket{query}",
        origin=None if own is None else Origin(own),
        subprotocols=[Subprotocol(subprotocol)],
        additional_headers=headers,
        compression=None,
        proxy=None,
        ping_interval=None,
        open_timeout=ANSWER_SECONDS,
        max_size=None,
    ) as socket:
        console = BrowserConsole(socket)
        try:
            yield console
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(socket.stream)
                with contextlib.suppress(ConnectionClosed):  # the library's reader waits until its queue is read
                    while True:
                        await socket.recv()


async def refused_console(hub: HubProcess, token: str | None, **options: Any) -> tuple[int, str]:
    """Be refused: status and error code."""
    try:
        async with open_console(hub, token, **options):
            raise AssertionError("the handshake was accepted")
    except InvalidStatus as refused:
        return refused.response.status_code, json.loads(refused.response.body or b"{}")["error"]["code"]
