"""One transaction's life on the database thread: connect, work, commit; its retries and its cancellation."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Generic, Protocol, TypeVar

import outcome
import structlog
from sqlalchemy import Connection, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from controlplane.store import border
from controlplane.store.bridge import Bridge, Cancellable, TaskCancelled
from controlplane.store.held import HeldConnections

T = TypeVar("T")
log = structlog.get_logger()

GRACE_SECONDS = 0.25
MAX_TRIES_ON_CONFLICT = 4
_TRANSACTION = "hub_transaction"


class SoftCancel(BaseException):
    """Raised at the next statement of a cancelled transaction: it rolls back and keeps its connection."""


class Stage(Enum):
    """Where a transaction stands, which decides how it may be cancelled."""

    WAITING = auto()  # for a lane
    CONNECTING = auto()  # for a connection, or resting before another try
    WORKING = auto()
    COMMITTING = auto()  # COMMIT was sent: from here on cancelling would only lose the truth
    ENDED = auto()


class Desk(Protocol):
    """What a transaction needs of the desk that runs it; all on the database thread."""

    bridge: Bridge
    held: HeldConnections

    def make_room(self) -> None: ...
    def note_end(self, transaction: Transaction[Any], *, reached: bool | None) -> None: ...
    def tell(self, news: str) -> None: ...
    def uniform(self, low: float, high: float) -> float: ...


class Transaction(Generic[T]):
    """One function shipped to the database thread, run inside one transaction.

    Args:
        desk: whom to tell the end.
        engine: with the isolation and access mode wanted.
        work: called with a Connection inside the transaction; may be called again after a lost connection
        or a
            serialization failure, so it must keep nothing from a former call.
        done: called on the trio thread, exactly once, with the result. `Error(TaskCancelled)` or
        `Error(SoftCancel)`
            after `cancel()`; a value always means committed.
    """

    __slots__ = (
        "cancelled",
        "deadline",
        "desk",
        "done",
        "engine",
        "hard_timer",
        "news",
        "reached",
        "stage",
        "task",
        "work",
    )

    def __init__(
        self,
        desk: Desk,
        engine: AsyncEngine,
        work: Callable[[Connection], T],
        done: Callable[[outcome.Outcome[T]], object],
    ) -> None:
        self.desk = desk
        self.engine = engine
        self.work = work
        self.done = done
        self.stage = Stage.WAITING
        self.cancelled = False
        self.deadline = 0.0
        self.task: Cancellable | None = None
        self.hard_timer: Cancellable | None = None
        self.news: set[str] = set()
        self.reached: bool | None = None  # what this transaction learned about the database: there, gone, nothing

    def begin(self) -> None:
        """Leave the queue and run."""
        self.stage = Stage.CONNECTING
        self.task = self.desk.bridge.spawn(self._run(), self.end)

    def cancel(self) -> None:
        """Cancel, softly where a connection would be lost by force; a commit under way is left to end."""
        self.cancelled = True
        if self.stage is Stage.WAITING:
            self.end(outcome.Error(TaskCancelled()))
        elif self.stage is Stage.CONNECTING:
            self._force()
        elif self.stage is Stage.WORKING:
            self.hard_timer = self.desk.bridge.after(GRACE_SECONDS, self._force)

    def end(self, result: outcome.Outcome[T]) -> None:
        """Report the result; only the first report counts."""
        if self.stage is Stage.ENDED:
            return
        self.stage = Stage.ENDED
        if self.hard_timer is not None:
            self.hard_timer.cancel()
        self.desk.note_end(self, reached=self.reached)
        if isinstance(result, outcome.Value):
            for news in self.news:
                self.desk.tell(news)
        done = self.done
        self.desk.bridge.answer(lambda: done(result))

    def _force(self) -> None:
        if self.stage in (Stage.CONNECTING, Stage.WORKING) and self.task is not None:
            self.task.cancel()

    async def _run(self) -> T:
        lost = conflicts = 0
        while True:
            try:
                result = await self._attempt()
                self.reached = True
                return result
            except Exception as error:
                committing = self.stage is Stage.COMMITTING
                self.reached = None
                if border.is_lost(error):
                    self.reached = False
                    lost += 1
                    # What was lost before COMMIT was sent never happened: once more on a fresh connection, since the
                    # pool may have handed out one that had died unseen.
                    again = lost == 1 and not committing and not self.cancelled
                elif border.sqlstate(error) in border.CONFLICTS:
                    conflicts += 1
                    again = conflicts < MAX_TRIES_ON_CONFLICT and not self.cancelled
                elif border.sqlstate(error) == border.STALE_PLAN:
                    lost += 1
                    again = lost == 1 and not committing and not self.cancelled
                else:
                    again = False
                if not again:
                    raise border.translate(error, committing=committing) from error
            self.stage = Stage.CONNECTING
            if conflicts:
                await self.desk.bridge.rest(self.desk.uniform(0.0, 0.005 * 4**conflicts))

    async def _attempt(self) -> T:
        self.desk.make_room()
        result: T = await greenlet_spawn(self._on_connection)
        return result

    def _on_connection(self) -> T:
        with self.engine.sync_engine.connect() as connection:
            self.stage = Stage.WORKING
            return self._in_transaction(connection)

    def _in_transaction(self, connection: Connection) -> T:
        connection = connection.execution_options(**{_TRANSACTION: self})
        with connection.begin():
            if self.cancelled:
                raise SoftCancel
            result = self.work(connection)
            if self.stage is Stage.WORKING and self.cancelled:
                raise SoftCancel
            self.stage = Stage.COMMITTING
        return result


def tell_after_commit(connection: Connection, news: str) -> None:
    """Have this process's listeners of `news` told once this connection's transaction has committed, and only then."""
    transaction = connection.get_execution_options().get(_TRANSACTION)
    if transaction is not None:
        transaction.news.add(news)


def listen(engine: AsyncEngine) -> None:
    """Teach an engine the soft cancel, and to throw away connections that will not serve again."""
    event.listen(engine.sync_engine, "before_cursor_execute", _stop_if_cancelled)
    event.listen(engine.sync_engine, "handle_error", _judge_connection)
    event.listen(engine.sync_engine.pool, "checkout", _refuse_closed)


def _stop_if_cancelled(
    connection: Connection, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool
) -> None:
    transaction = connection.get_execution_options().get(_TRANSACTION)
    if transaction is None or not transaction.cancelled or transaction.stage is Stage.COMMITTING:
        return
    if not statement.startswith("ROLLBACK"):
        raise SoftCancel


def _judge_connection(context: Any) -> None:
    error = context.original_exception
    if isinstance(error, SoftCancel):
        # SQLAlchemy takes every BaseException for one that left the driver in the middle of something. This one was
        # raised before the statement was sent.
        context.is_disconnect = False
    elif border.session_is_over(error):
        # Asyncpg raises before it has seen the socket close; the dead connection would go to the next caller.
        context.is_disconnect = True


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    # Free, unlike a ping: the loop has noticed by itself that the server hung up on an idle connection.
    if connection.driver_connection.is_closed():
        raise DisconnectionError
