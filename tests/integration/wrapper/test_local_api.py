"""The local port under bad callers: strangers, web pages, proxies, floods, slow ones and whoever breaks HTTP."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio

from protocol.faults import Conflict, RateLimited
from wrapper import local_api
from wrapper.local_api import BODY_LIMIT_BYTES, CONNECTIONS, LocalApi, LocalRequest, LocalResponse


class Port:
    """A port with a few routes, and what reached them."""

    def __init__(self) -> None:
        self.api = LocalApi()
        self.number = 0
        self.reached: list[LocalRequest] = []
        self.left = trio.Event()
        self.api.route("POST", "/here", self._echo)
        self.api.route("POST", "/from-anywhere", self._echo, local=False)
        self.api.route("GET", "/things/{name}/parts/{part}", self._echo)
        self.api.route("PUT", "/things/{name}/parts/{part}", self._echo, body_limit_bytes=10)
        self.api.route("POST", "/crash", self._crash)
        self.api.route("POST", "/refuse", self._refuse)
        self.api.route("POST", "/slow", self._slow, seconds=0.2)
        self.api.route("POST", "/patient", self._patient, seconds=600, ends_with_caller=True)

    async def _echo(self, request: LocalRequest) -> LocalResponse:
        self.reached.append(request)
        return LocalResponse({"parameters": request.parameters, "query": request.query, "body": len(request.body)})

    async def _crash(self, request: LocalRequest) -> LocalResponse:
        raise RuntimeError("secret")

    async def _refuse(self, request: LocalRequest) -> LocalResponse:
        if request.json() == 1:
            raise RateLimited("later", retry_after_seconds=7)
        raise Conflict("no", details={"who": "Maria"})

    async def _slow(self, request: LocalRequest) -> LocalResponse:
        await trio.sleep_forever()
        raise AssertionError

    async def _patient(self, request: LocalRequest) -> LocalResponse:
        try:
            await trio.sleep_forever()
        finally:
            self.left.set()
        raise AssertionError

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.number}", trust_env=False) as client:
            return await client.request(method, path, timeout=30, **more)

    async def raw(self, data: bytes, *, end: bool = True) -> bytes:
        """Say these bytes, and read to the end."""
        answer = b""
        async with await trio.open_tcp_stream("127.0.0.1", self.number) as stream:
            with trio.fail_after(30), contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(data)
                if end:
                    await stream.send_eof()
                async for part in stream:
                    answer += part
        return answer


@asynccontextmanager
async def opened() -> AsyncIterator[Port]:
    port = Port()
    async with trio.open_nursery() as nursery:
        port.number = await nursery.start(port.api.serve, "127.0.0.1", 0)
        yield port
        nursery.cancel_scope.cancel()


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    async with opened() as one:
        yield one


# --- who may call ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8100"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8100"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "evil.example@127.0.0.1"},
        {"Host": "192.0.2.1"},
        {"Host": "0.0.0.0"},
        {"Host": ""},
    ],
    ids=str,
)
async def test_pages_proxies_and_rebound_names_are_refused(port: Port, headers: dict[str, str]):
    answer = await port.ask("POST", "/here", json={}, headers=headers)
    assert answer.status_code in (400, 403)
    assert answer.json()["success"] is False
    assert not port.reached
    if "Host" not in headers:
        assert (await port.ask("POST", "/from-anywhere", json={}, headers=headers)).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8100", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8100"])
async def test_programs_of_this_machine_may_call(port: Port, host: str):
    assert (await port.ask("POST", "/here", json={}, headers={"Host": host})).status_code == 200


async def test_a_preflight_is_answered_with_no_permission(port: Port):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await port.ask("OPTIONS", "/here", headers=headers)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_callers_from_other_machines_are_refused(port: Port, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local_api, "is_loopback", lambda host: host != "127.0.0.1")
    answer = await port.ask("POST", "/here", json={})
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        403,
        "only programs on this machine may call this",
    )


# --- routes and answers ------------------------------------------------------------------------------------


async def test_places_in_a_path_are_handed_on(port: Port):
    answer = await port.ask("GET", "/things/a%2Fb%20c/parts/7?x=%31")
    assert answer.json() == {"parameters": {"name": "a/b c", "part": "7"}, "query": "x=%31", "body": 0}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_what_is_not_there_is_told(port: Port):
    for path in ("/", "/here/", "/here/x", "/things//parts/7", "/things/a/parts/7/8", "/HERE", "//here"):
        answer = await port.ask("POST", f"http://127.0.0.1:{port.number}{path}", json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND"), path
    wrong = await port.ask("DELETE", "/things/a/parts/7")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, PUT")
    head = await port.ask("HEAD", "/things/a/parts/7")
    assert (head.status_code, head.content) == (200, b"")


async def test_a_handler_refuses_crashes_and_dawdles_in_words(port: Port):
    refused = await port.ask("POST", "/refuse", json=2)
    later = await port.ask("POST", "/refuse", json=1)
    crashed = await port.ask("POST", "/crash", json={})
    slow = await port.ask("POST", "/slow", json={})
    assert (refused.status_code, refused.json()["error"]) == (
        409,
        {"code": "CONFLICT", "message": "no", "details": {"who": "Maria"}},
    )
    assert (later.status_code, later.headers["retry-after"]) == (429, "7")
    assert (crashed.status_code, "secret" in crashed.text) == (500, False)
    assert (slow.status_code, slow.json()["error"]["code"]) == (503, "OVERLOADED")


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"{}", "", 415),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"a": 1}', "application/json; charset=utf-8", 409),
    ],
)
async def test_a_body_is_json_and_says_so(port: Port, body: bytes, media_type: str, status: int):
    answer = await port.ask("POST", "/refuse", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == status


# --- bounds ------------------------------------------------------------------------------------------------


async def test_a_large_body_is_refused_and_the_caller_hears_it(port: Port):
    fits = await port.ask("POST", "/here", content=b"x" * BODY_LIMIT_BYTES)
    over = await port.ask("POST", "/here", content=b"x" * (BODY_LIMIT_BYTES + 1))
    own = await port.ask("PUT", "/things/a/parts/7", content=b"x" * 11)
    assert (fits.status_code, over.status_code, own.status_code) == (200, 413, 413)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 100_000

    chunked = await port.ask("POST", "/here", content=endless())
    assert (chunked.status_code, chunked.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert len(port.reached) == 1


async def test_a_caller_that_asks_first_is_told_to_go_on(port: Port):
    async with await trio.open_tcp_stream("127.0.0.1", port.number) as stream:
        head = b"POST /here HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        with trio.fail_after(30):
            await stream.send_all(head)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
            await stream.send_all(b"{}")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("junk", "status"),
    [
        (b"GET /here\r\n\r\n", b"400"),
        (b"POST /here HTTP/1.1\r\n\r\n", b"400"),
        (b"POST /here HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", b"400"),
        (b"POST /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", b"400"),
        (b"POST /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nxx", b"400"),
        (b"POST /here HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST /here HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"POST /here HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, b"400"),
        (b"\xff" * 100 + b"\r\n\r\n", b"400"),
    ],
)
async def test_broken_http_is_refused(port: Port, junk: bytes, status: bytes):
    answer = await port.raw(junk)
    assert answer.split()[1] == status, answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["success"] is False
    assert not port.reached
    assert (await port.ask("POST", "/here", json={})).status_code == 200


async def test_a_second_request_on_a_connection_is_not_heard(port: Port):
    one = b"POST /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    answer = await port.raw(one + one)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert len(port.reached) == 1


async def test_whoever_says_nothing_or_half_is_dropped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local_api, "TRANSFER_SECONDS", 0.3)
    async with opened() as port:
        assert await port.raw(b"", end=False) == b""
        assert await port.raw(b"POST /here HTTP/1.1\r\nHost: loc", end=False) == b""
        half = b"POST /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nxx"
        assert await port.raw(half, end=False) == b""
        assert not port.reached


async def test_more_connections_than_the_port_takes_are_turned_away(port: Port):
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            stream = await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port.number))
            await stream.send_all(b"POST /here HTTP/1.1\r\n")
        # One whose connection was taken is served; those beyond are closed, and nobody waits for them.
        assert await port.raw(b"", end=False) == b""
        await stream.send_all(b"Host: localhost\r\nContent-Length: 0\r\n\r\n")
        with trio.fail_after(30):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
    with trio.fail_after(30):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                assert (await port.ask("POST", "/here", json={})).status_code == 200
                break


async def test_a_handler_that_waits_ends_when_its_caller_goes(port: Port):
    stream = await trio.open_tcp_stream("127.0.0.1", port.number)
    await stream.send_all(b"POST /patient HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    with trio.move_on_after(0.2):
        await port.left.wait()
    assert not port.left.is_set()
    await stream.aclose()
    with trio.fail_after(30):
        await port.left.wait()
