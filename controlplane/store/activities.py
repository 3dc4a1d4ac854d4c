"""What agents did, as their wrappers told it: an agent's feed, and the newest of all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from actors.people import Scope
from controlplane.store.database import Database
from controlplane.store.keys import key_of
from controlplane.store.own_orders import domains_of
from protocol.faults import ValidationError
from protocol.ids import ActivityId, OrderId, format_id, parse_id
from protocol.objects import Spoken
from protocol.tenant import NOTHING

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_COLUMNS: Final = "id, order_id, agent_id, kind, summary, at, data"
_OF_AGENT: Final = "order_id = CAST(:order_id AS uuid) AND agent_id = CAST(:agent_id AS text)"
_FEED = text(f"""
    SELECT {_COLUMNS} FROM activities WHERE {_OF_AGENT}
    ORDER BY at DESC, id DESC LIMIT CAST(:limit AS bigint)""")
_FEED_ON = text(f"""
    SELECT {_COLUMNS} FROM activities
    WHERE {_OF_AGENT} AND (at, id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))
    ORDER BY at DESC, id DESC LIMIT CAST(:limit AS bigint)""")
_NEWEST = text(f"""
    SELECT {_COLUMNS} FROM (
        SELECT a.* FROM unnest(CAST(:orders AS uuid[])) AS o (id), LATERAL (
            SELECT * FROM activities WHERE order_id = o.id ORDER BY at DESC, id DESC LIMIT CAST(:limit AS bigint)) AS a
    ) AS newest ORDER BY at DESC, id DESC LIMIT CAST(:limit AS bigint)""")


class AgentActivity(Spoken, kw_only=True):
    """One thing that an agent did; `summary` is what a person reads, `data` what else the wrapper told."""

    id: ActivityId
    order_id: OrderId
    agent_id: str
    kind: str
    summary: str
    at: datetime
    data: msgspec.Raw


class Feed(NamedTuple):
    """A portion of a feed, newest first, and the cursor of what follows; None: nothing does."""

    activities: Sequence[AgentActivity]
    next_cursor: str | None


class ActivityStore:
    """The activities in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def feed(self, order_id: OrderId, agent_id: str, *, cursor: str | None, limit: int) -> Feed:
        """What an agent did, newest first.

        Raises:
            ValidationError: the cursor is none.
        """
        place = None if cursor is None else _place(cursor)
        return await self._database.look(_feed, key_of("ord", order_id), agent_id, place, limit)

    async def newest(self, scope: Scope, *, limit: int) -> list[AgentActivity]:
        """What was done last by any agent on all orders of the scope."""
        return await self._database.read(_newest, scope, limit)


def _newest(connection: Connection, scope: Scope, limit: int) -> list[AgentActivity]:
    asked = {"orders": list(domains_of(connection, scope, None)), "limit": limit}
    return [_activity(row) for row in connection.execute(_NEWEST, asked)]


def _feed(
    connection: Connection, order_id: UUID, agent_id: str, place: tuple[datetime, UUID] | None, limit: int
) -> Feed:
    # One more than asked for tells whether there is more.
    asked: dict[str, Any] = {"order_id": order_id, "agent_id": agent_id, "limit": limit + 1}
    if place is not None:
        asked["at"], asked["id"] = place
    found = [_activity(row) for row in connection.execute(_FEED if place is None else _FEED_ON, asked)]
    shown = found[:limit]
    return Feed(shown, _cursor(shown[-1]) if len(found) > limit else None)


def _activity(row: Row[Any]) -> AgentActivity:
    return AgentActivity(
        id=ActivityId(format_id("act", row.id)),
        order_id=OrderId(format_id("ord", row.order_id)),
        agent_id=row.agent_id,
        kind=row.kind,
        summary=row.summary,
        at=row.at,
        data=NOTHING if row.data is None else msgspec.Raw(row.data.encode()),
    )


def _cursor(activity: AgentActivity) -> str:
    """The place after an activity, in letters that an address takes as they are."""
    return f"{(activity.at - _EPOCH) // _MICROSECOND}.{activity.id}"


def _place(cursor: str) -> tuple[datetime, UUID]:
    moment, _, name = cursor.partition(".")
    try:
        return _EPOCH + int(moment) * _MICROSECOND, parse_id("act", name)
    except (ValueError, OverflowError):
        raise ValidationError.of("cursor", "is none that this list gave") from None
