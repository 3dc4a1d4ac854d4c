"""The Database from a store's point of view: transactions, types at the border, bounds and refusals."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
import trio
import trio.testing
from outcome import Error, Value
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, IntegrityError

from controlplane.store.border import UNKNOWN_OUTCOME
from controlplane.store.database import Database, DatabaseMisconfigured
from protocol.faults import Conflict, Overloaded
from tests.postgres import PostgresServer


def run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def scalar(connection: Connection, statement: str) -> object:
    return connection.execute(text(statement)).scalar()


@pytest.fixture
async def notes(database: Database) -> Database:
    await database.write(run, "CREATE TABLE notes (id int PRIMARY KEY, body jsonb)")
    return database


async def test_a_write_has_committed_when_it_returns(notes: Database):
    await notes.write(run, "INSERT INTO notes VALUES (1)")
    assert await notes.read(scalar, "SELECT count(*) FROM notes") == 1


async def test_a_write_that_raises_leaves_nothing(notes: Database):
    def half(connection: Connection) -> None:
        run(connection, "INSERT INTO notes VALUES (1)")
        raise Conflict("not like this")

    with pytest.raises(Conflict, match="not like this"):
        await notes.write(half)
    assert await notes.read(scalar, "SELECT count(*) FROM notes") == 0


async def test_a_read_cannot_write(notes: Database):
    with pytest.raises(DBAPIError, match="read-only"):
        await notes.read(run, "INSERT INTO notes VALUES (1)")
    await notes.write(run, "INSERT INTO notes VALUES (1)")  # and leaves no read-only connection behind


async def test_a_read_sees_one_moment_throughout(notes: Database):
    looked, written = threading.Event(), threading.Event()
    counts: list[object] = []

    def count_twice(connection: Connection) -> None:
        counts.append(scalar(connection, "SELECT count(*) FROM notes"))
        looked.set()
        # The write runs on another connection of the same thread, so wait inside the server.
        while not written.is_set():
            run(connection, "SELECT pg_sleep(0.005)")
        counts.append(scalar(connection, "SELECT count(*) FROM notes"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(notes.read, count_twice)
        await trio.to_thread.run_sync(looked.wait)
        await notes.write(run, "INSERT INTO notes VALUES (1)")
        written.set()
    assert counts == [0, 0]


async def test_integrity_errors_are_left_to_the_stores(notes: Database):
    await notes.write(run, "INSERT INTO notes VALUES (1)")
    with pytest.raises(IntegrityError):
        await notes.write(run, "INSERT INTO notes VALUES (1)")


async def test_errors_do_not_tell_what_was_bound(notes: Database):
    def leak(connection: Connection) -> None:
        connection.execute(text("INSERT INTO notes VALUES (1, CAST(:body AS jsonb)), (1, NULL)"), {"body": '"canary"'})

    with pytest.raises(IntegrityError) as caught:
        await notes.write(leak)
    assert "canary" not in str(caught.value)


async def test_json_passes_as_text_for_text_statements_and_for_tables(notes: Database):
    table = Table("notes", MetaData(), Column("id", Integer), Column("body", JSONB))
    body = msgspec.json.encode({"é": [1, 2.5, None], "nested": {"a": "\n"}}).decode()

    def both(connection: Connection) -> list[str | None]:
        connection.execute(text("INSERT INTO notes VALUES (1, CAST(:body AS jsonb))"), {"body": body})
        connection.execute(insert(table), {"id": 2, "body": body})
        connection.execute(insert(table), {"id": 3, "body": None})
        raw = connection.execute(text("SELECT body FROM notes ORDER BY id")).scalars().all()
        core = connection.execute(select(table.c.body).order_by(table.c.id)).scalars().all()
        assert raw == core
        return list(core)

    first, second, third = await notes.write(both)
    assert isinstance(first, str)
    assert msgspec.json.decode(first) == msgspec.json.decode(body)
    assert first == second
    assert third is None
    assert await notes.read(scalar, "SELECT count(*) FROM notes WHERE body IS NULL") == 1
    assert await notes.read(scalar, """SELECT body->'nested'->>'a' FROM notes WHERE id = 2""") == "\n"


async def test_one_statement_takes_arrays_of_rows(database: Database):
    await database.write(
        run, "CREATE TABLE beats (id uuid PRIMARY KEY, seq bigint, seen_at timestamptz, note text, doc jsonb)"
    )
    statement = text(
        """
        INSERT INTO beats
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:seqs AS bigint[]), CAST(:times AS timestamptz[]),
                             CAST(:notes AS text[]), CAST(:docs AS jsonb[]))
        RETURNING id, seq, seen_at, note, doc
        """
    )
    ids = [uuid4() for _ in range(3)]
    seqs = [2**40, -1, 0]
    times = [datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)] * 3
    notes = ["plain", 'quo"ted, {braces}', None]
    docs = ['{"a": 1}', "[]", None]

    def add(connection: Connection) -> list[tuple[UUID, int, datetime, str | None, str | None]]:
        rows = connection.execute(statement, {"ids": ids, "seqs": seqs, "times": times, "notes": notes, "docs": docs})
        return [tuple(row) for row in rows]

    assert await database.write(add) == list(zip(ids, seqs, times, notes, docs, strict=True))
    assert await database.write(run, "DELETE FROM beats") is None

    def any_of(connection: Connection) -> object:
        return connection.execute(
            text("SELECT count(*) FROM beats WHERE id = ANY(CAST(:ids AS uuid[]))"), {"ids": ids}
        ).scalar()

    assert await database.read(any_of) == 0


async def test_submit_answers_on_the_trio_thread(notes: Database):
    answers: list[object] = []
    both = trio.Event()

    def done(result: object) -> None:
        assert threading.current_thread() is threading.main_thread()
        answers.append(result)
        if len(answers) == 2:
            both.set()

    notes.submit(scalar, "INSERT INTO notes VALUES (1) RETURNING id", done=done)
    notes.submit(scalar, "SELECT 1 / 0", done=done)
    assert answers == []
    with trio.fail_after(5):
        await both.wait()
    value, error = sorted(answers, key=lambda answer: isinstance(answer, Error))
    assert value == Value(1)
    assert isinstance(error, Error)
    assert isinstance(error.error, DBAPIError)


async def test_a_receiver_that_raises_harms_nobody(notes: Database):
    def broken(_result: object) -> None:
        raise RuntimeError("a bug in a receiver")

    notes.submit(scalar, "SELECT 1", done=broken)
    assert await notes.read(scalar, "SELECT 2") == 2
    assert notes.stats.running == 0


async def test_slow_statements_and_held_locks_are_overloaded(database_url: str):
    async with Database.open(database_url, pool_size=2, statement_timeout_seconds=0.2) as database:
        with pytest.raises(Overloaded, match="too long") as caught:
            await database.read(run, "SELECT pg_sleep(5)")
        assert caught.value.retry_after_seconds
        held, tried = threading.Event(), threading.Event()

        def hold(connection: Connection) -> None:
            run(connection, "SELECT pg_advisory_xact_lock(1)")
            held.set()
            while not tried.is_set():
                run(connection, "SELECT pg_sleep(0.005)")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(database.write, hold)
            await trio.to_thread.run_sync(held.wait)
            with pytest.raises(Overloaded, match="another change"):
                await database.write(run, "SELECT pg_advisory_xact_lock(1)")
            tried.set()
        assert database.healthy


async def test_deadlocks_are_tried_again(database: Database):
    await database.write(run, "CREATE TABLE counters AS SELECT id, 0 AS hits FROM generate_series(1, 2) id")
    tries = {1: 0, 2: 0}

    def bump(connection: Connection, first: int, second: int) -> None:
        tries[first] += 1
        run(connection, "SET LOCAL deadlock_timeout = '20ms'")
        run(connection, f"UPDATE counters SET hits = hits + 1 WHERE id = {first}")
        if sum(tries.values()) <= 2:
            # Both hold their first row before either asks for its second.
            while not all(tries.values()):
                run(connection, "SELECT pg_sleep(0.005)")
            run(connection, "SELECT pg_sleep(0.02)")
        run(connection, f"UPDATE counters SET hits = hits + 1 WHERE id = {second}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.write, bump, 1, 2)
        nursery.start_soon(database.write, bump, 2, 1)
    assert sum(tries.values()) >= 3
    assert await database.read(scalar, "SELECT min(hits) FROM counters") == 2


async def test_waiting_for_a_turn_has_a_limit(database_url: str):
    async with (
        Database.open(database_url, pool_size=1, pool_timeout_seconds=0.1) as database,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(database.read, run, "SELECT pg_sleep(0.5)")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Overloaded, match="busy"):
            await database.read(scalar, "SELECT 1")
        assert database.stats.timed_out == 1


async def test_the_number_of_waiting_transactions_is_bounded(database_url: str):
    async with (
        Database.open(database_url, pool_size=1, max_waiting=2) as database,
        trio.open_nursery() as nursery,
    ):
        for _ in range(3):
            nursery.start_soon(database.read, run, "SELECT pg_sleep(0.05)")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Overloaded, match="too much waits"):
            await database.read(scalar, "SELECT 1")
        answers: list[object] = []
        answered = trio.Event()

        def done(result: object) -> None:
            answers.append(result)
            answered.set()

        database.submit(scalar, "SELECT 1", done=done)
        assert answers == []
        await answered.wait()
        assert isinstance(answers[0], Error)
        assert isinstance(answers[0].error, Overloaded)
        assert database.stats.refused == 2


async def test_an_absent_database_is_overloaded_and_unhealthy(tmp_path: object):
    async with Database.open(f"postgresql://hub@/hub?host={tmp_path}") as database:
        assert not database.healthy
        assert not await database.check()
        with pytest.raises(Overloaded, match="not reachable") as caught:
            await database.write(run, "SELECT 1")
        assert caught.value.retry_after_seconds


@pytest.mark.parametrize("url", ["mysql://root@localhost/hub", "no url at all", "sqlite:///hub.db"])
async def test_a_url_of_something_else_is_refused_with_a_sentence(url: str):
    with pytest.raises(DatabaseMisconfigured, match="database URL"):
        async with Database.open(url):
            pass


async def test_a_missing_database_or_role_is_refused_with_a_sentence(database_url: str, postgres: PostgresServer):
    with pytest.raises(DatabaseMisconfigured, match='"nobody_made_it" does not exist'):
        async with Database.open(postgres.url_for("nobody_made_it")):
            pass
    with pytest.raises(DatabaseMisconfigured, match='"stranger" does not exist'):
        async with Database.open(database_url.replace("//hub@", "//stranger@")):
            pass


async def test_exceptions_pass_through_the_open_database_unwrapped(database_url: str):
    with pytest.raises(Conflict):
        async with Database.open(database_url):
            raise Conflict("mine")


async def test_connections_that_died_while_idle_are_replaced_unseen(database: Database):
    await _kill_others(database)
    assert await database.read(scalar, "SELECT 1") == 1
    assert await database.write(scalar, "SELECT 1") == 1


async def test_a_transaction_that_loses_its_connection_is_tried_once_more(database: Database):
    tries = 0

    def lose_once(connection: Connection) -> object:
        nonlocal tries
        tries += 1
        if tries == 1:
            run(connection, "SELECT pg_terminate_backend(pg_backend_pid())")
        return scalar(connection, "SELECT 7")

    assert await database.write(lose_once) == 7
    assert tries == 2


async def test_a_transaction_that_always_loses_its_connection_is_overloaded(database: Database):
    with pytest.raises(Overloaded, match="nothing was changed"):
        await database.write(run, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert await database.check()
    assert database.healthy


async def test_a_connection_lost_during_commit_leaves_the_outcome_unknown(database: Database):
    await database.write(_slow_commit, "pg_terminate_backend(pg_backend_pid())")
    tries = 0

    def count_and_add(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        run(connection, "INSERT INTO slow VALUES (1)")

    with pytest.raises(Overloaded, match="outcome is unknown") as caught:
        await database.write(count_and_add)
    assert caught.value.message == UNKNOWN_OUTCOME
    assert tries == 1


def _slow_commit(connection: Connection, at_commit: str) -> None:
    """A table whose rows call a function while COMMIT is under way."""
    run(connection, "CREATE TABLE slow (id int)")
    run(
        connection,
        f"CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN PERFORM {at_commit}; RETURN NULL; END $$",
    )
    run(
        connection,
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION at_commit()",
    )


async def _kill_others(database: Database) -> None:
    def kill(connection: Connection) -> None:
        run(
            connection,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    async with trio.open_nursery() as nursery:  # fill the pool first
        for _ in range(4):
            nursery.start_soon(database.read, run, "SELECT pg_sleep(0.02)")
    await database.read(kill)
