"""The dispatcher: one task that gives each actor with messages its turn; awaited handlers get tasks of their own."""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter
from types import CoroutineType
from typing import Any, Final

import trio

from actors.runtime.dead_letters import DeadLetters, DeadReason
from actors.runtime.directory import Cell, State
from actors.runtime.errors import AskTimeout, HandlerOverran
from actors.runtime.lifecycle import Lifecycle
from actors.runtime.mailbox import NOTHING
from actors.runtime.message import Asked
from actors.runtime.ready import ReadyQueue
from actors.runtime.redaction import Redactor
from actors.runtime.tasks import Tasks

_TURN: Final = 32  # messages one actor handles before the others have their turn
_SLICE_SECONDS: Final = 0.002  # then every other task of the process has its turn

RUNNING = State.RUNNING


class _Word:
    """What a step says besides an awaitable."""

    __slots__ = ()


_GONE: Final = _Word()  # at rest, or crashed: nobody's turn any more
_SUMMONED: Final = _Word()  # something else comes before the next message


class Dispatcher:
    """Takes ready actors in order. A cell belongs to the dispatcher or to one drain task, never to both."""

    def __init__(
        self,
        *,
        ready: ReadyQueue[Cell],
        tasks: Tasks,
        lifecycle: Lifecycle,
        dead_letters: DeadLetters,
        redactor: Redactor,
    ) -> None:
        self._ready = ready
        self._tasks = tasks
        self._lifecycle = lifecycle
        self._dead_letters = dead_letters
        self._snapshot = redactor.snapshot
        self._halted = False

    async def run(self) -> None:
        ready = self._ready.waiting
        while not self._halted:
            await self._ready.some()
            until = perf_counter() + _SLICE_SECONDS
            while ready and not self._halted:
                self._turn(ready.popleft())
                if perf_counter() > until:
                    break

    def halt(self) -> None:
        """Nobody gets a turn any more: what is still queued is left as it is."""
        self._halted = True

    def _turn(self, cell: Cell) -> None:
        if cell.actor is None or cell.summons is not None:
            self._tasks.start(self._drain, cell, None, name=cell.kind.name)
            return
        cell.state = RUNNING
        step = self._step
        for _ in range(_TURN):
            outcome = step(cell)
            if outcome is None:
                continue
            if outcome is _SUMMONED:
                self._tasks.start(self._drain, cell, None, name=cell.kind.name)
            elif outcome is not _GONE:
                self._tasks.start(self._drain, cell, outcome, name=cell.kind.name)
            return
        self._lifecycle.make_ready(cell)

    def _step(self, cell: Cell) -> object:
        """Handle the next message as far as that goes without waiting.

        Returns None when it is handled, the handler's awaitable when it must be awaited, or a word.
        """
        mailbox = cell.mailbox
        entry = mailbox.take() if mailbox is not None else NOTHING
        if entry is NOTHING:
            self._lifecycle.rest(cell)
            return _GONE
        message = entry
        if type(entry) is Asked:
            if not self._begin(cell, entry):
                return None
            message = entry.message
        kind = cell.kind
        if kind.remembered_messages:
            cell.remember(trio.current_time(), self._snapshot(message))
        actor = cell.actor
        assert actor is not None
        answer: Any
        try:
            answer = actor.receive(message)
            if answer is not None and (type(answer) is CoroutineType or isinstance(answer, Awaitable)):
                cell.current = entry
                return answer
        except Exception as error:  # noqa: BLE001 - crash() logs it with its traceback
            refusal = self._lifecycle.refusal_in(error)
            if refusal is None:
                self._lifecycle.crash(cell, error, entry)
                return _GONE
            self._refused(cell, entry, refusal)
        else:
            cell.handled += 1
            kind.counters.handled += 1
            if type(entry) is Asked:
                entry.answer(answer)
        return None if cell.summons is None else _SUMMONED

    async def _drain(self, cell: Cell, awaitable: Awaitable[object] | None) -> None:
        """Work for one actor until its mailbox is empty: whatever of it has to be awaited."""
        try:
            inline = 0
            while True:
                if awaitable is not None:
                    if not await self._finish(cell, awaitable):
                        return
                    awaitable = None
                if cell.summons is not None:
                    if isinstance(cell.summons, Exception):
                        self._lifecycle.crash(cell, cell.summons, None)
                    else:
                        await self._lifecycle.end(cell)
                    return
                if cell.actor is None:
                    if not await self._lifecycle.start(cell):
                        return
                    continue
                cell.state = RUNNING
                outcome = self._step(cell)
                if outcome is _GONE:
                    return
                if isinstance(outcome, Awaitable):
                    awaitable = outcome
                inline += 1
                if inline % _TURN == 0:
                    await trio.lowlevel.checkpoint()
        except BaseException:
            self._lifecycle.cut_off(cell)
            raise

    async def _finish(self, cell: Cell, awaitable: Awaitable[object]) -> bool:
        """Await the handler at hand; False when the actor crashed."""
        entry = cell.current
        limit_seconds = cell.kind.handler_seconds
        with trio.CancelScope(deadline=trio.current_time() + limit_seconds):
            try:
                answer = await awaitable
            except Exception as error:  # noqa: BLE001 - crash() logs it with its traceback
                refusal = self._lifecycle.refusal_in(error)
                if refusal is None:
                    self._lifecycle.crash(cell, error, entry)
                    return False
                cell.current = None
                self._refused(cell, entry, refusal)
                return True
            cell.current = None
            cell.handled += 1
            cell.kind.counters.handled += 1
            if type(entry) is Asked:
                entry.answer(answer)
            return True
        self._lifecycle.crash(cell, HandlerOverran(cell.path, limit_seconds), entry)
        return False

    def _begin(self, cell: Cell, asked: Asked) -> bool:
        """Whether the ask is still worth beginning."""
        if asked.deadline > trio.current_time():
            asked.begun = True
            return True
        cell.kind.counters.expired += 1
        self._dead_letters.add(cell.path, asked.message, DeadReason.EXPIRED)
        asked.fail(AskTimeout(cell.path, asked.timeout_seconds, begun=False))
        return False

    def _refused(self, cell: Cell, entry: object, refusal: Exception) -> None:
        cell.handled += 1
        cell.kind.counters.refused += 1
        if type(entry) is Asked:
            entry.fail(refusal)
