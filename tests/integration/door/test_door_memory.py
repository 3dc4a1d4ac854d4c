"""What an idle socket costs, measured on the echo server from outside."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LIMIT_KIB = 6
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: hub.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Authorization: Bearer hk_0123456789abcdef_0123456789abcdef0123456789abcdef\r\n\r\n"
)


@pytest.fixture
def server():
    command = [sys.executable, "-m", "bench.echo_server", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.fullmatch(r"listening on ws://127\.0\.0\.1:(\d+)/\n", process.stdout.readline())
            assert found
            yield process.pid, int(found[1])
        finally:
            process.terminate()


def resident_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of another process from /proc")
def test_an_idle_socket_costs_less_than_six_kibibytes(server):
    """The slope from 500 to 2,000 sockets, so that what is there once does not count."""
    pid, port = server
    clients: list[socket.socket] = []

    def open_until(count: int) -> None:
        while len(clients) < count:
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            clients.append(client)
            client.sendall(UPGRADE)
            assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
            client.sendall(b"\x81\x82\0\0\0\0hi")
            assert client.recv(4096) == b"\x81\x02hi"

    try:
        open_until(500)
        before = resident_kib(pid)
        open_until(2000)
        each = (resident_kib(pid) - before) / 1500
    finally:
        for client in clients:
            client.close()
    assert each < LIMIT_KIB, f"{each:.2f} KiB"
    print(f"{each:.2f} KiB a socket")
