"""The link by PROTOCOL's rules, on a clock that jumps: verdicts of close codes, silence, stalls, retries."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.integration.wrapper.hub_peer import KEY, HubPeer
from wrapper.daemon import Fittings, Wrapper
from wrapper.gate import ToolCall
from wrapper.hub_address import HubAddress
from wrapper.keyring import Secret
from wrapper.ports import SystemRandomness

OpenVolatile = Callable[..., AbstractAsyncContextManager[Wrapper]]


class JumpingClock:
    """The time of day follows the test's clock."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_767_225_600 + trio.current_time(), UTC)


@pytest.fixture
def clock() -> MockClock:
    # A little real time before each jump: what is on its way through the loopback must not be overtaken.
    return MockClock(autojump_threshold=0.02)


@pytest.fixture
def opened(clock: MockClock, hub: HubPeer) -> OpenVolatile:
    """Opens a wrapper that works in this thread only: a thread's work is no reason for the clock to wait."""

    @asynccontextmanager
    async def opener(**fittings: Any) -> AsyncIterator[Wrapper]:
        assert trio.lowlevel.current_clock() is clock, "a test must take the clock itself to run on it"
        fittings = {"version": "1.2.3", "measure_resources": False, "clock": JumpingClock()} | fittings
        async with Wrapper.open(
            HubAddress(hub.url), Secret(fittings.pop("key", KEY)), journal_path=None, fittings=Fittings(**fittings)
        ) as wrapper:
            yield wrapper

    return opener


