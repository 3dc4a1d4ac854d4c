"""What wrappers report: usage buckets, backups, activity, image updates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from actors.runtime.ports import Ids
from controlplane.store import events
from protocol.console import ActivityTold, BackupTold, ImageTold, UsageTold
from protocol.faults import FieldProblem, ValidationError
from protocol.ids import OrderId, format_id
from protocol.objects import UsageBucket
from protocol.tenant import NOTHING, Activity, BackupStatus, ImageUpdate

#: How far ahead of the Hub's clock a usage hour may lie.
CLOCK_AHEAD = timedelta(hours=1)
#: No hour of usage lies before this; times near year 1 have no UTC form.
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
#: Longer names would not fit the index that tells buckets apart.
NAME_MOST_CHARACTERS = 200
LARGEST_REVISION = 2**31 - 1
LARGEST_COUNT = 2**62
_COUNTS = {
    name: msgspec.structs.fields(UsageBucket)[position].encode_name
    for position, name in enumerate(UsageBucket.__struct_fields__)
    if name.startswith(("tokens_", "web_", "cost_"))
}

# A higher revision replaces, an equal or lower one changes nothing.
_USAGE = text("""
    INSERT INTO token_usage_buckets (id, order_id, agent_id, model, bucket_hour, revision, tokens_input, tokens_output,
        tokens_cache_read, tokens_cache_write, web_search_count, web_fetch_count, cost_cents, reported_at)
    SELECT u.id, :order_id, u.agent_id, u.model, u.bucket_hour, u.revision, u.tokens_input, u.tokens_output,
        u.tokens_cache_read, u.tokens_cache_write, u.web_search_count, u.web_fetch_count, u.cost_cents, :at
    FROM unnest(CAST(:id AS uuid[]), CAST(:agent_id AS text[]), CAST(:model AS text[]),
        CAST(:bucket_hour AS timestamptz[]), CAST(:revision AS integer[]), CAST(:tokens_input AS bigint[]),
        CAST(:tokens_output AS bigint[]), CAST(:tokens_cache_read AS bigint[]), CAST(:tokens_cache_write AS bigint[]),
        CAST(:web_search_count AS bigint[]), CAST(:web_fetch_count AS bigint[]), CAST(:cost_cents AS bigint[]))
      AS u (id, agent_id, model, bucket_hour, revision, tokens_input, tokens_output, tokens_cache_read,
        tokens_cache_write, web_search_count, web_fetch_count, cost_cents)
    ON CONFLICT (order_id, agent_id, model, bucket_hour) DO UPDATE SET revision = excluded.revision,
        tokens_input = excluded.tokens_input, tokens_output = excluded.tokens_output,
        tokens_cache_read = excluded.tokens_cache_read, tokens_cache_write = excluded.tokens_cache_write,
        web_search_count = excluded.web_search_count, web_fetch_count = excluded.web_fetch_count,
        cost_cents = excluded.cost_cents, reported_at = excluded.reported_at
    WHERE token_usage_buckets.revision < excluded.revision""")

_BACKUP = text("""
    INSERT INTO backup_reports (id, order_id, status, started_at, finished_at, size_bytes, detail, reported_at)
    VALUES (:id, :order_id, :status, :started_at, :finished_at, :size_bytes, :detail, :at)""")

_ACTIVITY = text("""
    INSERT INTO activities (id, order_id, agent_id, kind, summary, at, data)
    VALUES (:id, :order_id, :agent_id, :kind, :summary, :at, :data)""")

_IMAGE = text("""
    INSERT INTO image_updates (id, order_id, image, status, digest, created, reported_at)
    VALUES (:id, :order_id, :image, :status, :digest, :created, :at)""")


def check_usage(buckets: Sequence[UsageBucket], *, at: datetime) -> list[FieldProblem]:
    """What is wrong with buckets beyond their types: hours that are not whole or lie in the future, too big counts."""
    problems = []
    for position, bucket in enumerate(buckets):
        path = f"buckets.{position}"
        hour = bucket.bucket_hour
        if hour.tzinfo is None or hour.minute or hour.second or hour.microsecond:
            problems.append(FieldProblem(f"{path}.bucketHour", "must be a whole hour with a UTC offset"))
        elif not EARLIEST <= hour <= at + CLOCK_AHEAD:
            problems.append(FieldProblem(f"{path}.bucketHour", "must lie after 2020 and not in the future"))
        for name, value in (("agentId", bucket.agent_id), ("model", bucket.model)):
            if not 1 <= len(value) <= NAME_MOST_CHARACTERS:
                problems.append(FieldProblem(f"{path}.{name}", f"must have 1 to {NAME_MOST_CHARACTERS} characters"))
        if bucket.revision > LARGEST_REVISION:
            problems.append(FieldProblem(f"{path}.revision", f"must be at most {LARGEST_REVISION}"))
        problems += [
            FieldProblem(f"{path}.{spoken}", f"must be at most {LARGEST_COUNT}")
            for name, spoken in _COUNTS.items()
            if getattr(bucket, name) > LARGEST_COUNT
        ]
    return problems


def write_usage(
    connection: Connection, order_id: UUID, buckets: Sequence[UsageBucket], *, at: datetime, ids: Ids
) -> None:
    """Write buckets; of one hour given twice in a report the highest revision counts, of equals the last.

    Raises:
        ValidationError: as `check_usage` says; nothing of the report is written.
    """
    problems = check_usage(buckets, at=at)
    if problems:
        raise ValidationError(details=problems)
    chosen: dict[tuple[str, str, datetime], UsageBucket] = {}
    for bucket in buckets:
        key = (bucket.agent_id, bucket.model, bucket.bucket_hour)
        if key not in chosen or bucket.revision >= chosen[key].revision:
            chosen[key] = bucket
    rows = [chosen[key] for key in sorted(chosen)]
    values: dict[str, object] = {name: [getattr(row, name) for row in rows] for name in UsageBucket.__struct_fields__}
    connection.execute(_USAGE, {**values, "id": [ids.uuid7() for _ in rows], "order_id": order_id, "at": at})
    tokens = sum(row.tokens_input + row.tokens_output + row.tokens_cache_read + row.tokens_cache_write for row in rows)
    told = UsageTold(
        order_id=_name(order_id),
        agents=sorted({row.agent_id for row in rows}),
        tokens=min(tokens, LARGEST_COUNT),
        cost_cents=min(sum(row.cost_cents for row in rows), LARGEST_COUNT),
    )
    events.emit(connection, "usage.reported", at=at, order_id=order_id, data=told)


def write_backup(connection: Connection, order_id: UUID, report: BackupStatus, *, at: datetime, ids: Ids) -> None:
    """Write one backup's report."""
    connection.execute(
        _BACKUP,
        {
            "id": ids.uuid7(),
            "order_id": order_id,
            "status": report.status.value,
            "started_at": report.started_at,
            "finished_at": report.finished_at,
            "size_bytes": report.size_bytes,
            "detail": report.detail,
            "at": at,
        },
    )
    told = BackupTold(
        _name(order_id), report.status, report.started_at, report.finished_at, report.size_bytes, report.detail
    )
    events.emit(connection, "backup.reported", at=at, order_id=order_id, data=told)


