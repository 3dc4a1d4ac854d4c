"""The last answer on a socket: send it, end our side, and wait a moment so that the peer can read it."""

from __future__ import annotations

import socket

from controlplane.door.sockets.poller import Poller, close_socket

LINGER_SECONDS = 2.0


class Lingering:
    """Discards what still comes until the peer closes. Closing at once, with its words unread, would reset the
    connection, and the reset overtakes the answer."""

    __slots__ = ("_fd", "_open", "_poller", "_socket")

    def __init__(self, poller: Poller, sock: socket.socket) -> None:
        self._poller = poller
        self._socket = sock
        self._fd = sock.fileno()
        self._open = True

    def ready(self, _mask: int, /) -> None:
        try:
            if self._socket.recv_into(self._poller.buffer):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self.abort()

    def expire(self) -> None:
        self.abort()

    def drain(self, _code: int, _reason: str, /) -> None:
        """It is leaving already."""

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._poller.remove(self._fd)
            close_socket(self._socket)


def answer_and_linger(poller: Poller, sock: socket.socket, answer: bytes) -> None:
    """Send a last answer on a watched socket and take over its entry.

    Args:
        poller: watches the socket for reading.
        sock: non-blocking; its send buffer is empty, so that a small answer fits.
        answer: all there is to say.
    """
    lingering = Lingering(poller, sock)
    fd = sock.fileno()
    poller.replace(fd, lingering)
    try:
        sock.send(answer)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        lingering.abort()
    else:
        poller.set_deadline(fd, LINGER_SECONDS)
