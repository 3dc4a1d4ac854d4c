"""kill -9 of the real wrapper while sockets are blocked: what HTTP and webhooks brought is done once, and told."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.hub_process import free_port, until
from tests.end_to_end.middlebox import Middlebox
from tests.end_to_end.world import Tenant, World
from tests.fault.wrapper_process import DONE, INTERRUPTED, WrapperProcess, check_kept_to_its_kind

RESULT = "/result"
HEARTBEAT = "/heartbeat"
SECONDS = 100
REQUEST = {
    "agentId": "it-admin",
    "toolName": "wipe_folder",
    "toolArgs": {"path": "/tmp/x"},
    "requestId": "the-one",
    "waitSeconds": 0,
}


class Blocked:
    """A wrapper's process behind a box that lets no socket through.

    Args:
        webhooks: whether the Hub pushes to it too; else promises come with the answers to heartbeats.
    """

    def __init__(
        self, world: World, tenant: Tenant, box: Middlebox, wrapper: WrapperProcess, *, webhooks: bool
    ) -> None:
        self.world = world
        self.tenant = tenant
        self.box = box
        self.wrapper = wrapper
        self._here = f"127.0.0.1:{free_port()}"
        self.webhooks = webhooks

    def start(self, token: str | None = None) -> None:
        options = ["--listen", self._here]
        if self.webhooks:
            options += ["--webhook-url", f"http://{self._here}"]
        self.wrapper.start(self.box.url, token, options=options)

    async def again(self) -> None:
        """Kill it, lose what was on the way, and start it anew."""
        self.wrapper.kill()
        await self.box.cut()
        self.start()

    async def command(self, kind: str, stall: str | None = None) -> dict[str, Any]:
        return await self.tenant.command(kind, payload={} if stall is None else {"stall": stall})

    async def ended(self, command: dict[str, Any]) -> dict[str, Any]:
        """The command, once the Hub knows how it ended and the wrapper owes nothing more."""
        now: dict[str, Any] = {}

        async def known() -> bool:
            self.wrapper.running()
            now.update(await self.tenant.command_now(command["id"]))
            return now["status"] in ("SUCCEEDED", "FAILED")

        await until(known, what=f"the end of {command['id']}", seconds=SECONDS)
        await until(lambda: not self.wrapper.journal("SELECT id FROM messages"), what="an empty outbox", seconds=60)
        return now

    async def ask(self, **changes: Any) -> dict[str, Any]:
        """An agent's call at the gate, as soon as the wrapper answers."""
        answers: list[dict[str, Any]] = []

        async def answered() -> bool:
            self.wrapper.running()
            async with httpx.AsyncClient(trust_env=False, timeout=60) as agent:
                try:
                    answer = await agent.post(f"http://{self._here}/gate", json={**REQUEST, **changes})
                except httpx.TransportError:
                    return False
            if answer.status_code == 503:
                return False  # its journal is not open yet
            assert answer.is_success, answer.text
            answers.append(answer.json())
            return True

        await until(answered, what="an answer of the gate", seconds=60)
        return answers[0]

    def received(self, command: dict[str, Any]) -> list[tuple[Any, ...]]:
        return self.wrapper.journal(f"SELECT seq FROM promises WHERE seq = {command['seq']}")

    def taken(self) -> int:
        """How many results the Hub has committed."""
        statement = "SELECT count(*) FROM tenant_inbox WHERE order_id = $1 AND kind = 'commandResult'"
        return int(self.world.hub.value(statement, self.tenant.order))

    async def until_sent(self, command: dict[str, Any]) -> None:
        """The Hub has given it to a carrier."""
        sent = "SELECT status FROM remote_commands WHERE seq = $1 AND order_id = $2"
        value = self.world.hub.value
        await until(lambda: value(sent, command["seq"], self.tenant.order) == "SENT", what="SENT", seconds=SECONDS)

    async def until_begun(self, command: dict[str, Any], step: str) -> None:
        steps = self.wrapper.steps
        await until(lambda: step in [name for name, _ in steps(command["id"])], what=step, seconds=SECONDS)

    async def until_all_told(self, last: dict[str, Any]) -> None:
        """The Hub knows up to where the journal reaches, and the journal has no hole."""
        await until(lambda: self.tenant.marks() == (last["seq"], last["seq"]), what="the mark", seconds=SECONDS)
        numbers = [row[0] for row in self.wrapper.journal("SELECT seq FROM promises ORDER BY seq")]
        assert numbers == list(range(1, last["seq"] + 1))


