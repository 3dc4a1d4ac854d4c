"""One HTTP connection: Hypercorn's HTTP/1.1 for trio without its WebSockets, its HTTP/2 and its untimed waits.

Hypercorn's own per-connection server picks a protocol from what the client says. Two of its picks are kept out of
reach here, by never making them: the WebSocket one, which ends the process when bytes follow an upgrade that the app
has not accepted, and HTTP/2 over plain TCP (h2c), which no browser speaks and every reverse proxy does without. An
`Upgrade` header is ignored, as RFC 9110 section 7.8 allows: the request is answered like any other.
"""

from __future__ import annotations

import math
from contextlib import suppress

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from controlplane.door.answers import SECURITY_HEADERS, error_body
from controlplane.door.options import HttpOptions
from controlplane.door.read_gate import ConnectionEnded, ReadGate
from controlplane.door.stream import DeadlineStream

LINGER_SECONDS = 2.0
RECYCLE_SECONDS = 1.0
_ERRORS = {
    408: ("REQUEST_TIMEOUT", "the request did not arrive in time"),
    431: ("HEADERS_TOO_LARGE", "the request's headers are too large"),
    505: ("VALIDATION_ERROR", "HTTP/1.0 and HTTP/1.1 are spoken here"),
}


class PlainHttp(H11Protocol):
    """HTTP/1.0 and 1.1, whatever the request proposes to upgrade to."""

    can_read: ReadGate
    #: The head of an answer whose first piece is not there yet: both go in one write.
    _head: bytes = b""

    async def handle(self, event: Event) -> None:
        """Take bytes, or the end of the connection: also when a write found out that the client is gone."""
        if isinstance(event, Closed):
            self.can_read.end()
        await super().handle(event)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Hypercorn would look for h2c and the HTTP/2 preface here."""

    async def _create_stream(self, request: h11.Request) -> None:
        if request.http_version not in (b"1.0", b"1.1"):
            await self.refuse(505)
            return
        self.stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1

    async def _maybe_recycle(self) -> None:
        """A request is over: take the next one on this connection, or end it.

        Hypercorn does this in the app's task, and tells the app first that its client is gone; an app that takes
        the hint (Quart's) cancels this very task. What comes after, ending the connection or starting its idle
        timer, would never happen, and the connection would stay for ever. Hence the shield, with a deadline.
        """
        with trio.CancelScope(shield=True, deadline=trio.current_time() + RECYCLE_SECONDS):
            await self._close_stream()
        self.stream = None
        if self._head:
            with trio.CancelScope(shield=True):
                await self._write(b"")
        # From here on nothing waits, so that no cancellation comes between.
        done = self.connection.our_state is h11.DONE and self.connection.their_state is h11.DONE
        if done and not self.context.terminated.is_set():
            self.connection.start_next_cycle()
            await self.can_read.set()
            await self.send(Updated(idle=True))
        else:
            await self.send(Closed())

    async def _send_h11_event(self, event: h11.Event) -> None:
        """Hypercorn writes head, body and end one by one; here the first two go together, and an empty end is none."""
        try:
            data = self.connection.send(event) or b""  # type: ignore[arg-type]
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response):
            self._head += data
        else:
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        whole, self._head = self._head + data, b""
        if whole:
            await self.send(RawData(whole))

    async def refuse(self, status: int) -> None:
        """Answer a request that is not one, and end the connection."""
        await self._send_error_response(status)
        await self.send(Closed())

    async def _send_error_response(self, status_code: int) -> None:
        code, message = _ERRORS.get(status_code, ("VALIDATION_ERROR", "this is not a well-formed HTTP request"))
        body = error_body(code, message)
        headers = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS]
        headers += [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        headers += self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


class HttpConnection(TCPServer):
    """Hypercorn's server for one accepted stream, with a deadline on every wait.

    Args:
        app: called for each request.
        config: Hypercorn's settings.
        context: shared by all connections; its `terminated` event lets idle ones go.
        stream: the accepted connection.
        options: limits and deadlines.
    """

    def __init__(
        self, app: AppWrapper, config: Config, context: WorkerContext, stream: DeadlineStream, options: HttpOptions
    ) -> None:
        super().__init__(app, config, context, {}, stream)  # type: ignore[arg-type]  # it uses no more of a stream
        self._deadline_stream = stream
        self._options = options
        self._idle = True
        self._idle_until = trio.current_time() + options.idle_seconds
        self._linger_until: float | None = None
        self._reading = trio.CancelScope()

    async def run(self) -> None:
        """Serve until the connection ends.

        Raises:
            Exception: what Hypercorn or the app let escape; the caller logs it.
        """
        try:
            sock = self.stream.socket
            client = parse_socket_addr(sock.family, sock.getpeername())  # it may be gone already: OSError
            server = parse_socket_addr(sock.family, sock.getsockname())
            async with TaskGroup() as task_group:
                self._task_group = task_group
                self.http = PlainHttp(
                    self.app,
                    self.config,
                    self.context,
                    task_group,
                    ConnectionState(self.state),
                    False,
                    client,
                    server,
                    self.protocol_send,
                )
                self.http.can_read = ReadGate()
                self.protocol = self.http  # type: ignore[assignment]  # where Hypercorn puts its picking wrapper
                await self._read_data()
        except OSError:
            pass
        finally:
            await self.stream.aclose()

    async def protocol_send(self, event: Event) -> None:
        """Write, close, or note whether a request is on its way; an idle time is a deadline here, and no task.

        An answer goes to the kernel at once. Only what that does not take has to wait, with locks and deadlines.
        """
        if isinstance(event, RawData):
            rest = event.data if self.send_lock.locked() else self._deadline_stream.send_now(event.data)
            if rest:
                await super().protocol_send(RawData(rest))
        elif isinstance(event, Updated):
            self._idle = event.idle
            if event.idle:
                self._idle_until = trio.current_time() + self._options.idle_seconds
                self._reading.deadline = min(self._reading.deadline, self._idle_until)
                if self.context.terminated.is_set():
                    self.leave()
        else:
            await super().protocol_send(event)

    def leave(self) -> None:
        """End the connection if it is idle; else it ends with its answer."""
        if self._idle:
            self._idle_until = -math.inf
            self._reading.deadline = -math.inf

    async def _read_data(self) -> None:
        head_began: float | None = None
        while True:
            until = math.inf if head_began is None else head_began + self._options.head_seconds
            if self._idle:
                until = min(until, self._idle_until)
            data = await self._read(until if self._linger_until is None else self._linger_until)
            if data is None and self._linger_until is None:
                if self._idle and trio.current_time() >= self._idle_until:
                    break
                await self.http.refuse(408)
            elif not data:
                break
            elif self._linger_until is None:
                with suppress(ConnectionEnded):
                    await self.http.handle(RawData(data))
                head_began = (head_began or trio.current_time()) if self._idle else None
        await self.http.handle(Closed())

    async def _read(self, deadline: float) -> bytes | None:
        """What arrived; empty when the client has ended, None when the deadline has passed."""
        with trio.CancelScope(deadline=deadline) as self._reading:
            try:
                return bytes(await self.stream.receive_some(MAX_RECV))
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                return b""
        return None

    async def _close(self) -> None:
        """End our side and give the client a moment to read the answer; the reading task sees to the rest.

        Closing at once with words of the client unread would reset the connection, and lose the answer.
        """
        if self._linger_until is not None:
            return
        self.http.can_read.end()
        self._linger_until = trio.current_time() + LINGER_SECONDS
        self._reading.deadline = min(self._reading.deadline, self._linger_until)
        self._deadline_stream.end()
