"""What wrappers report besides usage: backups, activity, image updates."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from actors.runtime.ports import Ids
from controlplane.store import events
from protocol.console import ActivityTold, BackupTold, ImageTold
from protocol.ids import OrderId, format_id
from protocol.tenant import NOTHING, Activity, BackupStatus, ImageUpdate

_BACKUP = text("""
    INSERT INTO backup_reports (id, order_id, status, started_at, finished_at, size_bytes, detail, reported_at)
    VALUES (:id, :order_id, :status, :started_at, :finished_at, :size_bytes, :detail, :at)""")

_ACTIVITY = text("""
    INSERT INTO activities (id, order_id, agent_id, kind, summary, at, data)
    VALUES (:id, :order_id, :agent_id, :kind, :summary, :at, :data)""")

_IMAGE = text("""
    INSERT INTO image_updates (id, order_id, image, status, digest, created, reported_at)
    VALUES (:id, :order_id, :image, :status, :digest, :created, :at)""")


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
