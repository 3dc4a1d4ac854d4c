"""The actor system: opened once a process, joins the runtime's parts, and stops them in order."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import structlog
import trio

from actors.runtime.actor import Actor
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.directory import Cell, CrashView, Directory, Kind, State
from actors.runtime.dispatcher import Dispatcher
from actors.runtime.explain import Explanation, Stats, explain_cell, stats_of_kind
from actors.runtime.lifecycle import Lifecycle
from actors.runtime.ports import Clock, Ids, Randomness, SystemClock, SystemIds, SystemRandomness
from actors.runtime.ready import ReadyQueue
from actors.runtime.redaction import Redactor
from actors.runtime.ref import Ref
from actors.runtime.services import ContextServices
from actors.runtime.sleep import Sleep
from actors.runtime.supervisor import Escalation, Supervision, Supervisor
from actors.runtime.tasks import Tasks
from actors.runtime.timers import Timers
from actors.runtime.watches import Watches

log = structlog.get_logger()

_CRASHES_KEPT = 50
_STOPPED_AT_ONCE = 16


class ActorSystem:
    """Actors of several kinds, found by id, woken by their first message. Use `ActorSystem.open`."""

    def __init__(
        self,
        *,
        clock: Clock,
        ids: Ids,
        randomness: Randomness,
        refusals: tuple[type[Exception], ...],
        stop_seconds: float,
        on_escalation: Callable[[Escalation], None] | None,
        tolerance: Supervision | None,
    ) -> None:
        self.clock = clock
        self.ids = ids
        self.randomness = randomness
        self.root = Supervisor("root", tolerance=tolerance, on_escalation=on_escalation)
        self._stop_seconds = stop_seconds
        self._redactor = Redactor()
        self._directory = Directory()
        self._ready: ReadyQueue[Cell] = ReadyQueue()
        self._tasks = Tasks()
        self._timers = Timers()
        self._watches = Watches()
        self._crashes: deque[CrashView] = deque(maxlen=_CRASHES_KEPT)
        self.dead_letters = DeadLetters(clock, self._redactor)
        self._lifecycle = Lifecycle(
            system=self,
            directory=self._directory,
            ready=self._ready,
            timers=self._timers,
            services=ContextServices(
                directory=self._directory,
                ready=self._ready,
                tasks=self._tasks,
                timers=self._timers,
                watches=self._watches,
            ),
            dead_letters=self.dead_letters,
            redactor=self._redactor,
            refusals=refusals,
            crash_log=self._crashes.append,
        )
        self._dispatcher = Dispatcher(
            ready=self._ready,
            tasks=self._tasks,
            lifecycle=self._lifecycle,
            dead_letters=self.dead_letters,
            redactor=self._redactor,
        )
        self._sleep = Sleep(lifecycle=self._lifecycle, tasks=self._tasks)
        self._stopping = False
        self._stopped = trio.Event()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        randomness: Randomness | None = None,
        refusals: tuple[type[Exception], ...] = (),
        stop_seconds: float = 10.0,
        on_escalation: Callable[[Escalation], None] | None = None,
        tolerance: Supervision | None = None,
    ) -> AsyncIterator[ActorSystem]:
        """A running system; leaving the block stops it.

        Parameters:
            clock, ids, randomness: the ports; the real ones by default.
            refusals: exception types that are answers; anything else a handler raises is a crash.
            stop_seconds: how long stopping may take, half of it for what is under way, half for `stopped()`.
            on_escalation, tolerance: of the root supervisor.
        """
        clock = clock or SystemClock()
        randomness = randomness or SystemRandomness()
        system = cls(
            clock=clock,
            ids=ids or SystemIds(clock, randomness),
            randomness=randomness,
            refusals=refusals,
            stop_seconds=stop_seconds,
            on_escalation=on_escalation,
            tolerance=tolerance,
        )
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system._dispatcher.run, name="actor dispatcher")
            nursery.start_soon(system._timers.run, name="actor timers")
            await nursery.start(system._tasks.run, name="actor tasks")
            try:
                yield system
            except Exception as error:  # noqa: BLE001 - raised again below, without the nursery's group around it
                failure = error
            finally:
                await system.stop()
                nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def supervisor(
        self,
        name: str,
        *,
        parent: Supervisor | None = None,
        tolerance: Supervision | None = None,
        on_escalation: Callable[[Escalation], None] | None = None,
    ) -> Supervisor:
        """A node of the supervision tree, under the root unless `parent` is given."""
        return Supervisor(name, parent=parent or self.root, tolerance=tolerance, on_escalation=on_escalation)

    def register(
        self,
        kind: str,
        factory: Callable[[str], Actor],
        *,
        supervision: Supervision,
        mailbox_size: int = 256,
        control_size: int = 64,
        idle_seconds: float = 300.0,
        handler_seconds: float = 60.0,
        remembered_messages: int = 5,
        under: Supervisor | None = None,
        tolerance: Supervision | None = None,
        on_escalation: Callable[[Escalation], None] | None = None,
    ) -> Supervisor:
        """Make a kind of actors known; returns the kind's supervisor.

        Parameters:
            factory: makes the actor of an id; called at each waking and each restart.
            supervision: of each actor of the kind.
            mailbox_size, control_size: most messages that may wait in the lanes of one actor.
            idle_seconds: without a message for so long, an actor is put to sleep if it allows that.
            handler_seconds: limit of one awaited handler, of `started()` and of `stopped()`; beyond it is a crash.
            remembered_messages: how many `explain` shows.
            under, tolerance, on_escalation: of the kind's own supervisor.

        Raises: ValueError for a name that is taken or holds a slash, or for bounds below one.
        """
        if min(mailbox_size, control_size) < 1 or idle_seconds <= 0 or handler_seconds <= 0:
            raise ValueError("sizes must be at least 1, seconds more than 0")
        entry = Kind(
            kind,
            factory,
            supervision=supervision,
            supervisor=Supervisor(kind, tolerance=tolerance, on_escalation=on_escalation),
            mailbox_size=mailbox_size,
            control_size=control_size,
            idle_seconds=idle_seconds,
            handler_seconds=handler_seconds,
            remembered_messages=remembered_messages,
            ready=self._ready,
            dead_letters=self.dead_letters,
        )
        self._directory.add(entry)
        (under or self.root).adopt(entry.supervisor)
        entry.on_first_cell = self._sleep.begin
        entry.closed = self._stopping
        return entry.supervisor

    def ref(self, kind: str, actor_id: str) -> Ref:
        """The address of an actor; wakes nobody. Raises LookupError for an unknown kind."""
        return Ref(self._directory.kind(kind), actor_id)

    def living(self, kind: str) -> Iterable[str]:
        """Ids of the actors of a kind that are not asleep."""
        return list(self._directory.kind(kind).cells)

    def explain(self, path: str) -> Explanation | None:
        """How the actor at "kind/id" is doing; None when there is no such kind."""
        found = self._directory.find(path)
        if found is None:
            return None
        kind, actor_id = found
        crash = next((crash for crash in reversed(self._crashes) if crash.path == path), None)
        cell = kind.cells.get(actor_id)
        if cell is None:
            return Explanation(path=path, state="asleep", last_crash=crash)
        return explain_cell(cell, redactor=self._redactor, clock=self.clock, last_crash=crash)

    def crashes(self) -> list[CrashView]:
        """The latest crashes of all actors, oldest first."""
        return list(self._crashes)

    def tree(self) -> str:
        """The supervision tree as text."""
        return "\n".join(self.root.picture())

    def stats(self) -> Stats:
        return Stats(
            kinds={kind.name: stats_of_kind(kind) for kind in self._directory},
            dead_letters=self.dead_letters.counts,
            ready=len(self._ready.waiting),
            tasks=len(self._tasks),
            timers=len(self._timers),
            watches=len(self._watches),
            escalations=self.root.escalations,
        )

    async def stop(self) -> None:
        """Refuse new messages, let what is under way end, run `stopped()` of the living, within `stop_seconds`.

        Kinds registered last are stopped first. Called again it waits for the first call's end.
        """
        if self._stopping:
            await self._stopped.wait()
            return
        self._stopping = True
        try:
            # Once begun it is seen through: a caller's cancellation must not leave actors half stopped.
            with trio.CancelScope(shield=True):
                await self._stop_in_order()
        finally:
            self._stopped.set()
        log.info("actors.stopped", dead_letters=self.dead_letters.count)

    async def _stop_in_order(self) -> None:
        for kind in self._directory:
            kind.closed = True
        half_seconds = self._stop_seconds / 2
        with trio.move_on_after(half_seconds) as limit:
            await self._lifecycle.settle()
        if limit.cancelled_caught:
            log.warning("actors.cut_off", seconds=half_seconds, tasks=len(self._tasks))
        self._dispatcher.halt()
        await self._tasks.cancel_all()
        with trio.move_on_after(half_seconds) as limit:
            await self._stop_living()
        if limit.cancelled_caught:
            log.warning("actors.stop_overran", seconds=half_seconds)
        for cell in self._directory.cells():
            self._lifecycle.bury_all(cell)

    async def _stop_living(self) -> None:
        kinds = list(self._directory)
        for kind in reversed(kinds):
            living = iter([cell for cell in kind.cells.values() if cell.actor is not None])

            async def stop_some(cells: Iterable[Cell] = living) -> None:
                for cell in cells:
                    await self._lifecycle.say_goodbye(cell, State.STOPPING)

            async with trio.open_nursery() as nursery:
                for _ in range(_STOPPED_AT_ONCE):
                    nursery.start_soon(stop_some)
