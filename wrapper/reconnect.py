"""When to try again: full jitter with back-off, but for the endings that carry a verdict of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from protocol.tenant import CloseCode
from wrapper.ports import Randomness

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 60.0
CALM_SECONDS: Final = 60.0
#: Revoked keys and missing versions do not mend by themselves: no faster than this.
PATIENT_SECONDS: Final = 600.0
REPLACED_SECONDS: Final = 60.0
TOO_FAST_SECONDS: Final = 10.0
#: No peer can send the wrapper away for longer than this.
LONGEST_GIVEN_SECONDS: Final = 3600.0

_SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|seconds?)\b")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection, or the try to make one, ended.

    Attributes:
        code: the close code; None when there was none (lost, or never made).
        status: the HTTP status that refused the handshake.
        reason: the peer's words.
        given_seconds: the wait that the peer asked for, by `drain` or Retry-After.
        lasted_seconds: how long the session lived after its welcome.
        welcomed: whether there was one.
        verdict: the Hub itself has said this, not something on the way to it.
        unreachable: there was not even a connection, so that HTTP would fare no better.
    """

    code: int | None = None
    status: int | None = None
    reason: str = ""
    given_seconds: float | None = None
    lasted_seconds: float = 0.0
    welcomed: bool = False
    verdict: bool = False
    unreachable: bool = False


class Blockage:
    """Tells from the endings in a row whether something on the way lets no sockets through.

    Args:
        after: this many tries without a welcome or a word of the Hub's.
    """

    def __init__(self, after: int) -> None:
        self._after = after
        self._failures = 0

    def ended(self, ending: Ending) -> bool:
        """Count an ending; True when sockets seem to be blocked."""
        if ending.welcomed or ending.verdict:
            self._failures = 0
        elif ending.status == 401:
            # Who says so is not the Hub, yet only once in ten minutes may be asked: HTTP shall find out.
            self._failures = self._after
        elif not ending.unreachable:
            self._failures += 1
        return self._failures >= self._after


class Backoff:
    """Full jitter: anything between nothing and a limit that doubles from 0.5 s to 60 s.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
    """

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness
        self._tries = 0

    def reset(self) -> None:
        self._tries = 0

    def next(self) -> float:
        """Seconds to wait before the next try."""
        limit = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(self._tries, 20))
        self._tries += 1
        return self._randomness.uniform(0, limit)


class Reconnect:
    """Decides the pause after each ending (PROTOCOL, "Close codes" and "Reconnect")."""

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness
        self._backoff = Backoff(randomness)

    def pause(self, ending: Ending) -> float:
        """Seconds until the next try."""
        if ending.lasted_seconds >= CALM_SECONDS:
            self._backoff.reset()
        jitter = self._backoff.next()
        if ending.code == CloseCode.REPLACED:
            return REPLACED_SECONDS + self._randomness.uniform(0, REPLACED_SECONDS / 2)
        refused = ending.status == 401 or (ending.verdict and ending.status in (400, 403))
        if ending.code in (CloseCode.KEY_REVOKED, CloseCode.NO_COMMON_PROTOCOL) or refused:
            return PATIENT_SECONDS + self._randomness.uniform(0, PATIENT_SECONDS / 10)
        if ending.given_seconds is not None:
            given = min(ending.given_seconds, LONGEST_GIVEN_SECONDS)
            return given + self._randomness.uniform(0, max(given, jitter))
        if ending.code == CloseCode.TOO_FAST:
            return given_in_words(ending.reason) + jitter
        return jitter


def given_in_words(reason: str) -> float:
    """The time that a close reason names (`retry after 5 s`, `1500 ms`), in seconds."""
    found = _SECONDS.search(reason)
    if found is None:
        return TOO_FAST_SECONDS
    seconds = float(found[1]) / (1000 if found[2].startswith("m") else 1)
    return min(max(seconds, FIRST_SECONDS), LONGEST_GIVEN_SECONDS)


def retry_after_seconds(header: str | None) -> float:
    """The seconds of a Retry-After header; dates, which the Hub never sends, count as none."""
    if header is None or not header.strip().isdigit() or len(header) > 9:
        return 0.0
    return min(float(header), LONGEST_GIVEN_SECONDS)
