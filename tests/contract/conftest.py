"""Each test of the contract runs twice: on the book in memory, and on the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actors.runtime.ports import SystemClock, SystemIds, SystemRandomness
from controlplane.store.database import Database
from tests.contract.shelves import FakeShelf, PostgresShelf, Shelf, Tenant, registered
from tests.fakes.tenant_book import FakeTenantBook


@pytest.fixture(params=["memory", "postgres"])
def place(request: pytest.FixtureRequest) -> str | None:
    """The URL of a fresh database, or None: in memory."""
    return request.getfixturevalue("database_url") if request.param == "postgres" else None


@pytest.fixture
async def shelf(place: str | None) -> AsyncIterator[Shelf]:
    if place is None:
        yield FakeShelf(FakeTenantBook(SystemIds(SystemClock(), SystemRandomness())))
        return
    async with Database.open(place, pool_size=4) as database:
        yield PostgresShelf(database)


@pytest.fixture
async def tenant(shelf: Shelf) -> Tenant:
    """A tenant whose server is registered."""
    return await registered(shelf)
