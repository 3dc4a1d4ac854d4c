"""The alarm: one timer for the next moment at which something of a tenant reaches the end of its time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from actors.runtime.context import Context
from actors.runtime.ports import Clock
from actors.runtime.timers import Timer
from actors.tenant.messages import SomethingDue

#: Timers run on the monotonic clock, which stands still while a machine is suspended: the wall clock is asked so often.
LOOK_AGAIN_SECONDS: Final = 300.0
SHORTEST_SECONDS: Final = 0.001


class Alarm:
    """Delivers `SomethingDue` to its actor, not before the moment it was set to."""

    __slots__ = ("_clock", "_context", "_timer", "due_at")

    def __init__(self, context: Context, clock: Clock) -> None:
        self._context = context
        self._clock = clock
        self._timer: Timer | None = None
        self.due_at: datetime | None = None

    @property
    def is_due(self) -> bool:
        """Whether the moment has come, rung or not."""
        return self.due_at is not None and self.due_at <= self._clock.now()

    def wait_until(self, due: datetime | None) -> None:
        """Set the alarm, unless it is set to an earlier moment; None sets nothing."""
        if due is not None and (self.due_at is None or due < self.due_at):
            self.due_at = due
            self._arm(due)

    def wait(self, seconds: float) -> None:
        """Set the alarm this far from now."""
        self.wait_until(self._clock.now() + timedelta(seconds=seconds))

    def rang(self) -> bool:
        """Whether a ring is in earnest; when it came too early the alarm is armed again."""
        if self.due_at is None:
            return False
        if self.is_due:
            return True
        self._arm(self.due_at)
        return False

    def clear(self) -> None:
        """Set to nothing."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.due_at = None

    def _arm(self, due: datetime) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = max((due - self._clock.now()).total_seconds(), SHORTEST_SECONDS)
        self._timer = self._context.schedule(min(delay, LOOK_AGAIN_SECONDS), SomethingDue(due))
