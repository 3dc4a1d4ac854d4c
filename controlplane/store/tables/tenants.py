"""Tables of the tenant side: the server and its key, promises, messages taken, approvals, commands, reports."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from controlplane.store.tables.base import metadata


def _one_of(column: str, *values: str) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


server_connections = Table(
    "server_connections",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="RESTRICT"), nullable=False, unique=True),
    Column("registered_at", DateTime(timezone=True), nullable=False),
    Column("instance_id", Text),
    Column("safety_wrapper_url", Text),
    Column("key_prefix", Text, nullable=False, unique=True),
    Column("key_hash", LargeBinary, nullable=False),
    Column("key_sealed", LargeBinary, nullable=False),
    Column("key_issued_at", DateTime(timezone=True), nullable=False),
    Column("key_first_used_at", DateTime(timezone=True)),
    Column("key_revoked_at", DateTime(timezone=True)),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    Column("session_id", Text),
    Column("carrier", Text),
    Column("connected_at", DateTime(timezone=True)),
    Column("last_seen_at", DateTime(timezone=True)),
    Column("wrapper_version", Text),
    Column("openclaw_version", Text),
    Column("heartbeat", Text),
    Column("config_applied_version", Integer, nullable=False, server_default=text("0")),
    Column("config_applied_hash", Text),
    Column("config_error", Text),
    Column("issued_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("acked_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("answered_seq", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("acked_seq <= issued_seq", name="acknowledged_was_issued"),
    CheckConstraint(_one_of("carrier", "socket", "http"), name="carrier_known"),
    Index("ix_server_connections_registered_at", "registered_at", "id"),
    # Changed by registrations only: acknowledgements must not move index entries.
    Index("ix_server_connections_webhooks", "order_id", postgresql_where=text("safety_wrapper_url IS NOT NULL")),
)

registration_tokens = Table(
    "registration_tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Column("instance_id", Text),
    Column("voided_at", DateTime(timezone=True)),
    Index(
        "uq_registration_tokens_open",
        "order_id",
        unique=True,
        postgresql_where=text("used_at IS NULL AND voided_at IS NULL"),
    ),
)

#: The outbox: what must reach a tenant, numbered without holes.
deliveries = Table(
    "deliveries",
    metadata,
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("reference", Uuid),
    Column("frame", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("voided_at", DateTime(timezone=True)),
    # Of decisions only: a command keeps these times itself, a configuration is applied or not.
    Column("sent_at", DateTime(timezone=True)),
    Column("acknowledged_at", DateTime(timezone=True)),
    CheckConstraint(_one_of("kind", "command", "approvalSettled", "configOffered"), name="kind_known"),
    Index("ix_deliveries_reference", "reference"),
    Index("ix_deliveries_created_at", "created_at"),
)

#: Each message of a wrapper once, with the verdict, so that a repeat is answered alike.
tenant_inbox = Table(
    "tenant_inbox",
    metadata,
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("refusal_code", Text),
    Column("refusal_message", Text),
    Index("ix_tenant_inbox_received_at", "received_at"),
)

command_approvals = Table(
    "command_approvals",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="RESTRICT"), nullable=False),
    Column("customer_id", Uuid, ForeignKey("users.id", ondelete="RESTRICT"), nullable=False),
    Column("request_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("command_class", Text, nullable=False),
    Column("tool_name", Text, nullable=False),
    Column("tool_args", Text, nullable=False),
    Column("args_hash", Text, nullable=False),
    Column("human_readable", Text, nullable=False),
    Column("impact", Text),
    Column("status", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("settled_at", DateTime(timezone=True)),
    Column("decided_by_type", Text),
    Column("decided_by_id", Text),
    Column("decided_by_name", Text),
    Column("reason", Text),
    Column("outcome", Text),
    Column("outcome_detail", Text),
    Column("outcome_at", DateTime(timezone=True)),
    UniqueConstraint("order_id", "request_id"),
    CheckConstraint(_one_of("status", "PENDING", "APPROVED", "DENIED", "EXPIRED"), name="status_known"),
    CheckConstraint("(status = 'PENDING') = (settled_at IS NULL)", name="settled_has_a_time"),
    CheckConstraint(
        _one_of("command_class", "green", "yellow", "yellow_external", "red", "critical_red"),
        name="class_known",
    ),
    CheckConstraint("outcome IS NULL OR status <> 'PENDING'", name="outcome_follows_decision"),
    Index(
        "ix_command_approvals_pending",
        "requested_at",
        "id",
        postgresql_where=text("status = 'PENDING'"),
    ),
    Index("ix_command_approvals_due", "expires_at", postgresql_where=text("status = 'PENDING'")),
    Index("ix_command_approvals_status", "status", "requested_at", "id"),
    Index("ix_command_approvals_customer", "customer_id", "status", "requested_at", "id"),
    Index("ix_command_approvals_order", "order_id", "status", "requested_at", "id"),
)

remote_commands = Table(
    "remote_commands",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="RESTRICT"), nullable=False),
    Column("server_id", Uuid, ForeignKey("server_connections.id", ondelete="RESTRICT"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("issued_by_type", Text, nullable=False),
    Column("issued_by_id", Text),
    Column("issued_by_name", Text, nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("acknowledged_at", DateTime(timezone=True)),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("output", Text),
    UniqueConstraint("order_id", "seq"),
    CheckConstraint(
        _one_of(
            "status",
            "QUEUED",
            "SENT",
            "ACKNOWLEDGED",
            "SUCCEEDED",
            "FAILED",
            "REJECTED",
            "TIMED_OUT",
            "EXPIRED",
            "CANCELLED",
        ),
        name="status_known",
    ),
    Index("ix_remote_commands_server", "server_id", "issued_at", "id"),
    Index(
        "ix_remote_commands_undelivered",
        "order_id",
        "seq",
        postgresql_where=text("status IN ('QUEUED', 'SENT')"),
    ),
    Index(
        "ix_remote_commands_due",
        "expires_at",
        postgresql_where=text("status IN ('QUEUED', 'SENT')"),
    ),
)

token_usage_buckets = Table(
    "token_usage_buckets",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="RESTRICT"), nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("bucket_hour", DateTime(timezone=True), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("tokens_input", BigInteger, nullable=False),
    Column("tokens_output", BigInteger, nullable=False),
    Column("tokens_cache_read", BigInteger, nullable=False),
    Column("tokens_cache_write", BigInteger, nullable=False),
    Column("web_search_count", BigInteger, nullable=False),
    Column("web_fetch_count", BigInteger, nullable=False),
    Column("cost_cents", BigInteger, nullable=False),
    Column("reported_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("order_id", "agent_id", "model", "bucket_hour"),
    Index("ix_token_usage_buckets_hour", "order_id", "bucket_hour"),
)

backup_reports = Table(
    "backup_reports",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("size_bytes", BigInteger),
    Column("detail", Text),
    Column("reported_at", DateTime(timezone=True), nullable=False),
    CheckConstraint(_one_of("status", "success", "failed", "running"), name="status_known"),
    Index("ix_backup_reports_order", "order_id", "reported_at", "id"),
)

activities = Table(
    "activities",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("data", Text),
    Index("ix_activities_agent", "order_id", "agent_id", "at", "id"),
    Index("ix_activities_order", "order_id", "at", "id"),
)

image_updates = Table(
    "image_updates",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("image", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("digest", Text),
    Column("created", DateTime(timezone=True)),
    Column("reported_at", DateTime(timezone=True), nullable=False),
    Index("ix_image_updates_order", "order_id", "reported_at"),
)
