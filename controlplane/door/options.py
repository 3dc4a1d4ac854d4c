"""The limits and deadlines of the door as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from controlplane.door.sockets.limits import KIB, SocketOptions


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """What the HTTP server allows.

    Args:
        head_bytes: largest request head.
        head_seconds: deadline for a request head, from its first byte on.
        idle_seconds: how long a kept-alive connection may rest. Longer than the reverse proxy's own, so that the
            proxy never writes into a connection which is just being closed.
        stall_seconds: a client that takes nothing of its answer for so long is cut.
        max_connections: connections at once; more are answered 503.
    """

    head_bytes: int = 32 * KIB
    head_seconds: float = 10
    idle_seconds: float = 75
    stall_seconds: float = 15
    max_connections: int = 2000


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """Everything about the door that is not an address, a route or an app.

    Args:
        sockets: limits of the sockets.
        http: limits of HTTP.
        request_line_bytes: largest request line; longer ones are answered 414.
        request_line_seconds: deadline for a request line, from the accepted connection on.
        max_arrivals: connections that have not said what they want; beyond, the oldest is cut.
        hook_seconds: limit of the drain hook.
        drain_seconds: after the hook, how long sockets and requests in flight have to end by themselves.
        lifespan_seconds: limit of the app's own start and of its own end.
        reuse_port: share the port with other processes (SO_REUSEPORT).
    """

    sockets: SocketOptions = field(default_factory=SocketOptions)
    http: HttpOptions = field(default_factory=HttpOptions)
    request_line_bytes: int = 8 * KIB
    request_line_seconds: float = 10
    max_arrivals: int = 8192
    hook_seconds: float = 2
    drain_seconds: float = 4
    lifespan_seconds: float = 3
    reuse_port: bool = False
