"""Pauses between connections; tests/integration/wrapper/test_wrapper_link.py sees them kept."""

from __future__ import annotations

import pytest

from wrapper.ports import SystemRandomness
from wrapper.reconnect import Backoff, Ending, Reconnect, given_in_words, retry_after_seconds


class Longest(SystemRandomness):
    def uniform(self, low: float, high: float) -> float:
        return high


class Shortest(SystemRandomness):
    def uniform(self, low: float, high: float) -> float:
        return low


def test_the_back_off_is_full_jitter_from_half_a_second_to_a_minute():
    backoff, none = Backoff(Longest()), Backoff(Shortest())
    assert [backoff.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert [none.next() for _ in range(3)] == [0, 0, 0]
    for _ in range(2000):  # never an overflow
        backoff.next()
    assert backoff.next() == 60


def test_a_minute_of_calm_resets_it_and_less_does_not():
    reconnect = Reconnect(Longest())
    for _ in range(5):
        reconnect.pause(Ending())
    assert reconnect.pause(Ending(lasted_seconds=59)) == 16
    assert reconnect.pause(Ending(lasted_seconds=60)) == 0.5


def test_no_peer_can_send_us_away_for_ever():
    reconnect = Reconnect(Shortest())
    assert reconnect.pause(Ending(code=1012, given_seconds=1e9)) == 3600
    assert reconnect.pause(Ending(code=4005, reason="retry after 99999999 s")) == 3600


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("retry after 5 s", 5),
        ("1500 ms", 1.5),
        ("2.5 seconds", 2.5),
        ("0 s", 0.5),
        ("too many messages", 10),
        ("", 10),
    ],
)
def test_a_time_in_a_close_reason_is_read(words: str, seconds: float):
    assert given_in_words(words) == seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0), ("", 0), ("30", 30), (" 7 ", 7), ("-1", 0), ("soon", 0), ("9" * 12, 0), ("99999", 3600)],
)
def test_retry_after_is_read_carefully(header: str | None, seconds: float):
    assert retry_after_seconds(header) == seconds
