"""A tenant's actor on a virtual clock; time passes only when everybody waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from actors.root import plant
from actors.runtime import ActorSystem, SeededRandomness, VirtualClock
from protocol.faults import Fault
from tests.fakes.order_book import FakeOrderBook
from tests.fakes.tenant_book import FakeTenantBook
from tests.unit.actors.runtime.conftest import pytest_itemcollected
from tests.unit.actors.tenant.world import HEARTBEAT_SECONDS, World

__all__ = ["pytest_itemcollected"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = VirtualClock(datetime(2026, 3, 15, 14, 0, tzinfo=UTC))
    async with ActorSystem.open(clock=clock, randomness=SeededRandomness(7), refusals=(Fault,)) as system:
        book = FakeTenantBook(system.ids)
        plant(system, tenant_book=book, order_book=FakeOrderBook(), heartbeat_seconds=HEARTBEAT_SECONDS)
        yield World(system, book)
