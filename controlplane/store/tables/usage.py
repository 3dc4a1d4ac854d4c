"""The table of usage by days: what hours add up to, kept by whoever writes an hour."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)

from controlplane.store.tables.base import metadata

#: What is counted, in hours as in days.
COUNTED = (
    "tokens_input",
    "tokens_output",
    "tokens_cache_read",
    "tokens_cache_write",
    "web_search_count",
    "web_fetch_count",
    "cost_cents",
)

#: One row a UTC day, agent and model. Wider than an hour's columns: a day of the largest hours still fits.
token_usage_days = Table(
    "token_usage_days",
    metadata,
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="RESTRICT"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("agent_id", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    *(Column(name, Numeric(30, 0), nullable=False) for name in COUNTED),
    # Its hours were forgotten: one that is sent again could not be told from a new one, so none is taken.
    Column("is_closed", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint(" AND ".join(f"{name} >= 0" for name in COUNTED), name="sums"),
    Index("ix_token_usage_days_open", "day", "order_id", postgresql_where=text("NOT is_closed")),
)
