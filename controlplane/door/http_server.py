"""The HTTP server: a bounded number of guarded connections, which end when the door closes."""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import cast

import structlog
import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper

from controlplane.door.answers import error_response
from controlplane.door.asgi import App, GuardedApp
from controlplane.door.http_connection import HttpConnection
from controlplane.door.options import HttpOptions
from controlplane.door.stream import DeadlineStream

log = structlog.get_logger()


class HttpServer:
    """Serves accepted connections. An exception ends its own connection and nothing else.

    Args:
        app: any ASGI 3 application; its request body limit is its own.
        socket_paths: paths that belong to the sockets.
        options: limits and deadlines.
    """

    def __init__(self, app: App, *, socket_paths: Collection[str], options: HttpOptions) -> None:
        self._app = cast(AppWrapper, GuardedApp(app, socket_paths))
        self._options = options
        self._config = _hypercorn_config(options)
        self._context = WorkerContext(None)
        self._streams: set[DeadlineStream] = set()
        self._connections: set[HttpConnection] = set()
        self._emptied = trio.Event()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._streams)

    @property
    def full(self) -> bool:
        """Whether one more would be too many."""
        return len(self._streams) >= self._options.max_connections

    async def serve(self, sock: socket.socket) -> None:
        """Serve one accepted non-blocking socket until it ends; raises nothing but cancellation."""
        stream = DeadlineStream(sock, stall_seconds=self._options.stall_seconds)
        self._streams.add(stream)
        connection = HttpConnection(self._app, self._config, self._context, stream, self._options)
        self._connections.add(connection)
        try:
            await connection.run()
        except* Exception as failures:
            log.error("http.connection_failed", exc_info=failures)
        finally:
            stream.abort()
            self._streams.discard(stream)
            self._connections.discard(connection)
            if not self._streams:
                self._emptied.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Stay until cancelled; then close every connection, also those whose shielded writes no cancellation ends."""
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self._abort()

    async def drain(self, *, within_seconds: float) -> None:
        """Let idle connections go, wait for requests in flight, then close the rest under whoever holds them.

        Args:
            within_seconds: limit of the whole.
        """
        await self._context.terminated.set()
        for connection in list(self._connections):
            connection.leave()
        with trio.move_on_after(within_seconds):
            while self._streams:
                self._emptied = trio.Event()
                await self._emptied.wait()
        self._abort()

    def _abort(self) -> None:
        for stream in list(self._streams):
            stream.abort()


def too_busy() -> bytes:
    """The answer to a connection that is one too many."""
    return error_response(503, "OVERLOADED", "too many connections at once, try again", headers={"Retry-After": "2"})


def _hypercorn_config(options: HttpOptions) -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = None  # the guards log what fails, with its traceback
    config.include_server_header = False
    config.h11_max_incomplete_size = options.head_bytes
    return config
