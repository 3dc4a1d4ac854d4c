"""What the wrapper needs from the machine: clock, randomness and ids, so that tests can jump and repeat."""

from __future__ import annotations

import random
import secrets
from datetime import UTC, datetime
from typing import Protocol

from protocol.ids import uuid7


class Clock(Protocol):
    """The time of day."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...


class Randomness(Protocol):
    """Chance, for jitter and ids."""

    def uniform(self, low: float, high: float) -> float:
        """A number between the two."""
        ...

    def token(self, size_bytes: int) -> bytes:
        """Unpredictable bytes."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SystemRandomness:
    """The machine's randomness."""

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)  # noqa: S311 (jitter, not a secret)

    def token(self, size_bytes: int) -> bytes:
        return secrets.token_bytes(size_bytes)


def new_id(clock: Clock, randomness: Randomness) -> str:
    """A fresh UUIDv7 as text: the id of a message, and of an approval request."""
    return str(uuid7(int(clock.now().timestamp() * 1000), randomness.token(10)))
