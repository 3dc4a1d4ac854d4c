"""The promise over sockets and nothing else, on the Hub's sockets: push, await the acknowledgement, push again."""

from __future__ import annotations

import sys

import click
import trio

from bench.pushing import acknowledged, next_push
from controlplane.door.process import raise_file_limit, tune_gc
from controlplane.door.sockets.connection import Connection
from controlplane.door.sockets.handshake import Admission, Upgrade
from controlplane.door.sockets.limits import Limits
from controlplane.door.sockets.serve import SocketServer, serve_sockets
from protocol.session import HubSession

LIMITS = Limits(frames_per_second=None)


class Pushed:
    """One connection: a session that has always one push on its way."""

    __slots__ = ("_session",)

    def __init__(self) -> None:
        self._session = HubSession(0)

    def opened(self, connection: Connection) -> None:
        connection.send_text(next_push(self._session))

    def on_text(self, connection: Connection, data: bytes) -> None:
        if acknowledged(self._session, data):
            connection.send_text(next_push(self._session))

    def on_close(self, connection: Connection, code: int, reason: str) -> None:
        """Nothing is kept of a connection."""


class Route:
    """Admits everybody."""

    async def admit(self, upgrade: Upgrade) -> Admission:  # noqa: ARG002
        pushed = Pushed()
        return Admission(None, pushed, limits=LIMITS, on_open=pushed.opened)


async def serve() -> None:
    """Push until cancelled."""
    raise_file_limit()
    async with trio.open_nursery() as nursery:
        server: SocketServer = await nursery.start(
            lambda **keywords: serve_sockets(bind="127.0.0.1:0", fallback=Route(), **keywords)
        )
        tune_gc()
        click.echo(f"port {server.port}")
        sys.stdout.flush()


if __name__ == "__main__":
    trio.run(serve)
