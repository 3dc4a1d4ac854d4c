"""Billing as customers see it: the period that runs, and those before it, recorded as bills or not yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from actors.people import Scope
from actors.runtime.ports import Clock
from controlplane.store.customers import read_customer
from controlplane.store.database import Database
from controlplane.store.keys import key_of
from controlplane.store.own_orders import domains_of
from controlplane.store.pools import Drawn, drawn, limit_of, overage_cents, price_of
from controlplane.store.system_settings import chosen
from controlplane.store.usage_buckets import LARGEST_COUNT
from controlplane.store.usage_spans import Span, month_of
from controlplane.system_settings.own import Hub
from protocol.ids import BillingPeriodId, CustomerId, format_id
from protocol.objects import FoundingMember, Spoken, Subscription

_SUBSCRIPTION = text("""
    SELECT s.id, s.token_base, s.created_at, f.token_multiplier, f.expires_at AS founder_until
    FROM subscriptions s LEFT JOIN founding_members f ON f.user_id = s.user_id
    WHERE s.user_id = CAST(:customer AS uuid)""")
_RECORDED = text("""
    SELECT id, starts_at, ends_at, token_limit, tokens_used, overage_tokens, overage_cents, premium_tokens,
        premium_cents, status, stripe_invoice_id
    FROM billing_periods WHERE user_id = CAST(:customer AS uuid) ORDER BY starts_at DESC""")
_FIRST_DAY = text("""
    SELECT min(first) FROM unnest(CAST(:orders AS uuid[])) AS o (id),
        LATERAL (SELECT min(day) AS first FROM token_usage_days d WHERE d.order_id = o.id) AS earliest""")

_DAY: Final = timedelta(days=1)


class PeriodStatus(StrEnum):
    """How far a period has come: it runs, it is over and was not billed yet, or what became of its bill."""

    OPEN = "OPEN"
    UNBILLED = "UNBILLED"
    CLOSED = "CLOSED"
    INVOICED = "INVOICED"
    PAID = "PAID"


class BillingPeriod(Spoken, kw_only=True):
    """One month of a subscription, from `start` until before `end`.

    Args:
        id: of a recorded one; null while it is only added up from usage.
        token_limit, tokens_remaining: null without a subscription.
        tokens_used: drawn from the pool; models that are paid by use are counted as premium.
    """

    id: BillingPeriodId | None
    status: PeriodStatus
    start: datetime
    end: datetime
    token_limit: int | None
    tokens_used: int
    tokens_remaining: int | None
    overage_tokens: int
    overage_cents: int
    premium_tokens: int
    premium_cents: int
    invoice_id: str | None


class Billing(Spoken, kw_only=True):
    """What a customer has, what it costs, and the period that runs; prices in cents of `currency`."""

    subscription: Subscription | None
    founding_member: FoundingMember | None
    currency: str
    price_cents: int | None
    overage_cents_per_million: int
    period: BillingPeriod


class BillingStore:
    """Periods and what was used in them, as they are read."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def current(self, customer_id: CustomerId) -> Billing:
        """A customer's subscription and the period that runs.

        Raises:
            NotFound: there is no such customer.
        """
        return await self._database.read(_current, customer_id, self._clock.now())

    async def history(self, customer_id: CustomerId, *, offset: int, limit: int) -> tuple[Sequence[BillingPeriod], int]:
        """A portion of a customer's periods, the running one first, and how many there are in all."""
        return await self._database.read(_history, customer_id, offset, limit, self._clock.now())


def _current(connection: Connection, customer_id: CustomerId, now: datetime) -> Billing:
    customer = read_customer(connection, customer_id, now)
    settings = chosen(connection, Hub)
    key = key_of("cust", customer_id)
    subscription = _subscription(connection, key)
    running = next((row for row in _recorded(connection, key) if row["status"] == PeriodStatus.OPEN), None)
    [period] = _added_up(connection, key, [running or _month(now)], subscription, settings, now)
    return Billing(
        subscription=customer.subscription,
        founding_member=customer.founding_member,
        currency=settings.currency,
        price_cents=None if customer.subscription is None else price_of(settings, customer.subscription.tier),
        overage_cents_per_million=settings.overage_cents_per_million,
        period=period,
    )


