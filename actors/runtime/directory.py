"""The directory: every kind of actors with its rules and counters, and every living actor by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from actors.runtime.actor import Actor
from actors.runtime.context import Context
from actors.runtime.dead_letters import DeadLetters, DeadReason
from actors.runtime.errors import ActorCrashed, ActorError, MailboxFull, Stopped
from actors.runtime.mailbox import Mailbox
from actors.runtime.message import Asked
from actors.runtime.ready import ReadyQueue
from actors.runtime.redaction import ErrorView, MessageView, Snapshot
from actors.runtime.ref import Ref
from actors.runtime.supervisor import Intensity, Supervision, Supervisor
from actors.runtime.timers import Timer


class State(Enum):
    """Where an actor stands. Without a cell it is asleep."""

    IDLE = auto()  # alive, nothing to do; holds no task
    READY = auto()  # queued for the dispatcher
    RUNNING = auto()  # at a message
    STARTING = auto()
    BACKING_OFF = auto()  # waits to be rebuilt
    FALLING_ASLEEP = auto()
    STOPPING = auto()
    COOLING_DOWN = auto()  # crashed too often: takes no messages


# Looked up for every message: a global is found faster than an attribute of an Enum.
IDLE, READY, COOLING_DOWN = State.IDLE, State.READY, State.COOLING_DOWN


@dataclass(frozen=True, slots=True)
class CrashView:
    """A crash as it may be shown. `message` is the one at hand, if any."""

    at: datetime
    path: str
    error: ErrorView
    message: MessageView | None


class Troubles:
    """What is noted of an actor that crashed or would not start; most actors never have one."""

    __slots__ = ("former", "intensity", "last_crash", "owed", "refusals", "restarts", "timer")

    def __init__(self) -> None:
        self.intensity = Intensity()
        self.restarts = 0
        self.refusals = 0  # starts refused in a row
        self.owed = False  # was alive, so it is rebuilt even if no message waits
        self.last_crash: CrashView | None = None
        self.former: Context | None = None  # its children may still be ending
        self.timer: Timer | None = None


class StopRequest:
    """The actor asked to end."""

    __slots__ = ()


class Cell:
    """One actor's place in the directory: kept small, for most actors are idle."""

    __slots__ = (
        "actor", "actor_id", "context", "current", "handled", "history", "kind", "mailbox", "state", "summons",
        "touched", "troubles",
    )  # fmt: skip

    def __init__(self, kind: Kind, actor_id: str) -> None:
        self.kind = kind
        self.actor_id = actor_id
        self.state = State.READY
        self.actor: Actor | None = None
        self.context: Context | None = None
        self.mailbox: Mailbox | None = None
        self.current: object = None  # the entry at hand, for as long as it is awaited
        self.history: list[tuple[float, Snapshot]] | None = None
        self.handled = 0
        self.touched = 0.0  # when it last came to rest
        self.troubles: Troubles | None = None
        self.summons: StopRequest | Exception | None = None  # heeded before the next message

    @property
    def path(self) -> str:
        return f"{self.kind.name}/{self.actor_id}"

    @property
    def trouble(self) -> Troubles:
        if self.troubles is None:
            self.troubles = Troubles()
        return self.troubles

    def remember(self, now: float, snapshot: Snapshot) -> None:
        history = self.history
        if history is None:
            history = self.history = []
        elif len(history) >= self.kind.remembered_messages:
            del history[0]
        history.append((now, snapshot))


@dataclass(slots=True)
class Counters:
    """Each accepted message ends in exactly one of the fates; what is missing from the sum waits or is at hand."""

    accepted: int = 0
    handled: int = 0
    refused: int = 0  # answered by a refusal
    crashed: int = 0
    expired: int = 0
    abandoned: int = 0
    dropped: int = 0  # its actor, or the system, ended first
    turned_away: int = 0  # never accepted
    woken: int = 0
    slept: int = 0
    crashes: int = 0
    restarts: int = 0
    escalations: int = 0
    stopped: int = 0

    @property
    def settled(self) -> int:
        return self.handled + self.refused + self.crashed + self.expired + self.abandoned + self.dropped


