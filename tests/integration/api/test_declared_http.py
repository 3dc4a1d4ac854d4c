"""The declared API over real connections: what only shows with Hypercorn behind the door."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from importlib.resources import files

import httpx
import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.runtime import SystemClock, SystemIds, SystemRandomness
from controlplane.api.call import Call
from controlplane.api.guards import Anyone, Public
from controlplane.api.hub import Hub
from controlplane.api.limits import Limits, standard_limits
from controlplane.api.mount import build_app
from controlplane.api.probes import probe_router
from controlplane.api.router import Router
from controlplane.door.front import Door, serve

MIB = 1024 * 1024


class Note(msgspec.Struct):
    """A note."""

    text: str


class Bench:
    """Two endpoints, and what became of a call whose client went away."""

    def __init__(self) -> None:
        self.entered = trio.Event()
        self.leave = trio.Event()
        self.finished = trio.Event()

    def router(self) -> Router:
        routes = Router("/api/v1/notes", guard=Public(), tag="Notes")

        @routes.get()
        async def read(call: Call[Anyone]) -> Note:
            """Read a note."""
            return Note(call.request.remote_address)

        @routes.post(status=201)
        async def write(call: Call[Anyone], body: Note) -> int:
            """Write a note."""
            return len(body.text)

        @routes.post("/slow")
        async def slow(call: Call[Anyone]) -> None:
            """Take a while."""
            self.entered.set()
            await self.leave.wait()
            self.finished.set()

        return routes


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def door(bench: Bench, nursery: trio.Nursery) -> AsyncIterator[Door]:
    clock, randomness = SystemClock(), SystemRandomness()
    limits = Limits(clock, standard_limits(100_000))
    hub = Hub(clock=clock, ids=SystemIds(clock, randomness), randomness=randomness, limits=limits)
    app = build_app([bench.router(), probe_router()], hub)

    async def run(task_status: trio.TaskStatus[Door]) -> None:
        await serve(bind="127.0.0.1:0", app=app, routes={}, task_status=task_status)

    yield await nursery.start(run)
    nursery.cancel_scope.cancel()


@pytest.fixture
async def client(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{door.port}", trust_env=False) as client:
        yield client


class Wire:
    """One connection on which a test says exactly what it wants."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.buffer = b""

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self.buffer:
            await self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers["content-length"])
        while len(self.buffer) < length:
            await self._more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return int(first.split()[1]), headers, body

    async def _more(self) -> None:
        data = await self.stream.receive_some()
        assert data, "the connection ended before the answer did"
        self.buffer += data


Connect = Callable[[], Awaitable[Wire]]


@pytest.fixture
async def connect(door: Door) -> AsyncIterator[Connect]:
    streams: list[trio.SocketStream] = []

    async def open_wire() -> Wire:
        streams.append(await trio.open_tcp_stream("127.0.0.1", door.port))
        return Wire(streams[-1])

    yield open_wire
    for stream in streams:
        await trio.aclose_forcefully(stream)


async def test_a_call_and_its_answer(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/notes", headers={"X-Request-Id": "req-1"})
    assert answer.json() == {"success": True, "data": {"text": "127.0.0.1"}}
    assert answer.headers["x-request-id"] == "req-1"
    answer = await client.post("/api/v1/notes", json={"text": "ü\n"})
    assert (answer.status_code, answer.json()["data"]) == (201, 2)


async def test_head_tells_the_length_of_what_get_sends(client: httpx.AsyncClient) -> None:
    get, head = await client.get("/api/v1/notes"), await client.head("/api/v1/notes")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


async def test_a_mebibyte_is_taken_and_a_byte_more_is_not(client: httpx.AsyncClient) -> None:
    frame = len(b'{"text":""}')
    assert (await client.post("/api/v1/notes", json={"text": "x" * (MIB - frame)})).json()["data"] == MIB - frame
    answer = await client.post("/api/v1/notes", json={"text": "x" * (MIB - frame + 1)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_an_endless_chunked_body_is_refused_while_it_is_sent(connect: Connect) -> None:
    wire = await connect()
    head = b"POST /api/v1/notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n%b\r\n" % (b"x" * 65_536)

    async def send_for_ever() -> None:
        with suppress(trio.BrokenResourceError):  # the Hub has had enough
            while True:
                await wire.stream.send_all(chunk)

    await wire.stream.send_all(head)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_for_ever)
            status, _, body = await wire.answer()
    assert (status, b"PAYLOAD_TOO_LARGE" in body) == (413, True)


async def test_a_large_refused_body_does_not_hang_the_connection(connect: Connect) -> None:
    """More than Hypercorn's queue holds: an app that does not read it leaves the connection stuck for ever."""
    wire = await connect()
    size = 8 * MIB
    await wire.stream.send_all(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)

    async def send_all() -> None:
        with suppress(trio.BrokenResourceError):
            await wire.stream.send_all(b"x" * size)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all)
            status, _, _ = await wire.answer()
            with suppress(trio.BrokenResourceError):
                while await wire.stream.receive_some():
                    pass
    assert status == 404


async def test_a_refused_body_of_ordinary_size_leaves_the_connection_usable(connect: Connect) -> None:
    wire = await connect()
    with trio.fail_after(20):
        for _ in range(3):
            await wire.stream.send_all(
                b"PUT /api/v1/notes HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
            )
            status, headers, _ = await wire.answer()
            assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
        await wire.stream.send_all(b"GET /api/v1/notes HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.answer())[0] == 200


async def test_the_answer_does_not_wait_for_a_body_that_nobody_reads(connect: Connect) -> None:
    wire = await connect()
    await wire.stream.send_all(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    with trio.fail_after(2):
        status, _, _ = await wire.answer()
    assert status == 404


async def test_a_change_is_finished_though_its_caller_hangs_up(connect: Connect, bench: Bench) -> None:
    wire = await connect()
    await wire.stream.send_all(b"POST /api/v1/notes/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    with trio.fail_after(10):
        await bench.entered.wait()
        await wire.stream.aclose()
        await wait_all_tasks_blocked(0.05)  # the Hub has seen it go
        bench.leave.set()
        await bench.finished.wait()
        other = await connect()
        await other.stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await other.answer())[0] == 200


async def test_a_body_that_breaks_off_harms_nobody(connect: Connect, client: httpx.AsyncClient) -> None:
    wire = await connect()
    head = b"POST /api/v1/notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"
    await wire.stream.send_all(head + b'{"text":')
    await wire.stream.aclose()
    assert (await client.get("/api/v1/notes")).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/notes/%00", "/api/v1/%FF", "/api/v1/notes/..%2f..", "//api/v1/notes", "/%"])
async def test_odd_paths_are_just_not_there(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(httpx.URL(str(client.base_url) + path))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_the_documentation_page_loads_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/api/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=|javascript:", page.text)
    wanted = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert wanted
    for path in wanted:
        assert path.startswith("/api/")
        assert (await client.get(path)).status_code == 200
    script = await client.get("/api/docs/docs.mjs")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    for name in ("docs.mjs", "docs.css"):
        text = (files("controlplane.api.docs_page") / name).read_text()
        assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
        assert "innerHTML" not in text
        assert "@import" not in text
