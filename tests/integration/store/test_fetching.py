"""One statement asked of the driver itself: what it gives, what it tells, and what becomes of it when things end."""

from __future__ import annotations

import pytest
import trio
from asyncpg import PostgresError
from sqlalchemy import Connection, text

from controlplane.store.database import Database
from controlplane.store.fetching import Query
from protocol.faults import Overloaded


def run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def scalar(connection: Connection, statement: str) -> object:
    return connection.execute(text(statement)).scalar()


@pytest.fixture
async def notes(database: Database) -> Database:
    await database.write(run, "CREATE TABLE notes (id int PRIMARY KEY, body jsonb)")
    return database


async def test_errors_of_a_fetch_do_not_tell_what_was_bound(notes: Database):
    leak = Query(text("INSERT INTO notes VALUES (NULL, CAST(:body AS jsonb))"), commits=True)  # "failing row contains"
    with pytest.raises(PostgresError) as caught:
        await notes.fetch(leak, body='"canary"')
    assert "null value" in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_a_fetch_gives_what_a_look_gives(notes: Database):
    await notes.write(run, "INSERT INTO notes VALUES (1, '{\"a\": 2}'), (2, NULL), (3, '[]')")
    query = Query(text("SELECT id, body FROM notes WHERE id <= :most AND id <> :but ORDER BY id"))
    rows = await notes.fetch(query, but=3, most=3)
    assert [tuple(row) for row in rows] == [(1, '{"a": 2}'), (2, None)]
    assert rows[0]["body"] == '{"a": 2}'
    assert await notes.fetch(query, but=1, most=1) == []
    with pytest.raises(KeyError, match="most"):
        await notes.fetch(query, but=1)


async def test_a_fetch_that_commits_tells_its_news_when_it_did_something(notes: Database):
    told = []
    notes.listen("noted", lambda: told.append(1))
    add = Query(text("INSERT INTO notes (id) SELECT :id WHERE :id > 0 RETURNING id"), commits=True, news=("noted",))
    assert await notes.fetch(add, id=-1) == []
    await notes.check()
    assert told == []
    assert await notes.fetch(add, id=5) != []
    await notes.check()
    assert told == [1]
    assert await notes.read(scalar, "SELECT id FROM notes") == 5


async def test_a_fetch_after_its_connection_was_ended_is_tried_on_another(notes: Database):
    await notes.fetch(Query(text("SELECT 1")))
    await notes.write(run, "SELECT 1")
    ended = Query(text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))
    await notes.fetch(ended)
    assert [tuple(row) for row in await notes.fetch(Query(text("SELECT 2")))] == [(2,)]


async def test_a_fetch_whose_connection_ends_under_it_says_what_became_of_it(notes: Database):
    own_end = Query(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with pytest.raises(Overloaded, match="nothing was changed"):
        await notes.fetch(own_end)
    committing = Query(text("SELECT pg_terminate_backend(pg_backend_pid())"), commits=True)
    with pytest.raises(Overloaded, match="the outcome is unknown"):
        await notes.fetch(committing)
    assert [tuple(row) for row in await notes.fetch(Query(text("SELECT 2")))] == [(2,)]


async def test_a_connection_kept_for_fetches_is_left_to_a_transaction_that_needs_it(database_url: str):
    waits = Query(text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"))
    async with Database.open(database_url, pool_size=2) as small:
        await small.fetch(Query(text("SELECT pg_advisory_lock(7)")))
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(small.write, run, "SELECT pg_advisory_xact_lock(7)")
                while not await small.fetch(waits):
                    await trio.lowlevel.checkpoint()
                # Only the session that took the lock can let it go, and that is the one kept for fetches.
                assert await small.write(scalar, "SELECT pg_advisory_unlock(7)") is True


async def test_connections_kept_for_fetches_do_not_outlive_the_database(database_url: str):
    others = Query(text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> :pid"))
    own = Query(text("SELECT pg_backend_pid()"))
    async with Database.open(database_url) as watching:
        [[pid]] = await watching.fetch(own)
        async with Database.open(database_url) as brief:
            await brief.fetch(own)
        with trio.fail_after(30):
            while await watching.fetch(others, pid=pid):
                await trio.lowlevel.checkpoint()
