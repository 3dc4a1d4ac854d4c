"""The reception: reads the head of each handshake, lets a bounded number at a time ask their route, and answers."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Mapping

import structlog
import trio
from websockets.frames import CloseCode

from controlplane.door.sockets.connection import Connection
from controlplane.door.sockets.handshake import Admission, Refused, SocketRoute
from controlplane.door.sockets.head import Opening, head_end, read_head, refusal
from controlplane.door.sockets.limits import Limits, SocketOptions
from controlplane.door.sockets.linger import answer_and_linger
from controlplane.door.sockets.poller import Poller, close_socket
from controlplane.door.sockets.profile import BinaryReceiver, Profile
from controlplane.door.sockets.readiness import GONE, ONLY_GONE, READ
from protocol.faults import Fault

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 2
MAX_PROFILES = 64


class Reception:
    """Where sockets wait until they are connections.

    Args:
        poller: watches them.
        routes: exact path to route.
        fallback: the route of every other path; None: 404.
        options: limits and deadlines.
    """

    def __init__(
        self,
        poller: Poller,
        routes: Mapping[str, SocketRoute],
        *,
        fallback: SocketRoute | None = None,
        options: SocketOptions,
    ) -> None:
        self.poller = poller
        self.options = options
        self._routes = routes
        self._fallback = fallback
        self._line: deque[Handshake] = deque()
        self._asking = 0
        self._nursery: trio.Nursery | None = None
        self._profiles: dict[tuple[Limits, BinaryReceiver | None], Profile] = {}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def take(self, sock: socket.socket, remote_address: str) -> None:
        """Watch a freshly accepted non-blocking socket whose request nobody has read yet."""
        handshake = Handshake(self, sock, remote_address)
        self.poller.add(sock.fileno(), handshake)
        self.poller.set_deadline(sock.fileno(), self.options.head_seconds)

    def take_over(self, sock: socket.socket, remote_address: str) -> None:
        """The same for a socket that the poller watches already."""
        handshake = Handshake(self, sock, remote_address)
        self.poller.replace(sock.fileno(), handshake)
        self.poller.set_deadline(sock.fileno(), self.options.head_seconds)
        handshake.ready(READ)

    def find(self, path: str) -> SocketRoute:
        """The route of a path.

        Raises:
            Refused: 404.
        """
        route = self._routes.get(path, self._fallback)
        if route is None:
            raise Refused(404, "NOT_FOUND", "there is no socket at this address")
        return route

    def line_up(self, handshake: Handshake) -> None:
        """Let a handshake ask its route when it is its turn.

        Raises:
            Refused: 503, the line is full or this node is going away.
        """
        full = len(self._line) >= self.options.waiting_admissions or len(self.poller) > self.options.max_connections
        if self.poller.draining or full or self._nursery is None:
            raise overloaded()
        self._line.append(handshake)
        if self._asking < self.options.concurrent_admissions:
            self._asking += 1
            self._nursery.start_soon(self._ask)

    def profile(self, admission: Admission) -> Profile:
        """What the connections of one kind share; one object for each kind."""
        key = (admission.limits, admission.on_binary)
        found = self._profiles.get(key)
        if found is None:
            if len(self._profiles) >= MAX_PROFILES:  # a route that makes new limits for each connection
                self._profiles.clear()
            found = Profile(
                admission.limits,
                stall_seconds=self.options.stall_seconds,
                close_seconds=self.options.close_seconds,
                on_binary=admission.on_binary,
            )
            self._profiles[key] = found
        return found

    async def _ask(self) -> None:
        try:
            while self._line:
                await self._line.popleft().ask()
                await trio.lowlevel.checkpoint()
        finally:
            self._asking -= 1


def overloaded() -> Refused:
    """More handshakes than can be served."""
    return Refused(
        503, "OVERLOADED", "too many connections at once, try again", {"Retry-After": str(RETRY_AFTER_SECONDS)}
    )


class Handshake:
    """One socket on its way to be a connection. Nothing of it outlives that."""

    __slots__ = ("_early", "_fd", "_muted", "_open", "_opening", "_reception", "_remote_address", "_scope", "_socket")

    def __init__(self, reception: Reception, sock: socket.socket, remote_address: str) -> None:
        self._reception = reception
        self._socket = sock
        self._fd = sock.fileno()
        self._remote_address = remote_address
        self._early = bytearray()
        self._opening: Opening | None = None
        self._scope: trio.CancelScope | None = None
        self._muted = False
        self._open = True

    # What the poller calls: see `Entry`.

    def ready(self, mask: int, /) -> None:
        if self._opening is None:
            self._read()
        elif mask & GONE:
            self.abort()
        else:
            self._mute()

    def expire(self) -> None:
        if self._opening is None and self._early:
            self._refuse(Refused(408, "REQUEST_TIMEOUT", "the request did not arrive in time"))
        elif self._opening is None:
            self.abort()
        else:
            self._refuse(overloaded())

    def drain(self, _code: int, _reason: str, /) -> None:
        self._refuse(overloaded())

    def abort(self) -> None:
        if self._open:
            self._finish()
            self._reception.poller.remove(self._fd)
            close_socket(self._socket)

    # The steps.

    def _read(self) -> None:
        poller, limit = self._reception.poller, self._reception.options.head_bytes
        try:
            size = self._socket.recv_into(poller.buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            size = 0
        if not size:
            self.abort()
            return
        self._early += poller.view[:size]
        end = head_end(self._early)
        if (len(self._early) if end is None else end) > limit:
            self._refuse(Refused(431, "HEADERS_TOO_LARGE", f"a request head may have {limit} bytes"))
        elif end is not None:
            head = bytes(self._early[:end])
            del self._early[:end]
            try:
                self._opening = read_head(head, self._remote_address)
                self._reception.find(self._opening.upgrade.path)
                self._reception.line_up(self)
            except Refused as refused:
                self._refuse(refused)
            else:
                poller.set_deadline(self._fd, self._reception.options.admit_seconds)

    def _mute(self) -> None:
        """The client talks already, or has gone. What it says stays in the kernel until it is admitted."""
        try:
            gone = not self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            gone = True
        if gone:
            self.abort()
        else:
            self._muted = True
            self._reception.poller.modify(self._fd, ONLY_GONE)

    async def ask(self) -> None:
        """Ask the route, and do as it says. Raises nothing."""
        if not self._open or self._opening is None:
            return
        upgrade = self._opening.upgrade
        with trio.CancelScope() as self._scope:
            try:
                admission = await self._reception.find(upgrade.path).admit(upgrade)
                self._accept(self._opening, admission)
            except Refused as refused:
                self._refuse(refused)
            except Fault as fault:
                self._refuse(Refused.of(fault))
            except Exception:
                log.exception("socket.admission_failed", path=upgrade.path)
                self._refuse(Refused(500, "INTERNAL_ERROR", "internal error"))

    def _accept(self, opening: Opening, admission: Admission) -> None:
        if admission.subprotocol is not None and admission.subprotocol not in opening.upgrade.subprotocols:
            raise Refused(400, "VALIDATION_ERROR", f"this socket speaks the subprotocol {admission.subprotocol}")
        reception, poller, answer = self._reception, self._reception.poller, opening.accept(admission.subprotocol)
        try:
            sent = self._socket.send(answer)
        except OSError:
            sent = 0
        if sent != len(answer):  # a fresh socket takes so little at once, or it is gone
            self.abort()
            return
        self._finish()
        connection = Connection(
            poller=poller,
            sock=self._socket,
            handler=admission.handler,
            profile=reception.profile(admission),
            remote_address=self._remote_address,
        )
        poller.stats.handshakes_accepted += 1
        poller.replace(self._fd, connection)
        if self._muted:
            poller.modify(self._fd, READ)
        try:
            if admission.on_open is not None:
                admission.on_open(connection)
        except Exception:
            log.exception("socket.handler_failed", remote_address=self._remote_address)
            connection.close(CloseCode.INTERNAL_ERROR, "internal error")
        if self._early:
            connection.feed(bytes(self._early))

    def _refuse(self, refused: Refused) -> None:
        if not self._open:
            return
        self._finish()
        poller = self._reception.poller
        poller.stats.handshakes_refused += 1
        if self._muted:
            poller.modify(self._fd, READ)
        log.info(
            "socket.refused",
            status=refused.status,
            code=refused.code,
            reason=refused.message,
            remote_address=self._remote_address,
        )
        answer_and_linger(poller, self._socket, refusal(refused))

    def _finish(self) -> None:
        """Not a handshake any more: whoever still asks on its behalf is called back."""
        self._open = False
        if self._scope is not None:
            self._scope.cancel()
