"""Events in the database: no reader loses one, whatever the order in which writers commit."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
import trio
from sqlalchemy import Connection, text

from controlplane.store import events
from controlplane.store.database import Database
from controlplane.store.events import EventStore, Position
from tests.end_to_end.hub_process import until
from tests.people import SetClock

NOW = SetClock().now()
WRITERS, EACH = 12, 150


class SettingsTold(msgspec.Struct):
    """Named as what the kind carries, for the number's sake."""

    number: int


def _emit(connection: Connection, number: int, pause_seconds: float = 0.0) -> None:
    events.emit(connection, "settings.changed", at=NOW, data=SettingsTold(number))
    if pause_seconds:
        connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": pause_seconds})


def _numbers(read: list[events.StoredEvent]) -> list[int]:
    return [msgspec.json.decode(event.data, type=SettingsTold).number for event in read]


def _naive(connection: Connection, after: int) -> list[tuple[int, int]]:
    rows = connection.execute(text("SELECT id, data FROM events WHERE id > :after ORDER BY id"), {"after": after})
    return [(row.id, msgspec.json.decode(row.data, type=SettingsTold).number) for row in rows]


async def test_no_event_is_lost_while_twelve_write_at_once(database_url: str):
    async with Database.open(database_url, pool_size=WRITERS + 2) as database:
        store = EventStore(database)
        hole_free: list[int] = []
        naive: list[int] = []
        done = trio.Event()

        async def write(writer: int) -> None:
            for number in range(EACH):
                # The commit comes later than the number, by a time that differs from one to the next.
                await database.write(_emit, writer * EACH + number, (number * 7 + writer * 3) % 11 / 1000)

        async def follow() -> None:
            position = Position(0, 0)
            while True:
                ended = done.is_set()
                news = await store.after(position)
                hole_free.extend(_numbers(news.events))
                if news.events:
                    position = news.events[-1].position
                elif ended:
                    return

        async def follow_naively() -> None:
            last = 0
            while True:
                ended = done.is_set()
                rows = await database.read(_naive, last)
                naive.extend(number for _, number in rows)
                last = rows[-1][0] if rows else last
                if ended and not rows:
                    return

        async with trio.open_nursery() as readers:
            readers.start_soon(follow)
            readers.start_soon(follow_naively)
            async with trio.open_nursery() as writers:
                for writer in range(WRITERS):
                    writers.start_soon(write, writer)
            done.set()
    assert sorted(hole_free) == list(range(WRITERS * EACH))
    assert len(naive) < WRITERS * EACH, "the trap that this design is about was not sprung"


async def test_the_events_of_one_writer_come_in_its_order(database: Database):
    store = EventStore(database)
    await database.write(
        lambda connection: events.emit_all(
            connection, [events.NewEvent("settings.changed", SettingsTold(number), NOW) for number in range(700)]
        )
    )
    first = await store.after(Position(0, 0))
    second = await store.after(first.events[-1].position)
    assert _numbers(first.events + second.events) == list(range(700))
    assert not second.held_back


async def test_what_a_running_transaction_hides_is_known_to_be_hidden(database: Database):
    store = EventStore(database)

    async def write_slowly() -> None:
        await database.write(_emit, 1, 0.3)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write_slowly)
        await until(partial(database.read, _writers), what="the slow writer has begun")
        await database.write(_emit, 2)
        news = await store.after(Position(0, 0))
        assert news.events == []
        assert news.held_back
    assert sorted(_numbers((await store.after(Position(0, 0))).events)) == [1, 2]


def _writers(connection: Connection) -> int:
    running = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL"
    return int(connection.execute(text(running)).scalar_one())


async def test_listeners_hear_of_commits_only(database: Database):
    store = EventStore(database)
    heard = trio.Event()
    store.listen(heard.set)

    def fail(connection: Connection) -> None:
        _emit(connection, 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(fail)
    await database.write(lambda connection: connection.execute(text("SELECT 1")).scalar_one())
    assert not heard.is_set()
    await database.write(_emit, 2)
    with trio.fail_after(5):
        await heard.wait()
    assert _numbers((await store.after(Position(0, 0))).events) == [2]


async def test_a_gap_is_told_whole_or_not_at_all(database: Database):
    store = EventStore(database)
    for number in range(5):
        await database.write(_emit, number)
    everything = (await store.after(Position(0, 0))).events
    second, last = everything[1].position, everything[-1].position
    assert _numbers(await store.gap(second, last, limit=3) or []) == [2, 3, 4]
    assert await store.gap(second, last, limit=2) is None
    assert await store.gap(second, last, limit=3, customer_id=UUID(int=1)) == []
    assert await store.gap(second, last, limit=3, orders=[UUID(int=1)]) == []


async def test_what_was_forgotten_is_no_silent_gap(database: Database):
    store = EventStore(database)

    def emit_at(connection: Connection, days: int) -> None:
        events.emit(connection, "settings.changed", at=NOW - timedelta(days=days), data=SettingsTold(days))

    for days in (9, 8, 6, 1):
        await database.write(emit_at, days)
    everything = (await store.after(Position(0, 0))).events
    last = everything[-1].position
    assert await store.sweep(before=NOW - timedelta(days=7)) == 2
    assert await store.sweep(before=NOW - timedelta(days=7)) == 0
    assert await store.gap(everything[0].position, last, limit=10) is None
    assert _numbers(await store.gap(everything[1].position, last, limit=10) or []) == [6, 1]
    horizon, latest = await store.begin(most=10)
    assert horizon.position == everything[1].position
    assert _numbers(latest) == [6, 1]


async def test_events_of_another_database_are_forgotten(database: Database):
    """After a restore from a dump transaction numbers begin anew: old positions would hide all that is new."""
    store = EventStore(database)
    await database.write(_emit, 1)
    before, _ = await store.begin(most=10)

    def from_elsewhere(connection: Connection) -> None:
        connection.execute(text("UPDATE events SET xid = xid + 1000000000"))

    await database.write(from_elsewhere)
    after, latest = await store.begin(most=10)
    assert after.epoch > before.epoch
    assert latest == []
    await database.write(_emit, 2)
    assert _numbers((await store.after(after.position)).events) == [2]
    again, latest = await store.begin(most=10)
    assert again == after
    assert _numbers(latest) == [2]


async def test_an_event_belongs_to_its_orders_customer(database: Database):
    """Whose an event is, is not left to whoever tells it."""

    def change(connection: Connection) -> dict[str, Any]:
        customer, order = UUID(int=11), UUID(int=12)
        connection.execute(
            text("""
                INSERT INTO users (id, email, name, status, created_at, updated_at)
                VALUES (:id, 'a@b.example', 'A', 'ACTIVE', :at, :at)"""),
            {"id": customer, "at": NOW},
        )
        connection.execute(
            text("""
                INSERT INTO orders (id, user_id, status, tier, domain, tools, ssh_port, automation_mode, created_at,
                    updated_at)
                VALUES (:id, :customer, 'FULFILLED', 'Lite', 'a.example', '{}', 22, 'AUTO', :at, :at)"""),
            {"id": order, "customer": customer, "at": NOW},
        )
        events.emit(connection, "settings.changed", at=None, order_id=order, data=SettingsTold(1))
        return {"customer": customer, "order": order}

    made = await database.write(change)
    (event,) = (await EventStore(database).after(Position(0, 0))).events
    assert (event.order_id, event.customer_id) == (made["order"], made["customer"])
    assert event.at is not None
