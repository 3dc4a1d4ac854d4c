"""What all connections of a route share: their limits, their deadlines, their pace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controlplane.door.sockets.limits import Limits
from controlplane.door.sockets.pace import Pace

BinaryReceiver = Callable[[Any, bytes], None]
"""Called with the connection and a whole binary message."""


class Profile:
    """One object a route, whatever the number of its connections.

    Args:
        limits: what one connection may do.
        stall_seconds: how long a peer may take nothing while something waits for it.
        close_seconds: how long the good-bye may take.
        on_binary: who is told binary messages; without it they close with 1003.
    """

    __slots__ = ("close_seconds", "limits", "on_binary", "pace", "stall_seconds")

    def __init__(
        self,
        limits: Limits,
        *,
        stall_seconds: float,
        close_seconds: float,
        on_binary: BinaryReceiver | None = None,
    ) -> None:
        self.limits = limits
        self.stall_seconds = stall_seconds
        self.close_seconds = close_seconds
        self.on_binary = on_binary
        rate = limits.frames_per_second
        self.pace = None if rate is None else Pace(rate, limits.burst_frames)