@pytest.fixture(params=["heartbeats", "webhooks"])
async def blocked(request: Any, world: World, tmp_path: Path) -> AsyncIterator[Blocked]:
    """Registered and configured, on HTTP; a request waits for its decision, so that heartbeats come every 5 s."""
    order_id = await world.order()
    wrapper = WrapperProcess(tmp_path)
    order = Tenant(world, order_id, "", "").order
    async with Middlebox.placed(world.hub.port) as box:
        try:
            tenant = Tenant(world, order_id, "", "")
            blocked = Blocked(world, tenant, box, wrapper, webhooks=request.param == "webhooks")
            blocked.start(await world.registration_token(order_id))
            applied = "SELECT config_applied_version FROM server_connections WHERE order_id = $1"
            await until(
                lambda: (world.hub.sql(applied, order) or [(0,)])[0][0], what="a configured wrapper", seconds=90
            )
            tenant.server_id = world.server_of(order_id)
            assert (await blocked.ask())["decision"] == "pending"
            yield blocked
        finally:
            wrapper.kill()


async def test_before_the_journal(blocked: Blocked) -> None:
    if blocked.webhooks:
        with blocked.wrapper.journal_held():
            command = await blocked.command("ONCE")
            await blocked.until_sent(command)
            blocked.wrapper.kill()
    else:
        blocked.box.hold_answers(HEARTBEAT)
        command = await blocked.command("ONCE")
        await blocked.until_sent(command)
        blocked.wrapper.kill()
    assert blocked.received(command) == []
    await blocked.again()
    assert (await blocked.ended(command))["status"] == "SUCCEEDED"
    assert blocked.wrapper.steps(command["id"]) == DONE
    assert blocked.taken() == 1
    await blocked.until_all_told(command)


@pytest.mark.parametrize(("kind", "step"), [("ONCE", "acted"), ("AGAIN", "begun")])
async def test_in_the_middle_of_the_act(blocked: Blocked, kind: str, step: str) -> None:
    command = await blocked.command(kind, stall=step)
    await blocked.until_begun(command, step)
    await blocked.again()
    ended = await blocked.ended(command)
    if kind == "ONCE":
        assert (ended["status"], ended["output"]) == ("FAILED", INTERRUPTED)
        assert blocked.wrapper.steps(command["id"]) == DONE
    else:
        assert (ended["status"], ended["output"]) == ("SUCCEEDED", "acted in run 2")
        assert blocked.wrapper.steps(command["id"]) == [("begun", 1), ("begun", 2), ("acted", 2)]
    assert blocked.taken() == 1
    await blocked.until_all_told(command)


async def test_after_the_report_before_its_acceptance(blocked: Blocked) -> None:
    blocked.box.hold_answers(RESULT)
    command = await blocked.command("ONCE")
    await until(lambda: blocked.taken() == 1, what="the result, at the Hub", seconds=SECONDS)
    assert blocked.wrapper.journal("SELECT id FROM messages WHERE kind = 'commandResult'")
    await blocked.again()
    assert (await blocked.ended(command))["status"] == "SUCCEEDED"
    assert blocked.wrapper.steps(command["id"]) == DONE
    assert blocked.taken() == 1
    await blocked.until_all_told(command)


@pytest.mark.slow
async def test_at_random_moments(blocked: Blocked) -> None:
    dice = random.Random(23)
    commands: list[tuple[dict[str, Any], str]] = []
    for _ in range(3):
        mine = []
        for _ in range(dice.randrange(3, 7)):
            kind = dice.choice(["ONCE", "AGAIN"])
            mine.append(await blocked.command(kind))
            commands.append((mine[-1], kind))
        await blocked.until_begun(dice.choice(mine), "begun")
        await blocked.again()
    for command, kind in commands:
        check_kept_to_its_kind(kind, await blocked.ended(command), blocked.wrapper.steps(command["id"]))
    assert blocked.taken() == len(commands)
    await blocked.until_all_told(commands[-1][0])

    # What was asked before the kills is still asked once, and opens once.
    waiting = f"/api/v1/customer/approvals?orderId={blocked.tenant.order_id}&status=PENDING"
    asked = [one for one in await blocked.world.customer.ok("GET", waiting) if one["toolName"] == "wipe_folder"]
    assert len(asked) == 1
    assert (await blocked.world.customer.decide(asked[0]["id"], "approve")).status_code == 200
    assert (await blocked.ask(waitSeconds=100))["decision"] == "allow"
    assert (await blocked.ask(waitSeconds=100))["decision"] == "deny"
