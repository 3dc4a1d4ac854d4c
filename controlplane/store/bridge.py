"""The hop between trio and the one thread whose asyncio loop holds every database connection.

Nothing else in the Hub knows asyncio. Work goes in by `post`, comes back by `answer`; both directions are
a deque and one wake for everything that gathered meanwhile, since a wake across threads costs more than
the work it announces.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import outcome
import structlog
import trio

T = TypeVar("T")
log = structlog.get_logger()


class TaskCancelled(BaseException):
    """A task on the loop ended because it was cancelled; asyncio's own exception stays behind the bridge."""


class Cancellable(Protocol):
    """A running task or a set timer."""

    def cancel(self) -> object: ...


class Bridge:
    """The asyncio thread. `post` belongs to trio, everything else to the thread's own loop."""

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self._token = token
        self._inbox: deque[Callable[[], object]] = deque()
        self._outbox: deque[Callable[[], object]] = deque()
        self._loop_woken = False
        self._trio_woken = False
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str) -> AsyncIterator[Bridge]:
        """Start the thread; on the way out cancel what still runs there and wait for the thread's end."""
        bridge = cls(trio.lowlevel.current_trio_token())
        thread = threading.Thread(target=bridge._live, name=name, daemon=True)
        thread.start()
        try:
            yield bridge
        finally:
            bridge._loop.call_soon_threadsafe(bridge._loop.stop)
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(thread.join)
            # Answers given while the thread wound down would otherwise arrive after their receivers are gone.
            bridge._drain_outbox()

    def post(self, call: Callable[[], object]) -> None:
        """Run `call` on the loop's thread, soon, in the order posted. From the trio thread only."""
        self._inbox.append(call)
        if not self._loop_woken:
            self._loop_woken = True
            self._loop.call_soon_threadsafe(self._drain_inbox)

    def answer(self, call: Callable[[], object]) -> None:
        """Run `call` on the trio thread, soon, in the order given. From the loop's thread only."""
        self._outbox.append(call)
        if not self._trio_woken:
            self._trio_woken = True
            self._token.run_sync_soon(self._drain_outbox)

    def spawn(self, coroutine: Coroutine[Any, Any, T], ended: Callable[[outcome.Outcome[T]], object]) -> Cancellable:
        """Run a coroutine as a task; `ended` is called on the loop's thread once, whatever way it ended."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)

        # As a callback, not around the coroutine: a task cancelled before its first step never enters that.
        def report(task: asyncio.Task[T]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                ended(outcome.Error(TaskCancelled()))
            elif (error := task.exception()) is not None:
                ended(outcome.Error(error))
            else:
                ended(outcome.Value(task.result()))

        task.add_done_callback(report)
        return task

    def after(self, delay_seconds: float, call: Callable[[], object]) -> Cancellable:
        """Run `call` on the loop's thread after a delay in real seconds."""
        return self._loop.call_later(delay_seconds, call)

    async def rest(self, delay_seconds: float) -> None:
        """Let a coroutine on the loop wait."""
        await asyncio.sleep(delay_seconds)

    def now(self) -> float:
        """Monotonic seconds of the loop."""
        return self._loop.time()

    def _drain_inbox(self) -> None:
        # The flag falls first: whatever is appended from here on either is seen below or wakes again.
        self._loop_woken = False
        while self._inbox:
            _guarded(self._inbox.popleft())

    def _drain_outbox(self) -> None:
        self._trio_woken = False
        while self._outbox:
            _guarded(self._outbox.popleft())

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                self._loop.run_until_complete(asyncio.wait(self._tasks, timeout=5))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()


def _guarded(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:  # one receiver's bug must not cost the others their answers
        log.exception("database.receiver_failed")
