"""Sleep: actors nobody needs are let go and woken by id; one sweep for all of a kind, no task for any."""

from __future__ import annotations

from math import inf

import structlog
import trio

from actors.runtime.actor import Actor
from actors.runtime.directory import Cell, Kind, State
from actors.runtime.lifecycle import Lifecycle
from actors.runtime.tasks import Tasks

log = structlog.get_logger()

MOST_FALLING_ASLEEP = 64  # of one kind at a time: each may have something to save
_NEXT_CROWD_SECONDS = 1.0


class Sleep:
    """Puts to sleep what has been idle for its kind's `idle_seconds` and says it may."""

    def __init__(self, *, lifecycle: Lifecycle, tasks: Tasks) -> None:
        self._lifecycle = lifecycle
        self._tasks = tasks

    def begin(self, kind: Kind) -> None:
        """Called with the first living actor of a kind."""
        if kind.idle_seconds < inf:
            kind.sweep = self._lifecycle.timers.after(kind.idle_seconds, self._sweep, kind)

    def _sweep(self, kind: Kind) -> None:
        kind.sweep = None
        if kind.closed:
            return
        now = trio.current_time()
        falling = sum(cell.state is State.FALLING_ASLEEP for cell in kind.cells.values())
        soonest = now + kind.idle_seconds
        for cell in list(kind.cells.values()):
            if cell.state is not State.IDLE:
                continue
            due = cell.touched + kind.idle_seconds
            if due <= now and falling >= MOST_FALLING_ASLEEP:
                due = now + _NEXT_CROWD_SECONDS
            if due > now:
                soonest = min(soonest, due)
            elif self._may_sleep(cell):
                falling += self._fall_asleep(cell)
            else:
                cell.touched = now  # asked again when as much time has passed
        if kind.cells:
            # No oftener than twenty times in the idle time, however scattered the moments.
            wait = max(soonest - now, kind.idle_seconds / 20)
            kind.sweep = self._lifecycle.timers.after(wait, self._sweep, kind)

    def _may_sleep(self, cell: Cell) -> bool:
        context, actor = cell.context, cell.actor
        if context is None or actor is None or context.pending_timers or context.children:
            return False
        try:
            return actor.asleep_allowed()
        except Exception as error:  # noqa: BLE001 - crash() logs it with its traceback
            self._lifecycle.crash(cell, error, None)
            return False

    def _fall_asleep(self, cell: Cell) -> bool:
        """Whether it takes a task; an actor with nothing to do in `stopped()` is asleep at once."""
        cell.kind.counters.slept += 1
        if cell.actor is not None and type(cell.actor).stopped is Actor.stopped:
            cell.actor = cell.context = None
            self._lifecycle.forget(cell)
            return False
        cell.state = State.FALLING_ASLEEP
        self._tasks.start(self._lull, cell, name=f"{cell.kind.name} falls asleep")
        return True

    async def _lull(self, cell: Cell) -> None:
        try:
            await self._lifecycle.say_goodbye(cell, State.FALLING_ASLEEP)
            self._lifecycle.wake_or_forget(cell)
        except BaseException:
            self._lifecycle.cut_off(cell)
            raise
