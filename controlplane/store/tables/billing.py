"""The table of billing periods: what a month of a subscription granted, what was used of it, and what is owed."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, Index, Table, Text, Uuid, text

from controlplane.store.tables.base import metadata

#: One row a subscription and month; one of them is open. Closed ones are what was billed, and change no more.
billing_periods = Table(
    "billing_periods",
    metadata,
    Column("id", Uuid, primary_key=True),
    # What is owed outlives everything: neither customer nor subscription goes while it is here.
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="RESTRICT"), nullable=False),
    Column("subscription_id", Uuid, ForeignKey("subscriptions.id", ondelete="RESTRICT"), nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("token_limit", BigInteger, nullable=False),
    Column("tokens_used", BigInteger, nullable=False, server_default=text("0")),
    Column("overage_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("overage_cents", BigInteger, nullable=False, server_default=text("0")),
    Column("premium_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("premium_cents", BigInteger, nullable=False, server_default=text("0")),
    Column("status", Text, nullable=False, server_default="OPEN"),
    Column("stripe_invoice_id", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('OPEN', 'CLOSED', 'INVOICED', 'PAID')", name="status"),
    CheckConstraint("ends_at > starts_at", name="ends_later"),
    CheckConstraint("(status = 'OPEN') = (closed_at IS NULL)", name="closed_has_a_time"),
    CheckConstraint("status NOT IN ('INVOICED', 'PAID') OR stripe_invoice_id IS NOT NULL", name="invoiced_by_one"),
    CheckConstraint(
        "token_limit >= 0 AND tokens_used >= 0 AND overage_tokens >= 0 AND overage_cents >= 0 "
        "AND premium_tokens >= 0 AND premium_cents >= 0",
        name="amounts",
    ),
    Index("ux_billing_periods_starts_at", "subscription_id", "starts_at", unique=True),
    Index("ux_billing_periods_open", "subscription_id", unique=True, postgresql_where=text("status = 'OPEN'")),
    Index(
        "ux_billing_periods_stripe_invoice_id",
        "stripe_invoice_id",
        unique=True,
        postgresql_where=text("stripe_invoice_id IS NOT NULL"),
    ),
    Index("ix_billing_periods_due", "ends_at", postgresql_where=text("status = 'OPEN'")),
    Index("ix_billing_periods_user_id", "user_id", "starts_at"),
)
