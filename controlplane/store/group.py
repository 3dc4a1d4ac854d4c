"""Group commit: many small writes that arrive together go to the database as one statement and one commit."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeAlias, TypeVar

import outcome
import structlog
import trio
from sqlalchemy import Connection

from controlplane.store import border
from controlplane.store.lanes import shutting_down
from protocol.faults import Overloaded

I = TypeVar("I")  # noqa: E741 - an item
R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")
log = structlog.get_logger()


Life: TypeAlias = Callable[[], Awaitable[None]]


class Home(Protocol):
    """What a GroupWriter needs of the Database."""

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T: ...

    def house(self, serve: Life, close: Life) -> None: ...


@dataclass(slots=True)
class GroupStats:
    """Figures of one writer since it was made."""

    waiting: int = 0  # callers not answered yet, those of the batch under way included
    batches: int = 0  # transactions tried
    rows: int = 0  # rows committed
    split: int = 0  # batches that failed and were tried again in halves
    refused: int = 0  # callers turned away


class _Entry(Generic[I, R]):
    """One row to be, and everyone who waits for it."""

    __slots__ = ("item", "receivers")

    def __init__(self, item: I, receiver: Callable[[outcome.Outcome[R]], object]) -> None:
        self.item = item
        self.receivers = [receiver]


class GroupWriter(Generic[I, R]):
    """Gathers items and writes them in batches, one batch at a time, on the Database's house.

    Within a batch every key stands once and keys are ascending, so that two nodes lock rows in the same order. Items of
    one key are written in the order added. A batch that fails is tried again in halves down to single rows, so that a
    bad row harms nobody else; a batch that fails because the database is away is not, everyone is told Overloaded.

    Args:
        database: the Database, open.
        fn: `fn(connection, items)` writes a batch in the transaction given and returns one result an item, in order.
        key: what orders items and tells them apart; keys must compare with one another.
        merge: `merge(earlier, later)` makes one item of two that wait under one key, whose callers then share the
            result. Without it the later one goes into a later batch.
        max_batch: rows a statement.
        max_waiting: callers at a time; further ones are refused.
        linger_seconds: how long the first item of an idle writer waits for company.
    """

    def __init__(
        self,
        database: Home,
        fn: Callable[[Connection, list[I]], list[R]],
        *,
        key: Callable[[I], Hashable],
        merge: Callable[[I, I], I] | None = None,
        max_batch: int = 500,
        max_waiting: int = 20_000,
        linger_seconds: float = 0.002,
    ) -> None:
        self.stats = GroupStats()
        self._database = database
        self._fn = fn
        self._key = key
        self._merge = merge
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._linger_seconds = linger_seconds
        # By key, in the order of arrival: the batch is the heads of the first queues.
        self._queues: dict[Any, deque[_Entry[I, R]]] = {}
        self._setting_out: list[list[_Entry[I, R]]] = []  # taken from the queues, not answered; the next one last
        self._arrived = trio.Event()
        self._idle = trio.Event()
        self._idle.set()
        self._closed = False
        self._life = trio.CancelScope(shield=True)  # outlives the cancellation of those it serves, until closed
        database.house(self._serve, self._close)

    def add(self, item: I, done: Callable[[outcome.Outcome[R]], object]) -> None:
        """Write an item soon. From the trio thread; `done` is called there once, after the commit or the failure.

        Raises:
            Overloaded: too much waits already, or the Hub is shutting down.
        """
        self._enter(item, done)

    async def write(self, item: I) -> R:
        """Write an item and wait for its commit.

        When cancelled: an item that has not set out yet is taken back; else its outcome is awaited and returned.

        Raises:
            Overloaded: too much waits already, or the database is not reachable.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        task = trio.lowlevel.current_task()
        entry = self._enter(item, receiver := partial(trio.lowlevel.reschedule, task))

        def abort(_raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
            withdrawn = self._withdraw(entry, self._key(item), receiver)
            return trio.lowlevel.Abort.SUCCEEDED if withdrawn else trio.lowlevel.Abort.FAILED

        result: R = await trio.lowlevel.wait_task_rescheduled(abort)
        return result

    def _enter(self, item: I, receiver: Callable[[outcome.Outcome[R]], object]) -> _Entry[I, R]:
        if self._closed:
            raise shutting_down()
        if self.stats.waiting >= self._max_waiting:
            self.stats.refused += 1
            raise Overloaded(
                "too much waits for the database, nothing was changed",
                retry_after_seconds=border.RETRY_AFTER_SECONDS,
            )
        key = self._key(item)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = deque()
        if queue and self._merge is not None:
            entry = queue[-1]
            entry.item = self._merge(entry.item, item)
            entry.receivers.append(receiver)
        else:
            entry = _Entry(item, receiver)
            queue.append(entry)
        self.stats.waiting += 1
        self._arrived.set()
        if self._idle.is_set():
            self._idle = trio.Event()
        return entry

    def _withdraw(self, entry: _Entry[I, R], key: Any, receiver: Callable[..., object]) -> bool:
        queue = self._queues.get(key)
        # A merged item cannot be taken out again, and one that has set out is in no queue.
        if queue is None or entry not in queue or entry.receivers != [receiver]:
            return False
        queue.remove(entry)
        if not queue:
            del self._queues[key]
        self.stats.waiting -= 1
        return True

    async def _serve(self) -> None:
        try:
            with self._life:
                while True:
                    await self._arrived.wait()
                    await trio.sleep(self._linger_seconds)
                    while batch := self._take():
                        self._setting_out.append(batch)
                        while self._setting_out:
                            await self._write(self._setting_out[-1])
                    self._arrived = trio.Event()
                    self._idle.set()
        finally:
            # Nobody is left waiting, whatever ended us.
            while batch := self._take():
                self._setting_out.append(batch)
            while self._setting_out:
                self._answer_all(self._setting_out.pop(), shutting_down())
            self._idle.set()

    def _take(self) -> list[_Entry[I, R]]:
        keys = [key for key, _ in zip(self._queues, range(self._max_batch), strict=False)]
        batch: list[tuple[Any, _Entry[I, R]]] = []
        for key in keys:
            queue = self._queues.pop(key)
            batch.append((key, queue.popleft()))
            if queue:
                self._queues[key] = queue  # to the end: a busy key does not starve the others
        batch.sort(key=_first)
        return [entry for _, entry in batch]

    async def _write(self, batch: list[_Entry[I, R]]) -> None:
        self.stats.batches += 1
        items = [entry.item for entry in batch]
        try:
            results = await self._database.write(self._batch, items)
        except Overloaded as fault:
            self._answer_all(self._setting_out.pop(), fault)
        except Exception as error:  # noqa: BLE001 - carried to the one whose row it is
            self._setting_out.pop()
            if len(batch) == 1:
                self._answer_all(batch, error)
                return
            self.stats.split += 1
            middle = len(batch) // 2
            self._setting_out += [batch[middle:], batch[:middle]]
        else:
            self._setting_out.pop()
            self.stats.rows += len(batch)
            for entry, result in zip(batch, results, strict=True):
                for receiver in entry.receivers:
                    self._answer(receiver, outcome.Value(result))

    def _batch(self, connection: Connection, items: list[I]) -> list[R]:
        results = self._fn(connection, items)
        if len(results) != len(items):  # said before the commit: nothing is written by a function that miscounts
            raise RuntimeError(f"{self._fn!r} gave {len(results)} results for {len(items)} items")
        return results

    def _answer_all(self, batch: list[_Entry[I, R]], error: Exception) -> None:
        for entry in batch:
            for receiver in entry.receivers:
                self._answer(receiver, outcome.Error(error))

    def _answer(self, receiver: Callable[[outcome.Outcome[R]], object], result: outcome.Outcome[R]) -> None:
        self.stats.waiting -= 1
        try:
            receiver(result)
        except Exception:  # one receiver's bug must not cost the others their answers
            log.exception("database.receiver_failed")

    async def _close(self) -> None:
        """Refuse newcomers, see the rest written, and end; when cancelled, end at once."""
        self._closed = True
        try:
            await self._idle.wait()
        finally:
            self._life.cancel()


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]
