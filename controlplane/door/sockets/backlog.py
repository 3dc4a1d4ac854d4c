"""The backlog of a connection: frames that the kernel has not taken yet. It exists only while there are any."""

from __future__ import annotations

import socket
from collections import deque
from itertools import islice

GATHERED_FRAMES = 64


class Backlog:
    """Whole frames in order; the first may have been sent in part."""

    __slots__ = ("_frames", "_head_sent", "size_bytes")

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._head_sent = 0
        self.size_bytes = 0

    def append(self, frame: bytes, *, already_sent: int = 0) -> None:
        """Add a frame; only the very first may come with a part of it already sent."""
        if already_sent:
            self._head_sent = already_sent
        self._frames.append(frame)
        self.size_bytes += len(frame) - already_sent

    def forget_unstarted(self) -> None:
        """Keep only the frame whose beginning the peer already has: what follows it must not land inside it."""
        started = self._frames[0] if self._head_sent else None
        self._frames.clear()
        self.size_bytes = 0
        if started is not None:
            self._frames.append(started)
            self.size_bytes = len(started) - self._head_sent

    def send(self, sock: socket.socket) -> bool:
        """Give the kernel as much as it takes.

        Returns:
            Whether it took anything.

        Raises:
            OSError: the connection is gone.
        """
        progressed = False
        while self._frames:
            gathered: list[bytes | memoryview] = list(islice(self._frames, GATHERED_FRAMES))
            if self._head_sent:
                gathered[0] = memoryview(gathered[0])[self._head_sent :]
            try:
                sent = sock.sendmsg(gathered)
            except (BlockingIOError, InterruptedError):
                break
            progressed = True
            self.size_bytes -= sent
            sent += self._head_sent
            while self._frames and sent >= len(self._frames[0]):
                sent -= len(self._frames.popleft())
            self._head_sent = sent
        return progressed
