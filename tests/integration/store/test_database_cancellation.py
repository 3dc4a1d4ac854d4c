"""Cancelling a database call: rolled back or committed, never in between, and its connection kept where possible."""

from __future__ import annotations

import random
import threading

import pytest
import trio
import trio.testing
from sqlalchemy import Connection, text

from controlplane.store.database import Database
from controlplane.store.fetching import Query
from controlplane.store.transaction import GRACE_SECONDS


def run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def scalar(connection: Connection, statement: str) -> object:
    return connection.execute(text(statement)).scalar()


class Started:
    """Tells the trio side that a function on the database thread has got somewhere."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def tell(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        with trio.fail_after(10):
            await trio.to_thread.run_sync(self._event.wait)


@pytest.fixture
async def rows(database: Database) -> Database:
    await database.write(run, "CREATE TABLE rows (id int)")
    return database


async def test_between_statements_it_rolls_back_and_keeps_its_connection(rows: Database):
    started = Started()

    def many_statements(connection: Connection) -> None:
        run(connection, "INSERT INTO rows VALUES (1)")
        started.tell()
        for _ in range(10_000):
            run(connection, "SELECT pg_sleep(0.002)")

    opened = rows.stats.connections_opened
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rows.write, many_statements)
            await started.wait()
            scope.cancel()
    assert scope.cancelled_caught
    assert await rows.read(scalar, "SELECT count(*) FROM rows") == 0
    assert rows.stats.connections_opened == opened


async def test_inside_a_savepoint_too(rows: Database):
    started = Started()

    def nested(connection: Connection) -> None:
        with connection.begin_nested():
            run(connection, "INSERT INTO rows VALUES (1)")
            started.tell()
            for _ in range(10_000):
                run(connection, "SELECT pg_sleep(0.002)")

    opened = rows.stats.connections_opened
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rows.write, nested)
            await started.wait()
            scope.cancel()
    assert scope.cancelled_caught
    assert await rows.read(scalar, "SELECT count(*) FROM rows") == 0
    assert rows.stats.connections_opened == opened


async def test_a_function_that_swallows_the_cancellation_is_not_committed(rows: Database):
    started = Started()

    def stubborn(connection: Connection) -> None:
        run(connection, "INSERT INTO rows VALUES (1)")
        started.tell()
        try:
            for _ in range(10_000):
                run(connection, "SELECT pg_sleep(0.002)")
        except BaseException:
            return

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rows.write, stubborn)
            await started.wait()
            scope.cancel()
    assert scope.cancelled_caught
    assert await rows.read(scalar, "SELECT count(*) FROM rows") == 0


async def test_inside_a_long_statement_it_ends_by_force_after_the_grace(rows: Database):
    started = Started()

    def one_long_statement(connection: Connection) -> None:
        run(connection, "INSERT INTO rows VALUES (1)")
        started.tell()
        run(connection, "SELECT pg_sleep(8)")

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rows.write, one_long_statement)
            await started.wait()
            cancelled_at = trio.current_time()
            scope.cancel()
    took = trio.current_time() - cancelled_at
    assert scope.cancelled_caught
    assert GRACE_SECONDS <= took < 8
    assert await rows.read(scalar, "SELECT count(*) FROM rows") == 0
    # and the server works on it no longer
    assert (
        await rows.read(
            scalar,
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(8)%' AND "
            "pid <> pg_backend_pid() AND state = 'active'",
        )
        == 0
    )


async def test_while_waiting_for_its_turn_it_ends_at_once(database_url: str):
    async with Database.open(database_url, pool_size=1) as database, trio.open_nursery() as nursery:
        started = Started()
        goes_on = threading.Event()

        def hold(connection: Connection) -> None:
            started.tell()
            while not goes_on.is_set():
                run(connection, "SELECT pg_sleep(0.005)")

        ran: list[bool] = []
        nursery.start_soon(database.write, hold)
        await started.wait()
        with trio.fail_after(20), trio.CancelScope() as scope:  # its turn does not come before `goes_on`
            async with trio.open_nursery() as inner:
                inner.start_soon(database.write, lambda _connection: ran.append(True))
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught
        goes_on.set()
        await database.check()
        assert ran == []


async def test_before_anything_it_does_nothing(rows: Database):
    with trio.CancelScope() as scope:
        scope.cancel()
        await rows.write(run, "INSERT INTO rows VALUES (1)")
    assert scope.cancelled_caught
    assert await rows.read(scalar, "SELECT count(*) FROM rows") == 0


async def test_a_commit_under_way_is_awaited_and_its_value_returned(rows: Database):
    await rows.write(
        run,
        "CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END $$",
    )
    await rows.write(
        run,
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON rows DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION at_commit()",
    )
    watcher = "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT;' AND state = 'active'"
    values: list[object] = []

    async def insert() -> None:
        values.append(await rows.write(scalar, "INSERT INTO rows VALUES (5) RETURNING id"))

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(insert)
            with trio.fail_after(5):
                while not await rows.read(scalar, watcher):
                    pass
            scope.cancel()
    assert values == [5]
    assert await rows.read(scalar, "SELECT count(*) FROM rows") == 1


#: How many statements of this kind the server runs now.
RUNNING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE state = 'active' AND query LIKE '%fetched%' AND pid <> pg_backend_pid()"""


