"""Rate limits on a virtual clock: exact, even, bounded."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from controlplane.api.faults import retry_after
from controlplane.api.limits import Limit, Limits, standard_limits
from protocol.faults import RateLimited


class HandClock:
    """Time that stands until moved."""

    def __init__(self, seconds: float = 1000.0) -> None:
        self.seconds = seconds

    def monotonic(self) -> float:
        return self.seconds

    def now(self):  # type: ignore[no-untyped-def]
        raise AssertionError("a limit needs no calendar")


def wait_of(limits: Limits, key: str = "a", name: str = "session") -> float:
    with pytest.raises(RateLimited) as caught:
        limits.take(name, key)
    assert caught.value.retry_after_seconds is not None
    return caught.value.retry_after_seconds


async def test_sixty_at_once_and_the_next_after_exactly_one_second(mock_clock: MockClock) -> None:
    class TrioClock(HandClock):
        def monotonic(self) -> float:
            return trio.current_time()

    limits = Limits(TrioClock())
    for _ in range(60):
        limits.take("session", "a")
    assert retry_after(wait_of(limits)) == 1
    limits.take("session", "b")
    mock_clock.jump(0.5)
    assert wait_of(limits) == pytest.approx(0.5)
    mock_clock.jump(0.5)
    limits.take("session", "a")
    wait_of(limits)


@given(
    burst=st.integers(1, 200),
    seconds=st.floats(0.1, 10_000),
    start=st.floats(0, 1e7),
    taken=st.integers(1, 400),
)
def test_the_told_wait_is_enough_and_nothing_less_is(burst: int, seconds: float, start: float, taken: int) -> None:
    clock = HandClock(start)
    limits = Limits(clock, {"session": Limit(burst, seconds)})
    for _ in range(min(taken, burst)):
        limits.take("session", "a")
    if taken < burst:
        limits.take("session", "a")
        return
    wait = wait_of(limits)
    assert 0 < wait <= seconds / burst + 1e-5
    clock.seconds = start + wait * 0.98 - 1e-5
    if clock.seconds > start:
        wait_of(limits)
    clock.seconds = start + retry_after(wait)
    limits.take("session", "a")


def test_a_refused_take_takes_nothing() -> None:
    clock = HandClock()
    limits = Limits(clock, {"session": Limit(2, 10)})
    limits.take("session", "a", cost=2)
    for _ in range(100):
        wait_of(limits)
    clock.seconds += 5
    limits.take("session", "a")


def test_names_and_keys_are_counted_apart_and_can_be_forgotten() -> None:
    limits = Limits(HandClock(), {"session": Limit(1, 60), "login": Limit(1, 60)})
    limits.take("session", "a")
    limits.take("login", "a")
    limits.take("session", "b")
    wait_of(limits)
    limits.forget("session", "a")
    limits.take("session", "a")
    limits.forget("session", "never seen")


def test_memory_is_bounded_and_full_buckets_go_first() -> None:
    clock = HandClock()
    limits = Limits(clock, {"session": Limit(1, 60)}, max_keys=100)
    for index in range(50):
        limits.take("session", f"old{index}")
    clock.seconds += 61
    for index in range(90):
        limits.take("session", f"new{index}")
    assert limits.kept("session") <= 100
    wait_of(limits, "new0")  # an exhausted one was not dropped for the full ones
    for index in range(10_000):
        limits.take("session", f"flood{index}")
    assert limits.kept("session") <= 100


def test_a_long_key_costs_no_more_than_a_short_one() -> None:
    limits = Limits(HandClock(), {"session": Limit(1, 60)})
    limits.take("session", "x" * 1_000_000)
    wait_of(limits, "x" * 1_000_000)
    limits.take("session", "x" * 1_000_000 + "y")
    assert max(len(key) for key in limits._full_at["session"]) <= 100


def test_the_setting_scales_sessions_and_leaves_the_strict_ones() -> None:
    ordinary, raised = standard_limits(), standard_limits(6000)
    assert (ordinary["session"], raised["session"]) == (Limit(60, 60), Limit(6000, 60))
    assert raised["login"] == ordinary["login"]
    assert standard_limits(strict_factor=100)["login"].burst == ordinary["login"].burst * 100
    with pytest.raises(ValueError):
        Limit(0, 1)
