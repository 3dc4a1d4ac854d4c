"""Whom something was heard of, and whose silence has grown long: what makes a server's presence change."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from actors.tenant.presence import HTTP_HEARTBEAT_SECONDS, LATE_AFTER_HEARTBEATS, OFFLINE_AFTER_HEARTBEATS
from controlplane.store.database import Database

_HEARD = text("SELECT order_id, last_seen_at FROM server_connections WHERE last_seen_at > :since")

_SILENT = text("""
    SELECT s.order_id FROM server_connections s
      JOIN unnest(CAST(:carriers AS text[]), CAST(:after AS timestamptz[]), CAST(:until AS timestamptz[]))
        AS u (carrier, after, until)
      ON s.carrier = u.carrier AND s.last_seen_at > u.after AND s.last_seen_at <= u.until""")


class PresenceStore:
    """Changes of presence in the database.

    Args:
        heartbeat_seconds: the interval that wrappers on a socket are told.
    """

    def __init__(self, database: Database, *, heartbeat_seconds: int) -> None:
        self._database = database
        self._thresholds = [
            (carrier, timedelta(seconds=beats * interval))
            for carrier, interval in (("socket", heartbeat_seconds), ("http", HTTP_HEARTBEAT_SECONDS))
            for beats in (LATE_AFTER_HEARTBEATS, OFFLINE_AFTER_HEARTBEATS)
        ]

    async def heard(self, *, since: datetime) -> dict[UUID, datetime]:
        """The orders whose wrappers were heard of after a moment, and when last."""
        return await self._database.look(_heard, since)

    async def fallen_silent(self, *, after: datetime, until: datetime) -> list[UUID]:
        """The orders that became late or offline by silence between two moments."""
        carriers = [carrier for carrier, _ in self._thresholds]
        first = [after - silence for _, silence in self._thresholds]
        last = [until - silence for _, silence in self._thresholds]
        return await self._database.look(_silent, carriers, first, last)


def _heard(connection: Connection, since: datetime) -> dict[UUID, datetime]:
    return {row.order_id: row.last_seen_at for row in connection.execute(_HEARD, {"since": since})}


def _silent(connection: Connection, carriers: list[str], after: list[datetime], until: list[datetime]) -> list[UUID]:
    return list(connection.execute(_SILENT, {"carriers": carriers, "after": after, "until": until}).scalars())
