"""What becomes of an actor: started, crashed, backed off, escalated, stopped. One place changes these states."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
import trio

from actors.runtime.actor import Actor
from actors.runtime.context import Context, System
from actors.runtime.dead_letters import DeadLetters, DeadReason
from actors.runtime.directory import Cell, CrashView, Directory, State
from actors.runtime.errors import ActorCrashed, ActorError, HandlerOverran, Stopped
from actors.runtime.message import Asked, EndReason
from actors.runtime.ready import ReadyQueue
from actors.runtime.redaction import Redactor, secrets_of, view_of_error
from actors.runtime.ref import Ref
from actors.runtime.services import ContextServices
from actors.runtime.timers import Timers

log = structlog.get_logger()

_REFUSED_MAX_SECONDS = 2.0  # a refused start is an outage around the actor: seen to be over soon after it is


class Lifecycle:
    """The transitions between the states of a cell."""

    def __init__(
        self,
        *,
        system: System,
        directory: Directory,
        ready: ReadyQueue[Cell],
        timers: Timers,
        services: ContextServices,
        dead_letters: DeadLetters,
        redactor: Redactor,
        refusals: tuple[type[Exception], ...],
        crash_log: Callable[[CrashView], None],
    ) -> None:
        self.timers = timers
        self._system = system
        self._directory = directory
        self._ready = ready
        self._services = services
        self._dead_letters = dead_letters
        self._redactor = redactor
        self._refusals: tuple[type[Exception], ...] = (ActorError, *refusals)
        self._crash_log = crash_log
        self._settling: set[Cell] | None = None
        self._settled = trio.Event()

    # Start and rest

    async def start(self, cell: Cell) -> bool:
        """Make the actor and let it load; False when it crashed or refused. Runs in the cell's drain task."""
        kind = cell.kind
        cell.state = State.STARTING
        if cell.troubles is not None and cell.troubles.former is not None:
            # Never two of a kind at once: what a child of the former incarnation does must have ended.
            with trio.move_on_after(kind.handler_seconds) as ending:
                await cell.troubles.former.childless()
            if ending.cancelled_caught:
                self.crash(cell, HandlerOverran(f"a child of {cell.path}", kind.handler_seconds), None)
                return False
            cell.troubles.former = None
        context = cell.context = Context(Ref(kind, cell.actor_id), self._system, self._services)
        with trio.CancelScope(deadline=trio.current_time() + kind.handler_seconds):
            try:
                actor = kind.factory(cell.actor_id)
                actor.context = context
                await actor.started()
            except Exception as error:  # noqa: BLE001 - crash() logs it with its traceback
                refusal = self.refusal_in(error)
                if refusal is None:
                    self.crash(cell, error, None)
                else:
                    await self._start_refused(cell, refusal)
                return False
            cell.actor = actor
            if cell.troubles is not None:
                cell.troubles.owed = False
                cell.troubles.refusals = 0
            kind.counters.woken += 1
            return True
        self.crash(cell, HandlerOverran(f"{cell.path} started()", kind.handler_seconds), None)
        return False

    def rest(self, cell: Cell) -> None:
        """Nothing waits any more."""
        cell.state = State.IDLE
        cell.mailbox = None
        cell.touched = trio.current_time()
        if self._settling is not None:
            self._settle(cell)

    def make_ready(self, cell: Cell) -> None:
        cell.state = State.READY
        self._ready.add(cell)

    async def _start_refused(self, cell: Cell, refusal: Exception) -> None:
        """A refusal of `started()` answers all asks; tells are kept for some more tries."""
        context, cell.context = cell.context, None
        if context is not None:
            context.close()
            await context.childless()
        cell.summons = None
        counters = cell.kind.counters
        for asked in cell.mailbox.take_asks() if cell.mailbox is not None else ():
            counters.refused += 1
            asked.fail(refusal)
        trouble = cell.trouble
        trouble.refusals += 1
        if not trouble.owed:
            if trouble.refusals > cell.kind.supervision.max_restarts:
                self._bury(cell, DeadReason.REFUSED, refusal)
            if not cell.mailbox:
                self.forget(cell)
                return
        log.warning("actor.start_refused", actor=cell.path, refusal=str(refusal), tries=trouble.refusals)
        wait = cell.kind.supervision.backoff_seconds(trouble.refusals, self._system.randomness)
        self._back_off(cell, min(wait, _REFUSED_MAX_SECONDS))

    # Crash

    def crash(self, cell: Cell, error: Exception, entry: object) -> None:
        """The actor's memory is given up; it is rebuilt after its back-off, or escalated. `entry` is lost with it."""
        kind, now = cell.kind, trio.current_time()
        trouble = cell.trouble
        trouble.owed = trouble.owed or cell.actor is not None
        message = entry.message if isinstance(entry, Asked) else entry
        shown = view_of_error(error, hide=secrets_of(message))
        view = None if entry is None else self._redactor.view(message)
        trouble.last_crash = CrashView(self._system.clock.now(), cell.path, shown, view)
        self._crash_log(trouble.last_crash)
        kind.counters.crashes += 1
        actor = cell.actor
        self._let_go(cell)
        if actor is not None:
            self._release(cell, actor)
        log.error("actor.crashed", actor=cell.path, message=type(message).__name__, **shown.in_words())
        if entry is not None:
            kind.counters.crashed += 1
            if isinstance(entry, Asked):
                entry.fail(ActorCrashed(cell.path))
        if kind.closed:
            self._bury(cell, DeadReason.ACTOR_STOPPED, Stopped(cell.path))
            self.forget(cell)
            return
        count = trouble.intensity.count(now, kind.supervision.within_seconds)
        if count > kind.supervision.max_restarts:
            self._escalate(cell, type(error).__name__, now)
        else:
            self._back_off(cell, kind.supervision.backoff_seconds(count, self._system.randomness))

    def _release(self, cell: Cell, actor: Actor) -> None:
        try:
            actor.crashed()
        except Exception as error:  # noqa: BLE001 - logged with its traceback; the crash takes its course
            log.error("actor.release_failed", actor=cell.path, **view_of_error(error).in_words())

    def _back_off(self, cell: Cell, wait_seconds: float) -> None:
        if cell.kind.closed:
            self._bury(cell, DeadReason.ACTOR_STOPPED, Stopped(cell.path))
            self.forget(cell)
            return
        cell.state = State.BACKING_OFF
        cell.trouble.timer = self.timers.after(wait_seconds, self._rebuild, cell)

    def _rebuild(self, cell: Cell) -> None:
        cell.trouble.restarts += 1
        cell.kind.counters.restarts += 1
        self.make_ready(cell)

    def _escalate(self, cell: Cell, cause: str, now: float) -> None:
        kind = cell.kind
        cool_down = kind.supervision.cool_down_seconds
        self._cool_down(cell, cool_down)
        kind.counters.escalations += 1
        log.error("actor.escalated", actor=cell.path, crashes=kind.supervision.max_restarts + 1, cause=cause)
        self._services.tell_watchers(cell, EndReason.CRASHED)
        kind.supervisor.told(cell.path, cause, now)

    def _cool_down(self, cell: Cell, seconds: float) -> None:
        self._bury(cell, DeadReason.ACTOR_CRASHED, ActorCrashed(cell.path, retry_after_seconds=seconds))
        cell.mailbox = None
        cell.state = State.COOLING_DOWN
        cell.trouble.timer = self.timers.after(seconds, self._cooled, cell)
        if self._settling is not None:
            self._settle(cell)

    def _cooled(self, cell: Cell) -> None:
        former = cell.trouble.former
        if former is not None and former.children:
            # A child that will not end: never two of a kind at once.
            cell.trouble.timer = self.timers.after(cell.kind.supervision.backoff_max_seconds, self._cooled, cell)
        else:
            self.forget(cell)

    # Stop

    async def end(self, cell: Cell) -> None:
        """The actor asked to stop: what waits is dead letters, `stopped()` runs, watchers are told."""
        cell.summons = None
        self._bury(cell, DeadReason.ACTOR_STOPPED, Stopped(cell.path))
        context = cell.context
        await self.say_goodbye(cell, State.STOPPING)
        cell.kind.counters.stopped += 1
        with trio.move_on_after(cell.kind.handler_seconds):
            if context is not None:
                await context.childless()
        self._services.tell_watchers(cell, EndReason.STOPPED)
        if context is not None and context.children:
            self._cool_down(cell, cell.kind.supervision.cool_down_seconds)
        else:
            self.wake_or_forget(cell)

    async def say_goodbye(self, cell: Cell, state: State) -> None:
        """Run `stopped()` within its limit; whatever it does, the actor is let go."""
        actor = cell.actor
        if actor is None:
            return
        cell.state = state
        if type(actor).stopped is not Actor.stopped:
            if cell.context is not None:
                cell.context.cancel_children()
            with trio.move_on_after(cell.kind.handler_seconds) as limit:
                try:
                    await actor.stopped()
                except Exception as error:  # noqa: BLE001 - logged with its traceback, redacted
                    log.error("actor.stop_failed", actor=cell.path, **view_of_error(error).in_words())
            if limit.cancelled_caught:
                log.error("actor.stop_overran", actor=cell.path, limit_seconds=cell.kind.handler_seconds)
        self._let_go(cell)

    def wake_or_forget(self, cell: Cell) -> None:
        """After sleep or stop: a message that came meanwhile wakes a new incarnation."""
        if cell.kind.closed:
            self._bury(cell, DeadReason.ACTOR_STOPPED, Stopped(cell.path))
        if cell.mailbox:
            self.make_ready(cell)
        else:
            self.forget(cell)

    def forget(self, cell: Cell) -> None:
        """Take the cell out of the directory; its mailbox is empty."""
        if cell.kind.cells.get(cell.actor_id) is cell:
            del cell.kind.cells[cell.actor_id]
        if self._settling is not None:
            self._settle(cell)

    def cut_off(self, cell: Cell) -> None:
        """The task that worked for this actor was cancelled with the system."""
        entry, cell.current = cell.current, None
        if entry is not None:
            self._drop(cell, entry, DeadReason.ACTOR_STOPPED, Stopped(cell.path))
        if self._settling is not None:
            self._settle(cell)

    async def settle(self) -> None:
        """Wait until all actors at work have come to rest; new messages must be refused by then."""
        at_rest = (State.IDLE, State.COOLING_DOWN)
        for cell in self._directory.cells():
            if cell.state is State.BACKING_OFF:
                self.bury_all(cell)
            elif cell.context is not None:
                cell.context.cancel_children()
        self._settling = {cell for cell in self._directory.cells() if cell.state not in at_rest}
        if self._settling:
            await self._settled.wait()

    def bury_all(self, cell: Cell) -> None:
        """The system ends before this actor's messages began."""
        if cell.troubles is not None and cell.troubles.timer is not None:
            cell.troubles.timer.cancel()
        self._bury(cell, DeadReason.ACTOR_STOPPED, Stopped(cell.path))
        self._let_go(cell)
        self.forget(cell)

    def _settle(self, cell: Cell) -> None:
        if self._settling is not None:
            self._settling.discard(cell)
            if not self._settling:
                self._settled.set()

    # Parts

    def refusal_in(self, error: Exception) -> Exception | None:
        """The answer in an exception: a refusal, or a group of tasks that holds nothing but one."""
        if isinstance(error, self._refusals):
            return error
        if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            return self.refusal_in(error.exceptions[0])
        return None

    def _let_go(self, cell: Cell) -> None:
        context = cell.context
        cell.actor = cell.context = cell.summons = cell.current = None
        if context is not None:
            context.close()
            if context.children:
                cell.trouble.former = context

    def _bury(self, cell: Cell, reason: DeadReason, error: Exception) -> None:
        entries: Sequence[object] = cell.mailbox.clear() if cell.mailbox is not None else ()
        for entry in entries:
            self._drop(cell, entry, reason, error)

    def _drop(self, cell: Cell, entry: object, reason: DeadReason, error: Exception) -> None:
        cell.kind.counters.dropped += 1
        if isinstance(entry, Asked):
            entry.fail(error)
            entry = entry.message
        self._dead_letters.add(cell.path, entry, reason)
