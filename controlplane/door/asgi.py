"""The app as HTTP sees it: ASGI types, and a guard which lets only HTTP through and answers for an app that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

import structlog
import trio

from controlplane.door.answers import SECURITY_HEADERS, error_body

log = structlog.get_logger()

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class GuardedApp:
    """What the HTTP server calls for each request.

    Args:
        app: any ASGI 3 application.
        socket_paths: paths that belong to the sockets. They get here only on a connection that carried HTTP before
            (a reverse proxy that reuses it), where it is too late for an upgrade.
    """

    def __init__(self, app: App, socket_paths: Collection[str]) -> None:
        self._app = app
        self._socket_paths = socket_paths

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, _sync_spawn: object = None, _call_soon: object = None
    ) -> None:
        if scope["type"] != "http":
            log.error("http.scope_refused", scope=scope["type"])
            return
        if scope["path"] in self._socket_paths:
            message = "this address speaks WebSocket only, and needs a connection of its own"
            await _refuse(receive, send, 426, "UPGRADE_REQUIRED", message, ((b"upgrade", b"websocket"),))
            return
        watched = _Watched(send)
        try:
            await self._app(scope, receive, watched.send)
        except* Exception as failures:
            log.error("http.app_failed", method=scope["method"], path=scope["path"], exc_info=failures)
            watched.failed = True
        if watched.failed and not watched.started:
            await _refuse(receive, send, 500, "INTERNAL_ERROR", "internal error")


class _Watched:
    """Remembers whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.failed = False

    async def send(self, message: Message) -> None:
        self.started = True
        await self._send(message)


async def _refuse(
    receive: Receive,
    send: Send,
    status: int,
    code: str,
    message: str,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    body = error_body(code, message)
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            *((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *headers,
        ],
    }
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_discard, receive)
        await send(start)
        await send({"type": "http.response.body", "body": body})
        nursery.cancel_scope.cancel()


async def _discard(receive: Receive) -> None:
    """Take the request's body off the server's hands: it waits for room to hand it over, even to end the stream."""
    while (await receive())["type"] != "http.disconnect":
        pass
