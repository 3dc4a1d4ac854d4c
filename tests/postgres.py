"""A real PostgreSQL for the tests: one server a session, a fresh migrated database wherever one is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import trio

from controlplane.store.database import Database
from controlplane.store.embedded import EmbeddedPostgres
from controlplane.store.migrate import migrate

TEMPLATE = "hub_template"

# The files vanish with the session, so nothing needs to reach the disk. Tests of durability start their own server.
HASTY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "200"}


def roomy_memory() -> str | None:
    """A folder in memory, where a database is made several times quicker; None where there is too little of it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * 1024**3
    return str(memory) if roomy else None


class PostgresServer:
    """The session's server. It lives on a thread of its own with real clocks, whatever clock a test uses."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self._numbers = itertools.count(1)

    def url_for(self, name: str) -> str:
        """The SQLAlchemy URL of a database."""
        return self._postgres.url_for(name)

    def create(self, *, template: str = TEMPLATE) -> str:
        """Make a database (migrated; `template="template0"`: empty) and return its name."""
        name = f"test_{next(self._numbers)}"
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')  # the quicker one here
        return name

    def drop(self, name: str) -> None:
        """Remove a database, ending whoever still uses it."""
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def run(self, statement: str, database: str = "postgres") -> None:
        """Run one statement outside any transaction. Not from within an async test: it blocks."""
        asyncio.run(self._run(statement, database))

    async def _run(self, statement: str, database: str) -> None:
        connection = await asyncpg.connect(host=str(self._postgres.home), user="hub", database=database)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


async def _migrate_template(url: str) -> None:
    async with Database.open(url, pool_size=1) as database:
        await migrate(database)


@contextlib.contextmanager
def running_postgres(state_dir: Path) -> Iterator[PostgresServer]:
    """Run the session's server, with the template database migrated."""
    ready: list[EmbeddedPostgres | BaseException] = []
    changed = threading.Event()
    stop = trio.Event()
    tokens: list[trio.lowlevel.TrioToken] = []

    async def live() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        async with EmbeddedPostgres.open(state_dir, settings=HASTY) as postgres:
            ready.append(postgres)
            changed.set()
            await stop.wait()

    def thread_main() -> None:
        try:
            trio.run(live)
        except BaseException as error:
            ready.append(error)
            changed.set()

    thread = threading.Thread(target=thread_main, name="test-postgres", daemon=True)
    thread.start()
    changed.wait()
    if isinstance(ready[0], BaseException):
        raise ready[0]
    try:
        server = PostgresServer(ready[0])
        server.run(f"CREATE DATABASE {TEMPLATE}")
        trio.run(_migrate_template, server.url_for(TEMPLATE))
        yield server
    finally:
        tokens[0].run_sync_soon(stop.set)
        thread.join()
