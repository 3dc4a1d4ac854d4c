"""The front door: one port; socket paths go to the poller with nothing consumed, everything else to the HTTP server."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
import trio

from controlplane.door.arrival import Arrival, Sorting
from controlplane.door.asgi import App
from controlplane.door.http_server import HttpServer, too_busy
from controlplane.door.lifespan import Lifespan
from controlplane.door.listener import accept_forever, open_listeners
from controlplane.door.options import DoorOptions
from controlplane.door.sockets.handshake import SocketRoute
from controlplane.door.sockets.linger import answer_and_linger
from controlplane.door.sockets.poller import Poller
from controlplane.door.sockets.reception import Reception

log = structlog.get_logger()

SERVICE_RESTART = 1012


@dataclass(frozen=True, slots=True)
class Door:
    """What `serve` reports when it listens.

    `port` is the one it listens on; `poller.stats` and `http.connections` are for the metrics.
    """

    port: int
    poller: Poller
    http: HttpServer


async def serve(
    *,
    bind: str,
    app: App,
    routes: Mapping[str, SocketRoute],
    shutdown: trio.Event | None = None,
    on_drain: Callable[[], Awaitable[None]] | None = None,
    options: DoorOptions | None = None,
    task_status: trio.TaskStatus[Door] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `shutdown` is set, then go in order and return; or until cancelled, and go at once.

    In order: new sockets are refused with 503; `on_drain` runs, while HTTP still answers (so that /readyz can say
    no); listening ends; sockets are closed with 1012 and requests in flight end, both with a deadline; the app ends.

    Args:
        bind: host:port; port 0 lets the kernel choose.
        app: any ASGI 3 application, Quart's or another.
        routes: exact path to socket route.
        shutdown: set it to go.
        on_drain: what to do first, within `options.hook_seconds`.
        options: limits and deadlines.

    Raises:
        OSError: the address is taken or not ours.
        ValueError: `bind` is no address.
        AppNotStarted: the app refused to start.
    """
    options = DoorOptions() if options is None else options
    shutdown = trio.Event() if shutdown is None else shutdown
    listeners = await open_listeners(bind, reuse_port=options.reuse_port)
    try:
        async with trio.open_nursery() as nursery:
            lifespan: Lifespan = await nursery.start(Lifespan(app, limit_seconds=options.lifespan_seconds).run)
            front = _Front(app, routes, options, nursery)
            await nursery.start(front.poller.run)
            await nursery.start(front.reception.run)
            await nursery.start(front.http.run)
            accepting = trio.CancelScope()
            nursery.start_soon(front.accept, listeners, accepting)
            task_status.started(Door(listeners[0].getsockname()[1], front.poller, front.http))
            log.info("door.opened", bind=bind, port=listeners[0].getsockname()[1])
            await shutdown.wait()
            await front.go(accepting, on_drain)
            await lifespan.stop()
            nursery.cancel_scope.cancel()
    finally:
        for listener in listeners:
            listener.close()
        log.info("door.closed", bind=bind)


class _Front:
    """The parts behind the port, and the sorting between them."""

    def __init__(
        self, app: App, routes: Mapping[str, SocketRoute], options: DoorOptions, nursery: trio.Nursery
    ) -> None:
        self._routes = routes
        self._options = options
        self._nursery = nursery
        self.poller = Poller()
        self.reception = Reception(self.poller, routes, options=options.sockets)
        self.http = HttpServer(app, socket_paths=routes.keys(), options=options.http)
        self._arrivals: dict[int, Arrival] = {}
        self._sorting = Sorting(
            poller=self.poller,
            line_bytes=options.request_line_bytes,
            line_seconds=options.request_line_seconds,
            decide=self._decide,
            left=self._arrivals.__delitem__,
        )

    async def accept(self, listeners: list[socket.socket], accepting: trio.CancelScope) -> None:
        """Accept on every listener until the scope is cancelled, then close them."""
        with accepting:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(self._accept, listener)
        for listener in listeners:
            listener.close()

    async def go(self, accepting: trio.CancelScope, on_drain: Callable[[], Awaitable[None]] | None) -> None:
        """Go in order; never longer than the limits together."""
        self.poller.draining = True
        if on_drain is not None:
            with trio.move_on_after(self._options.hook_seconds) as limit:
                try:
                    await on_drain()
                except Exception:
                    log.exception("door.drain_hook_failed")
            if limit.cancelled_caught:
                log.warning("door.drain_hook_cut", limit_seconds=self._options.hook_seconds)
        accepting.cancel()
        seconds = self._options.drain_seconds
        log.info("door.draining", entries=len(self.poller), http=self.http.connections, within_seconds=seconds)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._drain_http, seconds)
            await self.poller.drain(code=SERVICE_RESTART, reason="this node is going away", within_seconds=seconds)

    async def _drain_http(self, seconds: float) -> None:
        await self.http.drain(within_seconds=seconds)

    async def _accept(self, listener: socket.socket) -> None:
        seconds = self._options.sockets.user_timeout_seconds
        await accept_forever(listener, self._take, user_timeout_seconds=seconds)

    def _take(self, sock: socket.socket, remote_address: str) -> None:
        if len(self._arrivals) >= self._options.max_arrivals:
            next(iter(self._arrivals.values())).abort()
        self._arrivals[sock.fileno()] = Arrival(self._sorting, sock, remote_address)

    def _decide(self, sock: socket.socket, remote_address: str, path: str) -> None:
        if path in self._routes:
            self.reception.take_over(sock, remote_address)
        elif self.http.full:
            answer_and_linger(self.poller, sock, too_busy())
        else:
            self.poller.remove(sock.fileno())
            self._nursery.start_soon(self.http.serve, sock)
