"""The stream under one HTTP connection: a client that does not read cannot hold it, nor can it hold a shutdown."""

from __future__ import annotations

import socket

import trio

CHUNK_BYTES = 64 * 1024


class DeadlineStream:
    """A trio stream whose writes have a deadline of their own.

    Hypercorn shields its writes from cancellation, so that neither a deadline nor a shutdown around it can end one.
    This deadline lies inside the shield; and `abort` closes the socket under it.

    Args:
        sock: the accepted connection, non-blocking.
        stall_seconds: how long the client may take for each 64 KiB.
    """

    def __init__(self, sock: socket.socket, *, stall_seconds: float) -> None:
        self._sock = sock
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self._stall_seconds = stall_seconds
        self._sending = False
        self.socket = self._stream.socket

    def send_now(self, data: bytes) -> bytes:
        """Give the kernel what it takes without waiting; returns the rest, which `send_all` sends or fails with."""
        try:
            return data[self._sock.send(data) :]
        except OSError:  # no room, or the client is gone
            return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything.

        Raises:
            trio.BrokenResourceError: the client is gone, or does not read.
            trio.ClosedResourceError: aborted meanwhile.
        """
        view = memoryview(data)
        self._sending = True
        with trio.CancelScope() as scope:
            for start in range(0, len(view), CHUNK_BYTES):
                scope.deadline = trio.current_time() + self._stall_seconds
                await self._stream.send_all(view[start : start + CHUNK_BYTES])
        self._sending = False
        if scope.cancelled_caught:  # half an answer was sent: nothing sound can follow it
            self.abort()
            raise trio.BrokenResourceError(f"the client read nothing for {self._stall_seconds} s")

    async def receive_some(self, max_bytes: int) -> bytes:
        """What has arrived; empty at the end of the stream."""
        return bytes(await self._stream.receive_some(max_bytes))

    def end(self) -> None:
        """End our side, at once: in the middle of an answer that means to abort."""
        if self._sending:
            self.abort()
            return
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # gone already
            self.abort()

    async def aclose(self) -> None:
        """Close at once; everything sent is with the kernel already."""
        self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Close the socket under whoever uses it. Idempotent."""
        self.socket.close()
