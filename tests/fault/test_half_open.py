"""A peer that is there and says nothing, as behind a partition without FIN: found by its silence, its promises kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from tests.end_to_end.fixtures import OpenHub
from tests.end_to_end.hub_process import HubProcess
from tests.end_to_end.world import Ground, World

BEAT = {"type": "heartbeat", "status": "healthy"}


@pytest.fixture(scope="module")
def hasty_hub(open_hub: OpenHub) -> Iterator[HubProcess]:
    with open_hub(HUB_HEARTBEAT_SECONDS="1") as hub:
        yield hub
        assert hub.bugs() == []


@pytest.fixture
async def world(hasty_hub: HubProcess, ground: Ground) -> AsyncIterator[World]:
    async with World.around(hasty_hub, ground) as world:
        yield world


async def test_three_silent_heartbeats_end_the_session_and_keep_its_promises(world: World) -> None:
    tenant = await world.tenant()
    seen = []
    async with tenant.dial() as wrapper:
        welcome = await wrapper.hello(**tenant.journal)
        assert welcome["heartbeatSeconds"] == 1
        began = trio.current_time()
        await wrapper.say(BEAT)
        command = await tenant.command()

        async def watch() -> None:
            while True:
                presence = (await tenant.health())["presence"]
                if presence not in seen:
                    seen.append(presence)
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            code, words = await wrapper.closed()
            nursery.cancel_scope.cancel()
        assert code == 4004
        assert "silent" in words
        assert 2.5 < trio.current_time() - began < 20
    assert seen[:2] == ["online", "late"]
    assert (await tenant.health())["presence"] == "offline"
    assert await world.hub.until_logged("tenant.socket_closed", tenant=f"tenant/{tenant.order_id}", code=4004)
    async with tenant.connected() as wrapper:
        assert (await wrapper.promise("command"))["id"] == command["id"]


async def test_any_frame_proves_life(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        for _ in range(10):
            await trio.sleep(0.5)
            await wrapper.say({"type": "telepathy"} if _ % 2 else BEAT)
        await wrapper.ask()
    assert not world.hub.logged("tenant.socket_closed", tenant=f"tenant/{tenant.order_id}", code=4004)
