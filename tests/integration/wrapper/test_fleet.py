"""Wrappers of a fleet: their agents ask, act and report; one flaps, one keeps its first configuration, one leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import rfc8785
import trio

from actors.runtime.ports import SeededRandomness
from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import KEY, HubPeer
from wrapper.fleet import Fleet, Member
from wrapper.habits import Habit, flapping, keeping_old
from wrapper.hub_address import HubAddress
from wrapper.keyring import Secret
from wrapper.script import Scenario, Wish

ASKED = Wish(tool="file_delete", says="IT Admin wants to delete tmp/* (47 files)", args={"path": "tmp/*"}, done="gone")
FAILS = Wish(tool="shell", says="IT Admin wants to upgrade", args={"command": "apt"}, fails="no network")
READ = Wish(tool="docker_list", says="IT Admin wants to look at the containers", done="18 running")


def script(*wishes: Wish) -> Scenario:
    return Scenario(about="a test", agents={"it-admin": list(wishes)}, opening=["it-admin"])


async def offer(hub: HubPeer, version: int = 1) -> None:
    agent = {
        "id": "agcfg_1",
        "orderId": "ord_1",
        "agentId": "it-admin",
        "name": "IT Admin",
        "role": "it-admin",
        "soulMd": "",
        "toolsAllowed": [],
        "toolsDenied": [],
        "toolProfile": "coding",
        "autonomyLevel": 2,
        "externalCommsUnlocks": None,
        "isActive": True,
        "toolOverrides": {},
    }
    config: dict[str, Any] = {
        "configVersion": version,
        "agents": [agent],
        "toolTable": {"file_delete": "red", "shell": "red", "docker_list": "green"},
        "modelRouting": {},
        "heartbeatSeconds": 30,
    }
    digest = hashlib.sha256(rfc8785.dumps(config)).hexdigest()
    config["configHash"] = digest
    await hub.promise("configOffered", configVersion=version, configHash=digest, config=config)


def effects(folder: Path) -> list[dict[str, Any]]:
    path = folder / "effects.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


RunMember = Callable[..., Any]


@pytest.fixture
def run_member(hub: HubPeer, tmp_path: Path) -> RunMember:
    @asynccontextmanager
    async def running(wanted: Scenario, **changes: Any) -> AsyncIterator[Fleet]:
        fields: dict[str, Any] = {"pace_seconds": 0.05, "folder": tmp_path, "dice": SeededRandomness(1), **changes}
        fleet = Fleet(HubAddress(hub.url), measure_resources=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fleet.run, Member(name="acme", key=Secret(KEY), script=wanted, **fields))
            yield fleet
            fleet.stop()

    return running


async def test_an_agent_asks_acts_when_allowed_and_reports(hub: HubPeer, run_member: RunMember, tmp_path: Path) -> None:
    async with run_member(script(ASKED)) as fleet:
        await offer(hub)
        request = await hub.message("approvalRequest")
        assert (request["agentId"], request["toolName"]) == ("it-admin", "file_delete")
        assert fleet.connected == 1
        assert effects(tmp_path) == []
        await hub.settle(request, "approve")
        outcome = await hub.message("approvalOutcome")
        assert (outcome["outcome"], outcome["detail"]) == ("executed", "gone")
        activity = await hub.message("activity")
        assert (activity["kind"], activity["data"]) == ("acted", {"tool": "file_delete"})
        assert [(one["tool"], one["args"]) for one in effects(tmp_path)] == [("file_delete", ASKED.args)]
        denied = await hub.message("approvalRequest", 2)
        await hub.settle(denied, "deny", reason="not today")
        told = await hub.message("activity", 2)
        assert (told["kind"], "not today" in told["summary"]) == ("stopped", True)
        assert len(effects(tmp_path)) == 1
        assert (fleet.tally.asked >= 2, fleet.tally.decided, fleet.tally.acted) == (True, 2, 1)
        backup = await hub.message("backupStatus")
        assert backup["status"] == "success"


async def test_a_wish_that_fails_is_reported_as_failed(hub: HubPeer, run_member: RunMember, tmp_path: Path) -> None:
    async with run_member(script(FAILS)):
        await offer(hub)
        await hub.settle(await hub.message("approvalRequest"), "approve")
        outcome = await hub.message("approvalOutcome")
        assert (outcome["outcome"], outcome["detail"]) == ("failed", "no network")
    assert effects(tmp_path) == []


async def test_what_needs_no_asking_is_done_without(hub: HubPeer, run_member: RunMember, tmp_path: Path) -> None:
    async with run_member(script(READ)) as fleet:
        await offer(hub)
        await hub.message("activity", 2)
        assert fleet.tally.asked == 0
    assert {one["tool"] for one in effects(tmp_path)} == {"docker_list"}


async def test_without_a_folder_nothing_is_written_and_commands_are_counted(
    hub: HubPeer, run_member: RunMember, tmp_path: Path
) -> None:
    async with run_member(script(READ), folder=None) as fleet:
        await hub.connected()
        done = await hub.result(await hub.command("RESTART_SERVICE", service="ghost"))
        assert (done["status"], done["output"].split(",")[0]) == ("succeeded", "ghost restarted")
        refused = await hub.result(await hub.command("RESTART_SERVICE"))
        assert (refused["status"], "which service" in refused["output"]) == ("failed", True)
        assert fleet.tally.commands == 1
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_one_that_leaves_asks_first_and_stays_away(
    hub: HubPeer, run_member: RunMember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wrapper.fleet.STAY_SECONDS", 2.0)
    async with run_member(script(ASKED), habit=Habit.LEAVES) as fleet:
        await offer(hub)
        await hub.message("approvalRequest")
        await hub.until(lambda: hub.socket is None)
        with trio.fail_after(20):
            while fleet.running:  # noqa: ASYNC110 - a fleet tells nobody
                await trio.sleep(0.01)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            Fleet(HubAddress(hub.url)).run,
            Member("acme", Secret(KEY), script(ASKED), 1, SeededRandomness(1), tmp_path, Habit.LEAVES),
        )
    assert len(hub.hellos) == 1


async def test_one_that_flaps_comes_back_and_loses_nothing(
    hub: HubPeer, open_wrapper: OpenWrapper, nursery: trio.Nursery
) -> None:
    async with open_wrapper(dial=flapping(nursery, SeededRandomness(1), seconds=0.2)) as wrapper:
        await hub.connected(2)
        command = await hub.command("PING")
        assert (await hub.result(command))["status"] == "succeeded"
        await hub.connected(4)
        assert len(hub.results(command)) == 1
        assert wrapper.link.state.last_ending == "lost"


async def test_one_that_is_too_old_keeps_its_first_configuration_through_a_restart(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
) -> None:
    kept = tmp_path / "first"
    async with open_wrapper(appliers=(keeping_old(kept),)) as wrapper:
        await hub.connected()
        await offer(hub, 1)
        assert (await hub.message("configApplied"))["ok"]
        await offer(hub, 2)
        refused = await hub.message("configApplied", 2)
        assert (refused["ok"], refused["configVersion"], "keeps 1" in refused["error"]) == (False, 2, True)
        assert wrapper.configuration.current is not None
        assert wrapper.configuration.current.config_version == 1
    async with open_wrapper(appliers=(keeping_old(kept),)):
        await hub.connected(2)
        await offer(hub, 3)
        assert not (await hub.message("configApplied", 3))["ok"]
