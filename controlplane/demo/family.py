"""The demo's processes: started apart from the terminal, started again when they end unasked, ended with the demo."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from controlplane.demo.failure import DemoFailed

_MOST_RESTARTS: Final = 5
_WITHIN_SECONDS: Final = 60.0
_RESTART_AFTER_SECONDS: Final = 0.5
_LAST_WORDS_BYTES: Final = 8192
_LONGEST_WORDS: Final = 300
_UNDERTAKER_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Program:
    """How one process is run.

    Attributes:
        name: as people read it: "the Hub".
        log: where it writes what it says; existing, appended to.
        environment: all of it.
        endings: signals that end it, gentlest first, each with the seconds it then has.
        on_line: takes the lines of its standard output instead of the log, which must not hold what is secret.
    """

    name: str
    words: tuple[str, ...]
    log: Path
    environment: Mapping[str, str]
    endings: tuple[tuple[signal.Signals, float], ...]
    on_line: Callable[[str], None] | None = None


class Undertaker:
    """The process that ends the others should the demo be killed; knows who lives."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def open(cls, *, holding: int) -> AsyncIterator[Undertaker]:
        """Keep an undertaker for as long as the block lasts.

        Args:
            holding: a descriptor that it holds open until its work is done.
        """
        process = subprocess.Popen(  # noqa: ASYNC220 - our own command line; starting it takes a moment only
            [sys.executable, "-m", "controlplane.demo.undertaker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            pass_fds=(holding,),
            start_new_session=True,
        )
        try:
            yield cls(process)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(_end_undertaker, process)

    def knows(self, pid: int) -> None:
        """This process is to be ended when the demo is gone."""
        self._tell(b"+%d\n" % pid)

    def forgets(self, pid: int) -> None:
        """This process has ended."""
        self._tell(b"-%d\n" % pid)

    def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        # Killed by somebody: the demo itself still ends all it has started.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)


def _end_undertaker(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(timeout=_UNDERTAKER_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Child:
    """One process of the demo, across its restarts.

    Attributes:
        settled: it has done what it was started for; before that, its end is the demo's.
    """

    def __init__(self, program: Program, undertaker: Undertaker, say: Callable[[str], None]) -> None:
        self.program = program
        self.settled = False
        self._undertaker = undertaker
        self._say = say
        self._process: trio.Process | None = None
        self._ends: deque[float] = deque(maxlen=_MOST_RESTARTS)

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Keep it running, for ever. Cancelling leaves it running: `stop` ends it.

        Raises:
            DemoFailed: it ended before it had settled, or ends again and again.
        """
        while True:
            with trio.CancelScope(shield=True):
                process = await self._start()
            async with trio.open_nursery() as nursery:
                if process.stdout is not None and self.program.on_line is not None:
                    nursery.start_soon(_lines, process.stdout, self.program.on_line)
                status = await process.wait()
                nursery.cancel_scope.cancel()
            self._undertaker.forgets(process.pid)
            self._process = None
            self._judge(status)
            await trio.sleep(_RESTART_AFTER_SECONDS)

    def _judge(self, status: int) -> None:
        name, how = self.program.name, _in_words(status)
        if not self.settled:
            sentence, words = self._last_words()
            raise DemoFailed(sentence or f"{name} {how} while starting ({words}); its log is {self.program.log}")
        now = trio.current_time()
        if len(self._ends) == _MOST_RESTARTS and now - self._ends[0] < _WITHIN_SECONDS:
            raise DemoFailed(f"{name} ends again and again (it {how}); its log is {self.program.log}")
        self._ends.append(now)
        self._say(f"{name} {how}; starting it again (log: {self.program.log})")

    async def _start(self) -> trio.Process:
        with self.program.log.open("ab") as log:
            process = await trio.lowlevel.open_process(
                list(self.program.words),
                stdin=subprocess.DEVNULL,
                stdout=log if self.program.on_line is None else subprocess.PIPE,
                stderr=log,
                env=dict(self.program.environment),
                start_new_session=True,  # a Ctrl-C in the terminal is the demo's to handle
            )
        self._undertaker.knows(process.pid)
        self._process = process
        return process

    async def stop(self) -> None:
        """Tell it to end, ever more firmly; when this is cancelled, or all telling was in vain, it is killed."""
        process = self._process
        if process is None:
            return
        try:
            for number, patience_seconds in self.program.endings:
                process.send_signal(number)
                with trio.move_on_after(patience_seconds):
                    await process.wait()
                    break
        finally:
            with trio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.wait()
            self._undertaker.forgets(process.pid)
            self._process = None

    def _last_words(self) -> tuple[str | None, str]:
        """What it said to people before it ended, `hub: …` or `Error: …`, where it did; and its last line."""
        with self.program.log.open("rb") as log:
            log.seek(max(0, self.program.log.stat().st_size - _LAST_WORDS_BYTES))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        for prefix in ("hub: ", "Error: "):
            told = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
            if told:
                return f"{self.program.name}: {told[-1]}", lines[-1]
        return None, lines[-1][:_LONGEST_WORDS] if lines else "it said nothing"


class Family:
    """All of the demo's processes, the Hub first among them.

    Args:
        patience: a shielded scope around their end; cancelling it ends those that are left at once.
    """

    def __init__(
        self, nursery: trio.Nursery, undertaker: Undertaker, say: Callable[[str], None], patience: trio.CancelScope
    ) -> None:
        self._nursery = nursery
        self._undertaker = undertaker
        self._say = say
        self._children: list[Child] = []
        self._patience = patience

    def start(self, program: Program) -> Child:
        """Start a process and watch over it."""
        child = Child(program, self._undertaker, self._say)
        self._children.append(child)
        self._nursery.start_soon(child.run)
        return child

    async def stop(self) -> None:
        """End them all: the tenants first, all at once, then the Hub."""
        if not self._children:
            return
        hub, *tenants = self._children
        with self._patience:
            async with trio.open_nursery() as nursery:
                for tenant in tenants:
                    nursery.start_soon(tenant.stop)
            await hub.stop()
        # Hurried: those whose turn had not come.
        with trio.CancelScope(shield=True) as now:
            now.cancel()
            await hub.stop()


async def _lines(stream: trio.abc.ReceiveStream, take: Callable[[str], None]) -> None:
    waiting = b""
    async with stream:
        async for part in stream:
            *whole, waiting = (waiting + part).split(b"\n")
            for line in whole:
                take(line.decode(errors="replace"))


def _in_words(status: int) -> str:
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
