"""What scripted agents report besides approvals: what they did, invented token usage, and the nights' backups."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
import trio

from protocol.faults import Fault
from protocol.words import BackupOutcome
from wrapper.daemon import Wrapper
from wrapper.ports import Clock, Randomness
from wrapper.reports import ActivityReport, BackupReport, Taken
from wrapper.scripted_usage import past_usage, used

log = structlog.get_logger()

#: UTC.
BACKUP_HOUR: Final = 2
#: Nights before the first start whose backups are told as well.
PAST_NIGHTS: Final = 14
#: One night in so many fails.
_NIGHTS_TO_A_FAILURE: Final = 11
_LOOK_SECONDS: Final = 3600.0
#: The Hub is told of the past in a few reports, one after the other.
_PAST_REPORTS: Final = 20
_PAST_SECONDS: Final = 1.0
_TOKENS_A_WISH: Final = (50, 300)
_SUMMARY_CHARACTERS: Final = 2000


class ScriptedReports:
    """Reports of one wrapper's scripted agents.

    Args:
        company: whatever tells this one from others; its invented past is always the same.
        past: the weeks before the first start are reported on too.
    """

    def __init__(self, wrapper: Wrapper, dice: Randomness, clock: Clock, *, company: str, past: bool) -> None:
        self._reports = wrapper.reports
        self._dice = dice
        self._clock = clock
        self._company = company
        self._past = past

    async def told(self, agent_id: str, kind: str, summary: str, tool: str) -> None:
        """Tell one thing that an agent did, and the tokens it took to think of it."""
        summary = summary[:_SUMMARY_CHARACTERS]
        activity = ActivityReport(agent_id=agent_id, kind=kind, summary=summary, data={"tool": tool})
        await _keep(partial(self._reports.activity, activity))
        usage = used(agent_id, int(self._dice.uniform(*_TOKENS_A_WISH)), self._clock.now())
        await _keep(partial(self._reports.usage, usage))

    async def run(self, agents: list[str], first_seconds: float) -> None:
        """Tell of the past, and of each night's backup, for ever.

        Args:
            first_seconds: until the first report.
        """
        await trio.sleep(first_seconds)
        if self._past:
            await self._tell_past(agents)
        while True:
            await self._back_up(self._clock.now())
            await trio.sleep(_LOOK_SECONDS)

    async def _tell_past(self, agents: list[str]) -> None:
        """Weeks of usage and nights of backups, once; where that is known, an earlier start has told it."""
        now = self._clock.now()
        calls = past_usage(self._company, agents, now.replace(minute=0, second=0, microsecond=0))
        if not await _keep(partial(self._reports.usages, list(calls), "scripted-weeks")):
            return
        for back in range(PAST_NIGHTS, -1, -1):
            await self._back_up(now - timedelta(days=back))
        for _ in range(_PAST_REPORTS):
            await self._reports.tell()
            await trio.sleep(_PAST_SECONDS)

    async def _back_up(self, now: datetime) -> None:
        """Last night's backup, once; its size grows a little from day to day, and now and then the disk is full."""
        last = now.replace(hour=BACKUP_HOUR, minute=15, second=0, microsecond=0)
        if last > now:
            last -= timedelta(days=1)
        night = last.toordinal()
        failed = night % _NIGHTS_TO_A_FAILURE == len(self._company) % _NIGHTS_TO_A_FAILURE
        # Each company's are of another size.
        size = 2_400_000_000 + zlib.crc32(self._company.encode()) % 5_000_000_000 + night * 7 % 13 * 11_000_000
        backup = BackupReport(
            status=BackupOutcome.FAILED if failed else BackupOutcome.SUCCESS,
            started_at=last,
            finished_at=last + timedelta(seconds=90 + night * 37 % 240),
            size_bytes=None if failed else size + night % 1000 * 3_000_000,
            detail="the disk of the backups is full" if failed else "nightly",
            id=f"nightly-{last:%Y-%m-%d}",
        )
        await _keep(partial(self._reports.backup_status, backup))


async def _keep(report: Callable[[], Awaitable[Taken]]) -> bool:
    """Whether it was taken, for the first time."""
    try:
        taken = await report()
    except Fault as fault:
        log.warning("report.dropped", reason=fault.message)
        return False
    return taken.kept and not taken.repeated
