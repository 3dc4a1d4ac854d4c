"""What local programs reported: token usage added up by hour, activity and backups as messages, each once.

Usage is kept as sums, so a Hub that is away for a week costs rows by hours and not by calls. One report of sums is on
its way at a time; what is added meanwhile waits in the sums and goes with the next, under a higher revision.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from protocol.objects import BackupSummary, UsageBucket
from protocol.tenant import Activity, BackupStatus, Usage
from wrapper.journal.database import JournalFull, Transaction

#: Sums are kept this long after their hour, so that a late call still counts; later ones are refused.
KEPT: Final = timedelta(days=31)
#: Sums kept at most: two hundred pairs of agent and model for a month.
BUCKETS: Final = 150_000
#: Sums in one report: below a frame's limit with names as long as they may be in four-byte letters.
REPORTED_AT_ONCE: Final = 400
#: Ids of reports that are remembered, to know a repeated one.
REMEMBERED_IDS: Final = 100_000
#: Activities that wait for the Hub; further ones are counted and not kept.
ACTIVITIES: Final = 10_000
#: The count is told once the Hub has taken at least half of those that waited.
ROOM: Final = ACTIVITIES // 2
MICROCENTS: Final = 1_000_000
WRAPPER: Final = "safety-wrapper"

_MARK: Final = "buckets"
_DROPPED: Final = "reports.dropped"
_BACKUP: Final = "reports.backup"
_LARGEST: Final = 2**62
_SUMS: Final = (
    "tokens_input",
    "tokens_output",
    "tokens_cache_read",
    "tokens_cache_write",
    "web_search_count",
    "web_fetch_count",
    "cost_microcents",
)
_ADD: Final = (
    f"INSERT INTO usage_sums (hour, agent_id, model, changed, {', '.join(_SUMS)})"  # noqa: S608 (names of columns)
    f" VALUES (?, ?, ?, 1, {', '.join('?' * len(_SUMS))})"
    " ON CONFLICT (hour, agent_id, model) DO UPDATE SET changed = 1, "
    + ", ".join(f"{name} = min({name} + excluded.{name}, {_LARGEST})" for name in _SUMS)
)


class Dropped(msgspec.Struct):
    """Activities that were not kept."""

    count: int = 0
    since: datetime | None = None
    until: datetime | None = None


class Call(msgspec.Struct, frozen=True):
    """One call of a model, as it is added to its hour."""

    agent_id: str
    model: str
    at: datetime
    tokens_input: int = 0
    tokens_output: int = 0
    tokens_cache_read: int = 0
    tokens_cache_write: int = 0
    web_search_count: int = 0
    web_fetch_count: int = 0
    cost_microcents: int = 0


def _first_sight(transaction: Transaction, report_id: str | None) -> bool:
    """Remember a report's id, in the transaction of what it brings; False when it was taken before."""
    if report_id is None:
        return True
    noted = transaction.execute("INSERT OR IGNORE INTO reported (id) VALUES (?)", (report_id,))
    if noted.rowcount != 1:
        return False
    transaction.execute(
        "DELETE FROM reported WHERE position <= (SELECT max(position) FROM reported) - ?", (REMEMBERED_IDS,)
    )
    return True


# --- usage -----------------------------------------------------------------------------------------------


def add_usage(transaction: Transaction, call: Call, report_id: str | None) -> bool:
    """Add a call to its hour; False when the report was taken before.

    Raises:
        JournalFull: there are too many pairs of agent and model.
    """
    if not _first_sight(transaction, report_id):
        return False
    hour = int(call.at.timestamp()) // 3600 * 3600
    values = msgspec.structs.asdict(call)
    key = (hour, call.agent_id, call.model)
    known = transaction.execute("SELECT 1 FROM usage_sums WHERE (hour, agent_id, model) = (?, ?, ?)", key).fetchone()
    if known is None:
        (kept,) = transaction.execute("SELECT count(*) FROM usage_sums").fetchone()
        if kept >= BUCKETS:
            raise JournalFull(f"the usage of {kept} hours of agents and models is kept already")
    transaction.execute(_ADD, (*key, *(values[name] for name in _SUMS)))
    return True


def add_usages(transaction: Transaction, calls: Iterable[Call], report_id: str) -> bool:
    """Add many calls, all or none; False when the report was taken before.

    Raises:
        JournalFull: there are too many pairs of agent and model.
    """
    if not _first_sight(transaction, report_id):
        return False
    for call in calls:
        add_usage(transaction, call, None)
    return True


