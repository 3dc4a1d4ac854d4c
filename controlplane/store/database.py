"""The database as the rest of the Hub sees it: whole transactions go in, committed values come out.

PostgreSQL's driver lives on a thread of its own (`bridge.py`); trio ships it one function a transaction:

    def settle(connection: Connection, approval_id: UUID, now: datetime) -> CommandApproval: ...
    approval = await database.write(settle, approval_id, now)

For those who write such functions:

- They run on the database thread and may run more than once (lost connection, deadlock): they touch nothing
  but their connection and arguments, and return Structs or plain values, never Rows. They must not commit or
  roll back; `connection.begin_nested()` is a savepoint.
- JSON columns pass through as text: bind `msgspec.json.encode(value).decode()`, get a `str` back, decode it
  with msgspec. That holds for `text()` (write `CAST(:value AS jsonb)`) and for Core columns of type JSONB
  alike; NULL is None.
- Times are aware UTC datetimes, ids are `uuid.UUID`.
- Hot paths use `text()` once at module level with arrays, one statement for many rows:

      ADD = text('''
          INSERT INTO beats (server_id, seen_at, note)
          SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[]), CAST(:notes AS text[]))
          ON CONFLICT (server_id) DO UPDATE SET seen_at = excluded.seen_at
          RETURNING server_id''')
      connection.execute(ADD, {"ids": [...], "times": [...], "notes": [...]})

  Write `CAST(:ids AS uuid[])`, not `:ids::uuid[]` (SQLAlchemy would not see the parameter). Statements are
  prepared once a connection and cached, so keep their text constant: one `= ANY(CAST(:ids AS uuid[]))`, never
  a growing IN list. RETURNING does not promise the order of the rows given: return the key, and look up by it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import outcome
import structlog
import trio
from sqlalchemy import Connection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from controlplane.store import border
from controlplane.store.bridge import Bridge, TaskCancelled
from controlplane.store.engine import Limits, normalised
from controlplane.store.fetching import Fetch, Query, Record
from controlplane.store.household import open_household
from controlplane.store.lanes import DRAIN_SECONDS, Lanes, probe, shutting_down
from controlplane.store.transaction import SoftCancel, Transaction
from protocol.faults import Overloaded

P = ParamSpec("P")
T = TypeVar("T")
Done: TypeAlias = Callable[[outcome.Outcome[T]], object]
Make: TypeAlias = Callable[[Done[T]], Transaction[T]]
log = structlog.get_logger()


class DatabaseMisconfigured(Exception):
    """The database URL cannot work; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class DatabaseStats:
    """A look at the database's doings since it was opened."""

    waiting: int  # transactions that wait for a lane
    running: int
    ended: int
    refused: int  # turned away because too many were waiting
    timed_out: int  # gave up waiting for a lane
    connections_opened: int
    healthy: bool


