"""Readiness of many file descriptors behind a single one that trio can wait for: epoll, or kqueue through selectors."""

from __future__ import annotations

import select
import selectors
import sys
from typing import Protocol

import trio

# The numbers of epoll(7), used for every implementation. READ asks for the peer's half-close too, so that a
# connection which is not being read (see `Handshake`) is still known to be gone.
_IN, _OUT, _ERROR, _HANGUP, _PEER_HANGUP = 0x1, 0x4, 0x8, 0x10, 0x2000
READ = _IN | _PEER_HANGUP
WRITE = _OUT
GONE = _ERROR | _HANGUP | _PEER_HANGUP
ONLY_GONE = _PEER_HANGUP

MAX_EVENTS = 1024


class Readiness(Protocol):
    """What the poller needs from the kernel; masks are READ, WRITE, GONE."""

    async def wait(self) -> None:
        """Return when `poll` has something to tell, or soon after."""

    def poll(self) -> list[tuple[int, int]]:
        """What is ready now, as (file descriptor, mask); never blocks."""

    def register(self, fd: int, mask: int) -> None: ...

    def modify(self, fd: int, mask: int) -> None: ...

    def unregister(self, fd: int) -> None: ...

    def close(self) -> None: ...


class SelectorReadiness:
    """Any selector with a file descriptor of its own (kqueue on macOS)."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selectors.DefaultSelector() if selector is None else selector
        fileno = getattr(self._selector, "fileno", None)
        if fileno is None:
            raise RuntimeError("the sockets need epoll or kqueue, and this system has neither")
        self._fd: int = fileno()

    async def wait(self) -> None:
        await trio.lowlevel.wait_readable(self._fd)

    def poll(self) -> list[tuple[int, int]]:
        ready = []
        for key, events in self._selector.select(0):
            mask = (_IN if events & selectors.EVENT_READ else 0) | (_OUT if events & selectors.EVENT_WRITE else 0)
            ready.append((key.fd, mask))
        return ready

    def register(self, fd: int, mask: int) -> None:
        self.modify(fd, mask)

    def modify(self, fd: int, mask: int) -> None:
        events = (selectors.EVENT_READ if mask & _IN else 0) | (selectors.EVENT_WRITE if mask & _OUT else 0)
        known = fd in self._selector.get_map()
        if events and known:
            self._selector.modify(fd, events)
        elif events:
            self._selector.register(fd, events)
        elif known:  # selectors cannot watch for a hang-up alone: it is noticed when reading starts again
            self._selector.unregister(fd)

    def unregister(self, fd: int) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def close(self) -> None:
        self._selector.close()


if sys.platform == "linux":

    class EpollReadiness:
        """Linux: epoll directly, without the objects that selectors makes for each event."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._fd = self._epoll.fileno()
            self.register = self._epoll.register
            self.modify = self._epoll.modify

        async def wait(self) -> None:
            await trio.lowlevel.wait_readable(self._fd)

        def poll(self) -> list[tuple[int, int]]:
            return self._epoll.poll(0, MAX_EVENTS)

        def unregister(self, fd: int) -> None:
            self._epoll.unregister(fd)

        def close(self) -> None:
            self._epoll.close()


def open_readiness() -> Readiness:
    """The best one this system has."""
    return EpollReadiness() if sys.platform == "linux" else SelectorReadiness()
