"""A plain WebSocket echo on the Hub's own sockets: for conformance tests (Autobahn) and benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import trio

if __package__ in (None, ""):  # run as a file: the project need not be installed
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from controlplane.door.process import raise_file_limit, tune_gc
from controlplane.door.sockets.connection import Connection
from controlplane.door.sockets.handshake import Admission, Upgrade
from controlplane.door.sockets.limits import MIB, Limits
from controlplane.door.sockets.serve import SocketServer, serve_sockets

LIMITS = Limits(frame_bytes=32 * MIB, output_bytes=64 * MIB, frames_per_second=None)


class Echo:
    """A route that admits everybody, and the handler of all its connections."""

    def __init__(self) -> None:
        self._admission = Admission(None, self, limits=LIMITS, on_binary=self.on_binary)

    async def admit(self, upgrade: Upgrade) -> Admission:  # noqa: ARG002
        return self._admission

    def on_text(self, connection: Connection, data: bytes) -> None:
        connection.send_text(data)

    def on_binary(self, connection: Connection, data: bytes) -> None:
        connection.send_binary(data)

    def on_close(self, connection: Connection, code: int, reason: str) -> None:
        """Nothing is kept of a connection."""


async def serve(host: str, port: int) -> None:
    """Echo until cancelled.

    Args:
        host: address to listen on.
        port: 0 lets the kernel choose; the line printed at start tells which.
    """
    raise_file_limit()
    async with trio.open_nursery() as nursery:
        server: SocketServer = await nursery.start(
            lambda **keywords: serve_sockets(bind=f"{host}:{port}", fallback=Echo(), **keywords)
        )
        tune_gc()
        click.echo(f"listening on ws://{host}:{server.port}/")
        sys.stdout.flush()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", type=click.IntRange(0, 65535), default=9001, show_default=True, help="0: any free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def main(port: int, host: str) -> None:
    """Echo every WebSocket message, on any path, until Ctrl-C.

    Runs the same socket code as the Hub, with its limits opened: messages up to 32 MiB, text and binary, no rate
    limit, no compression. Prints one line, "listening on ws://127.0.0.1:PORT/", when it is ready.

    \b
    Try it:
      python -m bench.echo_server --port 9001 &
      .venv/bin/websockets ws://127.0.0.1:9001/
    """
    try:
        trio.run(serve, host, port)
    except* KeyboardInterrupt:
        pass
    except* OSError as group:
        raise click.ClickException(f"cannot listen on {host}:{port}: {group.exceptions[0]}") from None


if __name__ == "__main__":
    main()
