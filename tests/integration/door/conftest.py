"""A whole door on a free port, with a Quart app and an echo socket behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import trio
from quart import request
from quart_trio import QuartTrio

from controlplane.door.front import Door, serve
from controlplane.door.options import DoorOptions, HttpOptions
from controlplane.door.sockets.connection import Connection
from controlplane.door.sockets.handshake import Admission, Refused, Upgrade
from controlplane.door.sockets.limits import Limits, SocketOptions
from protocol.faults import Forbidden, Overloaded

SOCKET_PATH = "/api/v1/test/socket"


async def until(condition: Callable[[], bool], *, seconds: float = 5) -> None:
    """Wait for what the kernel and the door do in their own time: there is no event for it, and no clock to jump."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)


@pytest.fixture(name="until")
def until_fixture():
    return until


@dataclass
class EchoRoute:
    """A route that can be told to refuse or to take its time, and remembers what it saw."""

    subprotocol: str | None = None
    limits: Limits = field(default_factory=Limits)
    gate: trio.Event | None = None
    upgrades: list[Upgrade] = field(default_factory=list)
    opened: list[Connection] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    cancelled: int = 0
    news: trio.Condition = field(default_factory=trio.Condition)

    async def admit(self, upgrade: Upgrade) -> Admission:
        self.upgrades.append(upgrade)
        if self.gate is not None:
            try:
                await self.gate.wait()
            except trio.Cancelled:
                self.cancelled += 1
                raise
        if upgrade.query == "refuse":
            raise Refused(401, "UNAUTHORIZED", "who are you?")
        if upgrade.query == "forbid":
            raise Forbidden("not for you")
        if upgrade.query == "overload":
            raise Overloaded("later", retry_after_seconds=7.2)
        if upgrade.query == "crash":
            raise ZeroDivisionError
        return Admission(self.subprotocol, self, limits=self.limits, on_open=self.opened.append)

    def on_text(self, connection: Connection, data: bytes) -> None:
        self.texts.append(data)
        if data == b"crash":
            raise ZeroDivisionError
        connection.send_text(data)

    def on_close(self, connection: Connection, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    async def until_closed(self, count: int = 1) -> None:
        await until(lambda: len(self.closed) >= count)


@dataclass
class RunningDoor:
    """A door under test."""

    door: Door
    route: EchoRoute
    shutdown: trio.Event
    ended: trio.Event
    drained: list[str]
    options: DoorOptions
    dialled: list[trio.SocketStream] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.door.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{SOCKET_PATH}"

    async def dial(self) -> trio.SocketStream:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.dialled.append(stream)
        return stream

    def upgrade_request(self, path: str = SOCKET_PATH, *lines: str, tail: bytes = b"") -> bytes:
        """A valid WebSocket upgrade, by hand."""
        head = [
            f"GET {path} HTTP/1.1",
            "Host: hub.test",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *lines,
        ]
        return "\r\n".join([*head, "", ""]).encode() + tail

    async def upgraded(self, *lines: str, tail: bytes = b"") -> trio.SocketStream:
        """A raw connection whose handshake is done; it may be given a small receive buffer to stall sooner."""
        stream = await self.dial()
        await stream.send_all(self.upgrade_request(SOCKET_PATH, *lines, tail=tail))
        head = bytearray()
        with trio.fail_after(5):
            while not head.endswith(b"\r\n\r\n"):
                head += await stream.receive_some(1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        return stream

    async def says_hello(self) -> bool:
        """Whether HTTP is served."""
        answer = await self.exchange(b"GET /hello HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n\r\n")
        return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"hello")

    async def exchange(self, data: bytes, *, seconds: float = 5) -> bytes:
        """Send bytes, and read until the door ends the connection."""
        stream = await self.dial()
        async with stream:
            with trio.fail_after(seconds):
                await stream.send_all(data)
                return await read_all(stream)


def masked_frame(first_byte: int, payload: bytes, mask: bytes = b"\x11\x22\x33\x44") -> bytes:
    """A client's frame."""
    length = len(payload)
    if length < 126:
        head = bytes((first_byte, 0x80 | length))
    elif length < 0x10000:
        head = bytes((first_byte, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((first_byte, 0xFF)) + length.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@pytest.fixture
def frame():
    return masked_frame


@pytest.fixture(name="read_all")
def read_all_fixture():
    return read_all


async def read_all(stream: trio.SocketStream) -> bytes:
    received = bytearray()
    try:
        async for data in stream:
            received += data
    except trio.BrokenResourceError:
        pass
    return bytes(received)


def build_app():
    app = QuartTrio("door-test")
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    @app.post("/length")
    async def length() -> str:
        return str(len(await request.get_data()))

    @app.get("/large")
    async def large() -> bytes:
        return b"x" * 20_000_000

    @app.get("/slow")
    async def slow() -> str:
        await trio.sleep(0.3)
        return "slow"

    @app.get("/never")
    async def never() -> str:
        await trio.sleep_forever()
        raise AssertionError

    async def with_a_crash(scope, receive, send) -> None:
        if scope["type"] == "http" and scope["path"] == "/crash":
            raise ZeroDivisionError("on purpose")
        await app(scope, receive, send)

    return with_a_crash


@pytest.fixture
def options() -> DoorOptions:
    """Deadlines short enough for a test; override to change them."""
    return DoorOptions(
        sockets=SocketOptions(head_seconds=0.5, stall_seconds=0.5, close_seconds=0.5, admit_seconds=1),
        http=HttpOptions(head_seconds=0.5, stall_seconds=0.5, idle_seconds=0.8, max_connections=50),
        request_line_seconds=0.5,
        hook_seconds=0.5,
        drain_seconds=1,
    )


@pytest.fixture
def app():
    return build_app()


@pytest.fixture
async def door(nursery, options, app):
    route = EchoRoute()
    shutdown, ended, drained = trio.Event(), trio.Event(), []

    async def on_drain() -> None:
        drained.append("hook")

    async def run(task_status):
        try:
            await serve(
                bind="127.0.0.1:0",
                app=app,
                routes={SOCKET_PATH: route},
                shutdown=shutdown,
                on_drain=on_drain,
                options=options,
                task_status=task_status,
            )
        finally:
            ended.set()

    running = RunningDoor(await nursery.start(run), route, shutdown, ended, drained, options)
    yield running
    for stream in running.dialled:
        stream.socket.close()
    nursery.cancel_scope.cancel()
