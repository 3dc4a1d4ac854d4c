"""What scripted agents report besides approvals: what they did, invented token usage, and last night's backup."""

from __future__ import annotations

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
from wrapper.reports import ActivityReport, BackupReport, Taken, UsageReport

log = structlog.get_logger()

#: Usage of hours before the first start is invented as well, so that there is something to look at.
PAST_HOURS: Final = 24
#: UTC.
BACKUP_HOUR: Final = 2
_LOOK_SECONDS: Final = 3600.0
#: Between two invented hours: each is written to the disk by itself.
_GENTLE_SECONDS: Final = 0.02
_WORKING_HOURS: Final = range(6, 18)
_MODELS: Final = {"marketing": "anthropic/claude-sonnet-4.5", "dispatcher": "openai/gpt-5-mini"}
_MODEL: Final = "deepseek/deepseek-v3.2"
_PREMIUM_CENTS_PER_TOKEN: Final = 0.001
_TOKENS_A_WISH: Final = (2_000, 14_000)
_TOKENS_AN_HOUR: Final = (500, 24_000)
_SUMMARY_CHARACTERS: Final = 2000


class ScriptedReports:
    """Reports of one wrapper's scripted agents.

    Args:
        past: the day before the first start is reported on too.
    """

    def __init__(self, wrapper: Wrapper, dice: Randomness, clock: Clock, *, past: bool) -> None:
        self._reports = wrapper.reports
        self._dice = dice
        self._clock = clock
        self._past = past

    async def told(self, agent_id: str, kind: str, summary: str, tool: str) -> None:
        """Tell one thing that an agent did, and the tokens it took to think of it."""
        summary = summary[:_SUMMARY_CHARACTERS]
        activity = ActivityReport(agent_id=agent_id, kind=kind, summary=summary, data={"tool": tool})
        await _keep(partial(self._reports.activity, activity))
        usage = self._usage(agent_id, _TOKENS_A_WISH, self._clock.now(), None)
        await _keep(partial(self._reports.usage, usage))

    async def run(self, agents: list[str], first_seconds: float) -> None:
        """Tell of the past, and of each night's backup, for ever.

        Args:
            first_seconds: until the first report.
        """
        await trio.sleep(first_seconds)
        if self._past:
            await self._invent_past(agents)
        while True:
            await self._back_up()
            await trio.sleep(_LOOK_SECONDS)

    async def _invent_past(self, agents: list[str]) -> None:
        """A day of usage, once; where the first part of it is known, an earlier start has told it."""
        hour = self._clock.now().replace(minute=0, second=0, microsecond=0)
        for back in range(PAST_HOURS, 0, -1):
            for agent_id in agents:
                at = hour - timedelta(hours=back)
                busy = 4 if at.hour in _WORKING_HOURS and at.weekday() < 5 else 1
                first = back == PAST_HOURS and agent_id == agents[0]
                low, high = _TOKENS_AN_HOUR
                usage = self._usage(agent_id, (low, high * busy), at, "scripted-past" if first else None)
                if not await _keep(partial(self._reports.usage, usage)):
                    return
                await trio.sleep(_GENTLE_SECONDS)

    def _usage(self, agent_id: str, range_: tuple[int, int], at: datetime, report_id: str | None) -> UsageReport:
        tokens = int(self._dice.uniform(*range_))
        model = _MODELS.get(agent_id, _MODEL)
        return UsageReport(
            agent_id=agent_id,
            model=model,
            tokens_input=tokens * 7 // 10,
            tokens_output=tokens * 2 // 10,
            tokens_cache_read=tokens // 10,
            web_search_count=int(self._dice.uniform(0, 1.3)),
            cost_cents=tokens * _PREMIUM_CENTS_PER_TOKEN if model.startswith("anthropic/") else 0.0,
            at=at,
            id=report_id,
        )

    async def _back_up(self) -> None:
        """Last night's backup, once; its size grows a little from day to day."""
        last = self._clock.now().replace(hour=BACKUP_HOUR, minute=15, second=0, microsecond=0)
        if last > self._clock.now():
            last -= timedelta(days=1)
        backup = BackupReport(
            status=BackupOutcome.SUCCESS,
            started_at=last,
            finished_at=last + timedelta(seconds=int(self._dice.uniform(90, 330))),
            size_bytes=int(self._dice.uniform(3.9e9, 4.1e9)) + last.toordinal() % 1000 * 3_000_000,
            detail="nightly",
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
