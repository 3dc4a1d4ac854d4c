"""The database thread's desk: a queue of transactions, as many lanes as connections, and a watch on the database."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import outcome
import structlog
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from controlplane.store import border
from controlplane.store.bridge import Bridge
from controlplane.store.engine import Limits, build_engine, build_unlimited_engine
from controlplane.store.held import HeldConnections
from controlplane.store.transaction import Stage, Transaction
from protocol.faults import Overloaded

log = structlog.get_logger()

PROBE_SECONDS = 0.25
DRAIN_SECONDS = 5.0
_SIGN_OF_LIFE = text("SELECT 1")


class Lanes:
    """Everything here runs on the database thread; the counters may be read from anywhere.

    Transactions queue here and not at SQLAlchemy's pool: what waits is then a list entry instead of a task, can be
    cancelled without touching a connection, and the bound of the wait is ours.
    """

    def __init__(self, bridge: Bridge, url: URL, limits: Limits) -> None:
        self.bridge = bridge
        self.running = 0
        self.ended = 0
        self.timed_out = 0
        self.connections_opened = 0
        self.healthy = False
        self.writer = build_engine(url, limits, opened=self._count_connection)
        self.reader = self.writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self.looker = self.writer.execution_options(isolation_level="AUTOCOMMIT")
        self.unlimited = build_unlimited_engine(url, limits, opened=self._count_connection)
        self.held = HeldConnections(self.writer.sync_engine.pool, most=limits.pool_size // 2)
        self._limits = limits
        self._queue: deque[Transaction[Any]] = deque()
        self._listeners: dict[str, list[Callable[[], object]]] = {}
        self._random = random.Random()  # noqa: S311 - jitter between retries, not a secret
        self._sweeping = False
        self._probing = False
        self._abandoned = False

    @property
    def waiting(self) -> int:
        """Transactions that wait for a lane."""
        return len(self._queue)

    def add(self, transaction: Transaction[Any]) -> None:
        """Run a transaction as soon as a lane is free, in the order added."""
        if transaction.stage is not Stage.WAITING:
            return
        transaction.deadline = self.bridge.now() + self._limits.pool_timeout_seconds
        self._queue.append(transaction)
        self._fill()
        if self._queue and not self._sweeping:
            self._sweeping = True
            self.bridge.after(self._limits.pool_timeout_seconds, self._sweep)

    def note_end(self, transaction: Transaction[Any], *, reached: bool | None) -> None:
        """A transaction has ended: its lane is free, and what it learned about the database is known."""
        self.ended += 1
        if transaction.task is not None:
            self.running -= 1
        if reached is not None:
            self._learn(reached)
        self._fill()

    def make_room(self) -> None:
        """Leave enough connections in the pool for all that run: each needs one at most."""
        self.held.keep_at_most(self._limits.pool_size - self.running)

    def uniform(self, low: float, high: float) -> float:
        """Jitter."""
        return self._random.uniform(low, high)

    def listen(self, news: str, listener: Callable[[], object]) -> None:
        """Call `listener` on the trio thread after each commit that tells this news. From the trio thread."""
        self._listeners.setdefault(news, []).append(listener)

    def tell(self, news: str) -> None:
        """What was told with a transaction has been committed."""
        for listener in self._listeners.get(news, ()):
            self.bridge.answer(listener)

    def close(self, closed: Callable[[], object]) -> None:
        """End what runs and waits, with a deadline, and close the connections; then tell trio `closed`."""
        self.bridge.spawn(self._dispose(), lambda _: self.bridge.answer(closed))

    def _fill(self) -> None:
        while self._queue and self.running < self._limits.pool_size and not self._abandoned:
            transaction = self._queue.popleft()
            if transaction.stage is Stage.WAITING:
                self.running += 1
                transaction.begin()

    def _sweep(self) -> None:
        now = self.bridge.now()
        while self._queue and (self._queue[0].deadline <= now or self._queue[0].stage is not Stage.WAITING):
            transaction = self._queue.popleft()
            if transaction.stage is Stage.WAITING:
                self.timed_out += 1
                transaction.end(outcome.Error(_busy()))
        self._sweeping = bool(self._queue)
        if self._queue:
            self.bridge.after(max(self._queue[0].deadline - now, 0.01), self._sweep)

    def _learn(self, reached: bool) -> None:
        if reached is not self.healthy:
            self.healthy = reached
            if reached:
                log.info("database.reached")
            else:
                log.warning("database.lost")
                self.held.keep_at_most(0)
        if not reached and not self._probing and not self._abandoned:
            # Nobody needs to call for it to be found again.
            self._probing = True
            self.bridge.after(PROBE_SECONDS, lambda: self.bridge.spawn(self._look(), self._looked))

    async def _look(self) -> None:
        async with self.reader.connect() as connection:
            await connection.run_sync(probe)

    def _looked(self, result: outcome.Outcome[None]) -> None:
        self._probing = False
        self._learn(isinstance(result, outcome.Value))

    def _count_connection(self) -> None:
        self.connections_opened += 1

    async def _dispose(self) -> None:
        deadline = self.bridge.now() + DRAIN_SECONDS
        while (self.running or self._queue) and self.bridge.now() < deadline:
            await self.bridge.rest(0.01)
        # What is still running is cancelled with the thread; what still waits never begins.
        self._abandoned = True
        while self._queue:
            self._queue.popleft().end(outcome.Error(shutting_down()))
        self.held.keep_at_most(0)
        if not self.running:
            await self.writer.dispose()
            await self.unlimited.dispose()


def probe(connection: Connection) -> None:
    """The cheapest sign of life."""
    connection.execute(_SIGN_OF_LIFE)


def shutting_down() -> Overloaded:
    """The answer to what comes too late."""
    return Overloaded("the Hub is shutting down", retry_after_seconds=border.RETRY_AFTER_SECONDS)


def _busy() -> Overloaded:
    return Overloaded("the database is busy, nothing was changed", retry_after_seconds=border.RETRY_AFTER_SECONDS)