def report_usage(transaction: Transaction) -> int:
    """Put the sums that have grown on their way to the Hub, unless a report of sums is on its way already.

    Returns how many went.
    """
    if transaction.execute("SELECT 1 FROM messages WHERE kind = 'usage' AND reference = ?", (_MARK,)).fetchone():
        return 0
    rows = transaction.execute(
        f"SELECT hour, agent_id, model, revision + 1, {', '.join(_SUMS)} FROM usage_sums"  # noqa: S608
        " WHERE changed = 1 ORDER BY hour, agent_id, model LIMIT ?",
        (REPORTED_AT_ONCE,),
    ).fetchall()
    if not rows:
        return 0
    buckets = []
    for hour, agent_id, model, revision, *sums in rows:
        counts = dict(zip(_SUMS, sums, strict=True))
        cost_cents = round(counts.pop("cost_microcents") / MICROCENTS)
        moment = datetime.fromtimestamp(hour, UTC)
        buckets.append(UsageBucket(agent_id, model, moment, **counts, cost_cents=cost_cents, revision=revision))
        transaction.execute(
            "UPDATE usage_sums SET revision = ?, changed = 0 WHERE (hour, agent_id, model) = (?, ?, ?)",
            (revision, hour, agent_id, model),
        )
    transaction.enqueue(Usage(id=transaction.new_id(), buckets=buckets), reference=_MARK, always=True)
    return len(buckets)


def forget_old(transaction: Transaction) -> None:
    """Drop sums that the Hub was sent and that no late call may join any more."""
    before = (transaction.now - KEPT - timedelta(days=1)).timestamp()
    transaction.execute("DELETE FROM usage_sums WHERE hour < ? AND changed = 0", (before,))


# --- activity --------------------------------------------------------------------------------------------


def dropped(transaction: Transaction) -> Dropped:
    """What was not kept, and has not been told yet."""
    kept = transaction.fact(_DROPPED)
    return msgspec.json.decode(kept, type=Dropped) if kept else Dropped()


def _waiting(transaction: Transaction) -> int:
    (waiting,) = transaction.execute("SELECT count(*) FROM messages WHERE kind = 'activity'").fetchone()
    return int(waiting)


def add_activity(transaction: Transaction, activity: Activity, report_id: str | None) -> bool | None:
    """Keep one activity for the Hub; False when it was reported before, None when there is no room and it is counted.

    Args:
        activity: its `id` is made here.
    """
    if not _first_sight(transaction, report_id):
        return False
    missing = dropped(transaction)
    # Once some were dropped, the rest is too until that is told, so that the gap has one beginning and one end.
    if missing.count or _waiting(transaction) >= ACTIVITIES:
        missing = Dropped(missing.count + 1, missing.since or transaction.now, transaction.now)
        transaction.remember(_DROPPED, msgspec.json.encode(missing).decode())
        return None
    activity.id = transaction.new_id()
    transaction.enqueue(activity)
    return True


def tell_dropped(transaction: Transaction) -> int:
    """Tell how many activities were dropped, once there is room again; returns how many."""
    missing = dropped(transaction)
    if not missing.count or _waiting(transaction) > ROOM:
        return 0
    report = Activity(
        id=transaction.new_id(),
        agent_id=WRAPPER,
        kind="activitiesDropped",
        summary=f"{missing.count} reports of activity were dropped while the Hub was away: {ACTIVITIES} waited already",
        at=missing.until,
        data=msgspec.Raw(msgspec.json.encode(missing)),
    )
    transaction.enqueue(report, always=True)
    transaction.remember(_DROPPED, "")
    return missing.count


# --- backups ---------------------------------------------------------------------------------------------


def add_backup(
    transaction: Transaction, backup: BackupStatus, report_id: str | None, summary: BackupSummary | None
) -> bool:
    """Keep one backup's report for the Hub; False when it was reported before.

    Args:
        backup: its `id` is made here.
        summary: what heartbeats shall say from now on; None: what they said before.

    Raises:
        JournalFull: too much waits for the Hub.
    """
    if not _first_sight(transaction, report_id):
        return False
    backup.id = transaction.new_id()
    transaction.enqueue(backup)
    if summary is not None:
        transaction.remember(_BACKUP, msgspec.json.encode(summary).decode())
    return True


def last_backup(transaction: Transaction) -> BackupSummary | None:
    """What heartbeats say of the last backup that ended; None before the first."""
    kept = transaction.fact(_BACKUP)
    return msgspec.json.decode(kept, type=BackupSummary) if kept else None
