"""Sockets alone on a port of their own, without HTTP beside them: for benchmarks and conformance tests."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

import trio

from controlplane.door.listener import accept_forever, open_listeners
from controlplane.door.sockets.handshake import SocketRoute
from controlplane.door.sockets.limits import SocketOptions
from controlplane.door.sockets.poller import Poller
from controlplane.door.sockets.reception import Reception


@dataclass(frozen=True, slots=True)
class SocketServer:
    """What `serve_sockets` reports when it listens."""

    port: int
    poller: Poller


async def serve_sockets(
    *,
    bind: str,
    routes: Mapping[str, SocketRoute] | None = None,
    fallback: SocketRoute | None = None,
    options: SocketOptions | None = None,
    task_status: trio.TaskStatus[SocketServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve WebSockets until cancelled.

    Args:
        bind: host:port.
        routes: exact path to route.
        fallback: the route of every other path.
        options: limits and deadlines.

    Raises:
        OSError: the address is taken.
    """
    options = SocketOptions() if options is None else options
    poller = Poller()
    reception = Reception(poller, routes or {}, fallback=fallback, options=options)
    listeners = await open_listeners(bind)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(poller.run)
            await nursery.start(reception.run)
            for listener in listeners:
                nursery.start_soon(_accept, listener, reception, options)
            task_status.started(SocketServer(listeners[0].getsockname()[1], poller))
    finally:
        for listener in listeners:
            listener.close()


async def _accept(listener: socket.socket, reception: Reception, options: SocketOptions) -> None:
    await accept_forever(listener, reception.take, user_timeout_seconds=options.user_timeout_seconds)
