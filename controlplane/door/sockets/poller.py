"""The poller: one trio task that watches every socket through a nested epoll and calls the object behind each."""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog
import trio

from controlplane.door.sockets.readiness import READ, Readiness, open_readiness

log = structlog.get_logger()

RECEIVE_BYTES = 64 * 1024
TICK_SECONDS = 0.1
POSTED_AT_ONCE = 256
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Entry(Protocol):
    """What stands behind a watched file descriptor. Nothing here may wait."""

    def ready(self, mask: int, /) -> None:
        """The kernel has news: readable, writable, gone."""

    def expire(self) -> None:
        """The deadline set with `Poller.set_deadline` has passed."""

    def drain(self, code: int, reason: str, /) -> None:
        """This node is going away: say good-bye."""

    def abort(self) -> None:
        """Close the file descriptor now, without a word. Idempotent."""


class Stats:
    """Counters since start, read by the metrics; plain integers, since the trio thread alone writes them."""

    __slots__ = (
        "dropped_slow",
        "dropped_too_fast",
        "handshakes_accepted",
        "handshakes_refused",
        "messages_received",
        "messages_sent",
    )

    def __init__(self) -> None:
        self.dropped_slow = 0
        self.dropped_too_fast = 0
        self.handshakes_accepted = 0
        self.handshakes_refused = 0
        self.messages_received = 0
        self.messages_sent = 0

    def as_dict(self) -> dict[str, int]:
        """Name to count."""
        return {name: getattr(self, name) for name in self.__slots__}


class Poller:
    """Owns the nested epoll, the deadlines of its entries, and the shared receive buffer.

    Args:
        readiness: how the kernel is asked; the system's best by default.
    """

    def __init__(self, *, readiness: Readiness | None = None) -> None:
        self._readiness = open_readiness() if readiness is None else readiness
        self._entries: dict[int, Entry] = {}
        self._deadlines: dict[int, float] = {}
        self._deadline_set = trio.Event()
        self._posted: deque[Callable[[], None]] = deque()
        self._posted_some = trio.Event()
        self._emptied = trio.Event()
        self.modify = self._readiness.modify
        self.buffer = bytearray(RECEIVE_BYTES)
        self.view = memoryview(self.buffer)
        self.now = trio.current_time()
        self.draining = False
        self.stats = Stats()

    def __len__(self) -> int:
        return len(self._entries)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; then every socket is cut and every handler has been told."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sweep)
                nursery.start_soon(self._deliver)
                task_status.started()
                await self._poll()
        finally:
            for entry in list(self._entries.values()):
                entry.abort()
            self._run_posted(len(self._posted))
            self._readiness.close()

    # For entries.

    def add(self, fd: int, entry: Entry, mask: int = READ) -> None:
        """Watch a file descriptor."""
        self._readiness.register(fd, mask)
        self._entries[fd] = entry

    def replace(self, fd: int, entry: Entry) -> None:
        """Another object stands behind the file descriptor from now on; the watched mask stays."""
        self._deadlines.pop(fd, None)
        self._entries[fd] = entry

    def remove(self, fd: int) -> None:
        """Watch it no more. Call it before the file descriptor is closed."""
        self._deadlines.pop(fd, None)
        del self._entries[fd]
        self._readiness.unregister(fd)
        if not self._entries:
            self._emptied.set()

    def set_deadline(self, fd: int, seconds: float) -> None:
        """Call `expire` in so many seconds (give or take a tick); replaces a deadline set before."""
        if not self._deadlines:
            self._deadline_set.set()
        self._deadlines[fd] = trio.current_time() + seconds

    def clear_deadline(self, fd: int) -> None:
        """There is no hurry any more."""
        self._deadlines.pop(fd, None)

    def post(self, call: Callable[[], None]) -> None:
        """Run a callback soon, outside of whatever is running now, so that nobody is called back in mid-sentence."""
        if not self._posted:
            self._posted_some.set()
        self._posted.append(call)

    # Going away.

    async def drain(self, *, code: int, reason: str, within_seconds: float) -> None:
        """Close everything with a close code, wait for the good-byes, cut those who have not left in time.

        Args:
            code: WebSocket close code, such as 1012 (service restart).
            reason: words for the close frame, at most 123 bytes.
            within_seconds: limit of the whole.
        """
        self.draining = True
        with trio.move_on_after(within_seconds):
            for number, entry in enumerate(list(self._entries.values())):
                self._guarded(entry.drain, code, reason, otherwise=entry.abort)
                if number % POSTED_AT_ONCE == POSTED_AT_ONCE - 1:
                    await trio.lowlevel.checkpoint()
            while self._entries:
                self._emptied = trio.Event()
                await self._emptied.wait()
        for entry in list(self._entries.values()):
            entry.abort()

    # The tasks.

    async def _poll(self) -> None:
        entries, poll, wait = self._entries, self._readiness.poll, self._readiness.wait
        while True:
            await wait()
            self.now = trio.current_time()
            for fd, mask in poll():
                entry = entries.get(fd)
                if entry is None:  # removed by an earlier event of this batch
                    continue
                try:
                    entry.ready(mask)
                except Exception:
                    log.exception("socket.entry_failed", entry=type(entry).__name__)
                    entry.abort()

    async def _sweep(self) -> None:
        while True:
            if not self._deadlines:
                self._deadline_set = trio.Event()
                await self._deadline_set.wait()
            await trio.sleep(TICK_SECONDS)
            now = trio.current_time()
            for fd in [fd for fd, deadline in self._deadlines.items() if deadline <= now]:
                if self._deadlines.pop(fd, None) is not None:
                    entry = self._entries[fd]
                    self._guarded(entry.expire, otherwise=entry.abort)

    async def _deliver(self) -> None:
        while True:
            if not self._posted:
                self._posted_some = trio.Event()
                await self._posted_some.wait()
            self._run_posted(POSTED_AT_ONCE)
            await trio.lowlevel.checkpoint()

    def _run_posted(self, limit: int) -> None:
        for _ in range(min(limit, len(self._posted))):
            self._guarded(self._posted.popleft())

    def _guarded(self, call: Callable[..., None], *args: object, otherwise: Callable[[], None] | None = None) -> None:
        try:
            call(*args)
        except Exception:
            log.exception("socket.callback_failed")
            if otherwise is not None:
                otherwise()


def close_socket(sock: socket.socket, *, reset: bool = False) -> None:
    """Close; with `reset` the kernel forgets unsent data at once instead of keeping it for a peer that stalls."""
    if reset:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    sock.close()
