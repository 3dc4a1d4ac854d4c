"""Sockets behind the door: handshakes admitted and refused, limits kept, good-byes said."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
import trio
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.trio.client import connect

from controlplane.door.sockets.limits import Limits

UNTIL_SECONDS = 5


async def refused(door, path: str = "") -> tuple[int, dict, dict]:
    with pytest.raises(InvalidStatus) as error:
        async with connect(door.socket_url + path, compression=None):
            pass
    response = error.value.response
    body = json.loads(response.body)
    assert body["success"] is False
    return response.status_code, response.headers, body["error"]


async def close_code(client) -> int:
    async def read_on() -> None:
        while True:
            await client.recv()

    with trio.fail_after(UNTIL_SECONDS):
        with pytest.raises(ConnectionClosed) as closed:
            await read_on()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def test_a_route_refuses_in_http(door):
    status, headers, error = await refused(door, "?refuse")
    assert (status, error["code"], headers["WWW-Authenticate"]) == (401, "UNAUTHORIZED", "Bearer")
    assert error == {"code": "UNAUTHORIZED", "message": "who are you?", "details": []}
    status, _, error = await refused(door, "?forbid")
    assert (status, error["code"], error["message"]) == (403, "FORBIDDEN", "not for you")
    status, headers, error = await refused(door, "?overload")
    assert (status, error["code"], headers["Retry-After"]) == (503, "OVERLOADED", "8")


async def test_a_route_that_fails_tells_nothing(door):
    status, _, error = await refused(door, "?crash")
    assert (status, error["code"], error["message"]) == (500, "INTERNAL_ERROR", "internal error")
    async with connect(door.socket_url, compression=None) as client:
        await client.send("still here")
        assert await client.recv() == "still here"


async def test_a_subprotocol_is_agreed_on_or_the_handshake_ends(door):
    door.route.subprotocol = "letsbe.test.v1"
    status, _, error = await refused(door)
    assert (status, error["code"]) == (400, "VALIDATION_ERROR")
    assert "letsbe.test.v1" in error["message"]
    async with connect(door.socket_url, subprotocols=["x", "letsbe.test.v1"], compression=None) as client:
        assert client.subprotocol == "letsbe.test.v1"
    assert door.route.upgrades[-1].subprotocols == ["x", "letsbe.test.v1"]


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /api/v1/test/socket HTTP/1.1\r\nHost: hub.test\r\n\r\n", 426),
        (b"POST /api/v1/test/socket HTTP/1.1\r\nHost: hub.test\r\nContent-Length: 0\r\n\r\n", 426),
        (b"GET /api/v1/test/socket HTTP/1.0\r\nHost: hub.test\r\n\r\n", 505),
        (b"GET /api/v1/test/socket HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /api/v1/test/socket HTTP/1.1\nHost: hub.test\n\n", 400),
        (b"GET /api/v1/test/socket HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET /api/v1/test/socket HTTP/1.1\r\nX: " + b"a" * 90_000, 431),
        (b"GET /api/v1/test/socket HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET /api/v1/test/socket HTTP/1.1\r\nHost: hub", 408),
    ],
)
async def test_what_is_no_upgrade_is_refused(door, request_head, status):
    answer = await door.exchange(request_head)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert json.loads(body)["success"] is False
    if status == 426:
        assert b"\r\nUpgrade: websocket\r\n" in head


@pytest.mark.parametrize(
    "line",
    ["Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: x", "Sec-WebSocket-Protocol: ,;", "Sec-WebSocket-Version: 13"],
)
async def test_an_unsound_upgrade_is_refused(door, line):
    """A wrong or a repeated header."""
    answer = await door.exchange(door.upgrade_request("/api/v1/test/socket", line))
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_frames_sent_with_the_upgrade_are_kept(door, frame):
    early = frame(0x81, b"early") + frame(0x01, b"in ") + frame(0x89, b"?") + frame(0x80, b"parts")
    stream = await door.upgraded(tail=early)
    expected = b"\x81\x05early\x8a\x01?\x81\x08in parts"
    received = b""
    with trio.fail_after(UNTIL_SECONDS):
        while len(received) < len(expected):
            received += await stream.receive_some()
    assert received == expected
    await stream.aclose()


async def test_frames_sent_while_the_route_thinks_are_kept(door, frame, until):
    door.route.gate = trio.Event()
    stream = await door.dial()
    await stream.send_all(door.upgrade_request())
    with trio.fail_after(UNTIL_SECONDS):
        await until(lambda: door.route.upgrades)
        for number in range(20):
            await stream.send_all(frame(0x81, b"%d" % number))
            await trio.sleep(0.005)
        door.route.gate.set()
        await until(lambda: len(door.route.texts) >= 20)
    assert door.route.texts == [b"%d" % number for number in range(20)]
    await stream.aclose()


async def test_a_client_gone_while_the_route_thinks_calls_it_back(door, until):
    door.route.gate = trio.Event()
    stream = await door.dial()
    await stream.send_all(door.upgrade_request())
    with trio.fail_after(UNTIL_SECONDS):
        await until(lambda: door.route.upgrades)
        await stream.aclose()
        await until(lambda: door.route.cancelled)
        await until(lambda: not len(door.door.poller))
    assert door.route.opened == []


async def test_a_route_that_thinks_too_long_is_overloaded(door):
    door.route.gate = trio.Event()
    answer = await door.exchange(door.upgrade_request())
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in answer


class TestAFullLine:
    @pytest.fixture
    def options(self, options):
        return replace(options, sockets=replace(options.sockets, concurrent_admissions=2, waiting_admissions=3))

    async def test_more_handshakes_than_can_wait_are_told_to_come_back(self, door):
        door.route.gate = trio.Event()
        waiting = []
        for _ in range(5):
            stream = await door.dial()
            await stream.send_all(door.upgrade_request())
            waiting.append(stream)
            await trio.sleep(0.02)
        answer = await door.exchange(door.upgrade_request())
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert len(door.route.upgrades) == 2
        door.route.gate.set()
        for stream in waiting:
            with trio.fail_after(UNTIL_SECONDS):
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
            await stream.aclose()


class TestLimits:
    async def test_a_message_too_big_closes_with_1009(self, door):
        async with connect(door.socket_url, compression=None) as client:
            await client.send("a" * 65_536)
            assert len(await client.recv()) == 65_536
            await client.send("a" * 65_537)
            assert await close_code(client) == 1009
        await door.route.until_closed()
        assert door.route.closed[0][0] == 1009

    async def test_the_limit_can_be_raised_and_holds_for_fragments_together(self, door):
        async with connect(door.socket_url, compression=None) as client:
            await client.send("hello")
            await client.recv()
            door.route.opened[0].frame_limit = 1_000_000
            await client.send(["a" * 50_000] * 20)
            assert len(await client.recv()) == 1_000_000
            await client.send(["a" * 50_000] * 20 + ["a"])
            assert await close_code(client) == 1009

    @pytest.mark.parametrize("first", [0x82, 0x02])
    async def test_a_binary_message_closes_with_1003(self, door, frame, first):
        stream = await door.upgraded(tail=frame(first, b"binary"))
        with trio.fail_after(UNTIL_SECONDS):
            assert (await stream.receive_some())[2:4] == (1003).to_bytes(2, "big")

    @pytest.mark.parametrize("first", [0x81, 0x01])
    async def test_text_that_is_not_utf_8_closes_with_1007(self, door, frame, first):
        stream = await door.upgraded(tail=frame(first, b"\xce\xba\xed\xa0\x80"))
        with trio.fail_after(UNTIL_SECONDS):
            assert (await stream.receive_some())[2:4] == (1007).to_bytes(2, "big")
        await stream.aclose()

    async def test_too_many_messages_close_with_4005(self, door):
        door.route.limits = Limits(frames_per_second=10, burst_frames=20)
        async with connect(door.socket_url, compression=None) as client:
            for _ in range(20):
                await client.send("a")
            for _ in range(20):
                assert await client.recv() == "a"
            with suppress(ConnectionClosed):
                for _ in range(20):
                    await client.send("a")
            assert await close_code(client) == 4005
        assert door.door.poller.stats.dropped_too_fast == 1

    async def test_too_many_pings_close_with_4005_too(self, door, frame):
        door.route.limits = Limits(frames_per_second=10, burst_frames=20)
        stream = await door.upgraded(tail=frame(0x89, b"") * 30)
        received = b""
        with trio.fail_after(UNTIL_SECONDS):
            while (4005).to_bytes(2, "big") not in received:
                received += await stream.receive_some()
        await stream.aclose()


class TestGoodBye:
    async def test_the_peer_says_it(self, door):
        async with connect(door.socket_url, compression=None) as client:
            await client.aclose(4123, "enough")
        await door.route.until_closed()
        assert door.route.closed == [(4123, "enough")]

    async def test_we_say_it(self, door, until):
        async with connect(door.socket_url, compression=None) as client:
            await client.send("hello")
            await client.recv()
            connection = door.route.opened[0]
            connection.close(4001, "é" * 100)
            assert door.route.closed == []  # told later, not from within our own call
            assert not connection.open
            assert not connection.send_text(b"too late")
            assert await close_code(client) == 4001
            assert client.protocol.close_rcvd.reason == "é" * 61
        await door.route.until_closed()
        assert door.route.closed == [(4001, "é" * 100)]
        await until(lambda: not len(door.door.poller))

    async def test_nobody_says_it(self, door):
        stream = await door.upgraded()
        await stream.aclose()
        await door.route.until_closed()
        assert door.route.closed == [(1006, "")]

    async def test_a_peer_that_never_answers_it_is_cut(self, door):
        stream = await door.upgraded()
        door.route.opened[0].close(1000)
        with trio.fail_after(door.options.sockets.close_seconds + 1):
            assert await stream.receive_some() == b"\x88\x02\x03\xe8"
            with pytest.raises((trio.BrokenResourceError, AssertionError)):
                assert await stream.receive_some() != b""
        assert len(door.door.poller) == 0
        await stream.aclose()

    async def test_a_handler_that_fails_closes_its_own_socket(self, door):
        async with connect(door.socket_url, compression=None) as other:
            async with connect(door.socket_url, compression=None) as client:
                await client.send("crash")
                assert await close_code(client) == 1011
            await other.send("hello")
            assert await other.recv() == "hello"


class TestSlowConsumers:
    async def test_they_are_dropped_in_time_and_nobody_else_notices(self, door, until):
        """Fifty clients that never read are sent more than the kernel takes; one more keeps talking."""
        slow = [await door.upgraded() for _ in range(50)]
        connections = list(door.route.opened)
        async with connect(door.socket_url, compression=None) as client:
            for connection in connections:
                for _ in range(40):
                    connection.send_text(b"x" * 100_000)
            answers = 0
            with trio.fail_after(door.options.sockets.stall_seconds + UNTIL_SECONDS):
                while len(door.route.closed) < 50:
                    await client.send("hello")
                    assert await client.recv() == "hello"
                    answers += 1
                    await trio.sleep(0.005)
            assert answers > 5, "all the while, and not only when one of the fifty was dropped"
        assert [code for code, _ in door.route.closed[:50]] == [4003] * 50
        assert door.door.poller.stats.dropped_slow == 50
        await until(lambda: not len(door.door.poller))
        for stream in slow:
            await stream.aclose()

    async def test_a_stalled_one_is_dropped_though_its_buffer_is_not_full(self, door):
        stream = await door.upgraded()
        connection = door.route.opened[0]
        while connection.backlog_bytes < 100_000:
            assert connection.send_text(b"x" * 50_000)
        await door.route.until_closed()
        assert door.route.closed == [(4003, "slow consumer")]
        await stream.aclose()

    async def test_one_that_reads_again_gets_whole_frames_and_the_reason(self, door):
        """What was begun is finished, what was not is left out, and the close frame stands where a frame may."""
        async with connect(door.socket_url, compression=None, max_size=None, max_queue=1) as client:
            connection = door.route.opened[0]
            sent = 0
            while connection.send_text(b"%08d" % sent + b"x" * 90_000):
                sent += 1
            received: list[str] = []

            async def read_on() -> None:
                while True:
                    received.append(await client.recv())

            with trio.fail_after(UNTIL_SECONDS):
                with pytest.raises(ConnectionClosedError) as closed:
                    await read_on()
            assert closed.value.rcvd.code == 4003
            assert 0 < len(received) < sent
            assert received == [f"{number:08d}" + "x" * 90_000 for number in range(len(received))]

    async def test_a_slow_one_that_makes_progress_is_kept(self, door):
        """Slower than the stall limit in all, but never still for so long."""
        stream = await door.upgraded()
        connection = door.route.opened[0]
        total = 0
        while connection.backlog_bytes < 1_000_000:
            connection.send_text(b"x" * 50_000)
            total += 50_004
        received = 0
        with trio.fail_after(20):
            while received < total:
                received += len(await stream.receive_some(400_000))
                await trio.sleep(0.05)
        assert connection.open
        assert connection.backlog_bytes == 0
        await stream.aclose()
