"""PostgreSQL killed under load: clear refusals meanwhile, back by itself, and nothing acknowledged is missing."""

from __future__ import annotations

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from sqlalchemy import Connection, text

from controlplane.store.border import UNKNOWN_OUTCOME
from controlplane.store.database import Database
from controlplane.store.embedded import EmbeddedPostgres
from controlplane.store.group import GroupWriter
from protocol.faults import Overloaded
from tests.postgres import roomy_memory

KILLS = 5
WRITERS = 24
BACK_WITHIN_SECONDS = 5.0


def run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def add_pair(connection: Connection, number: int) -> int:
    connection.execute(text("INSERT INTO pairs VALUES (:number, 1)"), {"number": number})
    connection.execute(text("INSERT INTO pairs VALUES (:number, 2)"), {"number": number})
    return number


def add_many(connection: Connection, numbers: list[int]) -> list[int]:
    connection.execute(
        text("INSERT INTO pairs SELECT unnest(CAST(:numbers AS bigint[])), unnest(CAST(:halves AS int[]))"),
        {"numbers": [number for number in numbers for _ in (1, 2)], "halves": [1, 2] * len(numbers)},
    )
    return numbers


def found(connection: Connection) -> dict[int, int]:
    rows = connection.execute(text("SELECT number, count(*) AS halves FROM pairs GROUP BY number"))
    return {row.number: row.halves for row in rows}


@pytest.fixture
def state_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hub-", dir=roomy_memory()) as folder:
        yield Path(folder)


async def test_a_server_killed_under_load_loses_nothing_acknowledged(state_dir: Path):
    acknowledged: set[int] = set()
    refusals: Counter[str] = Counter()
    numbers = iter(range(10**9))
    back_after: list[float] = []
    hints: list[float | None] = []

    async def write_for_ever(database: Database, group: GroupWriter[int, int], in_group: bool) -> None:
        while True:
            number = next(numbers)
            try:
                if in_group:
                    assert await group.write(number) == number
                else:
                    assert await database.write(add_pair, number) == number
                acknowledged.add(number)
            except Overloaded as refusal:  # anything else fails the test
                refusals[refusal.message] += 1
                hints.append(refusal.retry_after_seconds)
                await trio.sleep(0.01)

    async def more_acknowledged(count: int) -> None:
        goal = len(acknowledged) + count
        while len(acknowledged) < goal:  # noqa: ASYNC110
            await trio.sleep(0.002)

    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        await database.write(run, "CREATE TABLE pairs (number bigint, half int)")
        group = GroupWriter(database, add_many, key=lambda number: number)
        async with trio.open_nursery() as nursery:
            for writer in range(WRITERS):
                nursery.start_soon(write_for_ever, database, group, writer % 2 == 0)
            for _ in range(KILLS):
                with trio.fail_after(30):
                    await more_acknowledged(200)
                    pid = postgres.pid
                    os.kill(pid, signal.SIGKILL)
                    while postgres.pid == pid or not postgres.ready:  # noqa: ASYNC110
                        await trio.sleep(0.002)
                    returned_at = trio.current_time()
                    await more_acknowledged(1)
                    while not database.healthy:  # noqa: ASYNC110
                        await trio.sleep(0.002)
                    back_after.append(trio.current_time() - returned_at)
            nursery.cancel_scope.cancel()
        in_database = await database.read(found)
        opened = database.stats.connections_opened

    print(
        f"killed {KILLS}×: {len(acknowledged)} acknowledged, {sum(refusals.values())} refused "
        f"({refusals[UNKNOWN_OUTCOME]} unknown), ready after {max(back_after):.2f} s at most, {opened} connections"
    )
    assert acknowledged <= set(in_database)
    assert set(in_database.values()) == {2}
    # What is there without having been acknowledged: unknown outcomes, and those cancelled at the very end.
    assert len(set(in_database) - acknowledged) <= refusals[UNKNOWN_OUTCOME] + WRITERS
    assert hints
    assert all(hints)
    assert max(back_after) < BACK_WITHIN_SECONDS


async def test_a_crashed_backend_is_mended_without_a_restart(state_dir: Path):
    """A backend's crash makes PostgreSQL restart itself inside; the postmaster stays."""
    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        pid = postgres.pid

        def own_pid(connection: Connection) -> int:
            return connection.execute(text("SELECT pg_backend_pid()")).scalar_one()

        for _ in range(3):
            backend = await database.read(own_pid)
            os.kill(backend, signal.SIGKILL)
            with trio.fail_after(BACK_WITHIN_SECONDS):
                while not await database.check():  # noqa: ASYNC110
                    await trio.sleep(0.01)
        assert postgres.pid == pid
        assert postgres.restarts == 0


async def test_a_stopped_server_is_noticed_by_the_clients_own_limit(state_dir: Path):
    """A server that answers nothing at all (here: SIGSTOP) ends no statement of its own accord."""
    async with (
        EmbeddedPostgres.open(state_dir) as postgres,
        Database.open(
            postgres.url, statement_timeout_seconds=0.2, connect_timeout_seconds=0.5, pool_size=2
        ) as database,
    ):
        backend = await database.read(
            lambda connection: connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        )
        os.kill(backend, signal.SIGSTOP)
        os.kill(postgres.pid, signal.SIGSTOP)
        try:
            with trio.fail_after(20), pytest.raises(Overloaded):
                await database.read(run, "SELECT 1")
        finally:
            os.kill(postgres.pid, signal.SIGCONT)
            os.kill(backend, signal.SIGCONT)
        with trio.fail_after(20):
            while not await database.check():  # noqa: ASYNC110
                await trio.sleep(0.01)
