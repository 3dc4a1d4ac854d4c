"""Usage buckets as they come in: late, again and corrected; hours are kept, and days follow them in one statement.

An hour of an agent and model counts once, by its highest revision. A day's sum moves by the difference between what an
hour was and what it is now, so that it is exact however often and in whatever order buckets are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from actors.runtime.ports import Ids
from controlplane.store import events
from controlplane.store.tables.usage import COUNTED
from protocol.console import UsageTold
from protocol.faults import FieldProblem, ValidationError
from protocol.ids import OrderId, format_id
from protocol.objects import UsageBucket

#: How far ahead of the Hub's clock a usage hour may lie.
CLOCK_AHEAD: Final = timedelta(hours=1)
#: No hour of usage lies before this; times near year 1 have no UTC form.
EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
#: Longer names would not fit the index that tells buckets apart.
NAME_MOST_CHARACTERS: Final = 200
LARGEST_REVISION: Final = 2**31 - 1
LARGEST_COUNT: Final = 2**62
_SPOKEN: Final = dict(zip(UsageBucket.__struct_fields__, UsageBucket.__struct_encode_fields__, strict=True))

_COUNTS: Final = ", ".join(COUNTED)
_DAY: Final = "CAST({hour} AT TIME ZONE 'UTC' AS date)"

# Whoever adds to an order's days holds the order: nobody else's hour comes between reading the old and writing the new.
_HOLD: Final = text("SELECT id FROM orders WHERE id = CAST(:order_id AS uuid) FOR NO KEY UPDATE")

# All parts see the hours as they were before; `written` alone says what they are now.
_TAKE: Final = text(f"""
    WITH sent AS (
        SELECT u.* FROM unnest(CAST(:id AS uuid[]), CAST(:agent_id AS text[]), CAST(:model AS text[]),
            CAST(:bucket_hour AS timestamptz[]), CAST(:revision AS integer[]),
            {", ".join(f"CAST(:{name} AS bigint[])" for name in COUNTED)})
          AS u (id, agent_id, model, bucket_hour, revision, {_COUNTS})
        WHERE NOT EXISTS (SELECT FROM token_usage_days d WHERE d.order_id = CAST(:order_id AS uuid)
            AND d.day = {_DAY.format(hour="u.bucket_hour")} AND d.agent_id = u.agent_id AND d.model = u.model
            AND d.is_closed)
    ), known AS (
        SELECT b.agent_id, b.model, b.bucket_hour, {", ".join(f"b.{name}" for name in COUNTED)}
        FROM sent s JOIN token_usage_buckets b ON b.order_id = CAST(:order_id AS uuid) AND b.agent_id = s.agent_id
            AND b.model = s.model AND b.bucket_hour = s.bucket_hour
    ), written AS (
        INSERT INTO token_usage_buckets AS b (id, order_id, agent_id, model, bucket_hour, revision, {_COUNTS},
            reported_at)
        SELECT id, CAST(:order_id AS uuid), agent_id, model, bucket_hour, revision, {_COUNTS},
            CAST(:at AS timestamptz) FROM sent
        ON CONFLICT (order_id, agent_id, model, bucket_hour) DO UPDATE SET revision = excluded.revision,
            {", ".join(f"{name} = excluded.{name}" for name in COUNTED)}, reported_at = excluded.reported_at
        WHERE b.revision < excluded.revision
        RETURNING agent_id, model, bucket_hour, {_COUNTS}
    ), changed AS (
        SELECT w.agent_id, w.model, {_DAY.format(hour="w.bucket_hour")} AS day,
            {", ".join(f"sum(w.{name} - coalesce(k.{name}, 0)) AS {name}" for name in COUNTED)}
        FROM written w LEFT JOIN known k USING (agent_id, model, bucket_hour) GROUP BY 1, 2, 3
    ), moved AS (
        UPDATE token_usage_days d SET {", ".join(f"{name} = d.{name} + c.{name}" for name in COUNTED)}
        FROM changed c WHERE d.order_id = CAST(:order_id AS uuid) AND d.day = c.day AND d.agent_id = c.agent_id
            AND d.model = c.model
        RETURNING d.day, d.agent_id, d.model
    ), begun AS (
        INSERT INTO token_usage_days (order_id, day, agent_id, model, {_COUNTS})
        SELECT CAST(:order_id AS uuid), c.day, c.agent_id, c.model, {", ".join(f"c.{name}" for name in COUNTED)}
        FROM changed c WHERE NOT EXISTS (SELECT FROM moved m WHERE m.day = c.day AND m.agent_id = c.agent_id
            AND m.model = c.model)
    )
    SELECT count(*) FROM written""")


def check_usage(buckets: Sequence[UsageBucket], *, at: datetime) -> list[FieldProblem]:
    """What is wrong with buckets beyond their types: hours that are not whole or lie in the future, too big counts."""
    problems = []
    for position, bucket in enumerate(buckets):
        path = f"buckets.{position}"
        hour = bucket.bucket_hour
        if hour.tzinfo is None:
            problems.append(FieldProblem(f"{path}.bucketHour", "must have a UTC offset"))
        elif not EARLIEST <= hour <= at + CLOCK_AHEAD:
            problems.append(FieldProblem(f"{path}.bucketHour", "must lie after 2020 and not in the future"))
        elif hour != hour.astimezone(UTC).replace(minute=0, second=0, microsecond=0):
            problems.append(FieldProblem(f"{path}.bucketHour", "must be a whole hour of UTC"))
        for name, value in (("agentId", bucket.agent_id), ("model", bucket.model)):
            if not 1 <= len(value) <= NAME_MOST_CHARACTERS:
                problems.append(FieldProblem(f"{path}.{name}", f"must have 1 to {NAME_MOST_CHARACTERS} characters"))
        if bucket.revision > LARGEST_REVISION:
            problems.append(FieldProblem(f"{path}.revision", f"must be at most {LARGEST_REVISION}"))
        problems += [
            FieldProblem(f"{path}.{_SPOKEN[name]}", f"must be at most {LARGEST_COUNT}")
            for name in COUNTED
            if getattr(bucket, name) > LARGEST_COUNT
        ]
    return problems


def take_usage(
    connection: Connection, order_id: UUID, buckets: Sequence[UsageBucket], *, at: datetime, ids: Ids
) -> int:
    """Take the buckets of one report, in as many statements whatever its size; returns how many hours changed.

    Of one hour given twice in a report the highest revision counts, of equals the last. Of an hour that is known, a
    higher revision replaces; an equal or a lower one changes nothing. Hours of a day whose hours were forgotten are
    passed over.

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
    connection.execute(_HOLD, {"order_id": order_id})
    changed = connection.execute(
        _TAKE, {**values, "id": [ids.uuid7() for _ in rows], "order_id": order_id, "at": at}
    ).scalar_one()
    if changed:
        events.emit(connection, "usage.reported", at=at, order_id=order_id, data=_told(order_id, rows))
    return int(changed)


def _told(order_id: UUID, rows: Sequence[UsageBucket]) -> UsageTold:
    tokens = sum(row.tokens_input + row.tokens_output + row.tokens_cache_read + row.tokens_cache_write for row in rows)
    return UsageTold(
        order_id=OrderId(format_id("ord", order_id)),
        agents=sorted({row.agent_id for row in rows}),
        tokens=min(tokens, LARGEST_COUNT),
        cost_cents=min(sum(row.cost_cents for row in rows), LARGEST_COUNT),
    )
