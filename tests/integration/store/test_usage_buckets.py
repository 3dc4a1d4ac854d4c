"""Usage as it comes in: whatever is sent again, late, shuffled or corrected, hours and days add up to the newest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any
from uuid import UUID

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event

from controlplane.store import usage_buckets
from controlplane.store.database import Database
from controlplane.store.tables.usage import COUNTED
from controlplane.store.usage_buckets import check_usage, take_usage
from protocol.objects import UsageBucket
from protocol.tenant import Usage
from tests.contract.shelves import NOW, PostgresShelf, Tenant, registered, say

HOUR = datetime(2026, 3, 15, 13, tzinfo=UTC)
AGENTS = ("marketing", "it-admin")
MODELS = ("deepseek/deepseek-v3.2", "anthropic/claude-sonnet-4.5")
#: Around two midnights and the end of a month.
HOURS = [datetime(2026, 2, 27, 21, tzinfo=UTC) + timedelta(hours=12 * n) for n in range(5)]

Sums = dict[tuple[Any, ...], tuple[int, ...]]

_ADDED = ", ".join(f"sum({name})" for name in COUNTED)
_HOURS = f"""SELECT CAST(bucket_hour AT TIME ZONE 'UTC' AS date), agent_id, model, {_ADDED} FROM token_usage_buckets
    WHERE order_id = :o GROUP BY 1, 2, 3"""
_DAYS = f"SELECT day, agent_id, model, {', '.join(COUNTED)} FROM token_usage_days WHERE order_id = :o"


async def sums(shelf: PostgresShelf, order_id: UUID, statement: str) -> Sums:
    rows = await shelf.run(statement, o=order_id)
    return {tuple(row[:3]): tuple(int(value) for value in row[3:]) for row in rows}


def counts(bucket: UsageBucket) -> tuple[int, ...]:
    return tuple(getattr(bucket, name) for name in COUNTED)


def by_day(newest: Sequence[UsageBucket]) -> Sums:
    added: Sums = {}
    for one in newest:
        key = (one.bucket_hour.astimezone(UTC).date(), one.agent_id, one.model)
        before = added.get(key, (0,) * len(COUNTED))
        added[key] = tuple(a + b for a, b in zip(before, counts(one), strict=True))
    return added


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """How many statements are sent meanwhile."""
    tally: Counter[str] = Counter()

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        tally[statement.split()[0]] += 1

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield tally
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


@pytest.fixture
def shelf(database: Database) -> PostgresShelf:
    return PostgresShelf(database)


# --- whatever the history -----------------------------------------------------------------------------------

_slots = st.tuples(st.sampled_from(AGENTS), st.sampled_from(MODELS), st.sampled_from(HOURS))
_numbers = st.tuples(*(st.integers(0, 10**9) for _ in COUNTED))
#: Of each hour its revisions, from the first to the newest.
_histories = st.dictionaries(_slots, st.lists(_numbers, min_size=1, max_size=4), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=_histories, seed=st.integers(0, 2**32), size=st.integers(1, 9))
def test_shuffled_triple_resends_add_up_to_the_newest_revisions(
    database_url: str, history: dict[Any, list[tuple[int, ...]]], seed: int, size: int
) -> None:
    told = [
        UsageBucket(*slot, **dict(zip(COUNTED, numbers, strict=True)), revision=revision)
        for slot, revisions in history.items()
        for revision, numbers in enumerate(revisions)
    ]
    newest = [
        UsageBucket(*slot, **dict(zip(COUNTED, revisions[-1], strict=True))) for slot, revisions in history.items()
    ]
    sent = told * 3
    Random(seed).shuffle(sent)
    reports = [sent[start : start + size] for start in range(0, len(sent), size)]

    async def run() -> tuple[Sums, Sums]:
        async with Database.open(database_url, pool_size=4) as database:
            shelf = PostgresShelf(database)
            tenant = await shelf.open_order()
            # Several at once: no order among them is promised.
            limit = trio.CapacityLimiter(3)

            async def send(report: list[UsageBucket]) -> None:
                async with limit:
                    await database.write(_take, tenant.order_id, report, shelf)

            async with trio.open_nursery() as nursery:
                for report in reports:
                    nursery.start_soon(send, report)
            return await sums(shelf, tenant.order_id, _HOURS), await sums(shelf, tenant.order_id, _DAYS)

    hours, days = trio.run(run)
    assert hours == by_day(newest)
    assert days == by_day(newest)


def _take(connection: Connection, order_id: UUID, report: list[UsageBucket], shelf: PostgresShelf) -> int:
    return take_usage(connection, order_id, report, at=NOW, ids=shelf.ids)


# --- one by one ---------------------------------------------------------------------------------------------


def bucket(revision: int = 0, tokens: int = 100, hour: datetime = HOUR) -> UsageBucket:
    return UsageBucket("marketing", MODELS[0], hour, tokens_input=tokens, revision=revision)


async def day(shelf: PostgresShelf, tenant: Tenant) -> list[tuple[date, int]]:
    rows = await shelf.run("SELECT day, tokens_input FROM token_usage_days WHERE order_id = :o", o=tenant.order_id)
    return sorted((row.day, int(row.tokens_input)) for row in rows)


async def test_a_day_follows_corrections_up_and_down(shelf: PostgresShelf) -> None:
    tenant = await registered(shelf)
    for number, (revision, tokens, wanted) in enumerate([(1, 100, 100), (3, 700, 700), (2, 9, 700), (4, 50, 50)]):
        await say(shelf, tenant, Usage(f"u{number}", [bucket(revision, tokens)]))
        assert await day(shelf, tenant) == [(date(2026, 3, 15), wanted)]


async def test_a_report_that_changes_nothing_is_taken_and_not_told(shelf: PostgresShelf) -> None:
    tenant = await registered(shelf)
    for number in range(3):
        assert (await say(shelf, tenant, Usage(f"u{number}", [bucket(1)]))).code is None
    assert await shelf.run("SELECT 1 FROM events WHERE kind = 'usage.reported'") == [(1,)]


async def test_hours_are_hours_of_utc_whatever_the_offset(shelf: PostgresShelf) -> None:
    tenant = await registered(shelf)
    india = timezone(timedelta(hours=5, minutes=30))
    midnight = datetime(2026, 3, 15, 0, 30, tzinfo=india)  # 19:00 of the day before
    await say(shelf, tenant, Usage("u1", [bucket(hour=midnight), bucket(1, 7, midnight.astimezone(UTC))]))
    assert await day(shelf, tenant) == [(date(2026, 3, 14), 7)]
    [problem] = check_usage([bucket(hour=datetime(2026, 3, 15, 0, 0, tzinfo=india))], at=NOW)
    assert "whole hour" in problem.message


async def test_the_largest_hours_of_a_day_add_up(shelf: PostgresShelf) -> None:
    tenant = await registered(shelf)
    largest = [bucket(0, usage_buckets.LARGEST_COUNT, HOUR - timedelta(hours=n)) for n in range(13)]
    assert (await say(shelf, tenant, Usage("u1", largest))).code is None
    assert await day(shelf, tenant) == [(date(2026, 3, 15), 13 * 2**62)]


async def test_a_report_of_any_size_is_as_many_statements(shelf: PostgresShelf) -> None:
    tenant = await shelf.open_order()
    many = [bucket(hour=HOUR - timedelta(hours=n)) for n in range(5000)]
    with counted() as few:
        await shelf.database.write(_take, tenant.order_id, many[:1], shelf)
    with counted() as lots:
        assert await shelf.database.write(_take, tenant.order_id, many, shelf) == 4999
    assert lots == few
    assert sum(lots.values()) <= 4
    [[total]] = await shelf.run("SELECT sum(tokens_input) FROM token_usage_days WHERE order_id = :o", o=tenant.order_id)
    assert total == 500_000


async def test_a_day_whose_hours_were_forgotten_takes_no_more(shelf: PostgresShelf) -> None:
    tenant = await registered(shelf)
    await say(shelf, tenant, Usage("u1", [bucket()]))
    await shelf.run("UPDATE token_usage_days SET is_closed = true WHERE order_id = :o", o=tenant.order_id)
    await shelf.run("DELETE FROM token_usage_buckets WHERE order_id = :o", o=tenant.order_id)
    later = bucket(hour=HOUR + timedelta(days=-1))
    assert (await say(shelf, tenant, Usage("u2", [bucket(), bucket(5, 900), later]))).code is None
    assert await day(shelf, tenant) == [(date(2026, 3, 14), 100), (date(2026, 3, 15), 100)]
