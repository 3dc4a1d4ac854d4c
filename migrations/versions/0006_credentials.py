"""What proves who somebody is: second factors, spare codes, one-time links, invitations.

Revision ID: 0006_credentials
Revises: 0005_mail
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0006_credentials"
down_revision = "0005_mail"
branch_labels = None
depends_on = None


def _owned(table: str) -> str:
    return f"""
        user_id uuid CONSTRAINT fk_{table}_user_id REFERENCES users (id) ON DELETE CASCADE,
        staff_id uuid CONSTRAINT fk_{table}_staff_id REFERENCES staff (id) ON DELETE CASCADE,
        CONSTRAINT ck_{table}_one_owner CHECK ((user_id IS NULL) <> (staff_id IS NULL))
    """


def _by_owner(table: str, kind: str = "INDEX ix") -> tuple[str, str]:
    return (
        f"CREATE {kind}_{table}_user_id ON {table} (user_id) WHERE user_id IS NOT NULL",
        f"CREATE {kind}_{table}_staff_id ON {table} (staff_id) WHERE staff_id IS NOT NULL",
    )


STEPS = (
    f"""
    CREATE TABLE second_factors (
        id uuid CONSTRAINT pk_second_factors PRIMARY KEY,
        secret_sealed bytea NOT NULL,
        last_step bigint,
        created_at timestamptz NOT NULL,
        confirmed_at timestamptz,
        {_owned("second_factors")}
    )
    """,
    *_by_owner("second_factors", "UNIQUE INDEX ux"),
    """
    CREATE TABLE backup_codes (
        id uuid CONSTRAINT pk_backup_codes PRIMARY KEY,
        factor_id uuid NOT NULL
            CONSTRAINT fk_backup_codes_factor_id REFERENCES second_factors (id) ON DELETE CASCADE,
        code_hash bytea NOT NULL,
        used_at timestamptz
    )
    """,
    "CREATE UNIQUE INDEX ux_backup_codes_code_hash ON backup_codes (factor_id, code_hash)",
    f"""
    CREATE TABLE pending_2fa_sessions (
        id uuid CONSTRAINT pk_pending_2fa_sessions PRIMARY KEY,
        token_hash bytea NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        {_owned("pending_2fa_sessions")}
    )
    """,
    "CREATE UNIQUE INDEX ux_pending_2fa_sessions_token_hash ON pending_2fa_sessions (token_hash)",
    *_by_owner("pending_2fa_sessions"),
    "CREATE INDEX ix_pending_2fa_sessions_expires_at ON pending_2fa_sessions (expires_at)",
    f"""
    CREATE TABLE password_links (
        id uuid CONSTRAINT pk_password_links PRIMARY KEY,
        token_hash bytea NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        {_owned("password_links")}
    )
    """,
    "CREATE UNIQUE INDEX ux_password_links_token_hash ON password_links (token_hash)",
    *_by_owner("password_links"),
    "CREATE INDEX ix_password_links_expires_at ON password_links (expires_at)",
    """
    CREATE TABLE staff_invitations (
        id uuid CONSTRAINT pk_staff_invitations PRIMARY KEY,
        email text NOT NULL,
        role text NOT NULL,
        token_hash bytea NOT NULL,
        invited_by uuid NOT NULL
            CONSTRAINT fk_staff_invitations_invited_by REFERENCES staff (id) ON DELETE CASCADE,
        staff_id uuid CONSTRAINT fk_staff_invitations_staff_id REFERENCES staff (id) ON DELETE CASCADE,
        created_at timestamptz NOT NULL,
        sent_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        accepted_at timestamptz,
        revoked_at timestamptz,
        CONSTRAINT ck_staff_invitations_role CHECK (role IN ('OWNER', 'ADMIN', 'MANAGER', 'SUPPORT')),
        CONSTRAINT ck_staff_invitations_one_end CHECK (accepted_at IS NULL OR revoked_at IS NULL),
        CONSTRAINT ck_staff_invitations_accepted_by_somebody CHECK ((accepted_at IS NULL) = (staff_id IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX ux_staff_invitations_token_hash ON staff_invitations (token_hash)",
    "CREATE INDEX ix_staff_invitations_invited_by ON staff_invitations (invited_by)",
    "CREATE INDEX ix_staff_invitations_staff_id ON staff_invitations (staff_id) WHERE staff_id IS NOT NULL",
    """
    CREATE UNIQUE INDEX ux_staff_invitations_email ON staff_invitations (lower(email))
        WHERE accepted_at IS NULL AND revoked_at IS NULL
    """,
)

UNDO = (
    "DROP TABLE staff_invitations",
    "DROP TABLE password_links",
    "DROP TABLE pending_2fa_sessions",
    "DROP TABLE backup_codes",
    "DROP TABLE second_factors",
)


def upgrade() -> None:
    """Make the tables."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop them, with all they hold."""
    for step in UNDO:
        op.execute(text(step))
