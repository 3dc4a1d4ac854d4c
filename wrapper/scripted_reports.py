"""What scripted agents report besides approvals: their activity, invented token usage, and last night's backup."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec
import structlog
import trio

from protocol.objects import UsageBucket
from protocol.tenant import Activity, BackupStatus, Usage
from protocol.words import BackupOutcome
from wrapper.daemon import Wrapper
from wrapper.journal.database import JournalFull, Transaction

log = structlog.get_logger()

#: How often the usage of the running hour is told anew.
USAGE_SECONDS: Final = 300.0
#: Usage of hours before the first start is invented as well, so that there is something to look at.
PAST_HOURS: Final = 48
#: UTC.
BACKUP_HOUR: Final = 2
_WORKING_HOURS: Final = range(6, 18)
_MODELS: Final = {"marketing": "anthropic/claude-sonnet-4.5", "dispatcher": "openai/gpt-5-mini"}
_MODEL: Final = "deepseek/deepseek-v3.2"
_PREMIUM_CENTS_PER_MILLION: Final = 10_000
_MOST_TOKENS_AN_HOUR: Final = 24_000
_SUMMARY_CHARACTERS: Final = 2000
_SEED: Final = "scripted.seed"
_USAGE_TOLD: Final = "scripted.usage_told"
_BACKUP_TOLD: Final = "scripted.backup_told"


class Reports:
    """Reports of one wrapper's scripted agents."""

    def __init__(self, wrapper: Wrapper) -> None:
        self._wrapper = wrapper

    async def told(self, agent_id: str, kind: str, summary: str, tool: str) -> None:
        """Tell one thing that an agent did."""
        await self._keep(partial(_tell, agent_id=agent_id, kind=kind, summary=summary, tool=tool))

    async def run(self, agents: list[str], first_seconds: float) -> None:
        """Tell usage and backups, for ever.

        Args:
            first_seconds: until the first report.
        """
        await trio.sleep(min(first_seconds, USAGE_SECONDS))
        while True:
            await self._keep(_back_up)
            await self._keep(partial(_use, agents=agents))
            await trio.sleep(USAGE_SECONDS)

    async def _keep(self, write: Callable[[Transaction], None]) -> None:
        try:
            await self._wrapper.journal.run(write)
        except JournalFull as error:
            log.warning("report.dropped", reason=str(error))


def _tell(transaction: Transaction, *, agent_id: str, kind: str, summary: str, tool: str) -> None:
    message = Activity(
        id=transaction.new_id(),
        agent_id=agent_id,
        kind=kind,
        summary=summary[:_SUMMARY_CHARACTERS],
        at=transaction.now,
        data=msgspec.Raw(msgspec.json.encode({"tool": tool})),
    )
    transaction.enqueue(message)


def _back_up(transaction: Transaction) -> None:
    """Last night's backup, told once; its size grows a little from day to day."""
    last = transaction.now.replace(hour=BACKUP_HOUR, minute=15, second=0, microsecond=0)
    if last > transaction.now:
        last -= timedelta(days=1)
    if transaction.fact(_BACKUP_TOLD) == last.isoformat():
        return
    transaction.remember(_BACKUP_TOLD, last.isoformat())
    dice = zlib.crc32(_seed(transaction).encode())
    message = BackupStatus(
        id=transaction.new_id(),
        status=BackupOutcome.SUCCESS,
        started_at=last,
        finished_at=last + timedelta(seconds=90 + dice % 240),
        size_bytes=2_000_000_000 + dice % 6_000_000_000 + last.toordinal() % 1000 * 3_000_000,
        detail="nightly",
    )
    transaction.enqueue(message)


def _use(transaction: Transaction, *, agents: list[str]) -> None:
    """The running hour so far and the hour before; at the first time, two days."""
    seed = _seed(transaction)
    hours = 1 if transaction.fact(_USAGE_TOLD) else PAST_HOURS
    transaction.remember(_USAGE_TOLD, "yes")
    transaction.enqueue(Usage(id=transaction.new_id(), buckets=usage(seed, agents, transaction.now, hours)))


def usage(seed: str, agents: list[str], now: datetime, past_hours: int) -> list[UsageBucket]:
    """Invented usage, which depends on its arguments alone: told again after a restart it is the same or has grown."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    seconds = int((now - hour).total_seconds())
    buckets = [
        _bucket(seed, agent, hour - timedelta(hours=back), 3600)
        for back in range(past_hours, 0, -1)
        for agent in agents
    ]
    return buckets + [_bucket(seed, agent, hour, seconds) for agent in agents]


def _bucket(seed: str, agent: str, hour: datetime, seconds: int) -> UsageBucket:
    dice = zlib.crc32(f"{seed}/{agent}/{hour.isoformat()}".encode())
    busy = hour.hour in _WORKING_HOURS and hour.weekday() < 5
    tokens = dice % _MOST_TOKENS_AN_HOUR * (4 if busy else 1) * seconds // 3600
    model = _MODELS.get(agent, _MODEL)
    premium = model.startswith("anthropic/")
    return UsageBucket(
        agent_id=agent,
        model=model,
        bucket_hour=hour,
        tokens_input=tokens * 7 // 10,
        tokens_output=tokens * 2 // 10,
        tokens_cache_read=tokens // 10,
        web_search_count=dice % 4 * seconds // 3600,
        cost_cents=tokens * _PREMIUM_CENTS_PER_MILLION // 10_000_000 if premium else 0,
        revision=seconds,
    )


def _seed(transaction: Transaction) -> str:
    seed = transaction.fact(_SEED)
    if not seed:
        seed = transaction.new_id()
        transaction.remember(_SEED, seed)
    return seed
