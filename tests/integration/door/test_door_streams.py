"""Answers sent while they are made, over real connections: whole, broken off, and to a client that leaves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
import trio
from structlog.testing import capture_logs

from actors.runtime import SeededRandomness, SystemIds, VirtualClock
from controlplane.api.call import Call
from controlplane.api.envelope import Stream
from controlplane.api.guards import Anyone, Public
from controlplane.api.hub import Hub
from controlplane.api.limits import Limits, standard_limits
from controlplane.api.mount import HubApp, build_app
from controlplane.api.router import Router

PIECE = b"x" * 1000


@dataclass
class Spring:
    """Makes what is streamed, and remembers how that went."""

    made: int = 0
    closed: trio.Event = field(default_factory=trio.Event)

    async def pieces(self, most: int | None, *, fails: bool = False) -> AsyncGenerator[bytes]:
        try:
            while most is None or self.made < most:
                yield PIECE
                self.made += 1
                await trio.lowlevel.checkpoint()
            if fails:
                raise ZeroDivisionError("on purpose")
        finally:
            self.closed.set()


@pytest.fixture
def spring() -> Spring:
    return Spring()


@pytest.fixture
def app(spring: Spring) -> HubApp:
    routes = Router("/streams", guard=Public(), tag="Streams")

    @routes.get("/whole", envelope=False, media_types=("text/plain",))
    async def whole(call: Call[Anyone]) -> Stream:
        """Stream something."""
        return Stream(chunks=spring.pieces(200), content_type="text/plain", headers={"x-kind": "whole"})

    @routes.get("/broken", envelope=False, media_types=("text/plain",))
    async def broken(call: Call[Anyone]) -> Stream:
        """Stream something that breaks."""
        return Stream(chunks=spring.pieces(3, fails=True), content_type="text/plain")

    @routes.get("/endless", envelope=False, media_types=("text/plain",))
    async def endless(call: Call[Anyone]) -> Stream:
        """Stream without an end."""
        return Stream(chunks=spring.pieces(None), content_type="text/plain")

    clock, randomness = VirtualClock(datetime(2026, 3, 15, 10, tzinfo=UTC)), SeededRandomness(1)
    hub = Hub(
        clock=clock, ids=SystemIds(clock, randomness), randomness=randomness, limits=Limits(clock, standard_limits(60))
    )
    return build_app([routes], hub)


async def test_a_stream_arrives_whole_and_the_connection_goes_on(door, spring: Spring) -> None:
    async with httpx.AsyncClient(base_url=door.url, trust_env=False) as client:
        for _ in range(2):
            spring.made = 0
            answer = await client.get("/streams/whole")
            assert answer.status_code == 200
            assert answer.content == PIECE * 200
            assert answer.headers["transfer-encoding"] == "chunked"
            assert answer.headers["x-kind"] == "whole"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert spring.closed.is_set()
        assert (await client.head("/streams/whole")).content == b""


async def test_one_that_breaks_is_seen_to_be_half_of_one(door, spring: Spring) -> None:
    async with httpx.AsyncClient(base_url=door.url, trust_env=False) as client:
        with capture_logs() as lines, pytest.raises(httpx.RemoteProtocolError):
            await client.get("/streams/broken")
        assert [line["route"] for line in lines if line["event"] == "http.broke_off"] == ["/streams/broken"]
        assert (await client.get("/streams/whole")).status_code == 200


async def test_nothing_is_made_for_a_client_that_has_left(door, spring: Spring) -> None:
    stream = await door.dial()
    await stream.send_all(b"GET /streams/endless HTTP/1.1\r\nHost: hub.test\r\n\r\n")
    assert (await stream.receive_some(1000)).startswith(b"HTTP/1.1 200")
    await stream.aclose()
    with trio.fail_after(10):
        await spring.closed.wait()


async def test_one_who_reads_nothing_is_not_waited_for_for_ever(door, spring: Spring) -> None:
    stream = await door.dial()
    await stream.send_all(b"GET /streams/endless HTTP/1.1\r\nHost: hub.test\r\n\r\n")
    with trio.fail_after(20):
        await spring.closed.wait()
