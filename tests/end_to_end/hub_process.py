"""`hub serve` as a process of its own: started, told to stop, killed, started again, and its log read."""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import trio

from controlplane.store.postmaster import stop_left_over

READY = "LetsBe Hub is ready on "
START_SECONDS = 60


class HubProcess:
    """One Hub on one state folder, always at the same port.

    Args:
        state: its state folder; its path must be short, PostgreSQL's socket lies in it.
        log: the file its log (JSON lines) is appended to, across restarts.
        environment: settings besides those that every test wants.
    """

    def __init__(self, state: Path, log: Path, **environment: str) -> None:
        self.state = state
        self.log = log
        self.port = free_port()
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/v1/tenant/socket"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the Hub was never started"
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and return once it takes requests."""
        assert not self.running
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "DATABASE_", "PORT"))}
        settings = {
            "HUB_STATE_DIR": str(self.state),
            "HUB_BIND": f"127.0.0.1:{self.port}",
            "HUB_LOG_FORMAT": "json",
            "HUB_RATE_LIMIT_PER_MINUTE": "1000000",
            **self._environment,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "controlplane", "serve"],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.log.parent,
                env={**kept, **settings},
            )
        said = self._first_line()
        assert said.startswith(READY), f"{said!r}\n{self.log.read_text()[-4000:]}"

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        said = b""
        deadline = time.monotonic() + START_SECONDS
        while not said.endswith(b"\n") and time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                more = os.read(self.process.stdout.fileno(), 1)
                if not more:
                    break
                said += more
        return said.decode()

    def kill(self) -> None:
        """kill -9, and nothing else: its PostgreSQL stays behind, as it would."""
        self.process.kill()
        self._reap()

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 20) -> int:
        """Its exit status."""
        status = self.process.wait(timeout=seconds)
        self._reap()
        return status

    def end(self) -> None:
        """Leave nothing behind, however the test ended."""
        if self._process is not None:
            self.kill()
        if (self.state / "postgres" / "data").exists():
            trio.run(stop_left_over, self.state / "postgres" / "data")

    def _reap(self) -> None:
        self.process.wait(timeout=20)
        if self.process.stdout is not None:
            self.process.stdout.close()

    # --- what it wrote down ------------------------------------------------------------------------------

    def lines(self) -> list[dict[str, Any]]:
        """Every whole line of its log; one that is not JSON fails the test."""
        return [json.loads(line) for line in self.log.read_bytes().split(b"\n")[:-1]]

    def logged(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The lines of an event whose fields have these values."""
        return [
            line
            for line in self.lines()
            if line["event"] == event and all(line.get(name) == value for name, value in fields.items())
        ]

    async def until_logged(self, event: str, **fields: Any) -> dict[str, Any]:
        """The first such line, as soon as there is one."""
        await until(lambda: self.logged(event, **fields), what=f"log line {event} {fields}")
        return self.logged(event, **fields)[0]

    def bugs(self) -> list[dict[str, Any]]:
        """Lines that tell of a bug: tracebacks, and errors that are not the database's."""
        return [line for line in self.lines() if "exception" in line or line["event"].endswith(("failed", "crashed"))]

    # --- its database ------------------------------------------------------------------------------------

    @property
    def postmaster_pid(self) -> int:
        return int((self.state / "postgres" / "data" / "postmaster.pid").read_text().split()[0])

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of one statement, beside the Hub, straight from its PostgreSQL."""
        return asyncio.run(self._sql(statement, values))

    async def _sql(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(host=str(self.state / "postgres"), user="hub", database="hub")
        try:
            return [tuple(row) for row in await connection.fetch(statement, *values)]
        finally:
            await connection.close()

    def value(self, statement: str, *values: object) -> Any:
        """The first value of the first row."""
        return self.sql(statement, *values)[0][0]


def copy_state(origin: Path, target: Path) -> None:
    """Another Hub's state folder, as its own."""
    shutil.copytree(origin, target, symlinks=True, ignore=shutil.ignore_patterns(".s.PGSQL*", "lock", "postmaster.pid"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def until(
    condition: Callable[[], object | Awaitable[object]], *, what: str = "a condition", seconds: float = 40
) -> None:
    """Wait for what other processes do in their own time: there is no event for it, and no clock to jump."""
    with trio.move_on_after(seconds):
        while True:
            held = condition()
            if await held if isinstance(held, Awaitable) else held:
                return
            await trio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")
