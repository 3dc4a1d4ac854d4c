"""kill -9 of the Hub between commit and push, between push and acknowledgement, and anywhere: nothing lost or doubled.

The moment between commit and push is held open from outside: PostgreSQL is told to wait for a standby that does not
exist, so a COMMIT is on the disk while the Hub still waits for its word.
"""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest
import trio
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.end_to_end.hub_process import HubProcess, until
from tests.end_to_end.scripted_wrapper import ScriptedWrapper, approval_request
from tests.end_to_end.world import World

# httpx leaves the body's generator behind when the connection breaks under it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def hold_commits(hub: HubProcess) -> None:
    hub.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    hub.sql("SELECT pg_reload_conf()")


def release_commits(hub: HubProcess) -> None:
    """For the server's next start; this one ended with its Hub."""
    settings = hub.state / "postgres" / "data" / "postgresql.auto.conf"
    kept = [line for line in settings.read_text().splitlines() if "synchronous_standby_names" not in line]
    settings.write_text("\n".join([*kept, ""]))


async def until_committed_but_not_told(hub: HubProcess) -> None:
    """A transaction is on the disk, and its COMMIT has not been answered."""
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    await until(lambda: hub.value(statement) > 0, what="a commit that waits")


async def killed_at_commit(hub: HubProcess) -> None:
    await until_committed_but_not_told(hub)
    hub.kill()
    release_commits(hub)
    hub.start()


async def test_between_commit_and_push_of_a_decision(own_world: World) -> None:
    world, hub = own_world, own_world.hub
    tenant = await world.tenant()
    unanswered: list[str] = []

    async def decide(approval_id: str) -> None:
        with pytest.raises(httpx.TransportError) as lost:
            await world.customer.decide(approval_id, "approve")
        unanswered.append(type(lost.value).__name__)

    async with tenant.connected() as wrapper:
        approval = await tenant.approval_of(await wrapper.ask())
        hold_commits(hub)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(decide, approval["id"])
            await killed_at_commit(hub)
        assert unanswered
        assert await wrapper.closed() == (None, "")
        assert [frame["type"] for frame in wrapper.heard] == ["welcome", "accepted"]  # it was not pushed

    now = await world.customer.ok("GET", f"/api/v1/customer/approvals/{approval['id']}")
    assert (now["status"], now["decidedBy"]["name"]) == ("APPROVED", "Maria Weber")
    async with tenant.connected() as wrapper:
        frame = await wrapper.promise()
        assert (frame["type"], frame["seq"], frame["action"]) == ("approvalSettled", 2, "approve")
        await wrapper.ack()
        assert await wrapper.hears_nothing_before(approval_request(), "accepted") == []
    late = await world.customer.decide(approval["id"], "deny")  # who tries again is told that it was he
    assert late.status_code == 409
    assert late.json()["error"]["details"]["status"] == "APPROVED"
    audit = "SELECT count(*) FROM audit_entries WHERE target = $1"
    assert hub.value(audit, approval["id"]) == 1
    assert len(tenant.promises()) == 2
    assert hub.bugs() == []


async def test_between_commit_and_acceptance_of_a_message(own_world: World) -> None:
    world, hub = own_world, own_world.hub
    tenant = await world.tenant()
    request = approval_request(expiresInSeconds=600)
    async with tenant.connected() as wrapper:
        hold_commits(hub)
        await wrapper.say(request)
        await killed_at_commit(hub)
        assert await wrapper.closed() == (None, "")
        assert [frame["type"] for frame in wrapper.heard] == ["welcome"]
    async with tenant.connected() as wrapper:
        assert await wrapper.verdict(request) == {"type": "accepted", "ids": [request["id"]]}
    assert (await tenant.approval_of(request))["status"] == "PENDING"
    assert hub.value("SELECT count(*) FROM tenant_inbox WHERE message_id = $1", request["id"]) == 1


