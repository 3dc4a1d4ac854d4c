"""Clock, ids and randomness as ports: the real ones, and those a simulation or a test puts in their place."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Protocol
from uuid import UUID

import trio


class Clock(Protocol):
    """The one source of time."""

    def now(self) -> datetime:
        """Wall clock: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; trio's clock, so that it follows a virtual one."""
        ...


class Ids(Protocol):
    """The one source of ids."""

    def uuid7(self) -> UUID: ...


class Randomness(Protocol):
    """The one source of chance."""

    def uniform(self, low: float, high: float) -> float: ...

    def token(self, size_bytes: int) -> bytes: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return trio.current_time()


class VirtualClock:
    """A wall clock that follows trio's: where tests jump trio's MockClock, `now()` jumps with it.

    Parameters: `start`, aware: what `now()` says at construction (outside of trio: at first use).
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("start must be an aware datetime")
        self._start = start.astimezone(UTC)
        self._origin: float | None = None
        if trio.lowlevel.in_trio_run():
            self._origin = trio.current_time()

    def now(self) -> datetime:
        current = trio.current_time()
        if self._origin is None:
            self._origin = current
        return self._start + timedelta(seconds=current - self._origin)

    def monotonic(self) -> float:
        return trio.current_time()


class SystemRandomness:
    """The operating system's generator: unpredictable, fit for secrets."""

    def __init__(self) -> None:
        self._random = secrets.SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def token(self, size_bytes: int) -> bytes:
        return secrets.token_bytes(size_bytes)


class SeededRandomness:
    """The same seed, the same history: for simulations, never for secrets."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - repeatable on purpose

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def token(self, size_bytes: int) -> bytes:
        return self._random.randbytes(size_bytes)


_TAIL_BITS = 74  # RFC 9562, 5.7: what is left beside the time, the version and the variant


class SystemIds:
    """UUIDv7 (RFC 9562, 5.7), strictly rising within this process also inside one millisecond (6.2, method 2)."""

    def __init__(self, clock: Clock, randomness: Randomness) -> None:
        self._clock = clock
        self._randomness = randomness
        self._last = 0  # time and tail as one number: 48 + 74 bits

    def uuid7(self) -> UUID:
        unix_ms = int(self._clock.now().timestamp() * 1000)
        chance = int.from_bytes(self._randomness.token(10), "big")
        fresh = (unix_ms << _TAIL_BITS) | (chance >> 6)
        if fresh <= self._last:
            # The clock stood still or went back: count up by a random step, so that ids stay unguessable.
            fresh = self._last + 1 + (chance & 0xFFFF_FFFF)
        self._last = fresh
        tail = fresh & ((1 << _TAIL_BITS) - 1)
        value = (fresh >> _TAIL_BITS) << 80 | 0x7 << 76 | (tail >> 62) << 64 | 0b10 << 62 | (tail & ((1 << 62) - 1))
        return UUID(int=value)
