"""Commands from the Hub: each runs at most once, or again only where its executor declares that harmless."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec
import structlog
import trio

from protocol.words import CommandResultStatus
from wrapper.journal import commands
from wrapper.journal.commands import INTERRUPTED, CommandRow
from wrapper.journal.database import Journal, sayable
from wrapper.ports import Clock

log = structlog.get_logger()

DEFAULT_LIMIT_SECONDS: Final = 300.0
#: Commands that run at the same time; further ones wait in the journal.
CONCURRENCY: Final = 8


class CommandFailed(Exception):
    """An executor's verdict: the command was tried and failed, for the reason in the words."""


class CommandTimedOut(CommandFailed):
    """An executor's verdict: it stopped the command at its time limit; the words may hold what came of it."""


class CommandRejected(Exception):
    """An executor's verdict before anything was begun: the payload is not one it takes."""


@dataclass(frozen=True, slots=True)
class CommandCall:
    """One run of a command. `attempt` is above 1 when an earlier run was cut off by a crash."""

    id: str
    type: str
    payload: Any
    attempt: int


def _take_all(_: Any) -> None:
    """Most executors look at the payload when they run."""


async def leave_none(_: Collection[str]) -> None:
    """Without programs there is nothing that outlives this process."""


#: Ends what an earlier life of this process still runs for these commands; returns when it is gone.
StopLeftovers = Callable[[Collection[str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Executor:
    """What runs commands of one type.

    Attributes:
        run: does it, and returns its output; must end when it is cancelled.
        idempotent: running it again with the same id after a crash does no harm.
        limit_seconds: after this long it is cancelled and reported as timed out.
        check: raises CommandRejected for a payload that is not begun at all.
    """

    run: Callable[[CommandCall], Awaitable[str | None]]
    idempotent: bool = False
    limit_seconds: float = DEFAULT_LIMIT_SECONDS
    check: Callable[[Any], None] = _take_all


async def _ping(_: CommandCall) -> str | None:
    return "pong"


PING: Final = Executor(_ping, idempotent=True, limit_seconds=5)


class HubTime:
    """The Hub's clock as this machine knows it: expiries are the Hub's, and this machine's clock may be wrong."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = timedelta()

    def learned(self, server_time: float) -> None:
        """`welcome.serverTime`, Unix seconds."""
        self._offset = timedelta(seconds=server_time - self._clock.now().timestamp())

    def now(self) -> float:
        """Unix seconds on the Hub's clock."""
        return (self._clock.now() + self._offset).timestamp()


class Commands:
    """Takes commands from the journal in their order and runs them, several at a time."""

    def __init__(
        self,
        journal: Journal,
        executors: Mapping[str, Executor],
        time: HubTime,
        stop_leftovers: StopLeftovers = leave_none,
    ) -> None:
        self._journal = journal
        self._stop_leftovers = stop_leftovers
        self._executors = {"PING": PING, **executors}
        self._time = time
        self._wake = trio.Event()
        self._taken: set[str] = set()

    def arrived(self) -> None:
        """Commands have been journalled."""
        self._wake.set()

    async def run(self) -> None:
        """Run what the journal holds, for ever. Those which a crash cut off come first, and are settled by rule."""
        started = [row for row in await self._journal.run(commands.unfinished) if row.state == "started"]
        # Before one is run again, or called interrupted, what is left of its former run has to be gone.
        await self._stop_leftovers([row.id for row in started])
        for row in started:
            if not self._repeatable(row):
                log.warning("command.interrupted", command=row.id, type=row.type)
                await self._journal.run(commands.finish, row.id, CommandResultStatus.FAILED, INTERRUPTED)
        async with trio.open_nursery() as nursery:
            while True:
                self._wake = trio.Event()
                for row in await self._journal.run(commands.unfinished, limit=CONCURRENCY * 4):
                    if row.id not in self._taken and len(self._taken) < CONCURRENCY:
                        self._taken.add(row.id)
                        await nursery.start(self._one, row)
                await self._wake.wait()

    def _repeatable(self, row: CommandRow) -> bool:
        executor = self._executors.get(row.type)
        return executor is not None and executor.idempotent

    async def _one(self, row: CommandRow, *, task_status: trio.TaskStatus[None]) -> None:
        """Run one command; `started` once its intent is written, so that they begin in the order of their numbers."""
        payload, refusal = self._examine(row)
        if refusal is None:
            await self._journal.run(commands.start, row.id)
        task_status.started()
        status, output = refusal or await self._execute(row, payload)
        # What was done is written down even while the process is being stopped.
        with trio.CancelScope(shield=True):
            await self._journal.run(commands.finish, row.id, status, output)
        log.info("command.finished", command=row.id, type=row.type, status=status.value)
        self._taken.discard(row.id)
        self._wake.set()

    def _examine(self, row: CommandRow) -> tuple[Any, tuple[CommandResultStatus, str] | None]:
        """The payload, and why the command is not begun at all."""
        if row.type not in self._executors:
            return None, (CommandResultStatus.REJECTED, f"this wrapper has no command {sayable(row.type, 100)}")
        if row.state == "received" and self._time.now() >= row.expires_at:
            return None, (CommandResultStatus.REJECTED, "expired before it could be run")
        try:
            payload = msgspec.json.decode(row.payload)
            self._executors[row.type].check(payload)
        except (msgspec.MsgspecError, RecursionError) as error:
            return None, (CommandResultStatus.REJECTED, f"the payload cannot be read: {error}")
        except CommandRejected as error:
            return None, (CommandResultStatus.REJECTED, str(error))
        return payload, None

    async def _execute(self, row: CommandRow, payload: Any) -> tuple[CommandResultStatus, str | None]:
        executor = self._executors[row.type]
        call = CommandCall(id=row.id, type=row.type, payload=payload, attempt=row.attempts + 1)
        with trio.move_on_after(executor.limit_seconds) as limit:
            try:
                return CommandResultStatus.SUCCEEDED, await executor.run(call)
            except CommandTimedOut as error:
                return CommandResultStatus.TIMED_OUT, str(error)
            except CommandFailed as error:
                return CommandResultStatus.FAILED, str(error)
            except Exception as error:  # foreign code: whatever escapes it is this command's failure, not ours
                log.exception("command.crashed", command=row.id, type=row.type)
                return CommandResultStatus.FAILED, f"{type(error).__name__}: {error}"
        assert limit.cancelled_caught
        return CommandResultStatus.TIMED_OUT, f"stopped after {executor.limit_seconds:g} s"