async def until(rows: Database, statement: str, wanted: object) -> None:
    with trio.fail_after(20):
        while await rows.look(scalar, statement) != wanted:  # noqa: ASYNC110 (only the server knows)
            await trio.sleep(0.01)


async def test_a_fetch_that_commits_by_itself_is_awaited_and_its_rows_returned(rows: Database):
    values = []
    # Longer than the grace after which a cancelled transaction is ended by force.
    insert = Query(
        text(f"INSERT INTO rows SELECT 5 AS fetched FROM pg_sleep({4 * GRACE_SECONDS}) RETURNING id"), commits=True
    )

    async def fetch() -> None:
        values.append([tuple(row) for row in await rows.fetch(insert)])

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fetch)
            await until(rows, RUNNING, 1)
            scope.cancel()
    assert values == [[(5,)]]
    assert await rows.look(scalar, "SELECT count(*) FROM rows") == 1


async def test_a_fetch_cancelled_before_it_is_sent_never_runs(database_url: str):
    insert = Query(text("INSERT INTO rows VALUES (5) RETURNING id"), commits=True)
    slow = Query(text("SELECT 1 AS fetched FROM pg_sleep(0.3)"))
    async with Database.open(database_url, pool_size=1) as rows:
        await rows.write(run, "CREATE TABLE rows (id int)")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rows.fetch, slow)
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0.05) as scope:  # it waits for the only connection
                await rows.fetch(insert)
        assert scope.cancelled_caught
        assert await rows.look(scalar, "SELECT count(*) FROM rows") == 0


async def test_a_cancelled_fetch_that_only_reads_ends_within_the_grace_and_the_next_is_served(rows: Database):
    slow = Query(text("SELECT 1 AS fetched FROM pg_sleep(60)"))
    with trio.fail_after(20), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rows.fetch, slow)
            await until(rows, RUNNING, 1)
            scope.cancel()
    assert scope.cancelled_caught
    assert [tuple(row) for row in await rows.fetch(Query(text("SELECT 7")))] == [(7,)]


async def test_a_storm_of_cancellations_leaves_neither_lies_nor_halves(database_url: str):
    """64 tasks × 40 transactions of two rows, each cancelled after 0–60 ms or finished before."""
    dice = random.Random(64)
    committed: set[int] = set()
    cancelled: set[int] = set()

    def pair(connection: Connection, number: int) -> int:
        connection.execute(text("INSERT INTO pairs VALUES (:number, 1)"), {"number": number})
        connection.execute(text("INSERT INTO pairs VALUES (:number, 2)"), {"number": number})
        return number

    async def storm(database: Database, task: int) -> None:
        for turn in range(40):
            number = task * 40 + turn
            with trio.move_on_after(dice.uniform(0, 0.06)) as scope:
                assert await database.write(pair, number) == number
                committed.add(number)
            if scope.cancelled_caught:
                cancelled.add(number)

    async with Database.open(database_url) as database:
        await database.write(run, "CREATE TABLE pairs (number int, half int)")
        async with trio.open_nursery() as nursery:
            for task in range(64):
                nursery.start_soon(storm, database, task)

        def found(connection: Connection) -> dict[int, int]:
            rows = connection.execute(text("SELECT number, count(*) AS halves FROM pairs GROUP BY number"))
            return {row.number: row.halves for row in rows}

        in_database = await database.read(found)
        opened = database.stats.connections_opened
    print(f"storm: {len(committed)} committed, {len(cancelled)} cancelled, {opened} connections")
    assert committed | cancelled == set(range(64 * 40))
    assert not committed & cancelled
    assert set(in_database) == committed
    assert set(in_database.values()) <= {2}
    assert committed
    assert cancelled
    assert opened <= 24
