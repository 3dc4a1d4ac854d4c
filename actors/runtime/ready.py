"""The queue of actors that have something to do, and the one task that waits for it."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import trio
from outcome import Value

T = TypeVar("T")


class ReadyQueue(Generic[T]):
    """Adding is synchronous and wakes the dispatcher once, however many are added before it runs."""

    __slots__ = ("_sleeper", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[T] = deque()
        self._sleeper: trio.lowlevel.Task | None = None

    def add(self, item: T) -> None:
        self.waiting.append(item)
        sleeper = self._sleeper
        if sleeper is not None:
            self._sleeper = None
            trio.lowlevel.reschedule(sleeper, Value(None))

    async def some(self) -> None:
        """Return when there is at least one; always a checkpoint."""
        if self.waiting:
            await trio.lowlevel.checkpoint()
            return

        def give_up(_: object) -> trio.lowlevel.Abort:
            self._sleeper = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._sleeper = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(give_up)
