"""An order's actor on a virtual clock."""

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

__all__ = ["pytest_itemcollected"]


@pytest.fixture
def book() -> FakeOrderBook:
    return FakeOrderBook()


@pytest.fixture
async def system(book: FakeOrderBook) -> AsyncIterator[ActorSystem]:
    clock = VirtualClock(datetime(2026, 3, 15, 14, 0, tzinfo=UTC))
    async with ActorSystem.open(clock=clock, randomness=SeededRandomness(7), refusals=(Fault,)) as system:
        plant(system, tenant_book=FakeTenantBook(system.ids), order_book=book, heartbeat_seconds=30)
        yield system
