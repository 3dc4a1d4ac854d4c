"""HTTP carries while sockets are blocked: begun and ended by itself, nothing lost or doubled whenever that happens."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from protocol.canonical import args_hash, canonical
from protocol.words import ApprovalOutcome
from tests.end_to_end.hub_process import until
from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import KEY, HubPeer, moment, refusal
from tests.integration.wrapper.test_wrapper_link import JumpingClock
from wrapper.commands import CommandCall, Executor
from wrapper.daemon import Fittings, Wrapper
from wrapper.fallback import Pace
from wrapper.gate import ToolCall
from wrapper.hub_address import HubAddress
from wrapper.journal import promises
from wrapper.keyring import Secret

#: Real time is short.
QUICK = Pace(idle=0.05, waiting=0.05)


@pytest.fixture
def clock() -> MockClock:
    # A little real time before each jump: what is on its way through the loopback must not be overtaken.
    return MockClock(autojump_threshold=0.05)


def carrier(wrapper: Wrapper) -> Any:
    return wrapper.status()["safetyWrapper"]["carrier"]


def beats(hub: HubPeer) -> list[dict[str, Any]]:
    return [body for method, path, body in hub.http if path == "/heartbeat"]


async def another_beat(hub: HubPeer) -> None:
    so_far = len(beats(hub))
    await hub.until(lambda: len(beats(hub)) > so_far)


def call(**changes: Any) -> ToolCall:
    fields: dict[str, Any] = {
        "agent_id": "it-admin",
        "tool_name": "file_delete",
        "tool_args": {"path": "/tmp/*"},
        "human_readable": "IT Admin wants to delete /tmp/*",
    }
    return ToolCall(**(fields | changes))


@pytest.mark.parametrize("blocked", ["502", "403", "200", "cut", "silence", "mute"])
async def test_whatever_blocks_sockets_http_carries_and_the_socket_comes_back(
    hub: HubPeer, clock: MockClock, blocked: str
):
    hub.blocked = blocked
    fittings = Fittings(version="1.2.3", measure_resources=False, clock=JumpingClock())
    async with Wrapper.open(HubAddress(hub.url), Secret(KEY), journal_path=None, fittings=fittings) as wrapper:
        await hub.until(lambda: len(beats(hub)) >= 2, seconds=2000)
        assert carrier(wrapper) == "http"
        assert wrapper.status()["safetyWrapper"]["connected"] is True
        command_id = await hub.command("PING")
        assert (await hub.until(lambda: next(iter(hub.results(command_id)), None), seconds=2000))["output"] == "pong"
        await hub.until(lambda: hub.acknowledged == 1, seconds=2000)
        tries = len(hub.handshakes)
        assert tries >= 3
        await hub.until(lambda: len(hub.handshakes) > tries + 2, seconds=5000)  # it goes on knocking
        hub.blocked = None
        await hub.until(lambda: hub.socket is not None, seconds=2000)
        second = await hub.command("PING")
        await hub.until(lambda: hub.results(second), seconds=2000)
        assert carrier(wrapper) == "socket"
        asked = len(hub.http)
        await trio.sleep(600)
        assert len(hub.http) == asked  # the socket carries alone
    assert [len(hub.results(one)) for one in (command_id, second)] == [1, 1]


async def test_a_hub_that_is_away_or_says_so_itself_is_no_blockage(hub: HubPeer, clock: MockClock):
    hub.refuse_handshakes = [(503, {})] * 6
    fittings = Fittings(version="1.2.3", measure_resources=False, clock=JumpingClock())
    async with Wrapper.open(HubAddress(hub.url), Secret(KEY), journal_path=None, fittings=fittings):
        await hub.until(lambda: hub.socket is not None, seconds=2000)
    assert hub.http == []
    nobody = HubAddress("http://127.0.0.1:9")
    async with Wrapper.open(nobody, Secret(KEY), journal_path=None, fittings=fittings) as wrapper:
        await trio.sleep(1000)
        assert carrier(wrapper) is None
        assert not wrapper.link._fallback.carrying


async def test_a_refused_key_is_tried_every_ten_minutes_over_http_too(hub: HubPeer, clock: MockClock):
    hub.blocked = "502"
    times: list[float] = []
    hub.on_http = lambda _: times.append(trio.current_time())
    fittings = Fittings(version="1.2.3", measure_resources=False, clock=JumpingClock())
    async with Wrapper.open(HubAddress(hub.url), Secret("hk_no_no"), journal_path=None, fittings=fittings) as wrapper:
        await hub.until(lambda: len(times) >= 4, seconds=5000)
        assert carrier(wrapper) is None
    assert all(600 <= later - earlier <= 661 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        ((429, {"Retry-After": "40"}, refusal(429, "RATE_LIMITED")[2]), 40, 81),
        ((503, {"Retry-After": "20"}, refusal(503, "OVERLOADED")[2]), 20, 41),
        ((503, {"Retry-After": "90"}, "<html>Maintenance</html>"), 90, 181),
        ((302, {"Location": "https://elsewhere.example/"}, "<html>Sign in first</html>"), 0, 1),
        ((200, {}, "<html>Welcome to this hotel</html>"), 0, 1),
        ((404, {}, "<html>Not here</html>"), 0, 1),
    ],
)
async def test_what_is_not_the_hubs_word_is_tried_again_and_retry_after_honoured(
    hub: HubPeer, clock: MockClock, answer: Any, least: float, most: float
):
    hub.blocked = "502"
    hub.http_answers = [answer]
    times: list[float] = []
    hub.on_http = lambda _: times.append(trio.current_time())
    fittings = Fittings(version="1.2.3", measure_resources=False, clock=JumpingClock())
    async with Wrapper.open(HubAddress(hub.url), Secret(KEY), journal_path=None, fittings=fittings):
        command_id = await hub.command("PING")
        await hub.until(lambda: hub.results(command_id), seconds=2000)
    assert least <= times[1] - times[0] <= most


async def test_a_decision_comes_over_http_and_its_outcome_goes_back(hub: HubPeer, open_wrapper: OpenWrapper):
    hub.blocked = "502"
    async with open_wrapper(pace=QUICK) as wrapper, trio.open_nursery() as nursery:
        passes: list[Any] = []

        async def ask() -> None:
            passes.append(await wrapper.gate.ask(call()))

        nursery.start_soon(ask)
        request = await hub.until(lambda: next((body for _, path, body in hub.http if "approval-req" in path), None))
        assert request["argsHash"] == args_hash("file_delete", {"path": "/tmp/*"})
        approval_id = await hub.settle(request, "approve")
        await until(lambda: passes, what="the decision")
        assert passes[0].granted
        assert await passes[0].use()
        assert not await passes[0].use()
        await passes[0].report(ApprovalOutcome.EXECUTED, "done")
        outcome = await hub.until(lambda: next((body for _, path, body in hub.http if path == "/approval-outcome"), {}))
        assert (outcome["approvalId"], outcome["outcome"]) == (approval_id, "executed")
        await hub.acked(1)


async def test_the_configuration_is_pulled_and_its_end_reported(hub: HubPeer, open_wrapper: OpenWrapper):
    hub.blocked = "502"
    hub.config = {"configVersion": 3, "agents": [], "toolTable": {}, "modelRouting": {}, "heartbeatSeconds": 30}
    hub.config["configHash"] = "wrong"
    async with open_wrapper(pace=QUICK) as wrapper:
        refused = await hub.message("configApplied")
        assert (refused["ok"], refused["configVersion"]) == (False, 3)
        pulls = sum(path == "/config" for _, path, _ in hub.http)
        before = len(beats(hub))
        await hub.until(lambda: len(beats(hub)) >= before + 5)
        assert sum(path == "/config" for _, path, _ in hub.http) == pulls  # not again, until there is another
        fields = {name: value for name, value in hub.config.items() if name != "configHash"}
        hub.config = {**fields, "configVersion": 4}
        hub.config["configHash"] = hash_of(hub.config)
        applied = await hub.message("configApplied", 2)
        assert (applied["ok"], applied["configVersion"]) == (True, 4)
        assert wrapper.configuration.current is not None
        assert wrapper.configuration.current.config_version == 4


def hash_of(config: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(config)).hexdigest()


async def test_answers_that_get_lost_change_nothing(hub: HubPeer, open_wrapper: OpenWrapper):
    hub.blocked = "502"
    async with open_wrapper(pace=QUICK) as wrapper:
        await hub.until(lambda: len(beats(hub)) >= 2)
        hub.lose_http_answers = 4
        commands = [await hub.command("PING") for _ in range(5)]
        for command_id in commands:
            await hub.result(command_id)
        await hub.acked(5)
        await hub.until(lambda: wrapper.link._parts.session.owed == 0)
    assert [len(hub.results(one)) for one in commands] == [1] * 5


async def test_a_message_the_hub_never_takes_or_fails_at_does_not_hold_up_the_others(
    hub: HubPeer, open_wrapper: OpenWrapper
):
    hub.blocked = "502"
    failing: list[str] = []

    def refuse(body: dict[str, Any]) -> dict[str, Any] | None:
        if body.get("commandId") == "cmd_1":
            return {"code": "NOT_FOUND", "temporary": False}
        if body.get("commandId") == "cmd_2" and len(failing) < 3:
            failing.append(body["id"])
            return {"code": "INTERNAL_ERROR", "temporary": True}
        return None

    hub.refuse = refuse
    async with open_wrapper(pace=QUICK) as wrapper:
        for _ in range(4):
            await hub.command("PING")
        for command_id in ("cmd_3", "cmd_4", "cmd_2"):
            await hub.result(command_id)
        await hub.until(lambda: wrapper.link._parts.session.owed == 0)
    assert len(set(failing)) == 1
    assert hub.results("cmd_1") == []


async def test_an_item_that_makes_no_sense_keeps_its_number(hub: HubPeer, open_wrapper: OpenWrapper):
    hub.blocked = "502"
    await hub.promise("command", id="cmd_bad", commandType=17, payload={}, issuedAt="yesterday", expiresAt=moment(60))
    await hub.promise("approvalSettled", approvalId="appr_x", action="perhaps")
    await hub.promise("void")
    good = await hub.command("PING")
    async with open_wrapper(pace=QUICK):
        assert (await hub.result(good))["output"] == "pong"
        assert (await hub.result("cmd_bad"))["status"] == "rejected"
        await hub.acked(4)


async def test_carriers_change_in_the_middle_of_a_command(hub: HubPeer, open_wrapper: OpenWrapper):
    release = trio.Event()
    runs: list[str] = []

    async def act(command: CommandCall) -> str:
        runs.append(command.id)
        await release.wait()
        return "acted"

    async with open_wrapper(pace=QUICK, executors={"ACT": Executor(act)}) as wrapper:
        await hub.connected()
        first = await hub.command("ACT")
        await until(lambda: runs, what="the first run")
        hub.blocked = "502"
        await hub.cut()
        await hub.until(lambda: len(beats(hub)) >= 2)
        second = await hub.command("ACT")
        await until(lambda: len(runs) == 2, what="the second run")
        hub.blocked = None
        await hub.connected(times=2)
        release.set()
        for command_id in (first, second):
            assert (await hub.result(command_id))["output"] == "acted"
        assert await wrapper.link._parts.journal.run(promises.last_seq) == 2
    assert runs == [first, second]
    assert [len(hub.results(one)) for one in (first, second)] == [1, 1]


async def test_carriers_that_change_all_the_time_lose_and_double_nothing(hub: HubPeer, open_wrapper: OpenWrapper):
    runs: list[str] = []

    async def act(command: CommandCall) -> str:
        runs.append(command.id)
        return "acted"

    commands: list[str] = []
    async with open_wrapper(pace=QUICK, executors={"ACT": Executor(act)}) as wrapper:
        for turn in range(8):
            hub.blocked = "502" if turn % 2 else None
            hub.lose_http_answers = turn % 3
            if hub.socket is not None:
                await hub.cut()
            commands += [await hub.command("ACT") for _ in range(5)]
            if turn % 2:
                await another_beat(hub)
            else:
                await hub.until(lambda: hub.socket is not None)
            commands += [await hub.command("ACT") for _ in range(5)]
            await hub.result(commands[-1 - turn])
        for command_id in commands:
            await hub.result(command_id)
        await hub.acked(len(commands))
        await hub.until(lambda: wrapper.link._parts.session.owed == 0)
    assert sorted(runs) == sorted(commands)
    assert [len(hub.results(one)) for one in commands] == [1] * len(commands)


async def test_a_journal_from_an_older_day_goes_on_from_where_the_hub_is(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
):
    hub.blocked = "502"
    async with open_wrapper(pace=QUICK):
        await hub.result(await hub.command("PING"))
        await hub.acked(1)
    async with open_wrapper(tmp_path / "another.sqlite", pace=QUICK) as wrapper:
        command_id = await hub.command("PING")
        await hub.result(command_id)
        await hub.acked(2)
        assert await wrapper.link._parts.journal.run(promises.last_seq) == 2
    assert len(hub.results("cmd_1")) == 1
