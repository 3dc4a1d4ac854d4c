"""Tables of what has happened, for the consoles: one row a committed change, and how far the oldest are forgotten."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, DateTime, Identity, Index, Table, Text, Uuid, text

from controlplane.store.tables.base import metadata

#: No foreign keys: an event outlives nothing it tells of (seven days), and must not lock what everybody locks.
events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # The writer's transaction (xid8; as bigint, which holds it and which drivers know): see store/events.py.
    Column("xid", BigInteger, nullable=False, server_default=text("((pg_current_xact_id())::text)::bigint")),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("kind", Text, nullable=False),
    Column("order_id", Uuid),
    Column("customer_id", Uuid),
    Column("data", Text, nullable=False),
    Index("ix_events_position", "xid", "id", unique=True),
    Index("ix_events_customer", "customer_id", "xid", "id"),
    Index("ix_events_order", "order_id", "xid", "id"),
)

#: One row: events up to here are deleted; `epoch` changes when positions lose their meaning (a restored database).
event_horizon = Table(
    "event_horizon",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", BigInteger, nullable=False),
    Column("xid", BigInteger, nullable=False, server_default=text("0")),
    Column("id", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("singleton", name="one_row"),
)
