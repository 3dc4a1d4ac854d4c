"""The table of the third carrier: how far the webhooks to each tenant's server are."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, Integer, Table, Text, Uuid, text

from controlplane.store.tables.base import metadata

#: One row a tenant to whom something was pushed; of another registration (`key_prefix`) than the present one, it is
#: as if it were not there.
webhook_carriers = Table(
    "webhook_carriers",
    metadata,
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    Column("key_prefix", Text, nullable=False),
    Column("seq", BigInteger, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True)),
    Column("claim", Uuid),
    Column("claimed_until", DateTime(timezone=True)),
    Column("disabled_at", DateTime(timezone=True)),
    Column("exhausted_seq", BigInteger),
    Column("delivered_at", DateTime(timezone=True)),
    Column("last_error", Text),
    CheckConstraint("(claim IS NULL) = (claimed_until IS NULL)", name="claim_has_an_end"),
    CheckConstraint("attempts >= 0", name="attempts_counted"),
)
