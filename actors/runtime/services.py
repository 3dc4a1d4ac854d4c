"""What stands behind every Context: deliveries of the runtime, death watch, children that failed, requests to stop."""

from __future__ import annotations

import structlog

from actors.runtime.context import Context, Delivery
from actors.runtime.directory import Cell, Directory, State, StopRequest
from actors.runtime.errors import ChildFailed
from actors.runtime.message import EndReason, Terminated
from actors.runtime.ready import ReadyQueue
from actors.runtime.redaction import view_of_error
from actors.runtime.ref import Ref
from actors.runtime.tasks import Tasks
from actors.runtime.timers import Timers
from actors.runtime.watches import Watches

log = structlog.get_logger()

_ROOM_AGAIN_SECONDS = 0.1  # a full control lane is tried again after this


class ContextServices:
    """The services of `actors.runtime.context.Services`."""

    def __init__(
        self, *, directory: Directory, ready: ReadyQueue[Cell], tasks: Tasks, timers: Timers, watches: Watches
    ) -> None:
        self.timers = timers
        self.start_task = tasks.start
        self._directory = directory
        self._ready = ready
        self._watches = watches

    def insist(self, delivery: Delivery) -> None:
        """Deliver into a control lane; where that is full, try again a little later."""
        if delivery.ref.has_room:
            delivery.ref.tell(delivery.message, control=True)
        else:
            self.timers.after(_ROOM_AGAIN_SECONDS, self.insist, delivery, delivery.owner)

    def child_failed(self, context: Context, child: str, error: Exception) -> None:
        """The actor crashes with its child, before its next message."""
        cell = self._directory.cell_of(context.ref)
        if context.closed or cell is None or cell.context is not context or cell.kind.closed:
            log.warning(
                "actor.child_failed_late", actor=context.ref.path, child=child, **view_of_error(error).in_words()
            )
            return
        failure = ChildFailed(context.ref.path, child)
        failure.__cause__ = error
        self._summon(cell, failure)

    def stop_requested(self, context: Context) -> None:
        cell = self._directory.cell_of(context.ref)
        if cell is not None and cell.context is context and not context.closed:
            self._summon(cell, StopRequest())

    def watch(self, watcher: Ref, target: Ref) -> None:
        cell = self._directory.cell_of(target)
        if cell is not None and cell.state is State.COOLING_DOWN:
            self.insist(Delivery(watcher, Terminated(target.path, EndReason.CRASHED)))
        else:
            self._watches.add(watcher, target)

    def unwatch(self, watcher: Ref, target: Ref) -> None:
        self._watches.remove(watcher, target)

    def tell_watchers(self, cell: Cell, reason: EndReason) -> None:
        """Of a cell's end, whoever watches it; with it ends what it watched itself."""
        for watcher in self._watches.ended(Ref(cell.kind, cell.actor_id)):
            self.insist(Delivery(watcher, Terminated(cell.path, reason)))

    def _summon(self, cell: Cell, summons: StopRequest | Exception) -> None:
        if not isinstance(cell.summons, Exception):
            cell.summons = summons
        if cell.state is State.IDLE:
            cell.state = State.READY
            self._ready.add(cell)
