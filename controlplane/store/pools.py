"""The pool of a subscription's tokens: what it holds, what was drawn from it, and what was used beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from controlplane.store.usage_buckets import LARGEST_COUNT
from controlplane.store.usage_spans import Span
from controlplane.system_settings.own import Hub
from protocol.words import Tier

_MILLION: Final = 1_000_000
_TOKENS: Final = "d.tokens_input + d.tokens_output + d.tokens_cache_read + d.tokens_cache_write"
_PREMIUM: Final = "EXISTS (SELECT FROM unnest(CAST(:premium AS text[])) AS p WHERE starts_with(d.model, p))"

# Since the beginning of each customer's running period: the recorded one, or else the calendar month.
_RUNNING = text(f"""
    SELECT c.id, sum({_TOKENS}) AS tokens
    FROM (SELECT u.id, coalesce((SELECT max(CAST(b.starts_at AT TIME ZONE 'UTC' AS date)) FROM billing_periods b
              WHERE b.user_id = u.id AND b.status = 'OPEN'), CAST(:month AS date)) AS first
          FROM unnest(CAST(:customers AS uuid[])) AS u (id)) AS c
      JOIN orders o ON o.user_id = c.id
      JOIN token_usage_days d ON d.order_id = o.id AND d.day >= c.first
    WHERE NOT {_PREMIUM} GROUP BY c.id""")

_BETWEEN = text(f"""
    SELECT s.first, coalesce(sum({_TOKENS}) FILTER (WHERE NOT {_PREMIUM}), 0) AS tokens,
        coalesce(sum({_TOKENS}) FILTER (WHERE {_PREMIUM}), 0) AS premium_tokens,
        coalesce(sum(d.cost_cents) FILTER (WHERE {_PREMIUM}), 0) AS premium_cents
    FROM unnest(CAST(:first AS date[]), CAST(:last AS date[])) AS s (first, last)
      JOIN token_usage_days d ON d.order_id = ANY(CAST(:orders AS uuid[])) AND d.day BETWEEN s.first AND s.last
    GROUP BY s.first""")


class Drawn(NamedTuple):
    """What was used in some days: of the pool, and of models that are paid by use."""

    tokens: int = 0
    premium_tokens: int = 0
    premium_cents: int = 0


def running_tokens(
    connection: Connection, customers: Sequence[UUID], settings: Hub, *, at: datetime
) -> dict[UUID, int]:
    """What customers have drawn in the period that runs; those who have drawn nothing are left out."""
    if not customers:
        return {}
    asked = {"customers": list(customers), "premium": list(settings.premium_models), "month": at.date().replace(day=1)}
    return {row.id: _bounded(row.tokens) for row in connection.execute(_RUNNING, asked)}


def drawn(connection: Connection, orders: Sequence[UUID], spans: Sequence[Span], settings: Hub) -> dict[date, Drawn]:
    """What was used in each span of days, by its first day; spans without any use are left out."""
    asked = {
        "orders": list(orders),
        "premium": list(settings.premium_models),
        "first": [span.first for span in spans],
        "last": [span.last for span in spans],
    }
    return {
        row.first: Drawn(_bounded(row.tokens), _bounded(row.premium_tokens), _bounded(row.premium_cents))
        for row in connection.execute(_BETWEEN, asked)
    }


def limit_of(row: Mapping[Any, Any], *, at: datetime) -> int:
    """The tokens a month that a subscription holds: its tier's, times a founding member's multiplier while that lasts.

    Args:
        row: has the subscription's `token_base` and the founder's `token_multiplier` and `founder_until`, or None.
    """
    founder = row["founder_until"] is not None and row["founder_until"] > at
    return int(row["token_base"] * (row["token_multiplier"] if founder else 1))


def price_of(settings: Hub, tier: Tier) -> int:
    """What a tier costs a month, in cents."""
    return {
        Tier.LITE: settings.price_lite_cents,
        Tier.BUILD: settings.price_build_cents,
        Tier.SCALE: settings.price_scale_cents,
    }[tier]


def overage_cents(tokens: int, settings: Hub) -> int:
    """What so many tokens beyond the limit cost, to the nearest cent."""
    return (tokens * settings.overage_cents_per_million + _MILLION // 2) // _MILLION


def _bounded(value: Any) -> int:
    """No larger than other programs can hold."""
    return min(int(value), LARGEST_COUNT)
