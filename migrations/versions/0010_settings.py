"""What staff choose for the whole Hub, keys of outside callers, and jobs that run by the clock.

Revision ID: 0010_settings
Revises: 0009_old_promises
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0010_settings"
down_revision = "0009_old_promises"
branch_labels = None
depends_on = None

STEPS = (
    """
    CREATE TABLE system_settings (
        id uuid CONSTRAINT pk_system_settings PRIMARY KEY,
        name text NOT NULL,
        value text,
        sealed bytea,
        updated_at timestamptz NOT NULL,
        updated_by text NOT NULL,
        CONSTRAINT ck_system_settings_one_value CHECK ((value IS NULL) <> (sealed IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX ux_system_settings_name ON system_settings (name)",
    """
    CREATE TABLE api_keys (
        id uuid CONSTRAINT pk_api_keys PRIMARY KEY,
        name text NOT NULL,
        prefix text NOT NULL,
        key_hash bytea NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz,
        last_used_at timestamptz,
        revoked_at timestamptz,
        CONSTRAINT ck_api_keys_expires_later CHECK (expires_at IS NULL OR expires_at > created_at)
    )
    """,
    "CREATE UNIQUE INDEX ux_api_keys_prefix ON api_keys (prefix)",
    "CREATE INDEX ix_api_keys_created_at ON api_keys (created_at DESC, id DESC)",
    """
    CREATE TABLE job_runs (
        job text CONSTRAINT pk_job_runs PRIMARY KEY,
        run_id uuid NOT NULL,
        due_at timestamptz NOT NULL,
        started_at timestamptz NOT NULL,
        held_until timestamptz,
        finished_at timestamptz,
        CONSTRAINT ck_job_runs_held_or_finished CHECK ((held_until IS NULL) = (finished_at IS NOT NULL))
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop the tables."""
    op.execute(text("DROP TABLE job_runs, api_keys, system_settings"))