def between(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


@pytest.mark.parametrize(
    ("code", "reason", "least", "most"),
    [
        (1000, "", 0, 0.6),
        (1012, "restarting", 0, 0.6),
        (4003, "slow consumer", 0, 0.6),
        (4000, "replaced", 60, 90),
        (4001, "revoked", 600, 660),
        (4002, "no common protocol", 600, 660),
        (4005, "too fast: retry after 7 s", 7, 7.6),
        (4005, "too many messages", 10, 10.6),
    ],
)
async def test_a_close_code_says_when_to_come_again(
    hub: HubPeer, clock: MockClock, opened: OpenVolatile, code: int, reason: str, least: float, most: float
):
    async with opened():
        await hub.connected()
        before = trio.current_time()
        await hub.hang_up(code, reason)
        await hub.until(lambda: len(hub.hellos) == 2, seconds=2000)
        assert least <= trio.current_time() - before <= most + 0.5


@pytest.mark.parametrize(
    ("status", "headers", "least", "most"),
    [
        (401, {}, 600, 660),
        (400, {}, 600, 660),
        (503, {"Retry-After": "30"}, 30, 60),
        (503, {}, 0, 0.6),
        (502, {}, 0, 0.6),
    ],
)
async def test_a_refused_handshake_says_when_to_come_again(
    hub: HubPeer,
    clock: MockClock,
    opened: OpenVolatile,
    status: int,
    headers: dict[str, str],
    least: float,
    most: float,
):
    hub.refuse_handshakes = [(status, headers)]
    async with opened():
        await hub.until(lambda: len(hub.handshakes) == 2, seconds=2000)
    assert least <= between(hub.handshakes)[0] <= most + 0.5


async def test_a_wrong_key_tries_every_ten_minutes_and_no_faster(hub: HubPeer, clock: MockClock, opened: OpenVolatile):
    async with opened(key="hk_wrong_wrong"):
        await hub.until(lambda: len(hub.handshakes) == 5, seconds=20_000)
    assert all(600 <= pause <= 661 for pause in between(hub.handshakes))


class Longest(SystemRandomness):
    """The longest jitter that there may be."""

    def uniform(self, low: float, high: float) -> float:
        return high


async def test_the_back_off_doubles_to_a_minute_and_a_calm_minute_resets_it(
    hub: HubPeer, clock: MockClock, opened: OpenVolatile
):
    hub.refuse_handshakes = [(502, {})] * 10
    async with opened(randomness=Longest()):
        await hub.until(lambda: hub.socket is not None, seconds=1000)
        pauses = between(hub.handshakes)
        assert [round(pause, 1) for pause in pauses] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
        await trio.sleep(61)
        before = trio.current_time()
        await hub.cut()
        await hub.connected(times=2)
        assert trio.current_time() - before < 1


async def test_drain_is_a_close_with_a_time_to_come_again(hub: HubPeer, clock: MockClock, opened: OpenVolatile):
    async with opened():
        await hub.connected()
        before = trio.current_time()
        await hub.say({"type": "drain", "reconnectAfterMs": 20_000})
        await hub.hang_up(1012, "draining")
        await hub.until(lambda: len(hub.hellos) == 2, seconds=200)
        assert 20 <= trio.current_time() - before <= 41


async def test_a_hub_that_drains_and_hangs_is_left(hub: HubPeer, clock: MockClock, opened: OpenVolatile):
    async with opened():
        await hub.connected()
        await hub.say({"type": "drain", "reconnectAfterMs": 1000})
        before = trio.current_time()
        await hub.until(lambda: len(hub.hellos) == 2, seconds=200)
        assert 10 <= trio.current_time() - before <= 14


async def test_heartbeats_come_as_often_as_the_hub_asks(hub: HubPeer, clock: MockClock, opened: OpenVolatile):
    hub.heartbeat_seconds = 5
    async with opened():
        await hub.connected()
        await trio.sleep(60)
        beats = [frame for frame in hub.frames if frame["type"] == "heartbeat"]
    assert 12 <= len(beats) <= 15
    assert beats[0]["status"] == "healthy"
    assert beats[0]["safetyWrapperVersion"] == "1.2.3"


async def test_a_silent_hub_is_left_after_three_heartbeats(hub: HubPeer, clock: MockClock, opened: OpenVolatile):
    hub.heartbeat_seconds = 10
    async with opened() as wrapper:
        await hub.connected()
        before = trio.current_time()
        # Its kernel takes everything and its program answers nothing, not even pings.
        assert hub.socket is not None
        hub.socket.pause_reading()
        hub.socket.recv_messages.pause()  # type: ignore[attr-defined]
        await _deafen(hub)
        await hub.until(lambda: len(hub.hellos) == 2, seconds=200)
        assert 20 <= trio.current_time() - before <= 32
        await hub.until(lambda: wrapper.link.state.connections == 2)


async def _deafen(hub: HubPeer) -> None:
    """Stop the peer's library from answering pings: a half-open peer."""
    socket = hub.socket
    assert socket is not None
    socket.protocol.data_to_send = lambda: []  # type: ignore[method-assign]


async def test_messages_are_sent_again_until_they_are_accepted(hub: HubPeer, clock: MockClock, opened: OpenVolatile):
    hub.accept = False
    await hub.command("PING")
    async with opened() as wrapper:
        for times in range(1, 5):
            await hub.until(lambda times=times: hub.arrivals.total() >= times)  # type: ignore[misc]
            if times < 4:
                await hub.cut()
        hub.accept = True
        await hub.cut()
        await hub.message("commandResult")
        assert max(hub.arrivals.values()) >= 5
        await hub.until(lambda: wrapper.status()["safetyWrapper"]["owed"] == 0, seconds=60)


async def test_a_message_refused_for_now_is_sent_again_later(hub: HubPeer, clock: MockClock, opened: OpenVolatile):
    moments: list[float] = []

    def refuse(frame: dict[str, Any]) -> dict[str, Any] | None:
        moments.append(trio.current_time())
        return {"code": "OVERLOADED", "message": "later", "temporary": True} if len(moments) < 3 else None

    hub.refuse = refuse
    await hub.command("PING")
    async with opened():
        await hub.until(lambda: hub.taken, seconds=300)
    assert all(15 <= pause <= 60 for pause in between(moments))
    assert len(hub.hellos) == 1


async def test_nothing_larger_than_the_hub_takes_is_sent(hub: HubPeer, clock: MockClock, opened: OpenVolatile):
    hub.max_frame_bytes = 2000
    async with opened() as wrapper:
        await hub.connected()
        answer = await wrapper.gate.ask(ToolCall("it-admin", "shell", {"text": "x" * 3000}, "too long for this Hub"))
    assert "but the Hub takes 2000" in answer.why
    assert not answer.granted
    assert hub.arrivals == {}


async def test_a_request_without_a_decision_fails_closed_at_its_expiry_and_grace(
    hub: HubPeer, clock: MockClock, opened: OpenVolatile
):
    async with opened() as wrapper:
        await hub.connected()
        before = trio.current_time()
        answer = await wrapper.gate.ask(ToolCall("it-admin", "shell", {}, "now or never", expires_in_seconds=120))
        assert 180 <= trio.current_time() - before <= 185
        assert (answer.granted, answer.why, await answer.use()) == (False, "no decision arrived in time", False)
        (request,) = [frame for frame in hub.taken.values() if frame["type"] == "approvalRequest"]
        await hub.settle(request, "approve")
        assert (await hub.message("approvalOutcome"))["outcome"] == "abandoned"


async def test_an_approval_nobody_takes_up_is_abandoned_after_an_hour(
    hub: HubPeer, clock: MockClock, opened: OpenVolatile
):
    hub.heartbeat_seconds = 600
    async with opened() as wrapper:
        await hub.connected()
        row = await wrapper.gate.submit(ToolCall("it-admin", "shell", {}, "and then the agent was gone"))
        await hub.settle(await hub.message("approvalRequest"), "approve")
        await hub.acked(1)
        await trio.sleep(3590)
        assert (await wrapper.approvals.unfinished("agent"))[0].state == "approved"
        told = await hub.message("approvalOutcome")
        assert told["outcome"] == "abandoned"
        assert not await wrapper.approvals.use(row)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["not json", "[]", '{"type": "accepted", "ids": 7}'])
async def test_a_hub_that_breaks_the_protocol_is_left(hub: HubPeer, clock: MockClock, opened: OpenVolatile, text: str):
    async with opened() as wrapper:
        await hub.connected()
        assert hub.socket is not None
        await hub.socket.send(text)
        await hub.connected(times=2)
        await hub.until(lambda: wrapper.link.state.connections == 2)


async def test_unknown_frames_are_ignored_and_counted(hub: HubPeer, clock: MockClock, opened: OpenVolatile):
    async with opened() as wrapper:
        await hub.connected()
        await hub.say({"type": "somethingNew", "mood": "good"})
        await hub.command("PING")
        await hub.message("commandResult")
        assert wrapper.status()["safetyWrapper"]["ignoredFrames"] == 1
    assert len(hub.hellos) == 1
