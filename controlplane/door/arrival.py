"""An arrival: a connection that has not said what it wants. Its request line is peeked at, and decides."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from controlplane.door.answers import error_response
from controlplane.door.sockets.linger import answer_and_linger
from controlplane.door.sockets.poller import Poller, close_socket
from controlplane.door.sockets.readiness import GONE


@dataclass(frozen=True, slots=True)
class Sorting:
    """How arrivals are sorted; one object for all.

    Args:
        poller: watches them.
        line_bytes: largest request line.
        line_seconds: deadline for it.
        decide: given the socket, still watched and with nothing read from it, the peer's IP address, and the path of
            the request line.
        left: told when an arrival is none any more.
    """

    poller: Poller
    line_bytes: int
    line_seconds: float
    decide: Callable[[socket.socket, str, str], None]
    left: Callable[[int], None]


class Arrival:
    """One socket whose request line is not complete yet.

    Only the line is peeked at, not the whole head: a peek sees no more than the receive buffer holds, so that waiting
    for the end of a long head could wait for ever. While the line trickles in, SO_RCVLOWAT keeps the kernel from
    reporting the same bytes again and again.
    """

    __slots__ = ("_fd", "_open", "_remote_address", "_seen_bytes", "_socket", "_sorting")

    def __init__(self, sorting: Sorting, sock: socket.socket, remote_address: str) -> None:
        self._sorting = sorting
        self._socket = sock
        self._fd = sock.fileno()
        self._remote_address = remote_address
        self._seen_bytes = 0
        self._open = True
        sorting.poller.add(self._fd, self)
        sorting.poller.set_deadline(self._fd, sorting.line_seconds)

    def ready(self, mask: int, /) -> None:
        limit = self._sorting.line_bytes
        try:
            data = self._socket.recv(limit + 1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        end = data.find(b"\n")
        if end >= 0:
            self._leave()
            self._sorting.decide(self._socket, self._remote_address, request_path(data[:end]))
        elif len(data) > limit:
            self._answer(414, "URI_TOO_LONG", f"a request line may have {limit} bytes")
        elif not data or mask & GONE or len(data) == self._seen_bytes:
            self.abort()  # the rest will never come
        else:
            self._seen_bytes = len(data)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(data) + 1)

    def expire(self) -> None:
        if self._seen_bytes:
            self._answer(408, "REQUEST_TIMEOUT", "the request did not arrive in time")
        else:
            self.abort()

    def drain(self, _code: int, _reason: str, /) -> None:
        self.abort()

    def abort(self) -> None:
        if self._open:
            self._leave()
            self._sorting.poller.remove(self._fd)
            close_socket(self._socket)

    def _answer(self, status: int, code: str, message: str) -> None:
        self._leave()
        answer_and_linger(self._sorting.poller, self._socket, error_response(status, code, message))

    def _leave(self) -> None:
        self._open = False
        self._sorting.left(self._fd)
        if self._seen_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def request_path(line: bytes) -> str:
    """The path of a request line (RFC 9112 section 3), without its query; empty when there is none to be seen."""
    parts = line.split(b" ")
    if len(parts) < 2:
        return ""
    return parts[1].strip().partition(b"?")[0].decode("ascii", "replace")
