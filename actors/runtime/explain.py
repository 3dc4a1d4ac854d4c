"""Explanations: how one actor is doing, and how the whole system is, fit to be shown to staff."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import trio

from actors.runtime.dead_letters import DeadReason
from actors.runtime.directory import Cell, CrashView, Kind
from actors.runtime.message import Asked
from actors.runtime.ports import Clock
from actors.runtime.redaction import MessageView, Redactor, redacted


@dataclass(frozen=True, slots=True)
class SeenMessage:
    """A message that was begun, and when."""

    at: datetime
    message: MessageView


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one actor is doing. No secrets: fields that may hold one are hidden, values are cut.

    `state` in words ("asleep" when it is not in memory); `waiting` messages in the mailbox, `waiting_control` of them
    in the control lane; `handling` the message at hand; `idle_seconds` since it came to rest.
    """

    path: str
    state: str
    waiting: int = 0
    waiting_control: int = 0
    handling: MessageView | None = None
    handled: int = 0
    restarts: int = 0
    idle_seconds: float | None = None
    pending_timers: int = 0
    children: tuple[str, ...] = ()
    last_messages: tuple[SeenMessage, ...] = ()
    last_crash: CrashView | None = None
    extra: object = None


@dataclass(frozen=True, slots=True)
class KindStats:
    """Figures of one kind of actors; the counters are those of `Counters`."""

    living: int
    waiting: int
    by_state: dict[str, int]
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of a system, for metrics and readiness."""

    kinds: dict[str, KindStats]
    dead_letters: dict[DeadReason, int]
    ready: int
    tasks: int
    timers: int
    watches: int
    escalations: int


def explain_cell(cell: Cell, *, redactor: Redactor, clock: Clock, last_crash: CrashView | None) -> Explanation:
    now, wall = trio.current_time(), clock.now()
    entry = cell.current
    context, trouble, mailbox = cell.context, cell.troubles, cell.mailbox
    return Explanation(
        path=cell.path,
        state=_in_words(cell),
        waiting=len(mailbox) if mailbox is not None else 0,
        waiting_control=mailbox.waiting_control if mailbox is not None else 0,
        handling=None if entry is None else redactor.view(entry.message if isinstance(entry, Asked) else entry),
        handled=cell.handled,
        restarts=trouble.restarts if trouble is not None else 0,
        idle_seconds=now - cell.touched if _in_words(cell) == "idle" else None,
        pending_timers=context.pending_timers if context is not None else 0,
        children=tuple(context.children) if context is not None else (),
        last_messages=tuple(
            SeenMessage(wall - timedelta(seconds=now - at), redactor.render(snapshot))
            for at, snapshot in cell.history or ()
        ),
        last_crash=trouble.last_crash if trouble is not None and trouble.last_crash is not None else last_crash,
        extra=_extra(cell),
    )


def stats_of_kind(kind: Kind) -> KindStats:
    by_state: dict[str, int] = {}
    for cell in kind.cells.values():
        word = _in_words(cell)
        by_state[word] = by_state.get(word, 0) + 1
    return KindStats(len(kind.cells), kind.waiting(), by_state, asdict(kind.counters))


def _in_words(cell: Cell) -> str:
    return cell.state.name.lower().replace("_", " ")


def _extra(cell: Cell) -> object:
    if cell.actor is None:
        return None
    try:
        return redacted(cell.actor.explain())
    except Exception as error:  # noqa: BLE001 - a diagnosis must not fail with its patient
        return {"explain": type(error).__name__}
