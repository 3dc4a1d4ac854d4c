"""The installed wrapper with its agents, killed again and again: no grant acts twice, no denial acts at all."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
import trio

from protocol.ids import parse_id
from tests.end_to_end.hub_process import until
from tests.end_to_end.world import World
from tests.fault.wrapper_process import WrapperProcess

DENIED = ("shell", "ghost_post_update", "email_send")


@pytest.mark.slow
async def test_agents_act_once_for_each_approval_and_never_without(world: World, tmp_path: Path) -> None:
    order_id = await world.order()
    wrapper = WrapperProcess(tmp_path, "wrapper.cli")
    dice = random.Random(3)
    decided: Counter[str] = Counter()
    order = parse_id("ord", order_id)
    outcomes = "SELECT tool_name, status, outcome, outcome_detail FROM command_approvals WHERE order_id = $1"

    enough = trio.Event()

    async def decide() -> None:
        while not enough.is_set():
            pending = await world.customer.ok("GET", f"/api/v1/customer/approvals?orderId={order_id}&pageSize=100")
            for approval in pending:
                action = "deny" if approval["toolName"] in DENIED else "approve"
                answer = await world.customer.decide(approval["id"], action)
                assert answer.status_code == 200, answer.text
                decided[action] += 1
            await trio.sleep(0.02)

    async def decisions(more: int) -> None:
        goal = decided.total() + more
        await until(lambda: wrapper.running() and decided.total() >= goal, what=f"{goal} decisions, {decided}")

    try:
        wrapper.start(world.hub.url, await world.registration_token(order_id), pace_seconds=0.1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(decide)
            for _ in range(5):
                await decisions(8)
                await trio.sleep(dice.uniform(0, 0.1))
                wrapper.kill()
                wrapper.start(world.hub.url, pace_seconds=0.1)
            await decisions(8)
            enough.set()
        # Without a pace it asks for nothing new, and settles what is open.
        assert await trio.to_thread.run_sync(wrapper.terminate) == 0
        wrapper.start(world.hub.url)
        open_ends = (
            "SELECT count(*) FROM command_approvals WHERE order_id = $1 AND status = 'APPROVED' AND outcome IS NULL"
        )
        await until(lambda: world.hub.value(open_ends, order) == 0)
    finally:
        import shutil

        shutil.copy(world.hub.log, str(tmp_path / "hub.log"))
        wrapper.kill()

    ended = world.hub.sql(outcomes, order)
    acted = Counter(one["tool"] for one in wrapper.effects())
    executed = Counter(row[0] for row in ended if row[2] == "executed")
    unknown = Counter(row[0] for row in ended if row[2] == "failed")
    assert {row[3] for row in ended if row[2] == "failed"} <= {"interrupted, outcome unknown"}
    assert executed.total() > 0
    for tool in {row[0] for row in ended}:
        assert executed[tool] <= acted[tool] <= executed[tool] + unknown[tool], tool
    assert decided["deny"] > 0
    assert not any(acted[tool] for tool in DENIED)
    assert all(row[1] == "DENIED" for row in ended if row[0] in DENIED and row[1] != "PENDING")
    key = world.hub.log.read_text().count("hk_")
    assert key == 0
    assert "hk_" not in wrapper.log.read_text()
