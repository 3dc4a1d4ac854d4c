"""The traps of Hypercorn 0.18 on trio, each with the test that keeps the door out of it.

1. A valid WebSocket upgrade followed by any bytes ends the whole process.
2. Its writes are shielded: a client that stops reading outlives every deadline and blocks the shutdown.
3. Its sockets cannot do without permessage-deflate, and its backlog of a hundred is too short for a reconnect storm.
4. Its per-connection server is an internal: closes what it serves only if asked to, and may change with the version.
5. Peeking at more than the request line waits for what the receive buffer may never hold.
6. The app's task ends the connection, or starts its idle timer, after having cancelled itself.
7. A client that goes while a second request waits behind the first leaves its connection waiting for ever.
"""

from __future__ import annotations

import importlib.metadata
import re
import socket
import struct
import sys

import httpx
import pytest
import trio
from websockets.trio.client import connect

from controlplane.door.http_connection import PlainHttp
from controlplane.door.listener import open_listeners


@pytest.mark.parametrize("tail", [b"", b"\x81\x85\x01\x02\x03\x04abcde", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 3000])
@pytest.mark.parametrize("path", ["/hello", "/api/v1/foo", "/api/v1/test/socket/", "//api/v1/test/socket"])
async def test_trap_1_an_upgrade_and_bytes_after_it_harm_nobody(door, path, tail):
    answer = await door.exchange(door.upgrade_request(path, tail=tail))
    expected = b"HTTP/1.1 200 " if path == "/hello" else b"HTTP/1.1 404 "
    assert answer.startswith(expected)
    assert b" 101 " not in answer.split(b"\r\n")[0]
    assert await door.says_hello()


async def test_trap_1_an_exception_ends_its_own_connection_only(door, monkeypatch):
    neighbour = await door.upgraded()
    with monkeypatch.context() as patch:

        async def fail(self, request):
            raise ZeroDivisionError("on purpose")

        patch.setattr(PlainHttp, "_create_stream", fail)
        assert await door.exchange(b"GET /hello HTTP/1.1\r\nHost: hub.test\r\n\r\n") == b""
    assert await door.says_hello()
    await neighbour.send_all(b"\x89\x80\x00\x00\x00\x00")  # a ping
    with trio.fail_after(1):
        assert await neighbour.receive_some() == b"\x8a\x00"
    await neighbour.aclose()


async def test_trap_1_h2c_is_not_spoken(door):
    lines = b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    answer = await door.exchange(b"GET /hello HTTP/1.1\r\nHost: hub.test\r\n" + lines)
    assert answer.startswith(b"HTTP/1.1 200 ")
    answer = await door.exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    assert answer.startswith(b"HTTP/1.1 505 ")
    assert await door.says_hello()


async def test_trap_2_a_client_that_stops_reading_is_cut(door, until):
    stream = await door.dial()
    await stream.send_all(b"GET /large HTTP/1.1\r\nHost: hub.test\r\n\r\n")
    await until(lambda: door.door.http.connections)
    await until(lambda: not door.door.http.connections)
    await stream.aclose()
    assert await door.says_hello()


async def test_trap_2_a_client_that_stops_reading_does_not_hold_the_shutdown(door, until):
    stream = await door.dial()
    await stream.send_all(b"GET /large HTTP/1.1\r\nHost: hub.test\r\n\r\n")
    await until(lambda: door.door.http.connections)
    door.shutdown.set()
    with trio.fail_after(door.options.drain_seconds + 1):
        await door.ended.wait()
    await stream.aclose()


async def test_trap_2_the_kernel_gives_up_on_unacknowledged_data(door, until):
    with trio.fail_after(2):
        await (await door.upgraded()).aclose()
        stream = await door.upgraded()
        await until(lambda: door.route.opened[-1].open)
    accepted = door.route.opened[-1]._socket
    milliseconds = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert milliseconds == door.options.sockets.user_timeout_seconds * 1000
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await stream.aclose()


async def test_trap_3_no_deflate_though_it_is_offered(door):
    async with connect(door.socket_url, compression="deflate") as client:
        assert "Sec-WebSocket-Extensions" not in client.response.headers
        await client.send("a" * 5000)
        assert await client.recv() == "a" * 5000


@pytest.mark.skipif(sys.platform != "linux", reason="reads the backlog from Linux's TCP_INFO")
async def test_trap_3_the_backlog_takes_a_reconnect_storm():
    allowed = int(await trio.Path("/proc/sys/net/core/somaxconn").read_text())
    (listener,) = await open_listeners("127.0.0.1:0")
    with listener:
        information = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    longest = struct.unpack_from("I", information, 28)[0]  # tcpi_sacked: of a listener, its backlog
    assert longest == min(4096, allowed)


def test_trap_4_the_internals_are_those_we_read():
    """`http_connection.py` overrides Hypercorn's private methods: read them again before raising the version."""
    assert re.match(r"0\.18\.", importlib.metadata.version("hypercorn"))


async def test_trap_4_what_was_served_is_closed(door, until):
    for _ in range(20):
        assert await door.says_hello()
    await until(lambda: not door.door.http.connections)


async def test_trap_5_a_head_of_five_kilobytes(door):
    cookie = b"Cookie: " + b"c" * 5000 + b"\r\n"
    request = b"GET /hello HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n" + cookie + b"\r\n"
    assert (await door.exchange(request)).endswith(b"hello")
    async with connect(door.socket_url, additional_headers={"Cookie": "c" * 5000}, compression=None) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
    assert door.route.upgrades[-1].headers.get("cookie") == "c" * 5000


async def test_trap_5_a_body_of_three_hundred_kilobytes_and_keep_alive(door):
    async with httpx.AsyncClient(base_url=door.url) as client:
        for _ in range(3):
            answer = await client.post("/length", content=b"x" * 300_000)
            assert answer.text == "300000"
        answer = await client.post("/length", content=b"x" * 2_000_000)
        assert answer.status_code == 413
        assert (await client.get("/hello")).text == "hello"


async def test_trap_5_a_request_that_trickles_in(door):
    for request, expected in (
        (b"GET /hello HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200 "),
        (door.upgrade_request("/api/v1/test/socket?refuse"), b"HTTP/1.1 401 "),
    ):
        stream = await door.dial()
        async with stream:
            for byte in request:
                await stream.send_all(bytes((byte,)))
                await trio.sleep(0.0002)
            with trio.fail_after(2):
                assert (await stream.receive_some()).startswith(expected)


async def test_trap_6_connection_close_is_obeyed_at_once(door):
    with trio.fail_after(1):
        assert await door.says_hello()


async def test_trap_6_an_idle_connection_is_let_go(door, read_all):
    stream = await door.dial()
    async with stream:
        await stream.send_all(b"GET /hello HTTP/1.1\r\nHost: hub.test\r\n\r\n")
        with trio.fail_after(door.options.http.idle_seconds + 1):
            assert (await read_all(stream)).endswith(b"hello")


async def test_trap_7_a_client_that_goes_leaves_nothing_waiting(door, until):
    """The answer cannot be written, or is the last: either way nobody looks at the request behind it."""
    for last in (b"", b"Connection: close\r\n"):
        for _ in range(5):
            stream = await door.dial()
            requests = b"GET /%s HTTP/1.1\r\nHost: hub.test\r\n" + last + b"\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
            await stream.send_all(requests % (b"large" if not last else b"slow"))
            await stream.receive_some(10) if not last else None
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.socket.close()
    await until(lambda: not door.door.http.connections, seconds=10)
    assert await door.says_hello()
