"""Group commit on the real database: rows arrive whole, a bad one alone is refused, and commits are few."""

from __future__ import annotations

from uuid import UUID, uuid4

import outcome
import pytest
import trio
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from controlplane.store.database import Database
from controlplane.store.group import GroupWriter

ADD = text(
    """
    INSERT INTO acks (id, seq)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:seqs AS bigint[]))
    ON CONFLICT (id) DO UPDATE SET seq = greatest(acks.seq, excluded.seq)
    RETURNING id, seq
    """
)


def acknowledge(connection: Connection, items: list[tuple[UUID, int]]) -> list[int]:
    rows = connection.execute(ADD, {"ids": [item[0] for item in items], "seqs": [item[1] for item in items]})
    found = {row.id: row.seq for row in rows}
    return [found[item[0]] for item in items]


def run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def count(connection: Connection) -> int:
    return connection.execute(text("SELECT count(*) FROM acks")).scalar_one()


@pytest.fixture
async def acks(database: Database) -> Database:
    await database.write(run, "CREATE TABLE acks (id uuid PRIMARY KEY, seq bigint CHECK (seq >= 0))")
    return database


async def test_rows_that_arrive_together_share_a_commit(acks: Database):
    writer = GroupWriter(acks, acknowledge, key=lambda item: item[0])
    async with trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(writer.write, (uuid4(), number))
    assert await acks.read(count) == 300
    assert writer.stats.batches <= 5


async def test_a_row_the_database_refuses_harms_no_other(acks: Database):
    writer = GroupWriter(acks, acknowledge, key=lambda item: item[0])
    answers: dict[int, outcome.Outcome[int]] = {}
    answered = trio.Event()

    def note(number: int, answer: outcome.Outcome[int]) -> None:
        answers[number] = answer
        if len(answers) == 100:
            answered.set()

    for number in range(100):
        seq = -1 if number == 42 else number
        writer.add((uuid4(), seq), lambda answer, number=number: note(number, answer))
    with trio.fail_after(10):
        await answered.wait()
    refused = answers.pop(42)
    assert isinstance(refused, outcome.Error)
    assert isinstance(refused.error, IntegrityError)
    assert all(answer == outcome.Value(number) for number, answer in answers.items())
    assert await acks.read(count) == 99


async def test_the_same_row_again_and_again_is_one_row(acks: Database):
    def later(earlier: tuple[UUID, int], item: tuple[UUID, int]) -> tuple[UUID, int]:
        return max(earlier, item)

    writer = GroupWriter(acks, acknowledge, key=lambda item: item[0], merge=later)
    one = uuid4()
    answers: list[int] = []

    async def write(number: int) -> None:
        answers.append(await writer.write((one, number)))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(write, number)
    assert answers == [49] * 50
    assert writer.stats.rows == 1


async def test_what_waits_when_the_database_closes_is_written(database_url: str):
    answers: list[outcome.Outcome[int]] = []
    async with Database.open(database_url) as database:
        await database.write(run, "CREATE TABLE acks (id uuid PRIMARY KEY, seq bigint)")
        writer = GroupWriter(database, acknowledge, key=lambda item: item[0], max_batch=10)
        for number in range(100):
            writer.add((uuid4(), number), answers.append)
    assert len(answers) == 100
    assert all(isinstance(answer, outcome.Value) for answer in answers)


async def test_a_thousand_callers_share_a_few_commits(acks: Database):
    writer = GroupWriter(acks, acknowledge, key=lambda item: item[0])
    before = acks.stats.ended
    async with trio.open_nursery() as nursery:
        for number in range(1000):
            nursery.start_soon(writer.write, (uuid4(), number))
    assert acks.stats.ended - before < 100
    assert await acks.read(count) == 1000
