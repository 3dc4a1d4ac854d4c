"""The peer of `bench.push_server`: the same frames and sessions on `websockets` for asyncio and uvloop."""

from __future__ import annotations

import contextlib
import sys

import click
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bench.pushing import acknowledged, next_push
from controlplane.door.process import raise_file_limit, tune_gc
from protocol.session import HubSession


async def push(connection: ServerConnection) -> None:
    """One connection: always one push on its way."""
    session = HubSession(0)
    with contextlib.suppress(ConnectionClosed):
        await _push(connection, session)


async def _push(connection: ServerConnection, session: HubSession) -> None:
    await connection.send(next_push(session), text=True)
    while True:
        data = await connection.recv(decode=False)  # text undecoded, as our own sockets hand it over
        if acknowledged(session, data):
            await connection.send(next_push(session), text=True)


async def main() -> None:
    """Serve until killed."""
    raise_file_limit()
    async with serve(push, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        tune_gc()
        click.echo(f"port {server.sockets[0].getsockname()[1]}")
        sys.stdout.flush()
        await server.wait_closed()


if __name__ == "__main__":
    uvloop.run(main())
