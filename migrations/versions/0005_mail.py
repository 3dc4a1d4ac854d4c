"""Mail: the outbox, which approvals were told of, and how customers want to be told.

Revision ID: 0005_mail
Revises: 0004_events
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0005_mail"
down_revision = "0004_events"
branch_labels = None
depends_on = None

STEPS = (
    """
    CREATE TABLE mails (
        id uuid CONSTRAINT pk_mails PRIMARY KEY,
        kind text NOT NULL,
        customer_id uuid CONSTRAINT fk_mails_customer_id REFERENCES users (id) ON DELETE CASCADE,
        recipient text NOT NULL,
        subject text NOT NULL,
        body bytea,
        dedupe_key text NOT NULL,
        state text NOT NULL DEFAULT 'queued',
        attempts integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL,
        next_attempt_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        settled_at timestamptz,
        last_error text,
        CONSTRAINT ck_mails_state_known CHECK (state IN ('queued', 'sent', 'failed', 'abandoned')),
        CONSTRAINT ck_mails_body_is_erased CHECK ((state = 'queued') = (body IS NOT NULL)),
        CONSTRAINT ck_mails_settled_has_a_time CHECK ((state = 'queued') = (settled_at IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX ux_mails_dedupe_key ON mails (dedupe_key)",
    "CREATE INDEX ix_mails_due ON mails (next_attempt_at, id) WHERE state = 'queued'",
    "CREATE INDEX ix_mails_expiring ON mails (expires_at) WHERE state = 'queued'",
    "CREATE INDEX ix_mails_settled_at ON mails (settled_at) WHERE state <> 'queued'",
    "CREATE INDEX ix_mails_customer_id ON mails (customer_id, kind, state)",
    """
    CREATE TABLE approval_notices (
        approval_id uuid CONSTRAINT pk_approval_notices PRIMARY KEY
            CONSTRAINT fk_approval_notices_approval_id REFERENCES command_approvals (id) ON DELETE CASCADE,
        mail_id uuid CONSTRAINT fk_approval_notices_mail_id REFERENCES mails (id) ON DELETE SET NULL
    )
    """,
    "CREATE INDEX ix_approval_notices_mail_id ON approval_notices (mail_id)",
    """
    CREATE TABLE approval_mailings (
        customer_id uuid CONSTRAINT pk_approval_mailings PRIMARY KEY
            CONSTRAINT fk_approval_mailings_customer_id REFERENCES users (id) ON DELETE CASCADE,
        last_at timestamptz
    )
    """,
    """
    CREATE TABLE customer_preferences (
        user_id uuid CONSTRAINT pk_customer_preferences PRIMARY KEY
            CONSTRAINT fk_customer_preferences_user_id REFERENCES users (id) ON DELETE CASCADE,
        timezone text NOT NULL,
        locale text NOT NULL,
        approval_mail text NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT ck_customer_preferences_approval_mail CHECK (approval_mail IN ('atOnce', 'digest', 'never'))
    )
    """,
)

UNDO = (
    "DROP TABLE customer_preferences",
    "DROP TABLE approval_mailings",
    "DROP TABLE approval_notices",
    "DROP TABLE mails",
)


def upgrade() -> None:
    """Make the tables."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop them, with all they hold."""
    for step in UNDO:
        op.execute(text(step))
