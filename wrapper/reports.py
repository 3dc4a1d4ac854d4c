"""What programs of this server report to the Hub: usage, activity, backups. In the journal when a method returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
import structlog
import trio
from msgspec import Meta

from protocol.faults import FieldProblem, Overloaded, ValidationError
from protocol.objects import BackupSummary
from protocol.tenant import NOTHING, Activity, BackupStatus, Long, MessageId, Moment
from protocol.words import BackupOutcome
from wrapper.journal import reports
from wrapper.journal.database import Journal, JournalFull, sayable

log = structlog.get_logger()

#: How long calls are added up before the Hub is told.
USAGE_SECONDS: Final = 60.0
#: How far ahead of the Hub's clock a moment may lie: programs and their clocks are no worse than this.
AHEAD: Final = timedelta(minutes=5)
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
DATA_BYTES: Final = 64 * 1024
AGENTS: Final = 1000

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Cents = Annotated[float, Meta(ge=0, le=10**9)]


class UsageReport(msgspec.Struct, rename="camel"):
    """One call of a model.

    Attributes:
        cost_cents: what it cost; parts of a cent add up.
        at: when it was; now unless said.
        id: the caller's own id of this report: the same id again changes nothing.
    """

    agent_id: Name
    model: Name
    tokens_input: Count = 0
    tokens_output: Count = 0
    tokens_cache_read: Count = 0
    tokens_cache_write: Count = 0
    web_search_count: Count = 0
    web_fetch_count: Count = 0
    cost_cents: Cents = 0.0
    at: Moment | None = None
    id: MessageId | None = None


class ActivityReport(msgspec.Struct, rename="camel"):
    """One thing that an agent did.

    Attributes:
        kind: a word for what it was, as `mail.answered`.
        summary: what a person reads.
        data: any JSON about it, at most 64 KiB.
    """

    agent_id: Name
    kind: Name
    summary: Annotated[str, Meta(min_length=1, max_length=10_000)]
    at: Moment | None = None
    data: Any = None
    id: MessageId | None = None


class BackupReport(msgspec.Struct, rename="camel"):
    """How a backup goes, or how it went."""

    status: BackupOutcome
    started_at: Moment | None = None
    finished_at: Moment | None = None
    size_bytes: Annotated[int, Meta(ge=0, le=2**62)] | None = None
    detail: Long | None = None
    id: MessageId | None = None


class Taken(msgspec.Struct, rename="camel"):
    """What became of a report.

    Attributes:
        kept: False when nothing of it was kept: the Hub is away and too much waits already.
        repeated: a report with this id was taken before; nothing was changed.
        dropped: how many were not kept since the Hub was last told so.
    """

    kept: bool = True
    repeated: bool = False
    dropped: int = 0


class Reports:
    """Takes reports.

    Args:
        now: Unix seconds on the Hub's clock.
        last_active: when each agent last did anything; reports count as doing.

    Attributes:
        backup: the last backup that ended.
    """

    def __init__(self, journal: Journal, *, now: Callable[[], float], last_active: dict[str, datetime]) -> None:
        self._journal = journal
        self._now = now
        self._last_active = last_active
        self._dropped = 0
        self.backup: BackupSummary | None = None

    @property
    def dropped(self) -> int:
        """Activities that were not kept, and that the Hub has not been told of."""
        return self._dropped

    async def load(self) -> None:
        """Take up what was known when the process last ran."""
        self.backup = await self._journal.run(reports.last_backup)
        self._dropped = (await self._journal.run(reports.dropped)).count

    async def run(self) -> None:
        """Tell the Hub of usage and of what was dropped, for ever."""
        while True:
            await self.tell()
            await trio.sleep(USAGE_SECONDS)

    async def tell(self) -> None:
        """Put usage that has grown on its way, unless the Hub still owes an answer to what went before."""
        await self._journal.run(reports.report_usage)
        if self._dropped:
            told = await self._journal.run(reports.tell_dropped)
            if told:
                log.warning("reports.dropped", count=told)
                self._dropped = 0

    # --- reports -----------------------------------------------------------------------------------------

    async def usage(self, report: UsageReport) -> Taken:
        """Add one call to its hour.

        Raises:
            ValidationError: it lies in the future, or too long ago to be counted.
            Overloaded: the journal is full.
        """
        call = self._call(report)
        kept = await self._keep(reports.add_usage, call, _key("usage", report.id))
        if kept:
            self._seen(report.agent_id, call.at)
        return Taken(repeated=not kept)

    async def usages(self, calls: Sequence[UsageReport], report_id: str) -> Taken:
        """Add many calls to their hours, all or none, under one id.

        Raises:
            ValidationError, Overloaded: as for `usage`.
        """
        kept = await self._keep(reports.add_usages, [self._call(one) for one in calls], _key("usage", report_id))
        return Taken(repeated=not kept)

    async def activity(self, report: ActivityReport) -> Taken:
        """Tell one thing that an agent did.

        Raises:
            ValidationError: it lies in the future, or `data` is too large.
            Overloaded: the journal is full of other things.
        """
        at = self._moments(report, ("at",)).get("at") or self._moment()
        data = NOTHING if report.data is None else msgspec.Raw(msgspec.json.encode(report.data))
        if len(bytes(data)) > DATA_BYTES:
            raise ValidationError.of("data", f"must be at most {DATA_BYTES} bytes of JSON")
        activity = Activity("", report.agent_id, report.kind, sayable(report.summary), at, data)
        kept = await self._keep(reports.add_activity, activity, _key("activity", report.id))
        self._seen(report.agent_id, at)
        if kept is None:
            self._dropped += 1
            return Taken(kept=False, dropped=self._dropped)
        return Taken(repeated=not kept)

    async def backup_status(self, report: BackupReport) -> Taken:
        """Tell how a backup went.

        Raises:
            ValidationError: it ended before it began, or lies in the future.
            Overloaded: the journal is full.
        """
        self._moments(report, ("started_at", "finished_at"))
        if report.started_at and report.finished_at and report.finished_at < report.started_at:
            raise ValidationError.of("finishedAt", "must not lie before startedAt")
        detail = None if report.detail is None else sayable(report.detail)
        ended = report.finished_at or (None if report.status is BackupOutcome.RUNNING else self._moment())
        backup = BackupStatus("", report.status, report.started_at, ended, report.size_bytes, detail)
        summary = self._summary(backup)
        kept = await self._keep(reports.add_backup, backup, _key("backup", report.id), summary)
        if kept and summary is not None:
            self.backup = summary
        return Taken(repeated=not kept)

    def _call(self, report: UsageReport) -> reports.Call:
        at = self._moments(report, ("at",), earliest=self._moment() - reports.KEPT).get("at") or self._moment()
        counts = {name: getattr(report, name) for name in reports.Call.__struct_fields__ if hasattr(report, name)}
        return reports.Call(**{**counts, "at": at, "cost_microcents": round(report.cost_cents * reports.MICROCENTS)})

    def _summary(self, backup: BackupStatus) -> BackupSummary | None:
        """What heartbeats shall say from now on; None for a backup that runs, or that ended before the last one did."""
        last = self.backup.last_backup if self.backup else None
        ended = backup.finished_at
        if backup.status is BackupOutcome.RUNNING or ended is None or (last is not None and ended < last):
            return None
        size_gb = None if backup.size_bytes is None else round(backup.size_bytes / 1e9, 3)
        return BackupSummary(ended, backup.status.value, size_gb)

    # --- parts -------------------------------------------------------------------------------------------

    async def _keep(self, write: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await self._journal.run(write, *arguments)
        except JournalFull as error:
            raise Overloaded(f"the journal is full: {error}", retry_after_seconds=60) from error

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)

    def _moments(
        self, report: msgspec.Struct, names: tuple[str, ...], *, earliest: datetime = EARLIEST
    ) -> dict[str, datetime | None]:
        """The report's moments, where they make sense.

        Raises:
            ValidationError: naming each that does not.
        """
        moments: dict[str, datetime | None] = {name: getattr(report, name) for name in names}
        latest = self._moment() + AHEAD
        spoken = dict(zip(report.__struct_fields__, report.__struct_encode_fields__, strict=True))
        problems = [
            FieldProblem(spoken[name], f"must lie between {earliest:%Y-%m-%d %H:%M} UTC and now")
            for name, moment in moments.items()
            if moment is not None and not earliest <= moment <= latest
        ]
        if problems:
            raise ValidationError(details=problems)
        return moments

    def _seen(self, agent_id: str, at: datetime) -> None:
        last = self._last_active.get(agent_id)
        if last is None and len(self._last_active) >= AGENTS:
            return
        if last is None or at > last:
            self._last_active[agent_id] = at


def _key(kind: str, report_id: str | None) -> str | None:
    """One program's ids of one kind do not meet another's."""
    return None if report_id is None else f"{kind} {report_id}"
