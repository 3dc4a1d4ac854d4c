"""The audit log: written with the change or not at all, and never changed."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from controlplane.store import audit
from controlplane.store.database import Database
from controlplane.store.tables.accounts import audit_entries
from tests.people import TESTER, SetClock

NOW = SetClock().now()


def _entries(connection: Connection) -> list[str]:
    return list(connection.execute(select(audit_entries.c.action).order_by(audit_entries.c.position)).scalars())


async def test_an_entry_stands_and_falls_with_its_change(database: Database):
    def change(connection: Connection, *, fails: bool) -> None:
        audit.record(connection, TESTER, "thing.changed", "thing_1", at=NOW, after={"apiKey": "hk_x", "name": "n"})
        if fails:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(change, fails=True)
    assert await database.read(_entries) == []
    await database.write(change, fails=False)
    assert await database.read(_entries) == ["thing.changed"]
    after = await database.read(lambda connection: connection.execute(select(audit_entries.c.after)).scalar_one())
    assert after == '{"apiKey":"•••","name":"n"}'


@pytest.mark.parametrize(
    "attempt",
    [
        "UPDATE audit_entries SET action = 'nothing'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "UPDATE audit_entries SET action = 'nothing' WHERE false",
    ],
)
async def test_the_log_takes_additions_only(database: Database, attempt: str):
    await database.write(lambda connection: audit.record(connection, TESTER, "a", "t", at=NOW))
    with pytest.raises(DBAPIError, match="append-only"):
        await database.write(lambda connection: connection.execute(text(attempt)))
    assert await database.read(_entries) == ["a"]


async def test_entries_keep_the_order_of_their_writing(database: Database):
    for number in range(5):
        await database.write(lambda connection, n=number: audit.record(connection, TESTER, str(n), "t", at=NOW))
    assert await database.read(_entries) == list("01234")


class Carrier(msgspec.Struct):
    """A thing that holds JSON as it came, as a command does."""

    payload: msgspec.Raw


async def test_what_is_secret_inside_of_a_payload_is_hidden_and_the_rest_is_told(database: Database):
    carried = Carrier(msgspec.Raw(b'{"file":"a.txt","env":[{"dbPassword":"canary","apiKey":"canary"}]}'))
    await database.write(lambda connection: audit.record(connection, TESTER, "a", "t", at=NOW, after=carried))
    after = await database.read(lambda connection: connection.execute(select(audit_entries.c.after)).scalar_one())
    assert after == '{"payload":{"file":"a.txt","env":[{"dbPassword":"•••","apiKey":"•••"}]}}'
