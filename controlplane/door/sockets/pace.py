"""The pace of a connection: how many frames it may send, kept in one number (GCRA, the leaky bucket as a meter)."""

from __future__ import annotations


class Pace:
    """Shared by all connections of a route; each keeps only its own `due` time.

    Args:
        per_second: sustained rate.
        burst: how many may come at once.
    """

    __slots__ = ("_interval_seconds", "_tolerance_seconds")

    def __init__(self, per_second: float, burst: int) -> None:
        self._interval_seconds = 1 / per_second
        self._tolerance_seconds = (burst + 0.5) / per_second  # half a frame more than meant: floats round

    def next_due(self, due: float, now: float) -> float | None:
        """Count one frame.

        Args:
            due: what this returned last for the connection, 0 at first.
            now: seconds on the same clock.

        Returns:
            The new due time, or None when the frame came too fast.
        """
        if due < now:
            due = now
        due += self._interval_seconds
        return None if due - now > self._tolerance_seconds else due
