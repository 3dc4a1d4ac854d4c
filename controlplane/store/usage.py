"""Usage as it is read: what days and hours of one's orders add up to, by agent, model, order and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from actors.people import Author, Scope
from actors.ports import Incoming, Taken
from actors.runtime.ports import Clock, Ids
from controlplane.store import audit
from controlplane.store.database import Database
from controlplane.store.inbox import Inbox
from controlplane.store.own_orders import domains_of
from controlplane.store.system_settings import chosen
from controlplane.store.tables.usage import COUNTED
from controlplane.store.usage_buckets import LARGEST_COUNT
from controlplane.store.usage_spans import Period, Span, checked, points, series_span
from controlplane.system_settings.own import Hub
from protocol.faults import ValidationError
from protocol.ids import OrderId, format_id
from protocol.objects import Spoken
from protocol.tenant import Usage

#: So many agents, models and orders are told by name, those with the most tokens.
MOST_NAMES: Final = 100
#: So many days a detailed list goes back at most.
MOST_DAYS: Final = 92

TOKENS: Final = "tokens_input + tokens_output + tokens_cache_read + tokens_cache_write"

_SUMS: Final = ", ".join(f"sum({name}) AS {name}" for name in COUNTED)

# All the sums in one pass: `told` is a bit for each of agent, model, order and start that a row does not tell apart.
_SUMMARY = text(f"""
    SELECT agent_id, model, order_id, start, GROUPING(agent_id, model, order_id, start) AS told, {_SUMS}
    FROM (SELECT agent_id, model, order_id, {", ".join(COUNTED)},
              CAST(date_trunc(CAST(:period AS text), CAST(day AS timestamp)) AS date) AS start
          FROM token_usage_days WHERE order_id = ANY(CAST(:orders AS uuid[]))
              AND day BETWEEN CAST(:first AS date) AND CAST(:last AS date)) AS d
    GROUP BY GROUPING SETS ((), (agent_id), (model), (order_id), (start), (start, agent_id), (start, model))""")
_ALL, _BY_AGENT, _BY_MODEL, _BY_ORDER, _BY_START = 0b1111, 0b0111, 0b1011, 0b1101, 0b1110
_BY_START_AND_AGENT, _BY_START_AND_MODEL = 0b0110, 0b1010

_CONDITIONS = """
    order_id = ANY(CAST(:orders AS uuid[]))
    AND (CAST(:agent_id AS text) IS NULL OR agent_id = CAST(:agent_id AS text))
    AND (CAST(:model AS text) IS NULL OR model = CAST(:model AS text))"""


class By(StrEnum):
    """How finely a detailed list tells usage."""

    DAY = "day"
    HOUR = "hour"


_FROM = {
    By.DAY: f"token_usage_days WHERE {_CONDITIONS} AND day BETWEEN CAST(:first AS date) AND CAST(:last AS date)",
    By.HOUR: f"""token_usage_buckets WHERE {_CONDITIONS}
        AND bucket_hour >= CAST(:begin AS timestamptz) AND bucket_hour < CAST(:end AS timestamptz)""",
}
_START = {By.DAY: "CAST(day AS timestamp) AT TIME ZONE 'UTC'", By.HOUR: "bucket_hour"}
_KNOWN = {By.DAY: "NULL AS revision, NULL AS reported_at", By.HOUR: "revision, reported_at"}
_COUNT = {by: text(f"SELECT count(*) FROM {_FROM[by]}") for by in By}
_LIST = {
    by: text(f"""
        SELECT order_id, agent_id, model, {_START[by]} AS start, {", ".join(COUNTED)}, {_KNOWN[by]} FROM {_FROM[by]}
        ORDER BY start DESC, order_id DESC, agent_id, model
        LIMIT CAST(:limit AS bigint) OFFSET CAST(:offset AS bigint)""")
    for by in By
}


class Sums(Spoken, kw_only=True):
    """What was used; `tokensTotal` is the four kinds of tokens together."""

    tokens_input: int
    tokens_output: int
    tokens_cache_read: int
    tokens_cache_write: int
    tokens_total: int
    web_search_count: int
    web_fetch_count: int
    cost_cents: int


class AgentUsage(Sums, kw_only=True):
    """What one agent used, on all the orders asked for."""

    agent_id: str


class ModelUsage(Sums, kw_only=True):
    """What was used of one model; `premium` ones do not draw on the pool of the subscription."""

    model: str
    premium: bool


class OrderUsage(Sums, kw_only=True):
    """What was used on one order."""

    order_id: OrderId
    domain: str


class UsagePoint(Sums, kw_only=True):
    """What was used in one day, week or month: the days from `from` to `to`, both included."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    tokens_by_agent: dict[str, int]
    tokens_by_model: dict[str, int]


