"""One statement asked of the driver itself, for half the cost of SQLAlchemy's way: for what every request asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import outcome
from asyncpg import PostgresError
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql import ClauseElement

from controlplane.store import border
from controlplane.store.transaction import Desk, SoftCancel, Stage, Transaction

#: A row as the driver gives it: its values in the statement's order, and by name as `row["name"]`.
Record: TypeAlias = Sequence[Any]

_DIALECT: Final = asyncpg.dialect()  # type: ignore[no-untyped-call]


class Query:
    """A statement as PostgreSQL reads it, written down once.

    Args:
        statement: `text()` or a Core construct, whose types need no conversion by SQLAlchemy.
        commits: it changes something, and commits by itself.
        news: told once it has returned rows (`tell_after_commit`).

    Attributes:
        sql: with `$1`, `$2` for its values.
    """

    __slots__ = ("_fixed", "_names", "commits", "news", "sql", "statement")

    def __init__(self, statement: ClauseElement, *, commits: bool = False, news: Sequence[str] = ()) -> None:
        compiled: Any = statement.compile(dialect=_DIALECT)
        self.statement = statement
        self.sql: str = compiled.string
        self.commits = commits
        self.news = frozenset(news)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._fixed: dict[str, Any] = {name: value for name, value in compiled.params.items() if value is not None}

    def in_order(self, values: Mapping[str, object]) -> list[object]:
        """The values of one call, in the order in which the statement names them.

        Raises:
            KeyError: one is missing.
        """
        fixed = self._fixed
        return [values[name] if name in values else fixed[name] for name in self._names]


class Fetch(Transaction[list[Record]]):
    """One statement outside of any transaction block, with the retries and the cancellation of a transaction."""

    __slots__ = ("query", "values")

    def __init__(
        self,
        desk: Desk,
        engine: Any,
        query: Query,
        values: Mapping[str, object],
        done: Callable[[outcome.Outcome[list[Record]]], object],
    ) -> None:
        super().__init__(desk, engine, _no_work, done)
        self.query = query
        self.values = query.in_order(values)

    async def _attempt(self) -> list[Record]:
        held = self.desk.held
        connection = await held.take()
        try:
            rows = await self._ask(connection.driver_connection)
        except BaseException as error:
            # As SQLAlchemy does: a connection that was left in the middle of something serves nobody any more.
            if border.session_is_over(error) or not isinstance(error, Exception | SoftCancel):
                held.drop(connection, error)
            else:
                held.give_back(connection)
            raise
        held.give_back(connection)
        if rows:
            self.news |= self.query.news
        return rows

    async def _ask(self, driver: Any) -> list[Record]:
        self._heed()
        self.stage = Stage.COMMITTING if self.query.commits else Stage.WORKING
        try:
            rows: list[Record] = await driver.fetch(self.query.sql, *self.values)
        except Exception as error:
            if isinstance(error, PostgresError):
                error.detail = None  # it shows the row, and the error's text reaches the log
            if driver.is_closed() and not border.session_is_over(error):
                raise ConnectionResetError("the connection to the database is closed") from error
            raise
        if not self.query.commits:
            self._heed()
        return rows

    def _heed(self) -> None:
        if self.cancelled:
            raise SoftCancel


def _no_work(_connection: object) -> list[Record]:
    raise AssertionError("a fetch has no function of its own")
