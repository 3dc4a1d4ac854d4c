"""A virtual clock for every test here, and a house of people to talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from typing import Any

import pytest
import trio
import trio.testing

from actors.runtime import ActorSystem, SeededRandomness, VirtualClock
from tests.unit.actors.runtime.people import PATIENT, House, Refused


def run_on_virtual_clock(
    test: Callable[..., Awaitable[Any]],
    *,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> Any:
    """Time passes when everybody waits. (`autojump_clock` counts only where the test itself asks for it.)"""
    virtual = clock or trio.testing.MockClock(autojump_threshold=0)
    return trio.run(test, clock=virtual, instruments=instruments)


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, pytest.Function) and iscoroutinefunction(item.obj):
        item.add_marker(pytest.mark.trio(run=run_on_virtual_clock))


@pytest.fixture
async def system() -> AsyncIterator[ActorSystem]:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with ActorSystem.open(clock=clock, randomness=SeededRandomness(7), refusals=(Refused,)) as system:
        yield system


@pytest.fixture
async def house(system: ActorSystem) -> House:
    house = House(system)
    system.register("person", house.person, supervision=PATIENT, mailbox_size=8, control_size=3)
    return house
