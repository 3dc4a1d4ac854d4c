"""Dead letters: messages nobody handled, counted by reason, the latest of them kept for inspection."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog

from actors.runtime.ports import Clock
from actors.runtime.redaction import MessageView, Redactor, Snapshot

log = structlog.get_logger()


class DeadReason(StrEnum):
    """Why nobody handled it."""

    FULL = "full"  # not taken: the lane was full
    RESTING = "resting"  # not taken: the actor crashed too often and cools down
    STOPPING = "stopping"  # not taken: the system is stopping
    EXPIRED = "expired"  # taken; the asker's time ran out before it began
    ABANDONED = "abandoned"  # taken; the asker was cancelled before it began
    ACTOR_STOPPED = "actor_stopped"  # taken; the actor or the system stopped before it began or ended
    ACTOR_CRASHED = "actor_crashed"  # taken; the actor crashed too often before it began
    REFUSED = "refused"  # taken; the actor refused to start


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter, redacted."""

    at: datetime
    path: str
    reason: DeadReason
    message: MessageView


class DeadLetters:
    """Counters and a bounded ring.

    Parameters: `most_kept`: how many letters the ring holds.
    """

    def __init__(self, clock: Clock, redactor: Redactor, *, most_kept: int = 200) -> None:
        self._clock = clock
        self._redactor = redactor
        self._kept: deque[tuple[datetime, str, DeadReason, Snapshot]] = deque(maxlen=most_kept)
        self._counts: Counter[DeadReason] = Counter()

    def add(self, path: str, message: object, reason: DeadReason) -> None:
        self._counts[reason] += 1
        self._kept.append((self._clock.now(), path, reason, self._redactor.snapshot(message)))
        count = self._counts[reason]
        if count & (count - 1) == 0:
            # At 1, 2, 4, 8 …: a flood must not become a flood of log lines.
            log.warning(
                "actor.dead_letter", actor=path, reason=reason.value, message=type(message).__name__, count=count
            )

    @property
    def count(self) -> int:
        return sum(self._counts.values())

    @property
    def counts(self) -> dict[DeadReason, int]:
        return {reason: self._counts[reason] for reason in DeadReason}

    def latest(self) -> list[DeadLetter]:
        """The kept ones, oldest first."""
        return [
            DeadLetter(at, path, reason, self._redactor.render(snapshot)) for at, path, reason, snapshot in self._kept
        ]
