"""A wire between wrapper and Hub, which a test can hold in either direction and cut; what it holds dies with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)


class Wire:
    """Forwards connections to the Hub.

    Attributes:
        up: closed, what the wrapper says is kept back from the Hub.
        down: closed, what the Hub says is kept back from the wrapper.
    """

    def __init__(self, hub_port: int) -> None:
        self._hub_port = hub_port
        self._ends: set[trio.SocketStream] = set()
        self.port = 0
        self.up = Valve()
        self.down = Valve()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    @asynccontextmanager
    async def laid(cls, hub_port: int) -> AsyncIterator[Wire]:
        wire = cls(hub_port)
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, wire._forward, 0)
            wire.port = listeners[0].socket.getsockname()[1]
            yield wire
            nursery.cancel_scope.cancel()

    async def cut(self) -> None:
        """End every connection at once, with all that is on the way, and let the next ones flow."""
        for end in list(self._ends):
            await trio.aclose_forcefully(end)
        self.up, self.down = Valve(), Valve()

    async def _forward(self, near: trio.SocketStream) -> None:
        try:
            far = await trio.open_tcp_stream("127.0.0.1", self._hub_port)
        except OSError:
            await trio.aclose_forcefully(near)
            return
        self._ends |= {near, far}
        up, down = self.up, self.down
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, near, far, up)
            nursery.start_soon(self._pump, far, near, down)
        self._ends -= {near, far}

    async def _pump(self, source: trio.SocketStream, target: trio.SocketStream, valve: Valve) -> None:
        try:
            while data := await source.receive_some():
                await valve.open.wait()
                await target.send_all(data)
        except BROKEN:
            pass
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(source)
                await trio.aclose_forcefully(target)


class Valve:
    """Open until it is shut."""

    def __init__(self) -> None:
        self.open = trio.Event()
        self.open.set()

    def shut(self) -> None:
        self.open = trio.Event()

    def let_go(self) -> None:
        self.open.set()
