"""The audit log sealed: entries read in the order of their transactions, chained by hash, and the chain's signed head.

Revision ID: 0012_audit
Revises: 0010_settings
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0012_audit"
down_revision = "0010_settings"
branch_labels = None
depends_on = None

STEPS = (
    # Zero for what was written before: older than every transaction there is. A constant rewrites no row.
    """
    ALTER TABLE audit_entries ADD COLUMN xid bigint NOT NULL DEFAULT 0,
        ADD COLUMN user_agent text,
        ADD COLUMN order_id uuid
    """,
    "ALTER TABLE audit_entries ALTER COLUMN xid SET DEFAULT CAST(CAST(pg_current_xact_id() AS text) AS bigint)",
    "DROP INDEX ix_audit_entries_target",
    "DROP INDEX ix_audit_entries_customer_id",
    "CREATE INDEX ix_audit_entries_commit ON audit_entries (xid, position)",
    "CREATE INDEX ix_audit_entries_at ON audit_entries (at, position)",
    "CREATE INDEX ix_audit_entries_target ON audit_entries (target, at, position)",
    "CREATE INDEX ix_audit_entries_action ON audit_entries (action, at, position)",
    "CREATE INDEX ix_audit_entries_author_id ON audit_entries (author_id, at, position)",
    "CREATE INDEX ix_audit_entries_order_id ON audit_entries (order_id, at, position) WHERE order_id IS NOT NULL",
    """
    CREATE INDEX ix_audit_entries_customer_id ON audit_entries (customer_id, at, position)
        WHERE customer_id IS NOT NULL
    """,
    """
    CREATE TABLE audit_seals (
        number bigint CONSTRAINT pk_audit_seals PRIMARY KEY,
        entry_id uuid NOT NULL,
        digest bytea NOT NULL,
        sealed_at timestamptz NOT NULL,
        key_id text,
        signature bytea,
        CONSTRAINT ck_audit_seals_number CHECK (number > 0),
        CONSTRAINT ck_audit_seals_digest CHECK (octet_length(digest) = 32),
        CONSTRAINT ck_audit_seals_signed_by_a_key CHECK ((key_id IS NULL) = (signature IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX ux_audit_seals_entry_id ON audit_seals (entry_id)",
    """
    CREATE TABLE audit_head (
        singleton boolean NOT NULL DEFAULT true CONSTRAINT pk_audit_head PRIMARY KEY,
        number bigint NOT NULL DEFAULT 0,
        digest bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
        xid bigint NOT NULL DEFAULT 0,
        position bigint NOT NULL DEFAULT 0,
        signed_at timestamptz,
        key_id text,
        signature bytea,
        CONSTRAINT ck_audit_head_one_row CHECK (singleton)
    )
    """,
    "INSERT INTO audit_head (singleton) VALUES (true)",
    """
    CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER audit_seals_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """,
    """
    CREATE TRIGGER audit_head_stays
        BEFORE DELETE OR TRUNCATE ON audit_head
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """,
    """
    CREATE TRIGGER audit_head_moves_on
        BEFORE UPDATE ON audit_head
        FOR EACH ROW WHEN (NEW.number < OLD.number) EXECUTE FUNCTION refuse_audit_change()
    """,
)

UNDO = (
    "DROP TABLE audit_head, audit_seals",
    """
    CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'audit_entries is append-only' USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
    "DROP INDEX ix_audit_entries_commit, ix_audit_entries_at, ix_audit_entries_action, ix_audit_entries_author_id",
    # What stood over the columns goes with them.
    "DROP INDEX ix_audit_entries_target, ix_audit_entries_customer_id",
    "ALTER TABLE audit_entries DROP COLUMN xid, DROP COLUMN user_agent, DROP COLUMN order_id",
    "CREATE INDEX ix_audit_entries_target ON audit_entries (target, position)",
    """
    CREATE INDEX ix_audit_entries_customer_id ON audit_entries (customer_id, position)
        WHERE customer_id IS NOT NULL
    """,
)


def upgrade() -> None:
    """Make the chain."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop it; the entries stay."""
    for step in UNDO:
        op.execute(text(step))
