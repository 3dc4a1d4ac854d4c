"""Group-committed hot paths: how far promises have come, and the latest heartbeat of each tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from actors.ports import Beat, Progress
from controlplane.store import commands, events
from protocol.console import DecisionDelivered
from protocol.ids import ApprovalId, OrderId, format_id

# Every server of the batch is held, in ascending order, whether its mark moves or not: its commands come next.
_ACKNOWLEDGE = text("""
    WITH held AS MATERIALIZED (
        SELECT s.order_id, s.acked_seq AS before, u.acked, u.at
        FROM unnest(CAST(:orders AS uuid[]), CAST(:acked AS bigint[]), CAST(:times AS timestamptz[]))
          AS u (id, acked, at) JOIN server_connections s ON s.order_id = u.id
        ORDER BY s.order_id FOR NO KEY UPDATE OF s
    ), moved AS (
        UPDATE server_connections s
        SET acked_seq = LEAST(h.acked, s.issued_seq), last_seen_at = GREATEST(s.last_seen_at, h.at)
        FROM held h WHERE s.order_id = h.order_id AND s.acked_seq < h.acked)
    SELECT order_id, before FROM held""")

# Only what lay behind the mark before this batch: the primary key finds it, and no index is written.
_DECISIONS = text("""
    UPDATE deliveries d
    SET sent_at = coalesce(d.sent_at, u.at), acknowledged_at = CASE WHEN d.seq <= u.acked THEN u.at END
    FROM unnest(CAST(:orders AS uuid[]), CAST(:before AS bigint[]), CAST(:sent AS bigint[]), CAST(:acked AS bigint[]),
                CAST(:times AS timestamptz[])) AS u (id, before, sent, acked, at)
    WHERE d.order_id = u.id AND d.seq > u.before AND d.seq <= GREATEST(u.sent, u.acked)
      AND d.kind = 'approvalSettled' AND d.voided_at IS NULL AND (d.sent_at IS NULL OR d.seq <= u.acked)
    RETURNING d.order_id, d.seq, d.reference, d.sent_at, d.acknowledged_at""")

# The partial index on undelivered commands makes this touch only what still waits.
_COMMANDS = text(f"""
    UPDATE remote_commands c
    SET status = CASE WHEN c.seq <= u.acked THEN 'ACKNOWLEDGED' ELSE 'SENT' END,
        sent_at = coalesce(c.sent_at, u.at),
        acknowledged_at = CASE WHEN c.seq <= u.acked THEN u.at END
    FROM unnest(CAST(:orders AS uuid[]), CAST(:sent AS bigint[]), CAST(:acked AS bigint[]),
                CAST(:times AS timestamptz[])) AS u (id, sent, acked, at)
    WHERE c.order_id = u.id AND c.status IN ('QUEUED', 'SENT') AND c.seq <= u.sent
      AND (c.status = 'QUEUED' OR c.seq <= u.acked)
    RETURNING u.at AS moved_at, {", ".join(f"c.{name}" for name in commands.COLUMNS)}""")

_BEATS = text("""
    WITH held AS MATERIALIZED (
        SELECT s.order_id, u.at, u.body, u.wrapper, u.openclaw
        FROM unnest(CAST(:orders AS uuid[]), CAST(:times AS timestamptz[]), CAST(:bodies AS text[]),
                    CAST(:wrappers AS text[]), CAST(:openclaws AS text[])) AS u (id, at, body, wrapper, openclaw)
          JOIN server_connections s ON s.order_id = u.id
        ORDER BY s.order_id FOR NO KEY UPDATE OF s)
    UPDATE server_connections s
    SET last_seen_at = GREATEST(s.last_seen_at, u.at), heartbeat = u.body,
        wrapper_version = coalesce(u.wrapper, s.wrapper_version),
        openclaw_version = coalesce(u.openclaw, s.openclaw_version)
    FROM held u WHERE s.order_id = u.order_id""")


def advance(connection: Connection, batch: Sequence[Progress]) -> list[None]:
    """Write how far each tenant's promises have come; one entry an order, sorted by it."""
    values = {
        "orders": [progress.order_id for progress in batch],
        "sent": [progress.sent_seq for progress in batch],
        "acked": [progress.acked_seq for progress in batch],
        "times": [progress.at for progress in batch],
    }
    held = connection.execute(_ACKNOWLEDGE, {name: values[name] for name in ("orders", "acked", "times")})
    before = {row.order_id: row.before for row in held}
    moved = connection.execute(_COMMANDS, values).all()
    behind = [before.get(progress.order_id, progress.acked_seq) for progress in batch]
    decisions = connection.execute(_DECISIONS, {**values, "before": behind})
    decided = [row for row in decisions if row.acknowledged_at is not None]
    events.emit_all(
        connection,
        [commands.told(row, row.moved_at) for row in sorted(moved, key=_place)]
        + [_delivered(row) for row in sorted(decided, key=_place)],
    )
    return [None] * len(batch)


def _place(row: Row[Any]) -> tuple[UUID, int]:
    return row.order_id, row.seq


def _delivered(row: Row[Any]) -> events.NewEvent:
    told = DecisionDelivered(
        ApprovalId(format_id("appr", row.reference)),
        OrderId(format_id("ord", row.order_id)),
        row.sent_at,
        row.acknowledged_at,
    )
    return events.NewEvent("approval.delivered", told, row.acknowledged_at, row.order_id)


def further(first: Progress, second: Progress) -> Progress:
    """Two marks of one tenant as one: the highest of each."""
    return Progress(
        first.order_id,
        max(first.sent_seq, second.sent_seq),
        max(first.acked_seq, second.acked_seq),
        max(first.at, second.at),
    )


def beat(connection: Connection, batch: Sequence[Beat]) -> list[None]:
    """Write the latest heartbeat of each tenant; one entry an order, sorted by it."""
    connection.execute(
        _BEATS,
        {
            "orders": [heard.order_id for heard in batch],
            "times": [heard.at for heard in batch],
            "bodies": [msgspec.json.encode(heard.body).decode() for heard in batch],
            "wrappers": [heard.body.safety_wrapper_version for heard in batch],
            "openclaws": [heard.body.openclaw_version for heard in batch],
        },
    )
    return [None] * len(batch)


def latest(first: Beat, second: Beat) -> Beat:
    """Of two heartbeats the later one; only the latest counts."""
    return second if second.at >= first.at else first
