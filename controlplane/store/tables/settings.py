"""Tables of the Hub's own settings, of the keys of outside callers, and of the jobs that run by the clock."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Index, LargeBinary, Table, Text, Uuid, text

from controlplane.store.tables.base import metadata

#: What somebody has chosen; a setting without a row has its default. A secret is sealed, everything else is JSON.
system_settings = Table(
    "system_settings",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("value", Text),
    Column("sealed", LargeBinary),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("updated_by", Text, nullable=False),
    CheckConstraint("(value IS NULL) <> (sealed IS NULL)", name="one_value"),
    Index("ux_system_settings_name", "name", unique=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    # SHA-256 of the whole key.
    Column("key_hash", LargeBinary, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    # Its holder creates orders, and customers with them.
    Column("may_order", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("expires_at IS NULL OR expires_at > created_at", name="expires_later"),
    Index("ux_api_keys_prefix", "prefix", unique=True),
)
Index("ix_api_keys_created_at", api_keys.c.created_at.desc(), api_keys.c.id.desc())

#: One row a job: the time of the schedule it last ran for, and until when nobody else begins it.
job_runs = Table(
    "job_runs",
    metadata,
    Column("job", Text, primary_key=True),
    # The id of the latest run: a run that lost its lease finishes nothing.
    Column("run_id", Uuid, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("held_until", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("(held_until IS NULL) = (finished_at IS NOT NULL)", name="held_or_finished"),
)
