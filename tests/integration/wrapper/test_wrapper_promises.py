"""Promises arrive once, in order, and are acknowledged when they are in the journal; whatever the network does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import trio

from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer
from wrapper.commands import CommandCall, Executor


class Counter:
    """An executor that counts its runs by command."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    async def __call__(self, call: CommandCall) -> str:
        self.runs.append(call.id)
        return f"did {call.payload['n']}"


def journalled(path: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute("SELECT seq, kind FROM promises ORDER BY seq").fetchall()


async def test_a_command_is_acknowledged_run_and_reported(hub: HubPeer, open_wrapper: OpenWrapper):
    counter = Counter()
    async with open_wrapper(executors={"COUNT": Executor(counter)}):
        await hub.connected()
        command = await hub.command("COUNT", n=7)
        await hub.acked(1)
        result = await hub.result(command)
    assert result["status"] == "succeeded"
    assert result["output"] == "did 7"
    assert counter.runs == [command]
    assert hub.hellos[0]["capabilities"] == ["command", "approvalSettled", "configOffered", "query", "drain"]


async def test_promises_made_while_away_come_in_order_and_cost_few_acks(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
):
    for number in range(100):
        await hub.command("COUNT", n=number)
    counter = Counter()
    async with open_wrapper(executors={"COUNT": Executor(counter)}):
        await hub.acked(100)
        await hub.message("commandResult", 100)
    assert sorted(counter.runs) == sorted(f"cmd_{n}" for n in range(1, 101))
    assert journalled(tmp_path / "journal.sqlite") == [(n, "command") for n in range(1, 101)]
    assert len([frame for frame in hub.frames if frame["type"] == "ack"]) < 20


async def test_doubled_promises_are_taken_once(hub: HubPeer, open_wrapper: OpenWrapper):
    hub.double = True
    counter = Counter()
    async with open_wrapper(executors={"COUNT": Executor(counter)}):
        await hub.connected()
        for number in range(20):
            await hub.command("COUNT", n=number)
        await hub.message("commandResult", 20)
    assert len(counter.runs) == 20


async def test_connections_cut_at_random_lose_and_double_nothing(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
):
    counter = Counter()
    async with open_wrapper(executors={"COUNT": Executor(counter)}):
        for number in range(60):
            await hub.command("COUNT", n=number) if number % 5 else await hub.connected()
            if number % 7 == 0 and hub.socket is not None:
                await hub.cut()
        await hub.acked(len(hub.promises))
        await hub.message("commandResult", len(hub.promises))
    assert sorted(counter.runs) == sorted(f"cmd_{n}" for n in hub.promises)
    assert [seq for seq, _ in journalled(tmp_path / "journal.sqlite")] == list(hub.promises)


async def test_a_missing_promise_makes_the_wrapper_come_again(hub: HubPeer, open_wrapper: OpenWrapper):
    counter = Counter()
    async with open_wrapper(executors={"COUNT": Executor(counter)}):
        await hub.connected()
        hub.push = False
        await hub.command("COUNT", n=1)
        hub.push = True
        await hub.command("COUNT", n=2)
        await hub.connected(times=2)
        await hub.acked(2)
        await hub.message("commandResult", 2)
    assert hub.hellos[1]["lastSeq"] == 0
    assert counter.runs == ["cmd_1", "cmd_2"]


async def test_a_void_is_journalled_and_nothing_is_done(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    await hub.promise("void")
    await hub.promise("somethingNewerHubsSay", id="x")
    counter = Counter()
    async with open_wrapper(executors={"COUNT": Executor(counter)}):
        await hub.command("COUNT", n=1)
        await hub.message("commandResult")
    assert [kind for _, kind in journalled(tmp_path / "journal.sqlite")] == [
        "void",
        "unreadable somethingNewerHubsSay",
        "command",
    ]


async def test_a_lost_journal_is_never_played_old_commands(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    counter = Counter()
    async with open_wrapper(executors={"COUNT": Executor(counter)}):
        for number in range(3):
            await hub.command("COUNT", n=number)
        await hub.message("commandResult", 3)
    counter.runs.clear()
    async with open_wrapper(tmp_path / "other.sqlite", executors={"COUNT": Executor(counter)}):
        await hub.connected(times=2)
        assert hub.hellos[1]["lastSeq"] == 0
        await hub.command("COUNT", n=4)
        await hub.message("commandResult", 4)
    assert counter.runs == ["cmd_4"]
    assert journalled(tmp_path / "other.sqlite") == [(4, "command")]


async def test_an_unknown_command_is_rejected_and_an_expired_one_is_not_run(hub: HubPeer, open_wrapper: OpenWrapper):
    counter = Counter()
    expired = await hub.command("COUNT", expires=-1, n=1)
    unknown = await hub.command("FORMAT_DISK")
    unreadable = "cmd_unreadable"
    await hub.promise("command", id=unreadable, commandType=7, payload={})
    ping = await hub.command("PING")
    async with open_wrapper(executors={"COUNT": Executor(counter)}):
        results = {name: await hub.result(name) for name in (expired, unknown, unreadable, ping)}
    assert counter.runs == []
    assert (results[expired]["status"], results[expired]["output"]) == ("rejected", "expired before it could be run")
    assert (results[unknown]["status"], results[unknown]["output"]) == (
        "rejected",
        "this wrapper has no command FORMAT_DISK",
    )
    assert results[unreadable]["status"] == "rejected"
    assert (results[ping]["status"], results[ping]["output"]) == ("succeeded", "pong")


async def test_failures_and_time_limits_are_reported(hub: HubPeer, open_wrapper: OpenWrapper):
    async def crash(call: CommandCall) -> str:
        raise RuntimeError("the disk is on fire\x00")

    async def hang(call: CommandCall) -> str:
        await trio.sleep_forever()
        return ""

    executors = {"CRASH": Executor(crash), "HANG": Executor(hang, limit_seconds=0.05)}
    async with open_wrapper(executors=executors):
        crashed, hung = await hub.command("CRASH"), await hub.command("HANG")
        first, second = await hub.result(crashed), await hub.result(hung)
    assert (first["status"], first["output"]) == ("failed", "RuntimeError: the disk is on fire\ufffd")
    assert (second["status"], second["output"]) == ("timedOut", "stopped after 0.05 s")


async def test_a_long_command_holds_back_nothing(hub: HubPeer, open_wrapper: OpenWrapper):
    release = trio.Event()

    async def long(call: CommandCall) -> str:
        await release.wait()
        return "done at last"

    async with open_wrapper(executors={"LONG": Executor(long)}):
        slow = await hub.command("LONG")
        quick = await hub.command("PING")
        await hub.result(quick)
        await hub.acked(2)
        assert hub.results(slow) == []
        release.set()
        assert (await hub.result(slow))["output"] == "done at last"