class Kind:
    """One kind of actors: how they are made, supervised and bounded; the living ones by id. Carries their post."""

    def __init__(
        self,
        name: str,
        factory: Callable[[str], Actor],
        *,
        supervision: Supervision,
        supervisor: Supervisor,
        mailbox_size: int,
        control_size: int,
        idle_seconds: float,
        handler_seconds: float,
        remembered_messages: int,
        ready: ReadyQueue[Cell],
        dead_letters: DeadLetters,
    ) -> None:
        self.name = name
        self.factory = factory
        self.supervision = supervision
        self.supervisor = supervisor
        self.mailbox_size = mailbox_size
        self.control_size = control_size
        self.idle_seconds = idle_seconds
        self.handler_seconds = handler_seconds
        self.remembered_messages = remembered_messages
        self.cells: dict[str, Cell] = {}
        self.counters = Counters()
        self.closed = False
        self.sweep: Timer | None = None
        self.on_first_cell: Callable[[Kind], None] | None = None
        self._ready = ready
        self._dead_letters = dead_letters

    def deliver(self, actor_id: str, entry: object, control: bool) -> bool:
        cell = self.cells.get(actor_id)
        if self.closed:
            return self._turn_away(actor_id, entry, DeadReason.STOPPING)
        if cell is None:
            cell = self._open_cell(actor_id)
        mailbox = cell.mailbox
        if mailbox is None:
            if cell.state is COOLING_DOWN:
                return self._turn_away(actor_id, entry, DeadReason.RESTING)
            mailbox = cell.mailbox = Mailbox(self.mailbox_size, self.control_size)
        if not mailbox.put(entry, control):
            return self._turn_away(actor_id, entry, DeadReason.FULL)
        self.counters.accepted += 1
        if cell.state is IDLE:
            cell.state = READY
            self._ready.add(cell)
        return True

    def has_room(self, actor_id: str) -> bool:
        """Whether the control lane would take one more (or whether waiting for room would be in vain)."""
        cell = self.cells.get(actor_id)
        return cell is None or cell.mailbox is None or cell.mailbox.waiting_control < self.control_size

    def refusal(self, actor_id: str) -> ActorError:
        path = f"{self.name}/{actor_id}"
        if self.closed:
            return Stopped(path)
        cell = self.cells.get(actor_id)
        if cell is not None and cell.state is COOLING_DOWN:
            timer = cell.troubles.timer if cell.troubles is not None else None
            return ActorCrashed(path, retry_after_seconds=timer.remaining_seconds if timer is not None else None)
        return MailboxFull(path)

    def withdraw(self, actor_id: str, asked: Asked, *, expired: bool) -> None:
        cell = self.cells.get(actor_id)
        if cell is None or cell.mailbox is None or not cell.mailbox.remove(asked):
            return
        if expired:
            self.counters.expired += 1
        else:
            self.counters.abandoned += 1
        reason = DeadReason.EXPIRED if expired else DeadReason.ABANDONED
        self._dead_letters.add(cell.path, asked.message, reason)

    def waiting(self) -> int:
        """Messages in all mailboxes."""
        return sum(len(cell.mailbox) for cell in self.cells.values() if cell.mailbox is not None)

    def _open_cell(self, actor_id: str) -> Cell:
        cell = self.cells[actor_id] = Cell(self, actor_id)
        self._ready.add(cell)
        if self.sweep is None and self.on_first_cell is not None:
            self.on_first_cell(self)
        return cell

    def _turn_away(self, actor_id: str, entry: object, reason: DeadReason) -> bool:
        self.counters.turned_away += 1
        message = entry.message if isinstance(entry, Asked) else entry
        self._dead_letters.add(f"{self.name}/{actor_id}", message, reason)
        return False


class Directory:
    """All kinds by name."""

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {}

    def add(self, kind: Kind) -> None:
        if not kind.name or "/" in kind.name:
            raise ValueError(f"{kind.name!r} is no name for a kind of actors")
        if kind.name in self._kinds:
            raise ValueError(f"actors of kind {kind.name!r} are registered already")
        self._kinds[kind.name] = kind

    def kind(self, name: str) -> Kind:
        try:
            return self._kinds[name]
        except KeyError:
            raise LookupError(f"no actors of kind {name!r} are registered") from None

    def find(self, path: str) -> tuple[Kind, str] | None:
        name, _, actor_id = path.partition("/")
        kind = self._kinds.get(name)
        return None if kind is None or not actor_id else (kind, actor_id)

    def cell_of(self, ref: Ref) -> Cell | None:
        return self._kinds[ref.kind].cells.get(ref.actor_id)

    def cells(self) -> Iterator[Cell]:
        for kind in self._kinds.values():
            yield from list(kind.cells.values())

    def __iter__(self) -> Iterator[Kind]:
        return iter(list(self._kinds.values()))