@pytest.mark.parametrize("journalled", [False, True], ids=["before the journal", "after the journal"])
async def test_between_push_and_acknowledgement(own_world: World, journalled: bool) -> None:
    world, hub = own_world, own_world.hub
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        command = await tenant.command()
        pushed = await wrapper.promise("command")
        hub.kill()
        assert await wrapper.closed() == (None, "")
    hub.start()
    assert tenant.marks() == (2, 1)
    async with tenant.connected(lastSeq=2 if journalled else 1) as wrapper:
        if journalled:  # hello said so; it is not sent again
            assert await wrapper.hears_nothing_before(approval_request(), "accepted") == []
            await tenant.until_acknowledged(2)
            assert (await tenant.command_now(command["id"]))["status"] == "ACKNOWLEDGED"
        else:  # the very same frame again
            assert await wrapper.promise() == pushed
    assert len(tenant.promises()) == 2


async def test_expiries_of_the_time_the_hub_was_dead_are_made_good_at_its_start(own_world: World) -> None:
    world, hub = own_world, own_world.hub
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        request = await wrapper.ask(expiresInSeconds=2)
        command = await tenant.command(expiresInSeconds=2)
        await wrapper.promise("command")
        hub.kill()
    await trio.sleep(2)
    hub.start()
    await until(lambda: len(tenant.promises("approvalSettled")) == 1)
    async with tenant.connected() as wrapper:
        assert await wrapper.promise() == {"type": "void", "seq": 2}
        settled = await wrapper.promise()
        assert (settled["seq"], settled["action"], settled["requestId"]) == (3, "expire", request["id"])
    assert (await tenant.command_now(command["id"]))["status"] == "EXPIRED"


class Ledger:
    """What was answered to people, and what a wrapper has in its journal."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.journal: dict[int, dict[str, Any]] = {}
        self.acked = 0
        self.gaps: list[tuple[int, int]] = []

    def write(self, frame: dict[str, Any]) -> None:
        if frame["seq"] in self.journal:
            assert self.journal[frame["seq"]] == frame, "the same number for something else"
        elif frame["seq"] != len(self.journal) + 2:
            self.gaps.append((len(self.journal) + 1, frame["seq"]))
        self.journal[frame["seq"]] = frame


@pytest.mark.slow
async def test_at_random_moments_under_load(own_world: World) -> None:
    world, hub = own_world, own_world.hub
    tenant = await world.tenant()
    ledger, kills, dice = Ledger(), 5, random.Random(7)
    done = trio.Event()

    async def issue() -> None:
        while not done.is_set():
            try:
                ledger.answered.append((await tenant.command())["id"])
            except (httpx.TransportError, AssertionError):  # the Hub is away, or going
                await trio.sleep(0.05)

    async def take(wrapper: ScriptedWrapper) -> None:
        while True:
            frame = await wrapper.promise()
            ledger.write(frame)
            if dice.random() < 0.3:
                await wrapper.ack(frame["seq"])
                ledger.acked = frame["seq"]

    async def live() -> None:
        while True:
            try:
                async with tenant.connected(lastSeq=len(ledger.journal) + 1) as wrapper:
                    await take(wrapper)
            except (ConnectionClosed, OSError, InvalidHandshake, trio.TooSlowError):
                await trio.sleep(0.05)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        for _ in range(4):
            nursery.start_soon(issue)
        for _ in range(kills):
            goal = len(ledger.answered) + 30
            await until(lambda goal=goal: len(ledger.answered) >= goal)
            await trio.sleep(dice.uniform(0, 0.05))
            hub.kill()
            hub.start()
        done.set()
        await until(lambda: set(ledger.answered) <= {frame.get("id") for frame in ledger.journal.values()})
        nursery.cancel_scope.cancel()

    assert ledger.gaps == []
    ids = [frame["id"] for frame in ledger.journal.values()]
    assert len(ids) == len(set(ids))
    assert set(ledger.answered) <= set(ids)  # nothing that was answered is lost
    assert tenant.marks()[1] <= len(ids) + 1
    assert hub.bugs() == []
