"""GroupWriter against a database made of lists: whatever arrives, each caller gets exactly one true answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import outcome
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.store.group import GroupWriter
from protocol.faults import Conflict, Overloaded


@dataclass(frozen=True)
class Item:
    """One write: which row, which of the callers, and whether the database refuses it."""

    key: int
    number: int
    poison: bool = False
    parts: tuple[int, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        return self.parts or (self.number,)


class Poisoned(Exception):
    """What the database says of a poisoned row."""


@dataclass
class ListDatabase:
    """Runs a batch against a list, atomically, as the real Database does; away at the turns told."""

    nursery: trio.Nursery
    away_at: frozenset[int] = frozenset()
    tries: int = 0
    committed: list[Item] = field(default_factory=list)
    batches: list[list[Item]] = field(default_factory=list)
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    latency_seconds: float = 0.01

    async def write(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        turn, self.tries = self.tries, self.tries + 1
        await trio.sleep(self.latency_seconds)
        if turn in self.away_at:
            raise Overloaded("away")
        written: list[Item] = []
        result = fn(written, *args, **kwargs)
        self.committed += written
        self.batches.append(written)
        return result

    def house(self, serve: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]) -> None:
        self.closers.append(close)
        self.nursery.start_soon(serve)

    async def close(self) -> None:
        for close in self.closers:
            await close()


def insert(written: Any, items: list[Item]) -> list[int]:
    for item in items:
        if item.poison:
            raise Poisoned(item.number)
        written.append(item)
    return [item.number for item in items]


def together(earlier: Item, later: Item) -> Item:
    return Item(later.key, later.number, earlier.poison or later.poison, earlier.numbers + later.numbers)


arrivals = st.lists(
    st.tuples(
        st.integers(0, 5),  # key
        st.booleans() | st.just(False) | st.just(False),  # poisoned
        st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.02]),  # pause before it
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(
    arrivals=arrivals,
    merging=st.booleans(),
    max_batch=st.integers(1, 7),
    away_at=st.frozensets(st.integers(0, 9), max_size=3),
)
def test_each_caller_gets_exactly_one_true_answer(
    arrivals: list[tuple[int, bool, float]], merging: bool, max_batch: int, away_at: frozenset[int]
):
    answers: dict[int, list[outcome.Outcome[int]]] = defaultdict(list)
    items: list[Item] = []

    async def scene() -> ListDatabase:
        async with trio.open_nursery() as nursery:
            database = ListDatabase(nursery, away_at)
            writer = GroupWriter(
                database, insert, key=lambda item: item.key, merge=together if merging else None, max_batch=max_batch
            )
            for number, (key, poison, pause) in enumerate(arrivals):
                if pause:
                    await trio.sleep(pause)
                item = Item(key, number, poison)
                items.append(item)
                writer.add(item, answers[number].append)
            await database.close()
            assert writer.stats.waiting == 0
            with pytest.raises(Overloaded):
                writer.add(Item(0, -1), [].append)
        return database

    database = trio.run(scene, clock=trio.testing.MockClock(autojump_threshold=0))

    # One answer each, and a value exactly where the row was written.
    assert all(len(answers[item.number]) == 1 for item in items)
    written = [number for item in database.committed for number in item.numbers]
    assert len(written) == len(set(written))
    told_written = {number for number, given in answers.items() if isinstance(given[0], outcome.Value)}
    assert told_written == set(written)

    for item in items:
        answer = answers[item.number][0]
        if isinstance(answer, outcome.Error):
            # Only its own poison (or a merged companion's), or a database away, is a reason to fail.
            companions_poisoned = merging and any(other.poison for other in items if other.key == item.key)
            assert isinstance(answer.error, Poisoned | Overloaded)
            if isinstance(answer.error, Poisoned):
                assert item.poison or companions_poisoned
            else:
                assert away_at

    for batch in database.batches:
        keys = [item.key for item in batch]
        assert keys == sorted(set(keys))
        assert len(batch) <= max_batch
    for key in range(6):
        of_key = [number for item in database.committed if item.key == key for number in item.numbers]
        assert of_key == sorted(of_key)


async def test_a_database_that_is_away_is_not_asked_row_by_row(autojump_clock):
    async with trio.open_nursery() as nursery:
        database = ListDatabase(nursery, away_at=frozenset({0}))
        writer = GroupWriter(database, insert, key=lambda item: item.key)
        answers: list[outcome.Outcome[int]] = []
        for number in range(100):
            writer.add(Item(number, number), answers.append)
        await database.close()
        assert database.tries == 1
        assert len(answers) == 100
        assert all(isinstance(answer.error, Overloaded) for answer in answers)


async def test_one_bad_row_of_many_costs_few_tries(autojump_clock):
    async with trio.open_nursery() as nursery:
        database = ListDatabase(nursery)
        writer = GroupWriter(database, insert, key=lambda item: item.key, max_batch=512)
        answers: dict[int, outcome.Outcome[int]] = {}
        for number in range(512):
            writer.add(
                Item(number, number, poison=number == 77),
                lambda answer, number=number: answers.update({number: answer}),
            )
        await database.close()
        assert [number for number, answer in answers.items() if isinstance(answer, outcome.Error)] == [77]
        assert database.tries == 1 + 2 * 9  # halves down from 512


async def test_newcomers_are_refused_beyond_the_bound_and_taken_again_after(autojump_clock):
    async with trio.open_nursery() as nursery:
        database = ListDatabase(nursery)
        writer = GroupWriter(database, insert, key=lambda item: item.key, max_waiting=3)
        answers: list[outcome.Outcome[int]] = []
        for number in range(3):
            writer.add(Item(0, number), answers.append)
        with pytest.raises(Overloaded) as caught:
            writer.add(Item(0, 3), answers.append)
        assert caught.value.retry_after_seconds
        with pytest.raises(Overloaded):
            await writer.write(Item(0, 3))
        assert writer.stats.refused == 2
        assert writer.stats.waiting == 3
        await trio.sleep(1)
        assert len(answers) == 3
        assert await writer.write(Item(0, 4)) == 4
        await database.close()


async def test_what_arrives_together_goes_together(autojump_clock):
    async with trio.open_nursery() as nursery:
        database = ListDatabase(nursery)
        writer = GroupWriter(database, insert, key=lambda item: item.key)
        async with trio.open_nursery() as callers:
            for number in range(50):
                callers.start_soon(writer.write, Item(number, number))
        assert writer.stats.batches == 1
        assert writer.stats.rows == 50
        await database.close()


async def test_cancelled_before_it_set_out_an_item_is_taken_back(autojump_clock):
    async with trio.open_nursery() as nursery:
        database = ListDatabase(nursery)
        writer = GroupWriter(database, insert, key=lambda item: item.key, linger_seconds=10)
        with trio.move_on_after(1) as scope:
            await writer.write(Item(1, 1))
        assert scope.cancelled_caught
        assert writer.stats.waiting == 0
        await trio.sleep(20)
        assert database.committed == []
        await database.close()


async def test_cancelled_under_way_its_value_is_returned(autojump_clock):
    async with trio.open_nursery() as nursery:
        database = ListDatabase(nursery, latency_seconds=10)
        writer = GroupWriter(database, insert, key=lambda item: item.key)
        with trio.move_on_after(5) as scope:
            assert await writer.write(Item(1, 1)) == 1
        assert scope.cancel_called
        assert not scope.cancelled_caught
        await database.close()


async def test_a_refusal_by_the_store_is_for_the_row_it_names(autojump_clock):
    def picky(written: Any, items: list[Item]) -> list[int]:
        if any(item.key == 2 for item in items):
            raise Conflict("two is taken")
        return insert(written, items)

    async with trio.open_nursery() as nursery:
        database = ListDatabase(nursery)
        writer = GroupWriter(database, picky, key=lambda item: item.key)
        answers: dict[int, outcome.Outcome[int]] = {}
        for number in range(4):
            writer.add(Item(number, number), lambda answer, number=number: answers.update({number: answer}))
        await database.close()
        assert isinstance(answers.pop(2).error, Conflict)
        assert all(isinstance(answer, outcome.Value) for answer in answers.values())


async def test_a_function_that_miscounts_writes_nothing(autojump_clock):
    async with trio.open_nursery() as nursery:
        database = ListDatabase(nursery)
        writer = GroupWriter(database, lambda written, items: insert(written, items)[:-1], key=lambda item: item.key)
        with pytest.raises(RuntimeError, match="0 results for 1 items"):
            await writer.write(Item(1, 1))
        assert database.committed == []
        await database.close()


async def test_when_its_house_burns_down_nobody_is_left_waiting(autojump_clock):
    answers: list[outcome.Outcome[int]] = []
    async with trio.open_nursery() as nursery:
        database = ListDatabase(nursery, latency_seconds=1000)
        writer = GroupWriter(database, insert, key=lambda item: item.key, max_batch=2)
        for number in range(5):
            writer.add(Item(number, number), answers.append)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True), trio.move_on_after(5):
            await database.close()
    assert len(answers) == 5
    assert all(isinstance(answer.error, Overloaded) for answer in answers)
