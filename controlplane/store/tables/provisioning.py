"""Tables of how an order becomes a server: its DNS records, the jobs that install it, and what they logged."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import INET, JSONB

from controlplane.store.tables.base import metadata

_LEVEL = "level IN ('DEBUG', 'INFO', 'WARN', 'ERROR')"

#: One row an order whose names are looked up. It is over when all are right, or when staff said to go on without.
dns_verifications = Table(
    "dns_verifications",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("expected_ip", INET, nullable=False),
    Column("wildcard_passed", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_checked_at", DateTime(timezone=True)),
    Column("verified_at", DateTime(timezone=True)),
    Column("skipped_at", DateTime(timezone=True)),
    # Who skipped it stays known: staff are deactivated, never deleted.
    Column("skipped_by", Uuid, ForeignKey("staff.id", ondelete="RESTRICT")),
    CheckConstraint("(skipped_at IS NULL) = (skipped_by IS NULL)", name="skipped_by_somebody"),
    CheckConstraint("verified_at IS NULL OR skipped_at IS NULL", name="one_end"),
    CheckConstraint("verified_at IS NULL OR last_checked_at IS NOT NULL", name="verified_was_checked"),
    Index("ux_dns_verifications_order_id", "order_id", unique=True),
    Index("ix_dns_verifications_skipped_by", "skipped_by", postgresql_where=text("skipped_by IS NOT NULL")),
    Index(
        "ix_dns_verifications_open",
        "last_checked_at",
        postgresql_where=text("verified_at IS NULL AND skipped_at IS NULL"),
    ),
)

#: The names of a verification, one row each: what they should point at stands in the verification.
dns_records = Table(
    "dns_records",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("dns_verification_id", Uuid, ForeignKey("dns_verifications.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="PENDING"),
    Column("resolved_ip", INET),
    Column("error", Text),
    # The record's id at the DNS provider, where the Hub made it.
    Column("provider_record_id", Text),
    Column("last_checked_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('PENDING', 'VERIFIED', 'MISMATCH', 'NOT_FOUND', 'ERROR', 'SKIPPED')", name="status"),
    CheckConstraint("name = lower(name)", name="lower_case"),
    CheckConstraint("status NOT IN ('VERIFIED', 'MISMATCH') OR resolved_ip IS NOT NULL", name="resolved_to_something"),
    CheckConstraint("status IN ('PENDING', 'SKIPPED') OR last_checked_at IS NOT NULL", name="judged_was_checked"),
    Index("ux_dns_records_name", "dns_verification_id", "name", unique=True),
)

#: Names that provisioners call the Hub by; a token is hashed, and revoked rather than deleted.
runner_tokens = Table(
    "runner_tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    CheckConstraint("length(token_hash) = 32", name="hashed"),
    Index("ux_runner_tokens_token_hash", "token_hash", unique=True),
)
Index(
    "ux_runner_tokens_name",
    func.lower(runner_tokens.c.name),
    unique=True,
    postgresql_where=text("revoked_at IS NULL"),
)

#: One try after the other to install a server; an order has one open job at a time.
provisioning_jobs = Table(
    "provisioning_jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("job_type", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="PENDING"),
    Column("priority", SmallInteger, nullable=False, server_default=text("0")),
    Column("attempt", SmallInteger, nullable=False, server_default=text("0")),
    Column("max_attempts", SmallInteger, nullable=False, server_default=text("3")),
    # A job outlives its runner's token: what was done is told even when the token is gone.
    Column("runner_token_id", Uuid, ForeignKey("runner_tokens.id", ondelete="SET NULL")),
    Column("container_name", Text),
    # What the runner was given, without secrets.
    Column("configuration", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("result", JSONB(none_as_null=True)),
    Column("error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("next_attempt_at", DateTime(timezone=True)),
    Column("claimed_until", DateTime(timezone=True)),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("job_type IN ('PROVISION', 'UPDATE', 'DECOMMISSION')", name="job_type"),
    CheckConstraint("status IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')", name="status"),
    CheckConstraint("attempt BETWEEN 0 AND max_attempts AND max_attempts >= 1", name="attempts_counted"),
    CheckConstraint("(status IN ('PENDING', 'RUNNING')) = (finished_at IS NULL)", name="finished_has_a_time"),
    CheckConstraint("(status = 'RUNNING') = (claimed_until IS NOT NULL)", name="running_is_claimed"),
    CheckConstraint("(status = 'PENDING') = (next_attempt_at IS NOT NULL)", name="pending_is_due"),
    CheckConstraint("status <> 'RUNNING' OR (started_at IS NOT NULL AND attempt >= 1)", name="running_was_started"),
    CheckConstraint("status <> 'FAILED' OR error IS NOT NULL", name="failed_says_why"),
    Index(
        "ux_provisioning_jobs_open",
        "order_id",
        unique=True,
        postgresql_where=text("status IN ('PENDING', 'RUNNING')"),
    ),
    Index("ix_provisioning_jobs_order_id", "order_id", "created_at", "id"),
    Index("ix_provisioning_jobs_claimed", "claimed_until", postgresql_where=text("status = 'RUNNING'")),
    Index(
        "ix_provisioning_jobs_runner_token_id",
        "runner_token_id",
        postgresql_where=text("runner_token_id IS NOT NULL"),
    ),
)
Index(
    "ix_provisioning_jobs_due",
    provisioning_jobs.c.priority.desc(),
    provisioning_jobs.c.next_attempt_at,
    postgresql_where=text("status = 'PENDING'"),
)

#: What a job's runner said, numbered by the runner, so that a line sent twice is there once.
job_logs = Table(
    "job_logs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("job_id", Uuid, ForeignKey("provisioning_jobs.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("level", Text, nullable=False),
    Column("step", Text),
    Column("progress_percent", SmallInteger),
    Column("message", Text, nullable=False),
    CheckConstraint(_LEVEL, name="level"),
    CheckConstraint("attempt >= 1 AND number >= 1", name="counted_from_one"),
    CheckConstraint("progress_percent BETWEEN 0 AND 100", name="progress_percent"),
    Index("ux_job_logs_number", "job_id", "attempt", "number", unique=True),
)

#: What happened to an order on its way, in words for people; of all its jobs, and of what staff did by hand.
provisioning_logs = Table(
    "provisioning_logs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("level", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("message", Text, nullable=False),
    CheckConstraint(_LEVEL, name="level"),
    CheckConstraint(
        "step IN ('PAYMENT_CONFIRMED', 'AWAITING_SERVER', 'SERVER_READY', 'DNS_PENDING', 'DNS_READY', 'PROVISIONING', "
        "'FULFILLED', 'FAILED', 'CANCELLED')",
        name="step",
    ),
    Index("ix_provisioning_logs_order_id", "order_id", "at", "id"),
)

#: Usage as the former Hub wrote it, one row a call of a model; taken over at a move, added to by nobody.
token_usage = Table(
    "token_usage",
    metadata,
    Column("id", Uuid, primary_key=True),
    # As all that is owed: an account with usage is closed, not deleted.
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="RESTRICT"), nullable=False),
    Column("operation", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("tokens_input", Integer, nullable=False),
    Column("tokens_output", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("tokens_input >= 0 AND tokens_output >= 0", name="tokens"),
    Index("ix_token_usage_user_id", "user_id", "created_at"),
)
