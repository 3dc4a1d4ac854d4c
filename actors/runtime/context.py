"""What an actor is given: its own address, its timers, its children, its death watch. One for each incarnation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVarTuple, Unpack

import structlog
import trio

from actors.runtime.errors import Stopped
from actors.runtime.ports import Clock, Ids, Randomness
from actors.runtime.ref import Ref
from actors.runtime.timers import Timer, Timers

log = structlog.get_logger()
Arguments = TypeVarTuple("Arguments")

MOST_CHILDREN = 64
MOST_TIMERS = 10_000


class System(Protocol):
    """The actor system as actors see it."""

    @property
    def clock(self) -> Clock: ...

    @property
    def ids(self) -> Ids: ...

    @property
    def randomness(self) -> Randomness: ...

    def ref(self, kind: str, actor_id: str) -> Ref: ...


class Services(Protocol):
    """What a context needs of the runtime."""

    @property
    def timers(self) -> Timers: ...

    def insist(self, delivery: Delivery) -> None: ...

    def start_task(self, task: Callable[..., Awaitable[object]], *args: object, name: str) -> None: ...

    def child_failed(self, context: Context, child: str, error: Exception) -> None: ...

    def stop_requested(self, context: Context) -> None: ...

    def watch(self, watcher: Ref, target: Ref) -> None: ...

    def unwatch(self, watcher: Ref, target: Ref) -> None: ...


class Delivery:
    """A message of the runtime (timer, death watch) on its way to a control lane; it waits where that is full."""

    __slots__ = ("message", "owner", "ref")

    def __init__(self, ref: Ref, message: object, owner: set[Timer] | None = None) -> None:
        self.ref = ref
        self.message = message
        self.owner = owner


class Child:
    """A child task. `cancel()` ends it without a word to the parent."""

    __slots__ = ("_scope", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._scope = trio.CancelScope()

    def cancel(self) -> None:
        self._scope.cancel()

    async def run(self, work: Callable[[], Awaitable[object]]) -> None:
        with self._scope:
            await work()


class Context:
    """What one incarnation of an actor may use. Timers and children end with the incarnation, whatever ends it."""

    __slots__ = ("_children", "_closed", "_empty", "_services", "_timers", "ref", "system")

    def __init__(self, ref: Ref, system: System, services: Services) -> None:
        self.ref = ref
        self.system = system
        self._services = services
        self._timers: set[Timer] | None = None
        self._children: dict[Child, None] | None = None  # in the order they came: the same run, the same history
        self._empty: trio.Event | None = None
        self._closed = False

    def schedule(self, delay_seconds: float, message: object) -> Timer:
        """Deliver `message` to the actor's own control lane in `delay_seconds`; a pending timer keeps it awake.

        Timers do not outlive a crash: `started()` sets them again from what it loads.
        """
        if self._timers is None:
            self._timers = set()
        if len(self._timers) >= MOST_TIMERS:
            raise RuntimeError(f"{self.ref.path} has {MOST_TIMERS} timers pending")
        delivery = Delivery(self.ref, message, self._timers)
        timer = self._services.timers.after(delay_seconds, self._services.insist, delivery, self._timers)
        if self._closed:
            timer.cancel()
        return timer

    def spawn_child(
        self, work: Callable[[Unpack[Arguments]], Awaitable[object]], *args: *Arguments, name: str
    ) -> Child:
        """Start long work as a child task; it tells `context.ref` its result itself, failures it expects included.

        It is cancelled when the actor crashes or stops, and keeps the actor awake. An exception it lets out is a bug:
        the actor crashes with it and is rebuilt.

        Raises: Stopped when this incarnation has ended; RuntimeError beyond 64 children.
        """
        if self._closed:
            raise Stopped(self.ref.path)
        if self._children is None:
            self._children = {}
        if len(self._children) >= MOST_CHILDREN:
            raise RuntimeError(f"{self.ref.path} has {MOST_CHILDREN} children at work")
        child = Child(name)
        self._children[child] = None
        self._services.start_task(self._run_child, child, lambda: work(*args), name=f"{self.ref.path} {name}")
        return child

    def watch(self, target: Ref) -> None:
        """Have `Terminated` delivered when `target` ends (stops, or crashes too often). Sleep and restart are no ends.

        Outlives sleep and restart of the watcher; a watcher asleep is woken by it.
        """
        self._services.watch(self.ref, target)

    def unwatch(self, target: Ref) -> None:
        self._services.unwatch(self.ref, target)

    def stop(self) -> None:
        """End this actor after the message at hand: `stopped()` runs, watchers are told, what waits is dead letters.

        A message that comes later wakes a new one.
        """
        self._services.stop_requested(self)

    @property
    def closed(self) -> bool:
        """The incarnation has ended."""
        return self._closed

    @property
    def pending_timers(self) -> int:
        return len(self._timers) if self._timers else 0

    @property
    def children(self) -> list[str]:
        """Names of the child tasks at work."""
        return sorted(child.name for child in self._children or ())

    def close(self) -> None:
        """End of the incarnation: timers and children are cancelled. For the runtime."""
        self._closed = True
        for timer in list(self._timers or ()):
            timer.cancel()
        self.cancel_children()

    def cancel_children(self) -> None:
        for child in list(self._children or ()):
            child.cancel()

    async def childless(self) -> None:
        """Wait until the last child task has ended. For the runtime."""
        while self._children:
            if self._empty is None:
                self._empty = trio.Event()
            await self._empty.wait()

    async def _run_child(self, child: Child, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await child.run(work)
        except Exception as error:  # noqa: BLE001 - handed to supervision, which logs it with its traceback
            self._services.child_failed(self, child.name, error)
        finally:
            assert self._children is not None
            self._children.pop(child, None)
            if not self._children and self._empty is not None:
                self._empty.set()
                self._empty = None