def _history(
    connection: Connection, customer_id: CustomerId, offset: int, limit: int, now: datetime
) -> tuple[Sequence[BillingPeriod], int]:
    key = key_of("cust", customer_id)
    subscription = _subscription(connection, key)
    recorded = _recorded(connection, key)
    months = _months(connection, key, subscription, now)
    # A bill covers its days: no month is added up beside it.
    unbilled = [
        month
        for month in months
        if not any(row["starts_at"] < month["ends_at"] and month["starts_at"] < row["ends_at"] for row in recorded)
    ]
    every = sorted([*recorded, *unbilled], key=lambda row: row["starts_at"], reverse=True)
    page = every[offset : offset + limit]
    return _added_up(connection, key, page, subscription, chosen(connection, Hub), now), len(every)


def _subscription(connection: Connection, customer: UUID) -> Mapping[Any, Any] | None:
    return connection.execute(_SUBSCRIPTION, {"customer": customer}).mappings().one_or_none()


def _recorded(connection: Connection, customer: UUID) -> list[Mapping[Any, Any]]:
    return list(connection.execute(_RECORDED, {"customer": customer}).mappings())


def _orders(connection: Connection, customer: UUID) -> list[UUID]:
    return list(domains_of(connection, Scope.customer(customer), None))


def _month(day: datetime) -> dict[str, Any]:
    """A calendar month as a period that nobody has recorded."""
    span = month_of(day.astimezone(UTC).date())
    return {"id": None, "starts_at": _midnight(span.first), "ends_at": _midnight(span.last + _DAY)}


def _months(
    connection: Connection, customer: UUID, subscription: Mapping[Any, Any] | None, now: datetime
) -> list[dict[str, Any]]:
    """The calendar months from the first subscription or use until now, newest first."""
    first_day = connection.execute(_FIRST_DAY, {"orders": _orders(connection, customer)}).scalar_one()
    begins = [] if first_day is None else [_midnight(first_day)]
    if subscription is not None:
        begins.append(subscription["created_at"])
    months = [_month(now)]
    while begins and months[-1]["starts_at"] > min(begins):
        months.append(_month(months[-1]["starts_at"] - _DAY))
    return months


def _added_up(
    connection: Connection,
    customer: UUID,
    rows: Sequence[Mapping[Any, Any]],
    subscription: Mapping[Any, Any] | None,
    settings: Hub,
    now: datetime,
) -> list[BillingPeriod]:
    """Periods with their sums: those of bills as they were recorded, all others from usage."""
    spans = {id(row): _span(row) for row in rows if row["id"] is None or row["status"] == PeriodStatus.OPEN}
    used = drawn(connection, _orders(connection, customer), list(spans.values()), settings) if spans else {}
    return [
        _live(row, used.get(spans[id(row)].first, Drawn()), subscription, settings, now)
        if id(row) in spans
        else _billed(row)
        for row in rows
    ]


def _live(
    row: Mapping[Any, Any], used: Drawn, subscription: Mapping[Any, Any] | None, settings: Hub, now: datetime
) -> BillingPeriod:
    limit: int | None = row.get("token_limit")
    if limit is None and subscription is not None:
        limit = limit_of(subscription, at=min(now, row["ends_at"]))
    overage = 0 if limit is None else max(used.tokens - limit, 0)
    return BillingPeriod(
        id=None if row["id"] is None else _name(row["id"]),
        status=PeriodStatus.OPEN if now < row["ends_at"] or row["id"] is not None else PeriodStatus.UNBILLED,
        start=row["starts_at"],
        end=row["ends_at"],
        token_limit=limit,
        tokens_used=used.tokens,
        tokens_remaining=None if limit is None else max(limit - used.tokens, 0),
        overage_tokens=overage,
        overage_cents=min(overage_cents(overage, settings), LARGEST_COUNT),
        premium_tokens=used.premium_tokens,
        premium_cents=used.premium_cents,
        invoice_id=None,
    )


def _billed(row: Mapping[Any, Any]) -> BillingPeriod:
    return BillingPeriod(
        id=_name(row["id"]),
        status=PeriodStatus(row["status"]),
        start=row["starts_at"],
        end=row["ends_at"],
        token_limit=row["token_limit"],
        tokens_used=row["tokens_used"],
        tokens_remaining=max(row["token_limit"] - row["tokens_used"], 0),
        overage_tokens=row["overage_tokens"],
        overage_cents=row["overage_cents"],
        premium_tokens=row["premium_tokens"],
        premium_cents=row["premium_cents"],
        invoice_id=row["stripe_invoice_id"],
    )


def _span(row: Mapping[Any, Any]) -> Span:
    """The days of a period, which begins and ends at midnight."""
    return Span(_day(row["starts_at"]), _day(row["ends_at"] - timedelta(microseconds=1)))


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _name(key: UUID) -> BillingPeriodId:
    return BillingPeriodId(format_id("bill", key))
