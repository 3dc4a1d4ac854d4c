"""Timers of a whole system: one heap, one task, however many actors wait for a moment."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any

import trio

_MOST_AT_ONCE = 200  # fired between two checkpoints, so that a crowd of timers does not hold up the loop


class Timer:
    """Something due at a moment; `cancel()` any number of times, also after it fired."""

    __slots__ = ("_action", "_argument", "_owner", "_timers", "due")

    def __init__(
        self,
        timers: Timers,
        due: float,
        action: Callable[[Any], None],
        argument: Any,
        owner: set[Timer] | None,
    ) -> None:
        self._timers = timers
        self._action: Callable[[Any], None] | None = action
        self._argument = argument
        self._owner = owner
        self.due = due
        if owner is not None:
            owner.add(self)

    @property
    def pending(self) -> bool:
        return self._action is not None

    @property
    def remaining_seconds(self) -> float:
        return max(self.due - trio.current_time(), 0.0)

    def cancel(self) -> None:
        if self._release() is not None:
            self._timers._forget_one()

    def fire(self) -> None:
        argument = self._argument
        action = self._release()
        if action is not None:
            action(argument)

    def _release(self) -> Callable[[Any], None] | None:
        action, self._action, self._argument = self._action, None, None
        if self._owner is not None:
            self._owner.discard(self)
            self._owner = None
        return action


class Timers:
    """The heap and the task that waits for its head."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0
        self._scope: trio.CancelScope | None = None

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def after(
        self,
        delay_seconds: float,
        action: Callable[[Any], None],
        argument: Any = None,
        owner: set[Timer] | None = None,
    ) -> Timer:
        """Call `action(argument)` once, `delay_seconds` from now (0 or less: at the next turn of the loop).

        `owner` is a set the timer keeps itself in for as long as it is pending.
        """
        timer = Timer(self, trio.current_time() + max(delay_seconds, 0.0), action, argument, owner)
        self._sequence += 1
        heappush(self._heap, (timer.due, self._sequence, timer))
        if self._scope is not None and timer.due < self._scope.deadline:
            self._scope.deadline = timer.due
        return timer

    async def run(self) -> None:
        """Fire what is due, for ever. Actions are the runtime's own and must not raise."""
        while True:
            for _ in range(_MOST_AT_ONCE):
                if not self._heap or self._heap[0][0] > trio.current_time():
                    break
                timer = heappop(self._heap)[2]
                if timer.pending:
                    timer.fire()
                else:
                    self._cancelled -= 1
            with trio.CancelScope(deadline=self._heap[0][0] if self._heap else inf) as self._scope:
                await trio.sleep_forever()
            self._scope = None

    def _forget_one(self) -> None:
        # Cancelled timers stay in the heap until due; when they are most of it, it is built anew.
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].pending]
            heapify(self._heap)
            self._cancelled = 0
