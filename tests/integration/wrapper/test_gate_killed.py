"""kill -9 of a wrapper process around an agent's request, grant, use and outcome: at most one `allow`, one question."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.integration.wrapper.hub_peer import HubPeer

CALL = {
    "agentId": "it-admin",
    "toolName": "shell",
    "toolArgs": {"n": 1},
    "requestId": "the-one",
    "waitSeconds": 30,
}


class Gatekeeper:
    """Lives of one wrapper on one state folder; each may be made to die at a point."""

    def __init__(self, hub: HubPeer, state: Path) -> None:
        self._hub = hub
        self._state = state
        state.mkdir(mode=0o700)

    def _start(self, point: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.integration.wrapper.victim", self._hub.url, str(self._state), point]
        return subprocess.Popen(command, env={**os.environ, "AT_THE_GATE": "1"}, stderr=subprocess.DEVNULL)

    @asynccontextmanager
    async def life(self, point: str = "never") -> AsyncIterator[Life]:
        port_file = self._state / "port"
        port_file.unlink(missing_ok=True)
        process = self._start(point)
        try:
            with trio.fail_after(30):
                # It may die before it has a port.
                while not port_file.exists() and process.poll() is None:  # noqa: ASYNC110 (a file does not tell)
                    await trio.sleep(0.02)
            yield Life(process, int(port_file.read_text()) if port_file.exists() else 0)
        finally:
            process.kill()
            process.wait()
        await self._hub.until(lambda: self._hub.socket is None)


class Life:
    """One of them."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._url = f"http://127.0.0.1:{port}"

    async def post(self, path: str = "/gate", **changes: Any) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=60) as client:
            answer = await client.post(path, json=changes if path != "/gate" else CALL | changes)
        return answer.json()

    async def unanswered(self, path: str = "/gate", **changes: Any) -> None:
        """Ask, and be told nothing."""
        with contextlib.suppress(httpx.HTTPError):
            raise AssertionError(await self.post(path, **changes))
        await self.dies()

    async def dies(self) -> None:
        with trio.fail_after(30):
            code = await trio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
        assert code == -signal.SIGKILL


@pytest.fixture
def gatekeeper(hub: HubPeer, tmp_path: Path) -> Gatekeeper:
    return Gatekeeper(hub, tmp_path / "state")


def requests(hub: HubPeer) -> list[dict[str, Any]]:
    return [frame for frame in hub.taken.values() if frame["type"] == "approvalRequest"]


async def test_a_request_that_was_kept_is_not_made_again(hub: HubPeer, gatekeeper: Gatekeeper, nursery: trio.Nursery):
    async with gatekeeper.life("after-request") as life:
        await life.unanswered()
    async with gatekeeper.life() as life:
        request = await hub.message("approvalRequest")
        await hub.settle(request, "approve")
        answer = await life.post()
    assert answer["decision"] == "allow"
    assert len(requests(hub)) == 1


async def test_a_grant_that_was_not_used_up_opens_in_the_next_life(hub: HubPeer, gatekeeper: Gatekeeper):
    async with gatekeeper.life() as life:
        assert (await life.post(waitSeconds=0))["decision"] == "pending"
        request = await hub.message("approvalRequest")
    await hub.settle(request, "approve")
    async with gatekeeper.life("after-settle") as life:
        await life.dies()
    async with gatekeeper.life("before-use") as life:
        await hub.acked(1)
        await life.unanswered()
    async with gatekeeper.life() as life:
        answers = [(await life.post())["decision"] for _ in range(2)]
    assert answers == ["allow", "deny"]
    assert len(requests(hub)) == 1


async def test_a_grant_that_was_used_up_opens_nothing_though_nobody_heard(hub: HubPeer, gatekeeper: Gatekeeper):
    async with gatekeeper.life("after-use") as life:
        await life.post(waitSeconds=0)
        await hub.settle(await hub.message("approvalRequest"), "approve")
        await hub.acked(1)
        await life.unanswered()
    async with gatekeeper.life() as life:
        again = await life.post()
        told = await life.post("/gate/the-one/outcome", outcome="failed", detail="never heard that it may")
        outcome = await hub.message("approvalOutcome")
    assert (again["decision"], "released once already" in again["reason"]) == ("deny", True)
    assert told == {"requestId": "the-one", "outcome": "failed"}
    assert (outcome["outcome"], outcome["detail"]) == ("failed", "never heard that it may")


@pytest.mark.parametrize("point", ["before-outcome", "after-outcome"])
async def test_an_outcome_is_told_once_however_often_it_is_said(hub: HubPeer, gatekeeper: Gatekeeper, point: str):
    async with gatekeeper.life(point) as life:
        await life.post(waitSeconds=0)
        await hub.settle(await hub.message("approvalRequest"), "approve")
        await hub.acked(1)
        assert (await life.post())["decision"] == "allow"
        await life.unanswered("/gate/the-one/outcome", outcome="executed")
    async with gatekeeper.life() as life:
        for _ in range(2):
            assert (await life.post("/gate/the-one/outcome", outcome="executed"))["outcome"] == "executed"
        await hub.message("approvalOutcome")
        assert (await life.post())["decision"] == "deny"
    assert len([frame for frame in hub.taken.values() if frame["type"] == "approvalOutcome"]) == 1
