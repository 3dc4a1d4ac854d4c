"""What need not be kept for ever: promises long acknowledged, ids of messages, statistics, usage by the hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, TextClause, text

from actors.runtime.ports import Clock
from controlplane.store.database import Database
from controlplane.store.events import EventStore
from controlplane.store.system_settings import chosen
from controlplane.system_settings.own import Hub

_PAGE: Final = 5_000
#: Orders whose hours of usage are forgotten at a time, and their days: 24 hours each at most.
_ORDERS: Final = 50
_DAYS: Final = 1_000
#: Hours of usage are kept at least so long: for the month that runs and the one before it.
HOURS_KEPT_AT_LEAST: Final = timedelta(days=62)

# Skips what others hold: whoever holds it has a later chance, and two nodes share the work.
_PROMISES = text("""
    DELETE FROM deliveries WHERE (order_id, seq) IN (
        SELECT d.order_id, d.seq FROM deliveries d JOIN server_connections s ON s.order_id = d.order_id
        WHERE d.created_at < :before AND d.seq <= s.acked_seq
        ORDER BY d.created_at LIMIT :most FOR UPDATE OF d SKIP LOCKED)""")

_STATISTICS = text("""
    DELETE FROM server_stats_snapshots WHERE id IN (
        SELECT id FROM server_stats_snapshots WHERE at < CAST(:before AS timestamptz)
        ORDER BY at LIMIT :most FOR UPDATE SKIP LOCKED)""")

# Whoever adds to an order's days holds the order, so no hour comes in between.
_ORDERS_WITH_HOURS = text("""
    SELECT id FROM orders WHERE id = ANY(ARRAY(
        SELECT DISTINCT order_id FROM token_usage_days WHERE day < CAST(:before AS date) AND NOT is_closed LIMIT :most))
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED""")
_HOURS = text("""
    WITH closed AS (
        UPDATE token_usage_days d SET is_closed = true
        FROM (SELECT order_id, day, agent_id, model FROM token_usage_days
              WHERE order_id = ANY(CAST(:orders AS uuid[])) AND day < CAST(:before AS date) AND NOT is_closed
              LIMIT :most) AS old
        WHERE d.order_id = old.order_id AND d.day = old.day AND d.agent_id = old.agent_id AND d.model = old.model
        RETURNING d.order_id, d.day, d.agent_id, d.model
    ), deleted AS (
        DELETE FROM token_usage_buckets b USING closed c
        WHERE b.order_id = c.order_id AND b.agent_id = c.agent_id AND b.model = c.model
            AND b.bucket_hour >= CAST(c.day AS timestamp) AT TIME ZONE 'UTC'
            AND b.bucket_hour < CAST(c.day + 1 AS timestamp) AT TIME ZONE 'UTC'
    )
    SELECT count(*) FROM closed""")

_MESSAGES = text("""
    DELETE FROM tenant_inbox WHERE (order_id, message_id) IN (
        SELECT order_id, message_id FROM tenant_inbox WHERE received_at < :before
        ORDER BY received_at LIMIT :most FOR UPDATE SKIP LOCKED)""")


class Forgetting:
    """Deletes a bounded number of old rows at a time."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def events(self) -> int:
        """Forget events older than `hub.eventsKeptDays`; returns how many."""
        days = (await self._database.look(chosen, Hub)).events_kept_days
        return await EventStore(self._database).sweep(before=self._clock.now() - timedelta(days=days))

    async def statistics(self) -> int:
        """Forget what was measured of servers longer than `hub.statsKeptDays` ago; returns how much."""
        return await self._database.write(_forget_statistics, self._clock.now())

    async def usage_hours(self) -> int:
        """Forget hours of usage older than `hub.statsKeptDays`, and than two months; returns of how many days.

        Days, agents and models stay. What comes in for a day whose hours were forgotten is passed over: it could not
        be told from what was counted.
        """
        return await self._database.write(_forget_hours, self._clock.now())

    async def promises(self) -> int:
        """Forget promises that were acknowledged and are older than `hub.promisesKeptDays`; returns how many.

        An acknowledged promise is sent no more; what became of it stands with its command or approval.
        """
        return await self._database.write(_forget_promises, self._clock.now())

    async def messages(self) -> int:
        """Forget the ids of messages taken longer than `hub.messagesKeptDays` ago; returns how many.

        A wrapper sends a message again until it is accepted; one that was away for longer may be taken twice.
        """
        return await self._database.write(_forget_messages, self._clock.now())


def _forget_statistics(connection: Connection, now: datetime) -> int:
    return _delete(connection, _STATISTICS, now - timedelta(days=chosen(connection, Hub).stats_kept_days))


def _forget_hours(connection: Connection, now: datetime) -> int:
    kept = max(timedelta(days=chosen(connection, Hub).stats_kept_days), HOURS_KEPT_AT_LEAST)
    before = (now - kept).astimezone(UTC).date()
    orders = list(connection.execute(_ORDERS_WITH_HOURS, {"before": before, "most": _ORDERS}).scalars())
    return int(connection.execute(_HOURS, {"orders": orders, "before": before, "most": _DAYS}).scalar_one())


def _forget_promises(connection: Connection, now: datetime) -> int:
    return _delete(connection, _PROMISES, now - timedelta(days=chosen(connection, Hub).promises_kept_days))


def _forget_messages(connection: Connection, now: datetime) -> int:
    return _delete(connection, _MESSAGES, now - timedelta(days=chosen(connection, Hub).messages_kept_days))


def _delete(connection: Connection, statement: TextClause, before: datetime) -> int:
    return connection.execute(statement, {"before": before, "most": _PAGE}).rowcount