class UsageSummary(Spoken, kw_only=True):
    """Usage of days from `from` to `to`, both included, in UTC; `series` has every point, also empty ones.

    Args:
        by_agent, by_model, by_order: at most a hundred each, those with the most tokens first.
    """

    period: Period
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    order_id: OrderId | None
    total: Sums
    by_agent: list[AgentUsage]
    by_model: list[ModelUsage]
    by_order: list[OrderUsage]
    series: list[UsagePoint]


class UsageLine(Sums, kw_only=True):
    """What one agent used of one model in an hour or a day, from `from` on until before `to`.

    Args:
        revision, reported_at: of an hour: how often it was corrected, and when it came in as it is; of a day: null.
    """

    order_id: OrderId
    domain: str
    agent_id: str
    model: str
    premium: bool
    begin: datetime = msgspec.field(name="from")
    end: datetime = msgspec.field(name="to")
    revision: int | None
    reported_at: datetime | None


class UsageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of usage to list; None is any."""

    by: By
    first: date | None
    last: date | None
    order_id: OrderId | None
    agent_id: str | None
    model: str | None


class UsageStore:
    """The usage in the database."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._inbox = Inbox(ids)

    async def summary(
        self, scope: Scope, period: Period, first: date | None, last: date | None, order_id: OrderId | None
    ) -> UsageSummary:
        """What was used from the first to the last day, widened to whole periods.

        Raises:
            NotFound: the order is not within the scope.
            ValidationError: the days make no sense, or too many points.
        """
        span = series_span(period, first, last, today=self._today())
        return await self._database.read(_summary, scope, period, span, order_id)

    async def lines(
        self, scope: Scope, wanted: UsageFilter, *, offset: int, limit: int
    ) -> tuple[Sequence[UsageLine], int]:
        """A portion of what was used, newest first, and how many lines there are; this month's unless said otherwise.

        Raises:
            NotFound: the order is not within the scope.
            ValidationError: the days make no sense, or are more than `MOST_DAYS`.
        """
        span = checked(wanted.first, wanted.last, today=self._today())
        if (span.last - span.first).days >= MOST_DAYS:
            raise ValidationError.of("from", f"must lie at most {MOST_DAYS} days before `to`")
        return await self._database.read(_lines, scope, wanted, span, offset, limit)

    async def ingest(self, author: Author, order_id: OrderId, report: Usage) -> Taken:
        """Take a report as if the order's wrapper had sent it, and note who did.

        Raises:
            NotFound: there is no such order.
        """
        return await self._database.write(self._ingest, author, order_id, report, self._clock.now())

    def _ingest(self, connection: Connection, author: Author, order_id: OrderId, report: Usage, now: datetime) -> Taken:
        [key] = domains_of(connection, Scope.everything(), order_id)
        [taken] = self._inbox.take(connection, [Incoming(key, report, now)])
        if taken.code is None and not taken.repeated:
            told = {"message": report.id, "buckets": len(report.buckets)}
            audit.record(connection, author, "usage.ingested", order_id, at=now, after=told)
        return taken

    def _today(self) -> date:
        return self._clock.now().astimezone(UTC).date()


def premium_prefixes(connection: Connection) -> tuple[str, ...]:
    """What the names of models begin with that do not draw on the pool."""
    return chosen(connection, Hub).premium_models


def sums_of(row: Mapping[Any, Any]) -> dict[str, int]:
    """The sums of a row as `Sums` takes them; no larger than other programs can hold."""
    counts = {name: min(int(row[name] or 0), LARGEST_COUNT) for name in COUNTED}
    total = sum(counts[name] for name in COUNTED if name.startswith("tokens_"))
    return {**counts, "tokens_total": min(total, LARGEST_COUNT)}


