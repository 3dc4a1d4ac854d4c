"""Backups as wrappers reported them: the history, and the last one of each server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from actors.people import Scope
from controlplane.store.database import Database
from controlplane.store.own_orders import domains_of
from protocol.ids import BackupId, OrderId, format_id
from protocol.objects import Spoken
from protocol.words import BackupOutcome

_COLUMNS: Final = "b.id, b.order_id, b.status, b.started_at, b.finished_at, b.size_bytes, b.detail, b.reported_at"

# That one runs is worth telling only until something newer was told.
_SHOWN: Final = """
    b.order_id = ANY(CAST(:orders AS uuid[]))
    AND (CAST(:status AS text) IS NULL OR b.status = CAST(:status AS text))
    AND (b.status <> 'running' OR NOT EXISTS (SELECT FROM backup_reports n WHERE n.order_id = b.order_id
        AND (n.reported_at, n.id) > (b.reported_at, b.id)))"""
_COUNT = text(f"SELECT count(*) FROM backup_reports b WHERE {_SHOWN}")
_LIST = text(f"""
    SELECT {_COLUMNS} FROM backup_reports b WHERE {_SHOWN} ORDER BY b.reported_at DESC, b.id DESC
    LIMIT CAST(:limit AS bigint) OFFSET CAST(:offset AS bigint)""")
_LAST = text(f"""
    SELECT {_COLUMNS} FROM unnest(CAST(:orders AS uuid[])) AS o (id), LATERAL (
        SELECT * FROM backup_reports r WHERE r.order_id = o.id ORDER BY r.reported_at DESC, r.id DESC LIMIT 1) AS b""")


class Backup(Spoken, kw_only=True):
    """One backup as a server's wrapper told of it."""

    id: BackupId
    order_id: OrderId
    domain: str
    status: BackupOutcome
    started_at: datetime | None
    finished_at: datetime | None
    size_bytes: int | None
    detail: str | None
    reported_at: datetime


class BackupStore:
    """The backups in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, scope: Scope, order_id: OrderId | None, status: BackupOutcome | None, *, offset: int, limit: int
    ) -> tuple[Sequence[Backup], int]:
        """A portion of the backups, newest first, and how many there are in all.

        Raises:
            NotFound: the order is not within the scope.
        """
        return await self._database.read(_list, scope, order_id, status, offset, limit)

    async def last(self, scope: Scope) -> dict[OrderId, Backup]:
        """What was last told of each order's backups, as far as anything was."""
        return await self._database.read(_last, scope)


def _last(connection: Connection, scope: Scope) -> dict[OrderId, Backup]:
    domains = domains_of(connection, scope, None)
    told = [_backup(row, domains) for row in connection.execute(_LAST, {"orders": list(domains)})]
    return {backup.order_id: backup for backup in told}


def _list(
    connection: Connection,
    scope: Scope,
    order_id: OrderId | None,
    status: BackupOutcome | None,
    offset: int,
    limit: int,
) -> tuple[Sequence[Backup], int]:
    domains = domains_of(connection, scope, order_id)
    asked = {"orders": list(domains), "status": None if status is None else status.value}
    total = connection.execute(_COUNT, asked).scalar_one()
    rows = connection.execute(_LIST, {**asked, "offset": offset, "limit": limit})
    return [_backup(row, domains) for row in rows], total


def _backup(row: Row[Any], domains: Mapping[UUID, str]) -> Backup:
    return Backup(
        id=BackupId(format_id("bkp", row.id)),
        order_id=OrderId(format_id("ord", row.order_id)),
        domain=domains[row.order_id],
        status=BackupOutcome(row.status),
        started_at=row.started_at,
        finished_at=row.finished_at,
        size_bytes=row.size_bytes,
        detail=row.detail,
        reported_at=row.reported_at,
    )
