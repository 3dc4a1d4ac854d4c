"""One port for everything: what the front door does with requests, upgrades, and whatever else arrives."""

from __future__ import annotations

import errno
import json
import re
import socket
from dataclasses import replace

import httpx
import pytest
import trio
from websockets.trio.client import connect


def envelope(answer: bytes) -> dict:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nX-Content-Type-Options: nosniff" in head or b"\r\nx-content-type-options: nosniff" in head
    content = json.loads(body)
    assert content["success"] is False
    return content["error"]


async def test_one_port_serves_sockets_and_http(door):
    async with httpx.AsyncClient(base_url=door.url) as client:
        answer = await client.get("/hello")
    assert answer.text == "hello"
    async with connect(door.socket_url, compression=None) as socket:
        await socket.send("héllo")
        assert await socket.recv() == "héllo"


async def test_a_connection_is_kept_alive(door):
    async with httpx.AsyncClient(base_url=door.url) as client:
        answers = [await client.get("/hello") for _ in range(3)]
        addresses = {answer.extensions["network_stream"].get_extra_info("client_addr") for answer in answers}
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len(addresses) == 1


async def test_pipelined_requests_are_answered_in_order(door):
    requests = b"".join(
        b"GET /%s HTTP/1.1\r\nHost: hub.test\r\n\r\n" % path for path in (b"slow", b"hello", b"missing", b"hello")
    )
    last = b"GET /hello HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n\r\n"
    answer = await door.exchange(requests + last)
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer)
    assert statuses == [b"200", b"200", b"404", b"200", b"200"]
    assert answer.index(b"slow") < answer.index(b"hello")


async def test_a_request_line_too_long_is_refused(door):
    answer = await door.exchange(b"GET /" + b"a" * 20_000)
    assert answer.startswith(b"HTTP/1.1 414 ")
    assert envelope(answer)["code"] == "URI_TOO_LONG"


async def test_a_connection_that_says_nothing_is_cut(door):
    assert await door.exchange(b"") == b""


async def test_half_a_request_line_is_given_up(door):
    answer = await door.exchange(b"GET /hel")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert envelope(answer)["code"] == "REQUEST_TIMEOUT"


async def test_half_a_request_line_and_the_end_is_cut(door, read_all):
    stream = await door.dial()
    async with stream:
        await stream.send_all(b"GET /hel")
        await stream.send_eof()
        with trio.fail_after(0.4):
            assert await read_all(stream) == b""


async def test_the_oldest_silent_connection_makes_room(door):
    """More connections than may be undecided: whoever has been silent longest goes."""
    first = await door.dial()
    others = [await door.dial() for _ in range(door.options.max_arrivals)]
    with trio.fail_after(0.4):
        assert await first.receive_some() == b""
    assert await door.says_hello()
    for stream in [first, *others]:
        await stream.aclose()


async def test_an_http_head_that_trickles_too_slowly_is_given_up(door):
    answer = await door.exchange(b"GET /hello HTTP/1.1\r\nHost: hub")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert envelope(answer)["code"] == "REQUEST_TIMEOUT"


async def test_an_http_head_too_large_is_refused(door):
    answer = await door.exchange(b"GET /hello HTTP/1.1\r\nHost: hub.test\r\nX: " + b"a" * 100_000)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert envelope(answer)["code"] == "HEADERS_TOO_LARGE"


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\n", b"hello\r\n\r\n", b"GET\r\n\r\n", b"\x00\n" * 40])
async def test_what_is_not_http_is_refused(door, garbage):
    answer = await door.exchange(garbage)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert envelope(answer)["code"] == "VALIDATION_ERROR"


async def test_an_app_that_fails_is_answered_for(door):
    answer = await door.exchange(b"GET /crash HTTP/1.1\r\nHost: hub.test\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert envelope(answer)["code"] == "INTERNAL_ERROR"
    assert await door.says_hello()


async def test_one_connection_too_many_is_told_to_try_again(door, until):
    held = [await door.dial() for _ in range(door.options.http.max_connections)]
    for stream in held:
        await stream.send_all(b"GET /never HTTP/1.1\r\nHost: hub.test\r\n\r\n")
    await until(lambda: door.door.http.connections >= door.options.http.max_connections)
    answer = await door.exchange(b"GET /hello HTTP/1.1\r\nHost: hub.test\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 2\r\n" in answer
    assert envelope(answer)["code"] == "OVERLOADED"
    for stream in held:
        await stream.aclose()
    await until(lambda: not door.door.http.connections)
    assert await door.says_hello()


async def test_a_socket_path_on_a_reused_connection_is_refused_and_the_body_taken(door):
    """A reverse proxy that reuses its connections sends upgrades behind ordinary requests."""
    first = b"GET /hello HTTP/1.1\r\nHost: hub.test\r\n\r\n"
    answer = await door.exchange(first + door.upgrade_request())
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert answer.count(b"HTTP/1.1 426 ") == 1
    body = b"x" * 400_000
    post = b"POST /api/v1/test/socket HTTP/1.1\r\nHost: hub.test\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = await door.exchange(first + post + body)
    assert answer.count(b"HTTP/1.1 426 ") == 1


async def test_an_exhausted_process_waits_and_lives_on(door, monkeypatch):
    """EMFILE at accept: logged and waited out; the listener is not lost."""
    real_accept = socket.socket.accept
    failures = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ECONNABORTED, "aborted")]

    def accept(self):
        if failures and self.getsockname()[1] == door.port:
            raise failures.pop()
        return real_accept(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    assert await door.says_hello()
    assert not failures


@pytest.fixture
def options(options):
    return replace(options, max_arrivals=20, http=replace(options.http, max_connections=10))
