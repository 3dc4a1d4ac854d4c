"""The database as the rest of the Hub sees it: whole transactions go in as functions, committed values
come out.

PostgreSQL's asyncio driver lives on a thread of its own (`bridge.py`); trio ships it one function a
transaction:

    def settle(connection: Connection, approval_id: UUID, now: datetime) -> CommandApproval: ...
    approval = await database.write(settle, approval_id, now)

For those who write such functions:

- They run on the database thread and may run more than once (lost connection, deadlock): they touch
  nothing but their
  connection and arguments, and return Structs or plain values, never Rows. They must not commit or roll back;
  `connection.begin_nested()` is a savepoint.
- JSON columns pass through as text: bind `msgspec.json.encode(value).decode()`, get a `str` back, decode
  it with
  msgspec. That holds for `text()` (write `CAST(:value AS jsonb)`) and for Core columns of type JSONB
  alike; NULL is
  None.
- Times are aware UTC datetimes, ids are `uuid.UUID`.
- Hot paths use `text()` once at module level with arrays, one statement for many rows:

      ADD = text('''
          INSERT INTO beats (server_id, seen_at, note)
          SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[]), CAST(:notes AS text[]))
          ON CONFLICT (server_id) DO UPDATE SET seen_at = excluded.seen_at
          RETURNING server_id''')
      connection.execute(ADD, {"ids": [...], "times": [...], "notes": [...]})

  Write `CAST(:ids AS uuid[])`, not `:ids::uuid[]` (SQLAlchemy would not see the parameter). Statements are
  prepared once
  a connection and cached, so keep their text constant: one `= ANY(CAST(:ids AS uuid[]))`, never a growing
  IN list.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import outcome
import structlog
import trio
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from controlplane.store import border
from controlplane.store.bridge import Bridge, TaskCancelled
from controlplane.store.engine import Limits, build_engine, build_unlimited_engine, normalised
from controlplane.store.household import open_household
from controlplane.store.transaction import SoftCancel, Stage, Transaction
from protocol.faults import Overloaded

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()

PROBE_SECONDS = 0.25
DRAIN_SECONDS = 5.0
_SIGN_OF_LIFE = text("SELECT 1")


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

    def __init__(self, bridge: Bridge, nursery: trio.Nursery, url: URL, limits: Limits) -> None:
        self.bridge = bridge
        self._nursery = nursery
        self._limits = limits
        self._random = random.Random()  # noqa: S311 - jitter between retries, not a secret
        self._connections_opened = 0
        self._engine = build_engine(url, limits, opened=self._count_connection)
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._unlimited = build_unlimited_engine(url, limits, opened=self._count_connection)
        # Trio's side.
        self._pending = 0
        self._open = True
        self._refused = 0
        self._closers: list[Callable[[], Awaitable[None]]] = []
        # The loop's side.
        self._queue: deque[Transaction[Any]] = deque()
        self._running = 0
        self._ended = 0
        self._timed_out = 0
        self._sweeping = False
        self._probing = False
        self._healthy = False

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
                database = cls(bridge, nursery, normalised(url), limits)
            except (ArgumentError, ValueError) as error:
                raise DatabaseMisconfigured(f"the database URL cannot be read: {error}") from None
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
        return await self._await(self._reader, partial(_call, fn, args, kwargs))

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(connection, *args, **kwargs)` in one transaction; it has committed when this returns.

        When cancelled: Cancelled means rolled back; had it committed already, its value is returned.

        Raises:
            Overloaded: as for `read`; where COMMIT itself was lost the message says that the outcome is
            unknown.
        """
        return await self._await(self._engine, partial(_call, fn, args, kwargs))

    async def overhaul(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `write`, on a connection of its own and without time limits: for migrations."""
        return await self._await(self._unlimited, partial(_call, fn, args, kwargs))

    def submit(
        self,
        fn: Callable[..., T],
        *args: object,
        done: Callable[[outcome.Outcome[T]], object],
    ) -> None:
        """Start a write from synchronous trio code.

        `done` is called on the trio thread, later and exactly once, with the value of a committed
        transaction or the
        error; too many waiting transactions are an error like any other there.
        """
        try:
            self._admit()
        except Overloaded as refusal:
            self.bridge.post(partial(self.bridge.answer, partial(done, outcome.Error(refusal))))
            return
        self._start(self._engine, partial(_call, fn, args, {}), done)

    async def check(self) -> bool:
        """Ask the database for a sign of life now."""
        try:
            await self.read(_probe)
        except Overloaded:
            return False
        return True

    @property
    def healthy(self) -> bool:
        """Whether the last contact succeeded; while it had not, the database is probed every 250 ms."""
        return self._healthy

    @property
    def stats(self) -> DatabaseStats:
        """Figures for metrics."""
        return DatabaseStats(
            waiting=len(self._queue),
            running=self._running,
            ended=self._ended,
            refused=self._refused,
            timed_out=self._timed_out,
            connections_opened=self._connections_opened,
            healthy=self._healthy,
        )

    def house(self, serve: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]) -> None:
        """House a writer: `serve` runs as a task until the end, `close` is awaited before the database closes."""
        self._closers.append(close)
        self._nursery.start_soon(serve)

    # Trio's side

    async def _await(self, engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._admit()
        task = trio.lowlevel.current_task()
        raise_cancel: Callable[[], Any] | None = None

        def done(result: outcome.Outcome[T]) -> None:
            if raise_cancel is not None and _was_cancelled(result):
                trio.lowlevel.reschedule(task, outcome.capture(raise_cancel))
            else:
                trio.lowlevel.reschedule(task, result)

        transaction = self._start(engine, work, done)

        def abort(raise_it: Callable[[], Any]) -> trio.lowlevel.Abort:
            nonlocal raise_cancel
            raise_cancel = raise_it
            self.bridge.post(transaction.cancel)
            return trio.lowlevel.Abort.FAILED

        result: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return result

    def _admit(self) -> None:
        if not self._open:
            raise Overloaded("the Hub is shutting down", retry_after_seconds=border.RETRY_AFTER_SECONDS)
        if self._pending >= self._limits.max_waiting + self._limits.pool_size:
            self._refused += 1
            raise Overloaded(
                "too much waits for the database, nothing was changed",
                retry_after_seconds=border.RETRY_AFTER_SECONDS,
            )

    def _start(
        self,
        engine: AsyncEngine,
        work: Callable[[Connection], T],
        done: Callable[[outcome.Outcome[T]], object],
    ) -> Transaction[T]:
        self._pending += 1

        def answered(result: outcome.Outcome[T]) -> None:
            self._pending -= 1
            done(result)

        transaction = Transaction(self, engine, work, answered)
        self.bridge.post(partial(self._queue_up, transaction))
        return transaction

    async def _first_look(self) -> None:
        try:
            await self.read(_probe)
        except Overloaded as fault:
            log.warning("database.unreachable", reason=fault.message)
        except Exception as error:
            if border.is_misconfigured(error):
                raise DatabaseMisconfigured(f"the database refuses the Hub: {_sentence(error)}") from None
            raise

    async def _close(self) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + DRAIN_SECONDS):
            for close in self._closers:
                await close()
        self._open = False
        with trio.CancelScope(shield=True, deadline=trio.current_time() + DRAIN_SECONDS):
            closed = trio.Event()
            self.bridge.post(lambda: self.bridge.spawn(self._dispose(), lambda _: self.bridge.answer(closed.set)))
            await closed.wait()

    # The loop's side

    def ended(self, transaction: Transaction[Any], *, reached: bool | None) -> None:
        """A transaction has ended: its lane is free."""
        self._ended += 1
        if transaction.task is not None:
            self._running -= 1
        if reached is not None:
            self._learned(reached)
        self._fill()

    def uniform(self, low: float, high: float) -> float:
        """Jitter."""
        return self._random.uniform(low, high)

    def _count_connection(self) -> None:
        self._connections_opened += 1

    def _queue_up(self, transaction: Transaction[Any]) -> None:
        if transaction.stage is not Stage.WAITING:
            return
        transaction.deadline = self.bridge.now() + self._limits.pool_timeout_seconds
        self._queue.append(transaction)
        self._fill()
        if self._queue and not self._sweeping:
            self._sweeping = True
            self.bridge.after(self._limits.pool_timeout_seconds, self._sweep)

    def _fill(self) -> None:
        while self._queue and self._running < self._limits.pool_size:
            transaction = self._queue.popleft()
            if transaction.stage is Stage.WAITING:
                self._running += 1
                transaction.begin()

    def _sweep(self) -> None:
        now = self.bridge.now()
        while self._queue and (self._queue[0].deadline <= now or self._queue[0].stage is not Stage.WAITING):
            transaction = self._queue.popleft()
            if transaction.stage is Stage.WAITING:
                self._timed_out += 1
                transaction.end(
                    outcome.Error(
                        Overloaded(
                            "the database is busy, nothing was changed",
                            retry_after_seconds=border.RETRY_AFTER_SECONDS,
                        )
                    )
                )
        self._sweeping = bool(self._queue)
        if self._queue:
            self.bridge.after(max(self._queue[0].deadline - now, 0.01), self._sweep)

    def _learned(self, reached: bool) -> None:
        if reached is not self._healthy:
            self._healthy = reached
            log.info("database.reached") if reached else log.warning("database.lost")
        if not reached and not self._probing:
            self._probing = True
            self.bridge.after(PROBE_SECONDS, self._probe)

    def _probe(self) -> None:
        self.bridge.spawn(self._look(), self._looked)

    async def _look(self) -> None:
        async with self._reader.connect() as connection:
            await connection.run_sync(_probe)

    def _looked(self, result: outcome.Outcome[None]) -> None:
        self._probing = False
        self._learned(isinstance(result, outcome.Value))

    async def _dispose(self) -> None:
        while self._running:
            await self.bridge.rest(0.01)
        await self._engine.dispose()
        await self._unlimited.dispose()


def _call(fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], connection: Connection) -> T:
    return fn(connection, *args, **kwargs)


def _probe(connection: Connection) -> None:
    connection.execute(_SIGN_OF_LIFE)


def _was_cancelled(result: outcome.Outcome[Any]) -> bool:
    return isinstance(result, outcome.Error) and isinstance(result.error, (SoftCancel, TaskCancelled))


def _sentence(error: Exception) -> str:
    # SQLAlchemy appends its own notes and links to the server's sentence.
    return str(getattr(error, "orig", None) or error).splitlines()[0]
