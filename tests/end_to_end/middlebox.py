"""A proxy between wrapper and Hub: passes HTTP, sockets only where it is told, and keeps back what a test names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import h11
import trio

SOCKET_PATH = "/api/v1/tenant/socket"
BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError)
_OF_THE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "content-length", "host")


@dataclass(frozen=True)
class Answer:
    """What the Hub answered."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes


class Middlebox:
    """A proxy to the Hub.

    Attributes:
        sockets: whether handshakes pass; else they are answered by a page with 502.
        refused: how many handshakes did not.
    """

    def __init__(self, hub_port: int, *, sockets: bool) -> None:
        self._hub_port = hub_port
        self._ends: set[trio.SocketStream] = set()
        self._requests: dict[str, trio.Event] = {}
        self._answers: dict[str, trio.Event] = {}
        self.sockets = sockets
        self.refused = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    @asynccontextmanager
    async def placed(cls, hub_port: int, *, sockets: bool = False) -> AsyncIterator[Middlebox]:
        box = cls(hub_port, sockets=sockets)
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, box._serve, 0)
            box.port = listeners[0].socket.getsockname()[1]
            yield box
            nursery.cancel_scope.cancel()

    def hold_requests(self, path: str) -> None:
        """Keep requests whose path ends so from the Hub, until they are let go or cut."""
        self._requests[path] = trio.Event()

    def hold_answers(self, path: str) -> None:
        """Let such requests reach the Hub, and keep its answers."""
        self._answers[path] = trio.Event()

    def let_go(self) -> None:
        """Hold nothing any more, and pass on what was held."""
        for held in (*self._requests.values(), *self._answers.values()):
            held.set()
        self._requests, self._answers = {}, {}

    async def cut(self) -> None:
        """End every connection at once, with all that is held, and hold nothing any more."""
        for end in list(self._ends):
            await trio.aclose_forcefully(end)
        self.let_go()

    # --- one connection ----------------------------------------------------------------------------------

    async def _serve(self, near: trio.SocketStream) -> None:
        self._ends.add(near)
        try:
            async with near:
                await self._read(near)
        except BROKEN:
            pass  # one of the two went away, or the test cut them off
        finally:
            self._ends.discard(near)

    async def _read(self, near: trio.SocketStream) -> None:
        connection, raw, request, body = h11.Connection(h11.SERVER), b"", None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = await near.receive_some()
                raw += data
                connection.receive_data(data)
            elif isinstance(event, h11.Request):
                request, body = event, b""
                if event.target.decode() == SOCKET_PATH:
                    await self._socket(near, raw)
                    return
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                answer = await self._pass_on(near, request, body)
                if answer is None:
                    return
                await near.send_all(_written(connection, answer))
                connection.start_next_cycle()
                raw = b""
            else:
                return

    async def _pass_on(self, near: trio.SocketStream, request: h11.Request, body: bytes) -> Answer | None:
        """The Hub's answer; None where there is nobody any more to whom it could be given."""
        target = request.target.decode()
        if not await self._let_through(self._requests, target, near):
            return None
        try:
            answer = await self._asked(request, body)
        except (OSError, *BROKEN):
            return None
        return answer if await self._let_through(self._answers, target, near) else None

    async def _asked(self, request: h11.Request, body: bytes) -> Answer:
        """What the Hub answers to it, on a connection of its own."""
        connection = h11.Connection(h11.CLIENT)
        head = h11.Request(
            method=request.method,
            target=request.target,
            headers=[*_kept(request.headers), ("Host", self.url[7:]), ("Content-Length", str(len(body)))],
        )
        async with await trio.open_tcp_stream("127.0.0.1", self._hub_port) as far:
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                await far.send_all(connection.send(event) or b"")
            answer, content = None, b""
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await far.receive_some())
                elif isinstance(event, h11.Response):
                    answer = event
                elif isinstance(event, h11.Data):
                    content += event.data
                else:
                    break
        if answer is None:
            raise trio.BrokenResourceError("the Hub hung up")
        return Answer(answer.status_code, _kept(answer.headers), content)

    async def _let_through(self, held: dict[str, trio.Event], target: str, near: trio.SocketStream) -> bool:
        for path, event in list(held.items()):
            if target.endswith(path):
                await event.wait()
        return near in self._ends and near.socket.fileno() >= 0

    async def _socket(self, near: trio.SocketStream, raw: bytes) -> None:
        if not self.sockets:
            self.refused += 1
            page = b"<html>No sockets here</html>"
            await near.send_all(
                b"HTTP/1.1 502 No\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(page) + page
            )
            return
        try:
            far = await trio.open_tcp_stream("127.0.0.1", self._hub_port)
        except OSError:
            return
        self._ends.add(far)
        try:
            await far.send_all(raw)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pump, near, far)
                nursery.start_soon(_pump, far, near)
        finally:
            self._ends.discard(far)


async def _pump(source: trio.SocketStream, target: trio.SocketStream) -> None:
    try:
        while data := await source.receive_some():
            await target.send_all(data)
    except BROKEN:
        pass
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(source)
            await trio.aclose_forcefully(target)


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What is said from end to end, and not from one connection to the next."""
    return [(name, value) for name, value in headers if name.decode() not in _OF_THE_CONNECTION]


def _written(connection: h11.Connection, answer: Answer) -> bytes:
    fields = [*answer.headers, (b"Content-Length", str(len(answer.content)).encode())]
    events = (
        h11.Response(status_code=answer.status, headers=fields),
        h11.Data(data=answer.content),
        h11.EndOfMessage(),
    )
    return b"".join(connection.send(event) or b"" for event in events)
