"""The limits of the sockets: what one connection may do, and what the door holds at once."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may do. One object is shared by all connections of a route.

    Args:
        frame_bytes: largest incoming message, all its fragments together; more closes with 1009. Where a connection
            starts: `Connection.frame_limit` can be raised later.
        output_bytes: largest backlog towards a peer that reads too slowly; more drops it with 4003.
        frames_per_second: sustained rate of incoming frames, control frames and fragments too; more closes
            with 4005. None: no limit.
        burst_frames: how many may come at once before the rate applies.
    """

    frame_bytes: int = 64 * KIB
    output_bytes: int = 2 * MIB
    frames_per_second: float | None = 200
    burst_frames: int = 1000


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """What the door holds at once, and for how long.

    Args:
        head_bytes: largest request head (request line and headers) of a handshake.
        head_seconds: deadline for a whole request head.
        admit_seconds: deadline for a handshake to be admitted, waiting in line included.
        concurrent_admissions: handshakes that ask their route at the same time.
        waiting_admissions: handshakes in line; more are answered 503 with Retry-After.
        stall_seconds: a peer that takes nothing for so long while something waits for it is dropped with 4003.
        close_seconds: how long a closing connection may take to say good-bye before it is cut.
        max_connections: sockets held at once; more are answered 503.
        user_timeout_seconds: TCP_USER_TIMEOUT, after which the kernel gives up on unacknowledged data.
    """

    head_bytes: int = 16 * KIB
    head_seconds: float = 10
    admit_seconds: float = 10
    concurrent_admissions: int = 64
    waiting_admissions: int = 8192
    stall_seconds: float = 10
    close_seconds: float = 5
    max_connections: int = 50_000
    user_timeout_seconds: float = 30
