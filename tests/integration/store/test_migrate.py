"""Migrations: each step once, whoever asks, from wherever the Hub was started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from sqlalchemy import Connection, text

from controlplane.store.database import Database
from controlplane.store.migrate import ADVISORY_LOCK, SchemaUnknown, migrate, pending
from protocol.faults import Overloaded
from tests.postgres import PostgresServer


def run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


@pytest.fixture
def empty_url(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.create(template="template0")
    yield postgres.url_for(name)
    postgres.drop(name)


async def test_an_empty_database_gets_every_step_in_order(empty_url: str):
    async with Database.open(empty_url) as database:
        steps = await pending(database)
        assert steps
        assert steps == sorted(steps)
        assert await migrate(database) == steps
        assert await pending(database) == []
        assert await migrate(database) == []


async def test_nodes_that_start_at_once_apply_each_step_once(empty_url: str):
    applied: list[list[str]] = []

    async def node() -> None:
        async with Database.open(empty_url, pool_size=2) as database:
            applied.append(await migrate(database))

    async with Database.open(empty_url) as database:
        steps = await pending(database)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node)
            nursery.start_soon(node)
            for _ in range(2):  # and twice within one node
                nursery.start_soon(migrate, database)
        assert sorted(applied, key=len) in ([[], []], [[], steps])
        assert await pending(database) == []


async def test_steps_are_found_from_any_folder(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    async with Database.open(empty_url) as database:
        assert await migrate(database)


async def test_a_step_that_this_hub_does_not_know_is_named(database: Database):
    await database.write(run, "UPDATE alembic_version SET version_num = '9999_from_the_future'")
    with pytest.raises(SchemaUnknown, match="9999_from_the_future"):
        await pending(database)
    with pytest.raises(SchemaUnknown, match="newer Hub"):
        await migrate(database)


async def test_a_cancelled_migration_leaves_nothing(empty_url: str):
    async with Database.open(empty_url, pool_size=2) as database:
        steps = await pending(database)
        locked, released = trio.Event(), trio.Event()

        async def hold_the_lock() -> None:
            token = trio.lowlevel.current_trio_token()

            def hold(connection: Connection) -> None:
                run(connection, f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
                token.run_sync_soon(locked.set)
                while not released.is_set():
                    run(connection, "SELECT pg_sleep(0.005)")

            await database.write(hold)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold_the_lock)
            await locked.wait()
            with trio.move_on_after(0.05) as scope:
                await migrate(database)
            assert scope.cancelled_caught
            released.set()
        assert await pending(database) == steps


async def test_without_a_database_it_is_overloaded(tmp_path: Path):
    async with Database.open(f"postgresql://hub@/hub?host={tmp_path}") as database:
        with pytest.raises(Overloaded):
            await migrate(database)
