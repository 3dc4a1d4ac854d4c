"""The tables of orders: one rented server each, from payment to fulfilment, and which were placed from outside."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR

from controlplane.store.tables.base import metadata
from controlplane.store.tables.search import searchable

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("status", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("tools", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("server_ip", Text),
    Column("ssh_port", Integer, nullable=False),
    Column("automation_mode", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("fulfilled_at", DateTime(timezone=True)),
    # Where a failed order goes on; kept by the trigger `orders_may_move`, which holds orders to their way.
    Column("failed_step", Text),
    Column("search", TSVECTOR, Computed(searchable("domain || ' ' || coalesce(server_ip, '')"), persisted=True)),
    CheckConstraint(
        "status IN ('PAYMENT_CONFIRMED', 'AWAITING_SERVER', 'SERVER_READY', 'DNS_PENDING', 'DNS_READY', "
        "'PROVISIONING', 'FULFILLED', 'FAILED', 'CANCELLED')",
        name="status",
    ),
    CheckConstraint("tier IN ('Lite', 'Build', 'Scale')", name="tier"),
    CheckConstraint("automation_mode IN ('AUTO', 'MANUAL', 'PAUSED')", name="automation_mode"),
    CheckConstraint(
        "failed_step IN ('PAYMENT_CONFIRMED', 'AWAITING_SERVER', 'SERVER_READY', 'DNS_PENDING', 'DNS_READY', "
        "'PROVISIONING')",
        name="failed_step",
    ),
    CheckConstraint("(status = 'FAILED') = (failed_step IS NOT NULL)", name="failed_somewhere"),
    CheckConstraint("ssh_port BETWEEN 1 AND 65535", name="ssh_port"),
    Index("ux_orders_domain", "domain", unique=True, postgresql_where=text("status <> 'CANCELLED'")),
    Index("ix_orders_user_id", "user_id", "created_at"),
    Index("ix_orders_search", "search", postgresql_using="gin"),
)
Index("ix_orders_created_at", orders.c.created_at.desc(), orders.c.id.desc())
Index("ix_orders_status", orders.c.status, orders.c.created_at.desc(), orders.c.id.desc())
Index("ix_orders_tier", orders.c.tier, orders.c.created_at.desc(), orders.c.id.desc())

#: Orders that outside callers placed: the same reference by the same key is the same order.
outside_orders = Table(
    "outside_orders",
    metadata,
    # The claim is written first, its order in the same transaction.
    Column(
        "order_id",
        Uuid,
        ForeignKey("orders.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"),
        primary_key=True,
    ),
    Column("api_key_id", Uuid, ForeignKey("api_keys.id"), nullable=False),
    Column("reference", Text, nullable=False),
    # SHA-256 of what was asked for.
    Column("wish_hash", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # The reference first: staff look for it without knowing whose it is.
    Index("ux_outside_orders_reference", "reference", "api_key_id", unique=True),
)
