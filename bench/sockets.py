"""Acknowledged pushes per server CPU-second, ours beside websockets on uvloop: `python -m bench.sockets`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import click
import msgspec

from bench.process_figures import cpu_seconds, resident_kib
from bench.said import ack
from bench.wire import Fleet, Socket
from controlplane.door.process import raise_file_limit

SERVERS = {"hub sockets": "bench.push_server", "websockets asyncio + uvloop": "bench.peers.websockets_uvloop"}


class Numbered(msgspec.Struct):
    """What the client reads of a push."""

    seq: int


_decode = msgspec.json.Decoder(Numbered).decode


class Client:
    """Acknowledges every push at once, and counts."""

    def __init__(self) -> None:
        self.acknowledged = 0

    def on_text(self, socket: Socket, data: bytes) -> None:
        socket.send(ack(_decode(data).seq))
        self.acknowledged += 1


@contextmanager
def server(module: str) -> Iterator[tuple[int, int]]:
    """A server process; its port and process id."""
    process = subprocess.Popen([sys.executable, "-m", module], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().split()[1]), process.pid
    finally:
        process.kill()
        process.wait()


def measure(module: str, sockets: int, seconds: float) -> tuple[float, float, float]:
    """Acknowledged pushes per server CPU-second and per second, and KiB a socket."""
    with server(module) as (port, pid):
        fleet, client = Fleet(), Client()
        empty = resident_kib(pid)
        for _ in range(sockets):
            fleet.connect("127.0.0.1", port, "/push", {}, client.on_text)
        until = time.monotonic() + 1
        while time.monotonic() < until:
            fleet.turn(0.05)
        before, cpu, start = client.acknowledged, cpu_seconds(pid), time.monotonic()
        while time.monotonic() < start + seconds:
            fleet.turn(0.05)
        pushes, used, passed = client.acknowledged - before, cpu_seconds(pid) - cpu, time.monotonic() - start
        weight = (resident_kib(pid) - empty) / sockets
        fleet.close()
    return pushes / used, pushes / passed, weight


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--sockets", default=2000, help="Connections at once.")
@click.option("--seconds", default=5.0, help="How long each server is measured in a round.")
@click.option("--rounds", default=3, help="Rounds; the servers take turns in each.")
def main(sockets: int, seconds: float, rounds: int) -> None:
    """Compare acknowledged pushes: each connection has one push on its way, acknowledged as the wrapper does.

    Both servers frame the same command and keep the same session; only their sockets differ. The load comes from
    this process. Absolute figures say little on a shared machine; the ratio of a run is what to believe.
    """
    raise_file_limit()
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SERVERS}
    for number in range(1, rounds + 1):
        for name, module in SERVERS.items():
            results[name].append(measure(module, sockets, seconds))
            per_cpu, per_second, weight = results[name][-1]
            click.echo(
                f"round {number} {name}: {per_cpu:,.0f} acked pushes per server CPU-second, "
                f"{per_second:,.0f} per second, {weight:.1f} KiB a socket"
            )
    ours, peers = (median(one[0] for one in results[name]) for name in SERVERS)
    click.echo(f"median: hub {ours:,.0f}, peer {peers:,.0f}, ratio {ours / peers:.2f}")


if __name__ == "__main__":
    main()
