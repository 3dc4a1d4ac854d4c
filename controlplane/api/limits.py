"""Rate limits: how many, how fast, counted by key, and never more keys than memory allows."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from actors.runtime.ports import Clock
from protocol.faults import RateLimited

_TOLERANCE_SECONDS: Final = 1e-6
_LONGEST_KEY: Final = 100


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` at once, refilled evenly over `seconds`: `Limit(60, 60)` is 60 a minute."""

    burst: int
    seconds: float

    def __post_init__(self) -> None:
        if self.burst < 1 or self.seconds <= 0:
            raise ValueError("a limit needs a burst of at least one and a positive time")


#: What the routers' `rate=` and the handlers' `limits.take` name.
SESSION: Final = "session"
TENANT: Final = "tenant"
PUBLIC: Final = "public"

#: Stricter ones, by account and by address: guessing must not pay.
STRICT: Final[Mapping[str, Limit]] = {
    "login": Limit(10, 300),
    "login_address": Limit(50, 300),
    "second_factor": Limit(5, 300),
    "second_factor_address": Limit(30, 300),
    "invite": Limit(20, 3600),
    "invite_address": Limit(30, 300),
    "reset": Limit(5, 3600),
    "reset_address": Limit(20, 3600),
    "setup": Limit(10, 300),
    "register": Limit(30, 300),
    "test_email": Limit(10, 600),
    "outside_order": Limit(60, 300),
}


def standard_limits(per_minute: int = 60, *, strict_factor: float = 1.0) -> dict[str, Limit]:
    """The limits of a Hub.

    Args:
        per_minute: requests a minute for each session; tenant keys have ten times as many, an address without a
            session has as many as a session.
        strict_factor: loosens the strict ones, for load tests.
    """
    limits = {
        SESSION: Limit(per_minute, 60),
        TENANT: Limit(per_minute * 10, 60),
        PUBLIC: Limit(per_minute, 60),
    }
    for name, limit in STRICT.items():
        limits[name] = Limit(max(1, round(limit.burst * strict_factor)), limit.seconds)
    return limits


class Limits:
    """Token buckets by name and key, kept as the moment at which each is full again (GCRA, ITU-T I.371).

    Args:
        clock: its `monotonic` is read.
        limits: by name.
        max_keys: how many buckets one name keeps; full ones go first, then those touched longest ago.
    """

    def __init__(self, clock: Clock, limits: Mapping[str, Limit] | None = None, *, max_keys: int = 100_000):
        self._clock = clock
        self._limits = dict(standard_limits() if limits is None else limits)
        self._max_keys = max_keys
        self._full_at: dict[str, OrderedDict[str, float]] = {name: OrderedDict() for name in self._limits}

    def take(self, name: str, key: str, *, cost: int = 1) -> None:
        """Take `cost` from the bucket of `key`, or nothing at all.

        Raises:
            RateLimited: not enough is left; `retry_after_seconds` says exactly when there is.
            KeyError: no limit has this name.
        """
        limit = self._limits[name]
        buckets = self._full_at[name]
        key = _short(key)
        now = self._clock.monotonic()
        interval = limit.seconds / limit.burst
        full_at = max(buckets.get(key, now), now) + interval * cost
        wait_seconds = full_at - now - limit.seconds
        if wait_seconds > _TOLERANCE_SECONDS:
            raise RateLimited("too many requests; wait before you try again", retry_after_seconds=wait_seconds)
        buckets[key] = full_at
        buckets.move_to_end(key)
        if len(buckets) > self._max_keys:
            self._forget_some(buckets, now)

    def forget(self, name: str, key: str) -> None:
        """Fill the bucket of `key`: its owner has shown who he is."""
        self._full_at[name].pop(_short(key), None)

    def kept(self, name: str) -> int:
        """How many buckets a name keeps."""
        return len(self._full_at[name])

    def _forget_some(self, buckets: OrderedDict[str, float], now: float) -> None:
        for key in [key for key, full_at in buckets.items() if full_at <= now]:
            del buckets[key]
        while len(buckets) > self._max_keys * 9 // 10:  # a tenth at once, so that the sweep above is rare
            buckets.popitem(last=False)


def _short(key: str) -> str:
    """A caller chooses some keys (an e-mail address): their length must not be his to choose."""
    if len(key) <= _LONGEST_KEY:
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
