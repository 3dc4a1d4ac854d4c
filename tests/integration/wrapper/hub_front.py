"""The scripted Hub's door: handshakes to the websockets server, requests to the peer, and what stands in the way."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Awaitable
from typing import Any, Protocol

import h11
import trio

SOCKET_PATH = "/api/v1/tenant/socket"

#: Status, headers, and the body: an object, or a proxy's page.
Answer = tuple[int, dict[str, str], Any]


def refusal(status: int, code: str, message: str = "no") -> Answer:
    return status, {}, {"success": False, "error": {"code": code, "message": message, "details": None}}


class Peer(Protocol):
    """Who answers."""

    blocked: str | None

    def knocked(self) -> None: ...

    def answer(self, method: str, path: str, key: str, body: dict[str, Any]) -> Awaitable[Answer | None]: ...


class Front(trio.abc.Listener[trio.SocketStream]):
    """Hands handshakes to the websockets server, all other requests to the peer; and stands in the way where told."""

    def __init__(self, listening: trio.socket.SocketType, peer: Peer, nursery: trio.Nursery) -> None:
        self._listener = trio.SocketListener(listening)
        self.socket = listening
        self._peer = peer
        self._nursery = nursery

    async def accept(self) -> trio.SocketStream:
        while True:
            stream = await self._listener.accept()
            wanted = f"GET {SOCKET_PATH} ".encode()
            first = b""
            while first != wanted and wanted.startswith(first):
                first = await stream.socket.recv(len(wanted), socket.MSG_PEEK)
                if not first:
                    break
            if first != wanted:
                self._nursery.start_soon(self._serve, stream)
            elif self._peer.blocked in (None, "mute"):
                return stream
            else:
                self._peer.knocked()
                self._nursery.start_soon(self._block, stream, self._peer.blocked)

    async def aclose(self) -> None:
        await self._listener.aclose()

    async def _block(self, stream: trio.SocketStream, how: str) -> None:
        """What a middlebox does to a handshake."""
        async with stream:
            if how == "silence":
                await trio.sleep_forever()
            await stream.receive_some()
            if how != "cut":
                page = b"<html>Sorry</html>"
                head = f"HTTP/1.1 {how} No\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n"
                await stream.send_all(head.encode() + page)

    async def _serve(self, stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError, h11.RemoteProtocolError):
            async with stream:
                await self._requests(stream)

    async def _requests(self, stream: trio.SocketStream) -> None:
        """Requests on one kept-alive connection."""
        connection = h11.Connection(h11.SERVER)
        request, body = None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                headers = {name.decode(): value.decode() for name, value in request.headers}
                path = request.target.decode().removeprefix("/api/v1/tenant")
                key = headers.get("authorization", "").removeprefix("Bearer ")
                answer = await self._peer.answer(request.method.decode(), path, key, json.loads(body or b"{}"))
                if answer is None:
                    return
                await stream.send_all(_written(connection, answer))
                connection.start_next_cycle()
            else:
                return


def _written(connection: h11.Connection, answer: Answer) -> bytes:
    status, headers, content = answer
    data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    kind = "text/html" if isinstance(content, str) else "application/json"
    fields = [("Content-Type", kind), ("Content-Length", str(len(data))), *headers.items()]
    parts = [
        connection.send(h11.Response(status_code=status, headers=fields)),
        connection.send(h11.Data(data=data)),
        connection.send(h11.EndOfMessage()),
    ]
    return b"".join(part or b"" for part in parts)
