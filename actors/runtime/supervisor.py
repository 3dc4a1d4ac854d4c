"""Supervision: how often an actor may crash, how long it waits before it is rebuilt, and who is told beyond that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from actors.runtime.ports import Randomness

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Supervision:
    """Restart intensity and back-off of a kind of actors (Erlang/OTP's `intensity` and `period`, with back-off).

    Parameters:
        max_restarts: so many restarts within the window are mended; one more crash escalates.
        within_seconds: length of that sliding window.
        backoff_initial_seconds, backoff_max_seconds: the wait doubles from the one to the other.
        jitter: share of the wait that is random, 0 to 1 (0.2: between 80 % and 120 %).
        cool_down_seconds: after an escalation, so long no message wakes the actor.
    """

    max_restarts: int = 5
    within_seconds: float = 60.0
    backoff_initial_seconds: float = 0.1
    backoff_max_seconds: float = 30.0
    jitter: float = 0.2
    cool_down_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.max_restarts < 0 or self.within_seconds <= 0 or self.cool_down_seconds < 0:
            raise ValueError("restart intensity must not be negative, its window must be longer than nothing")
        if not 0 < self.backoff_initial_seconds <= self.backoff_max_seconds or not 0 <= self.jitter <= 1:
            raise ValueError("back-off must rise from more than 0, jitter lies between 0 and 1")

    def backoff_seconds(self, attempt: int, randomness: Randomness) -> float:
        """The wait before restart number `attempt` (from 1) within the window."""
        wait = min(self.backoff_max_seconds, self.backoff_initial_seconds * 2.0 ** min(attempt - 1, 60))
        return wait * randomness.uniform(1 - self.jitter, 1 + self.jitter)


class Intensity:
    """The moments of the latest crashes, as many as the window asks for."""

    __slots__ = ("_moments",)

    def __init__(self) -> None:
        self._moments: list[float] = []

    def count(self, now: float, within_seconds: float) -> int:
        """Note one more at `now`; return how many lie within the window, this one included."""
        self._moments = [moment for moment in self._moments if moment > now - within_seconds]
        self._moments.append(now)
        return len(self._moments)


@dataclass(frozen=True, slots=True)
class Escalation:
    """A child went beyond its supervision. `source` is its path; `supervisor` the one who is told; `cause` in words."""

    supervisor: str
    source: str
    cause: str


class Supervisor:
    """A node of the supervision tree.

    An escalation stops the one actor it is about, never its siblings. Each supervisor on the way up is told as long
    as the one below it had more escalations than its own intensity allows; the root's word is for the operator.

    Parameters:
        tolerance: how many escalations of children within which window are borne without telling the parent.
        on_escalation: called, synchronously, with each escalation this supervisor is told of.
    """

    def __init__(
        self,
        name: str,
        *,
        parent: Supervisor | None = None,
        tolerance: Supervision | None = None,
        on_escalation: Callable[[Escalation], None] | None = None,
    ) -> None:
        self.name = name
        self.parent: Supervisor | None = None
        self.children: list[Supervisor] = []
        self.escalations = 0
        self._tolerance = tolerance or Supervision()
        self._on_escalation = on_escalation
        self._intensity = Intensity()
        if parent is not None:
            parent.adopt(self)

    def adopt(self, child: Supervisor) -> None:
        """Take a supervisor that has no parent yet under this one."""
        if child.parent not in (None, self):
            raise ValueError(f"{child.path} has a parent already")
        child.parent = self
        if child not in self.children:
            self.children.append(child)

    @property
    def path(self) -> str:
        return self.name if self.parent is None else f"{self.parent.path}/{self.name}"

    def told(self, source: str, cause: str, now: float) -> None:
        """A child escalates at `now` (monotonic seconds)."""
        self.escalations += 1
        escalation = Escalation(self.path, source, cause)
        log.error("supervisor.told", supervisor=self.path, source=source, cause=cause)
        if self._on_escalation is not None:
            try:
                self._on_escalation(escalation)
            except Exception:
                log.exception("supervisor.callback_failed", supervisor=self.path, source=source)
        if self._intensity.count(now, self._tolerance.within_seconds) > self._tolerance.max_restarts:
            if self.parent is None:
                log.critical("supervisor.root_overwhelmed", source=source, cause=cause)
            else:
                self.parent.told(self.path, cause, now)

    def picture(self, indent: str = "") -> Iterator[str]:
        """The tree in lines of text."""
        yield f"{indent}{self.name}" + (f"  ({self.escalations} escalations)" if self.escalations else "")
        for child in self.children:
            yield from child.picture(indent + "  ")
