"""Tables of agents: how each behaves, and every version of the configuration a tenant was given."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from controlplane.store.tables.base import metadata

#: One row an agent; a removed one keeps its row, and deploying its slug again makes a new one.
agent_configs = Table(
    "agent_configs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="RESTRICT"), nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("soul_md", Text, nullable=False),
    Column("tools_allowed", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("tools_denied", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("tool_profile", Text, nullable=False),
    Column("autonomy_level", SmallInteger, nullable=False),
    Column("external_comms_unlocks", JSONB(none_as_null=True)),
    Column("tool_overrides", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("removed_at", DateTime(timezone=True)),
    CheckConstraint("autonomy_level BETWEEN 1 AND 3", name="autonomy_level"),
    CheckConstraint("tool_profile IN ('minimal', 'coding', 'messaging', 'full')", name="tool_profile"),
    CheckConstraint("is_active = (removed_at IS NULL)", name="removed_has_a_time"),
    Index(
        "ux_agent_configs_active",
        "order_id",
        "agent_id",
        unique=True,
        postgresql_where=text("is_active"),
    ),
    Index("ix_agent_configs_order_id", "order_id", "created_at", "id"),
)

#: What a tenant was given: `body` is the whole configuration as JSON, `basis` the hash of the Hub's share in it.
tenant_configs = Table(
    "tenant_configs",
    metadata,
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="RESTRICT"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("version >= 1", name="counted_from_one"),
)
