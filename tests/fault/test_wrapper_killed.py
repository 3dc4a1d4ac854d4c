"""kill -9 of the real wrapper around journal, act and report: one effect where that can be, else "outcome unknown"."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.end_to_end.hub_process import until
from tests.end_to_end.world import Tenant, World
from tests.fault.wire import Wire
from tests.fault.wrapper_process import DONE, INTERRUPTED, WrapperProcess, check_kept_to_its_kind


class Pair:
    """A wrapper's process on a wire to the Hub."""

    def __init__(self, world: World, tenant: Tenant, wire: Wire, wrapper: WrapperProcess) -> None:
        self.world = world
        self.tenant = tenant
        self.wire = wire
        self.wrapper = wrapper
        self.seq = 0

    async def start(self, token: str | None = None) -> None:
        self.wrapper.start(self.wire.url, token)

    async def command(self, kind: str, stall: str | None = None) -> str:
        command = await self.tenant.command(kind, payload={} if stall is None else {"stall": stall})
        self.seq = command["seq"]
        return str(command["id"])

    async def again(self) -> None:
        """Kill it, lose what was on the wire, and start it anew."""
        self.wrapper.kill()
        await self.wire.cut()
        await self.start()

    async def ended(self, command_id: str) -> dict[str, Any]:
        """The command, once the Hub knows how it ended and the wrapper owes nothing more."""
        now: dict[str, Any] = {}

        async def known() -> bool:
            self.wrapper.running()
            now.update(await self.tenant.command_now(command_id))
            return now["status"] in ("SUCCEEDED", "FAILED")

        await until(known, what=f"the end of {command_id}")
        await until(lambda: not self.wrapper.journal("SELECT id FROM messages"), what="an empty outbox")
        return now

    def received(self) -> list[tuple[Any, ...]]:
        return self.wrapper.journal(f"SELECT seq FROM promises WHERE seq = {self.seq}")

    def owes_result(self) -> list[tuple[Any, ...]]:
        return self.wrapper.journal("SELECT id FROM messages WHERE kind = 'commandResult'")

    def taken(self) -> int:
        """How many results the Hub has committed."""
        return int(
            self.world.hub.value(
                "SELECT count(*) FROM tenant_inbox WHERE order_id = $1 AND kind = 'commandResult'", self.tenant.order
            )
        )


@pytest.fixture
async def pair(world: World, tmp_path: Path) -> AsyncIterator[Pair]:
    """A registered, connected wrapper that has its configuration."""
    order_id = await world.order()
    wrapper = WrapperProcess(tmp_path)
    async with Wire.laid(world.hub.port) as wire:
        try:
            wrapper.start(wire.url, await world.registration_token(order_id))

            def registered() -> int:
                statement = "SELECT config_applied_version FROM server_connections JOIN orders o ON o.id = order_id"
                rows = world.hub.sql(f"{statement} WHERE o.id = $1", Tenant(world, order_id, "", "").order)
                return int(rows[0][0]) if rows else 0

            await until(registered, what="a configured wrapper")
            yield Pair(world, Tenant(world, order_id, world.server_of(order_id), ""), wire, wrapper)
        finally:
            wrapper.kill()


both = pytest.mark.parametrize("kind", ["ONCE", "AGAIN"])


@both
async def test_before_the_journal(pair: Pair, kind: str) -> None:
    with pair.wrapper.journal_held():
        command = await pair.command(kind)
        sent = "SELECT status FROM remote_commands WHERE seq = $1 AND order_id = $2"
        await until(lambda: pair.world.hub.value(sent, pair.seq, pair.tenant.order) == "SENT")
        pair.wrapper.kill()
    assert pair.received() == []
    await pair.again()
    assert (await pair.ended(command))["status"] == "SUCCEEDED"
    assert pair.wrapper.steps(command) == DONE


@both
async def test_after_the_journal_before_the_acknowledgement(pair: Pair, kind: str) -> None:
    pair.wire.up.shut()
    command = await pair.command(kind)
    await until(pair.owes_result)
    assert pair.tenant.marks()[1] < pair.seq
    await pair.again()
    assert (await pair.ended(command))["status"] == "SUCCEEDED"
    assert pair.wrapper.steps(command) == DONE
    assert pair.taken() == 1


@both
@pytest.mark.parametrize("step", ["begun", "acted"])
async def test_in_the_middle_of_the_act(pair: Pair, kind: str, step: str) -> None:
    command = await pair.command(kind, stall=step)
    await until(lambda: step in [name for name, _ in pair.wrapper.steps(command)])
    await pair.again()
    ended = await pair.ended(command)
    before = DONE[: 1 + (step == "acted")]
    if kind == "ONCE":
        assert (ended["status"], ended["output"]) == ("FAILED", INTERRUPTED)
        assert pair.wrapper.steps(command) == before
        assert "command.interrupted" in pair.wrapper.log.read_text()
    else:
        assert (ended["status"], ended["output"]) == ("SUCCEEDED", "acted in run 2")
        assert pair.wrapper.steps(command) == [*before, ("begun", 2), ("acted", 2)]
    assert pair.taken() == 1


@both
async def test_after_the_report_before_its_acceptance(pair: Pair, kind: str) -> None:
    pair.wire.up.shut()  # so that the answer cannot come before the way back is shut
    command = await pair.command(kind)
    await until(pair.owes_result)
    pair.wire.down.shut()
    pair.wire.up.let_go()
    await until(lambda: pair.taken() == 1)
    assert pair.owes_result()
    await pair.again()
    assert (await pair.ended(command))["status"] == "SUCCEEDED"
    assert pair.wrapper.steps(command) == DONE
    assert pair.taken() == 1


@pytest.mark.slow
async def test_at_random_moments(pair: Pair) -> None:
    dice = random.Random(11)
    commands: dict[str, str] = {}
    for _ in range(6):
        for _ in range(dice.randrange(4, 10)):
            kind = dice.choice(["ONCE", "AGAIN"])
            commands[await pair.command(kind)] = kind
        await trio.sleep(dice.uniform(0, 0.08))
        await pair.again()
    for command, kind in commands.items():
        check_kept_to_its_kind(kind, await pair.ended(command), pair.wrapper.steps(command))
    assert pair.taken() == len(commands)
