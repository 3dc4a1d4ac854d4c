"""Fixtures for every test: a real PostgreSQL, a fresh migrated database on it, and an open Database."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from controlplane.store.database import Database
from tests.postgres import PostgresServer, roomy_memory, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The session's PostgreSQL server."""
    # Not tmp_path_factory: its folders are long and a socket's path must be short.
    with (
        tempfile.TemporaryDirectory(prefix="hub-", dir=roomy_memory(), ignore_cleanup_errors=True) as folder,
        running_postgres(Path(folder)) as server,
    ):
        yield server


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    name = postgres.create()
    yield postgres.url_for(name)
    postgres.drop(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open Database on a fresh, migrated database."""
    async with Database.open(database_url, pool_size=4) as database:
        yield database


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's tests come last: Playwright keeps an asyncio loop running until the process ends."""
    items.sort(key=lambda item: "browser" in item.path.parts)
