"""kill -9 of a real wrapper process around journal, act and report: nothing lost, nothing twice (PROTOCOL)."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.integration.wrapper.hub_peer import HubPeer


class Victim:
    """Starts wrapper processes on one state folder."""

    def __init__(self, hub: HubPeer, state: Path, **environment: str) -> None:
        self.hub = hub
        self.state = state
        self.environment = environment
        state.mkdir(mode=0o700)

    def start(self, point: str = "never") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.integration.wrapper.victim", self.hub.url, str(self.state), point]
        return subprocess.Popen(command, env={**os.environ, **self.environment}, stderr=subprocess.DEVNULL)

    async def dies(self, point: str) -> None:
        """Run it until it kills itself."""
        process = self.start(point)
        with trio.fail_after(30):
            code = await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
        assert code == -signal.SIGKILL

    def effects(self) -> list[dict[str, Any]]:
        path = self.state / "effects.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def victim(hub: HubPeer, tmp_path: Path) -> Victim:
    return Victim(hub, tmp_path / "state")


def see_acks(hub: HubPeer, victim: Victim) -> None:
    def on_frame(frame: dict[str, Any]) -> None:
        if frame["type"] == "ack":
            (victim.state / "ack-seen").touch()

    hub.on_frame = on_frame


@pytest.mark.parametrize(
    ("point", "kind", "status", "runs"),
    [
        ("after-journal", "ONCE", "succeeded", 1),
        ("after-journal", "AGAIN", "succeeded", 1),
        ("after-ack", "ONCE", "succeeded", 1),
        ("after-intent", "ONCE", "failed", 0),
        ("after-intent", "AGAIN", "succeeded", 1),
        ("mid-act", "ONCE", "failed", 1),
        ("mid-act", "AGAIN", "succeeded", 2),
        ("after-act", "ONCE", "failed", 1),
        ("after-act", "AGAIN", "succeeded", 2),
        ("after-report", "ONCE", "succeeded", 1),
        ("after-report", "AGAIN", "succeeded", 1),
    ],
)
async def test_a_command_through_a_kill(hub: HubPeer, victim: Victim, point: str, kind: str, status: str, runs: int):
    see_acks(hub, victim)
    command = await hub.command(kind)
    await victim.dies(point)
    if point == "after-journal":
        assert hub.acknowledged == 0
    if point == "after-ack":
        assert hub.acknowledged == 1
    process = victim.start()
    try:
        result = await hub.result(command)
        await hub.acked(1)
    finally:
        process.kill()
        process.wait()
    assert result["status"] == status
    if status == "failed":
        assert result["output"] == "interrupted, outcome unknown"
    assert [effect["command"] for effect in victim.effects()] == [command] * runs
    assert len(hub.results(command)) == 1


@pytest.mark.parametrize(("point", "outcome", "runs"), [("after-settle", "executed", 1), ("after-use", "failed", 0)])
async def test_an_approval_through_a_kill(hub: HubPeer, tmp_path: Path, point: str, outcome: str, runs: int):
    victim = Victim(hub, tmp_path / "state", GATED="1")
    first = victim.start()
    request = await hub.message("approvalRequest")
    first.kill()
    first.wait()
    await hub.until(lambda: hub.socket is None)
    await hub.settle(request, "approve")
    await victim.dies(point)
    second = victim.start()
    try:
        told = await hub.message("approvalOutcome")
    finally:
        second.kill()
        second.wait()
    assert told["outcome"] == outcome
    assert len(victim.effects()) == runs
    assert len([frame for frame in hub.taken.values() if frame["type"] == "approvalRequest"]) == 1


async def test_kills_at_any_moment_lose_nothing_and_double_nothing(hub: HubPeer, victim: Victim):
    """Commands keep coming, the process keeps dying; with cut connections and unanswered messages in between."""
    chance = random.Random(7)
    for life in range(6):
        process = victim.start()
        await hub.connected(times=life + 1)
        for _ in range(10):
            await hub.command(chance.choice(["ONCE", "AGAIN"]))
        goal = len(hub.taken) + chance.randrange(1, 8)
        await hub.until(lambda goal=goal: len(hub.taken) >= goal)  # type: ignore[misc]
        process.kill()
        process.wait()
        await hub.until(lambda: hub.socket is None)
    process = victim.start()
    try:
        for promise in list(hub.promises.values()):
            await hub.result(promise["id"])
        await hub.acked(len(hub.promises))
    finally:
        process.kill()
        process.wait()
    runs: dict[str, int] = {}
    for effect in victim.effects():
        runs[effect["command"]] = runs.get(effect["command"], 0) + 1
    for promise in hub.promises.values():
        (result,) = hub.results(promise["id"])
        if promise["commandType"] == "AGAIN":
            assert (result["status"], runs[promise["id"]] >= 1) == ("succeeded", True)
        elif result["status"] == "succeeded":
            assert runs[promise["id"]] == 1
        else:
            assert (result["output"], runs.get(promise["id"], 0) <= 1) == ("interrupted, outcome unknown", True)


async def test_two_daemons_on_one_folder_are_refused(hub: HubPeer, victim: Victim):
    process = victim.start()
    try:
        await hub.connected()
        cli = Path(sys.executable).parent / "safety-wrapper"
        second = await trio.run_process(
            [cli, "run", "--hub", hub.url, "--state", victim.state, "--listen", "127.0.0.1:0"],
            capture_stderr=True,
            check=False,
        )
    finally:
        process.kill()
        process.wait()
    assert second.returncode == 1
    assert b"another Safety Wrapper is running on the state folder" in second.stderr