class Database:
    """A bounded number of transactions at a time over one PostgreSQL, for the trio run that opened it."""

    def __init__(self, lanes: Lanes, nursery: trio.Nursery, max_pending: int) -> None:
        self._lanes = lanes
        self._bridge = lanes.bridge
        self._nursery = nursery
        self._max_pending = max_pending
        self._pending = 0
        self._open = True
        self._refused = 0
        self._closers: list[Callable[[], Awaitable[None]]] = []

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        pool_size: int = 16,
        pool_timeout_seconds: float = 5,
        statement_timeout_seconds: float = 10,
        connect_timeout_seconds: float = 5,
        max_waiting: int = 2_000,
    ) -> AsyncIterator[Database]:
        """Open the database; an unreachable one is no error (`healthy` tells, and turns by itself).

        Args:
            url: `postgresql+asyncpg://…`; plain `postgresql://` and `postgres://` are understood.
            pool_size: connections, and so transactions at a time.
            pool_timeout_seconds: how long a transaction may wait for its turn.
            statement_timeout_seconds: how long one statement may take; half of it for a lock.
            connect_timeout_seconds: how long one attempt to connect may take.
            max_waiting: transactions waiting at a time; further ones are refused with Overloaded.

        Raises:
            DatabaseMisconfigured: the URL is malformed, or the server refuses its user, password or database.
        """
        limits = Limits(
            pool_size, pool_timeout_seconds, statement_timeout_seconds, connect_timeout_seconds, max_waiting
        )
        async with Bridge.open("database") as bridge, open_household() as nursery:
            try:
                lanes = Lanes(bridge, normalised(url), limits)
            except (ArgumentError, ValueError) as error:
                raise DatabaseMisconfigured(f"the database URL cannot be read: {error}") from None
            database = cls(lanes, nursery, max_waiting + pool_size)
            try:
                await database._first_look()
                yield database
            finally:
                await database._close()
                nursery.cancel_scope.cancel()

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(connection, *args, **kwargs)` in one read-only transaction that sees one moment throughout.

        Raises:
            Overloaded: the database is not reachable, too slow, or too many transactions wait.
        """
        return await self._await(self._lanes.reader, partial(_call, fn, args, kwargs))

    async def look(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(connection, *args, **kwargs)` for the one statement it executes, a SELECT, without a transaction.

        One round trip instead of three: for what every request asks. More statements would each see another moment.

        Raises:
            Overloaded: as for `read`.
        """
        return await self._await(self._lanes.looker, partial(_call, fn, args, kwargs))

    async def fetch(self, query: Query, **values: object) -> list[Record]:
        """The rows of one statement, asked of the driver itself: for what nearly every request asks.

        A `look` at half its cost or less. A query that `commits` has committed when this returns; when cancelled
        before it is sent it never runs, and from then on it is awaited and its rows are returned.

        Raises:
            Overloaded: as for `write`.
        """
        return await self._awaited(lambda done: Fetch(self._lanes, self._lanes.writer, query, values, done))

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(connection, *args, **kwargs)` in one transaction; it has committed when this returns.

        When cancelled: Cancelled means rolled back; had it committed already, its value is returned.

        Raises:
            Overloaded: as for `read`; where COMMIT itself was lost the message says that the outcome is
            unknown.
        """
        return await self._await(self._lanes.writer, partial(_call, fn, args, kwargs))

    async def overhaul(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `write`, on a connection of its own and without time limits: for migrations."""
        return await self._await(self._lanes.unlimited, partial(_call, fn, args, kwargs))

    def submit(
        self,
        fn: Callable[..., T],
        *args: object,
        done: Callable[[outcome.Outcome[T]], object],
    ) -> None:
        """Start a write from synchronous trio code.

        `done` is called on the trio thread, later and exactly once, with the value of a committed transaction or the
        error; too many waiting transactions are an error like any other there.
        """
        try:
            self._admit()
        except Overloaded as refusal:
            self._bridge.post(partial(self._bridge.answer, partial(done, outcome.Error(refusal))))
            return
        work = partial(_call, fn, args, {})
        self._start(lambda ended: Transaction(self._lanes, self._lanes.writer, work, ended), done)

    def listen(self, news: str, listener: Callable[[], object]) -> None:
        """Have `listener()` called on the trio thread after each commit of this process that told `news`.

        A hint only (`tell_after_commit`): other processes' commits are not heard, nor one whose outcome was lost.
        """
        self._lanes.listen(news, listener)

    async def check(self) -> bool:
        """Ask the database for a sign of life now."""
        try:
            await self.read(probe)
        except Overloaded:
            return False
        return True

    @property
    def healthy(self) -> bool:
        """Whether the last contact succeeded; while it had not, the database is probed every 250 ms."""
        return self._lanes.healthy

    @property
    def stats(self) -> DatabaseStats:
        """Figures for metrics."""
        lanes = self._lanes
        return DatabaseStats(
            waiting=lanes.waiting,
            running=lanes.running,
            ended=lanes.ended,
            refused=self._refused,
            timed_out=lanes.timed_out,
            connections_opened=lanes.connections_opened,
            healthy=lanes.healthy,
        )

    def house(self, serve: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]) -> None:
        """House a writer: `serve` runs as a task until the end, `close` is awaited before the database closes."""
        self._closers.append(close)
        self._nursery.start_soon(serve)

    async def _await(self, engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
        return await self._awaited(lambda done: Transaction(self._lanes, engine, work, done))

    async def _awaited(self, make: Make[T]) -> T:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._admit()
        task = trio.lowlevel.current_task()
        raise_cancel: Callable[[], Any] | None = None

        def done(result: outcome.Outcome[T]) -> None:
            if raise_cancel is not None and _was_cancelled(result):
                trio.lowlevel.reschedule(task, outcome.capture(raise_cancel))
            else:
                trio.lowlevel.reschedule(task, result)

        transaction = self._start(make, done)

        def abort(raise_it: Callable[[], Any]) -> trio.lowlevel.Abort:
            nonlocal raise_cancel
            raise_cancel = raise_it
            self._bridge.post(transaction.cancel)
            return trio.lowlevel.Abort.FAILED

        result: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return result

    def _admit(self) -> None:
        if not self._open:
            raise shutting_down()
        if self._pending >= self._max_pending:
            self._refused += 1
            raise Overloaded(
                "too much waits for the database, nothing was changed",
                retry_after_seconds=border.RETRY_AFTER_SECONDS,
            )

    def _start(self, make: Make[T], done: Done[T]) -> Transaction[T]:
        self._pending += 1

        def answered(result: outcome.Outcome[T]) -> None:
            self._pending -= 1
            done(result)

        transaction = make(answered)
        self._bridge.post(partial(self._lanes.add, transaction))
        return transaction

    async def _first_look(self) -> None:
        try:
            await self.read(probe)
        except Overloaded as fault:
            log.warning("database.unreachable", reason=fault.message)
        except Exception as error:
            if border.is_misconfigured(error):
                raise DatabaseMisconfigured(f"the database refuses the Hub: {_sentence(error)}") from None
            raise

    async def _close(self) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + DRAIN_SECONDS):
            async with trio.open_nursery() as nursery:
                for close in self._closers:
                    nursery.start_soon(close)
        self._open = False
        with trio.CancelScope(shield=True):
            closed = trio.Event()
            self._bridge.post(partial(self._lanes.close, closed.set))
            await closed.wait()


def _call(fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], connection: Connection) -> T:
    return fn(connection, *args, **kwargs)


def _was_cancelled(result: outcome.Outcome[Any]) -> bool:
    return isinstance(result, outcome.Error) and isinstance(result.error, (SoftCancel, TaskCancelled))


def _sentence(error: Exception) -> str:
    # SQLAlchemy appends its own notes and links to the server's sentence.
    return str(getattr(error, "orig", None) or error).splitlines()[0]