def _summary(
    connection: Connection, scope: Scope, period: Period, span: Span, order_id: OrderId | None
) -> UsageSummary:
    domains = domains_of(connection, scope, order_id)
    premium = premium_prefixes(connection)
    asked = {"period": period.value, "orders": list(domains), "first": span.first, "last": span.last}
    found: dict[int, list[Mapping[Any, Any]]] = {}
    for row in connection.execute(_SUMMARY, asked).mappings():
        found.setdefault(row["told"], []).append(row)
    agents = [AgentUsage(agent_id=row["agent_id"], **sums_of(row)) for row in found.get(_BY_AGENT, ())]
    models = [
        ModelUsage(model=row["model"], premium=row["model"].startswith(premium), **sums_of(row))
        for row in found.get(_BY_MODEL, ())
    ]
    owned = [
        OrderUsage(order_id=_name(row["order_id"]), domain=domains[row["order_id"]], **sums_of(row))
        for row in found.get(_BY_ORDER, ())
    ]
    # Without any usage the sum of everything is a row of nulls.
    [total] = [sums_of(row) for row in found[_ALL]]
    agents, models, owned = _most(agents), _most(models), _most(owned)
    by_agent = _by_start(found.get(_BY_START_AND_AGENT, ()), "agent_id", {one.agent_id for one in agents})
    by_model = _by_start(found.get(_BY_START_AND_MODEL, ()), "model", {one.model for one in models})
    by_start = {row["start"]: sums_of(row) for row in found.get(_BY_START, ())}
    nothing = sums_of(dict.fromkeys(COUNTED, 0))
    series = [
        UsagePoint(
            first=point.first,
            last=point.last,
            tokens_by_agent=by_agent.get(point.first, {}),
            tokens_by_model=by_model.get(point.first, {}),
            **by_start.get(point.first, nothing),
        )
        for point in points(period, span)
    ]
    return UsageSummary(
        period=period,
        first=span.first,
        last=span.last,
        order_id=order_id,
        total=Sums(**total),
        by_agent=agents,
        by_model=models,
        by_order=owned,
        series=series,
    )


def _most(found: list[Any]) -> list[Any]:
    return sorted(found, key=lambda one: -one.tokens_total)[:MOST_NAMES]


def _by_start(rows: Sequence[Mapping[Any, Any]], name: str, told: set[str]) -> dict[date, dict[str, int]]:
    """The tokens of each point by agent or model, of those that are told by name."""
    found: dict[date, dict[str, int]] = {}
    for row in sorted(rows, key=lambda row: str(row[name])):
        if row[name] in told:
            found.setdefault(row["start"], {})[row[name]] = sums_of(row)["tokens_total"]
    return found


def _lines(
    connection: Connection, scope: Scope, wanted: UsageFilter, span: Span, offset: int, limit: int
) -> tuple[Sequence[UsageLine], int]:
    domains = domains_of(connection, scope, wanted.order_id)
    premium = premium_prefixes(connection)
    asked: dict[str, Any] = {"orders": list(domains), "agent_id": wanted.agent_id, "model": wanted.model}
    if wanted.by is By.DAY:
        asked |= {"first": span.first, "last": span.last}
    else:
        asked |= {"begin": _midnight(span.first), "end": _midnight(span.last + timedelta(days=1))}
    total = connection.execute(_COUNT[wanted.by], asked).scalar_one()
    rows = connection.execute(_LIST[wanted.by], {**asked, "offset": offset, "limit": limit}).mappings()
    length = timedelta(days=1) if wanted.by is By.DAY else timedelta(hours=1)
    return [
        UsageLine(
            order_id=_name(row["order_id"]),
            domain=domains[row["order_id"]],
            agent_id=row["agent_id"],
            model=row["model"],
            premium=row["model"].startswith(premium),
            begin=row["start"],
            end=row["start"] + length,
            revision=row["revision"],
            reported_at=row["reported_at"],
            **sums_of(row),
        )
        for row in rows
    ], total


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _name(order_id: UUID) -> OrderId:
    return OrderId(format_id("ord", order_id))