def write_activity(connection: Connection, order_id: UUID, activity: Activity, *, at: datetime, ids: Ids) -> None:
    """Write one line of an agent's activity; where the wrapper gives no time, its arrival."""
    connection.execute(
        _ACTIVITY,
        {
            "id": ids.uuid7(),
            "order_id": order_id,
            "agent_id": activity.agent_id,
            "kind": activity.kind,
            "summary": activity.summary,
            "at": activity.at or at,
            "data": None if activity.data == NOTHING else bytes(activity.data).decode(),
        },
    )
    told = ActivityTold(
        _name(order_id), activity.agent_id, activity.kind, activity.summary, activity.at or at, activity.data
    )
    events.emit(connection, "activity.recorded", at=at, order_id=order_id, data=told)


def write_image_update(connection: Connection, order_id: UUID, update: ImageUpdate, *, at: datetime, ids: Ids) -> None:
    """Write one image that a tenant could update to."""
    connection.execute(
        _IMAGE,
        {
            "id": ids.uuid7(),
            "order_id": order_id,
            "image": update.image,
            "status": update.status,
            "digest": update.digest,
            "created": update.created,
            "at": at,
        },
    )
    told = ImageTold(_name(order_id), update.image, update.status, update.digest, update.created)
    events.emit(connection, "image.reported", at=at, order_id=order_id, data=told)


def _name(order_id: UUID) -> OrderId:
    return OrderId(format_id("ord", order_id))
