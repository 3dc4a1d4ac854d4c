"""The tenant side: servers and their keys, promises, messages taken, approvals, commands, reports.

Revision ID: 0002_tenants
Revises: 0001_accounts
"""

from __future__ import annotations

from alembic import op

revision = "0002_tenants"
down_revision = "0001_accounts"
branch_labels = None
depends_on = None

STEPS = (
    """
    CREATE TABLE server_connections (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        registered_at TIMESTAMP WITH TIME ZONE NOT NULL,
        instance_id TEXT,
        safety_wrapper_url TEXT,
        key_prefix TEXT NOT NULL,
        key_hash BYTEA NOT NULL,
        key_sealed BYTEA NOT NULL,
        key_issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
        key_first_used_at TIMESTAMP WITH TIME ZONE,
        key_revoked_at TIMESTAMP WITH TIME ZONE,
        epoch BIGINT DEFAULT 0 NOT NULL,
        session_id TEXT,
        carrier TEXT,
        connected_at TIMESTAMP WITH TIME ZONE,
        last_seen_at TIMESTAMP WITH TIME ZONE,
        wrapper_version TEXT,
        openclaw_version TEXT,
        heartbeat TEXT,
        config_applied_version INTEGER DEFAULT 0 NOT NULL,
        config_applied_hash TEXT,
        config_error TEXT,
        issued_seq BIGINT DEFAULT 0 NOT NULL,
        acked_seq BIGINT DEFAULT 0 NOT NULL,
        answered_seq BIGINT DEFAULT 0 NOT NULL,
        CONSTRAINT pk_server_connections PRIMARY KEY (id),
        CONSTRAINT ck_server_connections_acknowledged_was_issued CHECK (acked_seq <= issued_seq),
        CONSTRAINT ck_server_connections_carrier_known CHECK (carrier IN ('socket', 'http')),
        CONSTRAINT uq_server_connections_order_id UNIQUE (order_id),
        CONSTRAINT fk_server_connections_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE RESTRICT,
        CONSTRAINT uq_server_connections_key_prefix UNIQUE (key_prefix)
    )
    """,
    "CREATE INDEX ix_server_connections_registered_at ON server_connections (registered_at, id)",
    """
    CREATE TABLE registration_tokens (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        token_hash BYTEA NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        used_at TIMESTAMP WITH TIME ZONE,
        instance_id TEXT,
        voided_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_registration_tokens PRIMARY KEY (id),
        CONSTRAINT fk_registration_tokens_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE CASCADE,
        CONSTRAINT uq_registration_tokens_token_hash UNIQUE (token_hash)
    )
    """,
    "CREATE UNIQUE INDEX uq_registration_tokens_open ON registration_tokens (order_id) WHERE used_at IS NULL AND voided_at IS NULL",
    """
    CREATE TABLE deliveries (
        order_id UUID NOT NULL,
        seq BIGINT NOT NULL,
        kind TEXT NOT NULL,
        reference UUID,
        frame TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        voided_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_deliveries PRIMARY KEY (order_id, seq),
        CONSTRAINT ck_deliveries_kind_known CHECK (kind IN ('command', 'approvalSettled', 'configOffered')),
        CONSTRAINT fk_deliveries_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_deliveries_reference ON deliveries (reference)",
    """
    CREATE TABLE tenant_inbox (
        order_id UUID NOT NULL,
        message_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        received_at TIMESTAMP WITH TIME ZONE NOT NULL,
        refusal_code TEXT,
        refusal_message TEXT,
        CONSTRAINT pk_tenant_inbox PRIMARY KEY (order_id, message_id),
        CONSTRAINT fk_tenant_inbox_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_tenant_inbox_received_at ON tenant_inbox (received_at)",
    """
    CREATE TABLE command_approvals (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        customer_id UUID NOT NULL,
        request_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        command_class TEXT NOT NULL,
        tool_name TEXT NOT NULL,
        tool_args TEXT NOT NULL,
        args_hash TEXT NOT NULL,
        human_readable TEXT NOT NULL,
        impact TEXT,
        status TEXT NOT NULL,
        requested_at TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        settled_at TIMESTAMP WITH TIME ZONE,
        decided_by_type TEXT,
        decided_by_id TEXT,
        decided_by_name TEXT,
        reason TEXT,
        outcome TEXT,
        outcome_detail TEXT,
        outcome_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_command_approvals PRIMARY KEY (id),
        CONSTRAINT uq_command_approvals_order_id_request_id UNIQUE (order_id, request_id),
        CONSTRAINT ck_command_approvals_status_known CHECK (status IN ('PENDING', 'APPROVED', 'DENIED', 'EXPIRED')),
        CONSTRAINT ck_command_approvals_settled_has_a_time CHECK ((status = 'PENDING') = (settled_at IS NULL)),
        CONSTRAINT ck_command_approvals_class_known CHECK (command_class IN ('green', 'yellow', 'yellow_external', 'red', 'critical_red')),
        CONSTRAINT ck_command_approvals_outcome_follows_decision CHECK (outcome IS NULL OR status <> 'PENDING'),
        CONSTRAINT fk_command_approvals_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE RESTRICT,
        CONSTRAINT fk_command_approvals_customer_id FOREIGN KEY(customer_id) REFERENCES users (id) ON DELETE RESTRICT
    )
    """,
    "CREATE INDEX ix_command_approvals_customer ON command_approvals (customer_id, status, requested_at, id)",
    "CREATE INDEX ix_command_approvals_due ON command_approvals (expires_at) WHERE status = 'PENDING'",
    "CREATE INDEX ix_command_approvals_order ON command_approvals (order_id, status, requested_at, id)",
    "CREATE INDEX ix_command_approvals_pending ON command_approvals (requested_at, id) WHERE status = 'PENDING'",
    "CREATE INDEX ix_command_approvals_status ON command_approvals (status, requested_at, id)",
    """
    CREATE TABLE remote_commands (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        server_id UUID NOT NULL,
        seq BIGINT NOT NULL,
        type TEXT NOT NULL,
        payload TEXT NOT NULL,
        status TEXT NOT NULL,
        issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        issued_by_type TEXT NOT NULL,
        issued_by_id TEXT,
        issued_by_name TEXT NOT NULL,
        sent_at TIMESTAMP WITH TIME ZONE,
        acknowledged_at TIMESTAMP WITH TIME ZONE,
        started_at TIMESTAMP WITH TIME ZONE,
        finished_at TIMESTAMP WITH TIME ZONE,
        output TEXT,
        CONSTRAINT pk_remote_commands PRIMARY KEY (id),
        CONSTRAINT uq_remote_commands_order_id_seq UNIQUE (order_id, seq),
        CONSTRAINT ck_remote_commands_status_known CHECK (status IN ('QUEUED', 'SENT', 'ACKNOWLEDGED', 'SUCCEEDED', 'FAILED', 'REJECTED', 'TIMED_OUT', 'EXPIRED', 'CANCELLED')),
        CONSTRAINT fk_remote_commands_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE RESTRICT,
        CONSTRAINT fk_remote_commands_server_id FOREIGN KEY(server_id) REFERENCES server_connections (id) ON DELETE RESTRICT
    )
    """,
    "CREATE INDEX ix_remote_commands_due ON remote_commands (expires_at) WHERE status IN ('QUEUED', 'SENT')",
    "CREATE INDEX ix_remote_commands_server ON remote_commands (server_id, issued_at, id)",
    "CREATE INDEX ix_remote_commands_undelivered ON remote_commands (order_id, seq) WHERE status IN ('QUEUED', 'SENT')",
    """
    CREATE TABLE token_usage_buckets (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        agent_id TEXT NOT NULL,
        model TEXT NOT NULL,
        bucket_hour TIMESTAMP WITH TIME ZONE NOT NULL,
        revision INTEGER NOT NULL,
        tokens_input BIGINT NOT NULL,
        tokens_output BIGINT NOT NULL,
        tokens_cache_read BIGINT NOT NULL,
        tokens_cache_write BIGINT NOT NULL,
        web_search_count BIGINT NOT NULL,
        web_fetch_count BIGINT NOT NULL,
        cost_cents BIGINT NOT NULL,
        reported_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_token_usage_buckets PRIMARY KEY (id),
        CONSTRAINT uq_token_usage_buckets_order_id_agent_id_model_bucket_hour UNIQUE (order_id, agent_id, model, bucket_hour),
        CONSTRAINT fk_token_usage_buckets_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE RESTRICT
    )
    """,
    "CREATE INDEX ix_token_usage_buckets_hour ON token_usage_buckets (order_id, bucket_hour)",
    """
    CREATE TABLE backup_reports (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        status TEXT NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE,
        finished_at TIMESTAMP WITH TIME ZONE,
        size_bytes BIGINT,
        detail TEXT,
        reported_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_backup_reports PRIMARY KEY (id),
        CONSTRAINT ck_backup_reports_status_known CHECK (status IN ('success', 'failed', 'running')),
        CONSTRAINT fk_backup_reports_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_backup_reports_order ON backup_reports (order_id, reported_at)",
    """
    CREATE TABLE activities (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        agent_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        summary TEXT NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        data TEXT,
        CONSTRAINT pk_activities PRIMARY KEY (id),
        CONSTRAINT fk_activities_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_activities_agent ON activities (order_id, agent_id, at, id)",
    """
    CREATE TABLE image_updates (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        image TEXT NOT NULL,
        status TEXT NOT NULL,
        digest TEXT,
        created TIMESTAMP WITH TIME ZONE,
        reported_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_image_updates PRIMARY KEY (id),
        CONSTRAINT fk_image_updates_order_id FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_image_updates_order ON image_updates (order_id, reported_at)",
)


UNDO = (
    "DROP TABLE image_updates",
    "DROP TABLE activities",
    "DROP TABLE backup_reports",
    "DROP TABLE token_usage_buckets",
    "DROP TABLE remote_commands",
    "DROP TABLE command_approvals",
    "DROP TABLE tenant_inbox",
    "DROP TABLE deliveries",
    "DROP TABLE registration_tokens",
    "DROP TABLE server_connections",
)


def upgrade() -> None:
    """Make the tables."""
    for step in STEPS:
        op.execute(step)


def downgrade() -> None:
    """Drop them, with all they hold."""
    for step in UNDO:
        op.execute(step)
