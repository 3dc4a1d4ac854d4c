"""People and what they own first: customers, staff, sessions, subscriptions, orders, the setup and the audit log.

Revision ID: 0001_accounts
Revises:
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0001_accounts"
down_revision = None
branch_labels = None
depends_on = None

# Every sign of ASCII that is neither letter nor digit, as an SQL literal: it separates the words of a search.
_SIGNS = "!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"
_SPACES = " " * 32

STEPS = (
    f"""
    CREATE TABLE users (
        id uuid CONSTRAINT pk_users PRIMARY KEY,
        email text NOT NULL,
        name text NOT NULL,
        company text,
        status text NOT NULL DEFAULT 'ACTIVE',
        password_hash text,
        image text,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        search tsvector GENERATED ALWAYS AS (
            to_tsvector('simple'::regconfig,
                translate(email || ' ' || name || ' ' || coalesce(company, ''), '{_SIGNS}', '{_SPACES}'))
        ) STORED,
        CONSTRAINT ck_users_status CHECK (status IN ('ACTIVE', 'SUSPENDED', 'DEACTIVATED'))
    )
    """,
    "CREATE UNIQUE INDEX ux_users_email ON users (lower(email))",
    "CREATE INDEX ix_users_created_at ON users (created_at DESC, id DESC)",
    "CREATE INDEX ix_users_search ON users USING gin (search)",
    """
    CREATE TABLE staff (
        id uuid CONSTRAINT pk_staff PRIMARY KEY,
        email text NOT NULL,
        name text NOT NULL,
        role text NOT NULL,
        status text NOT NULL DEFAULT 'ACTIVE',
        password_hash text,
        image text,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT ck_staff_role CHECK (role IN ('OWNER', 'ADMIN', 'MANAGER', 'SUPPORT')),
        CONSTRAINT ck_staff_status CHECK (status IN ('ACTIVE', 'SUSPENDED', 'DEACTIVATED'))
    )
    """,
    "CREATE UNIQUE INDEX ux_staff_email ON staff (lower(email))",
    """
    CREATE TABLE sessions (
        id uuid CONSTRAINT pk_sessions PRIMARY KEY,
        token_hash bytea NOT NULL,
        user_id uuid CONSTRAINT fk_sessions_user_id REFERENCES users (id) ON DELETE CASCADE,
        staff_id uuid CONSTRAINT fk_sessions_staff_id REFERENCES staff (id) ON DELETE CASCADE,
        address text,
        user_agent text,
        created_at timestamptz NOT NULL,
        last_seen_at timestamptz NOT NULL,
        idle_expires_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz,
        CONSTRAINT ck_sessions_one_owner CHECK ((user_id IS NULL) <> (staff_id IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX ux_sessions_token_hash ON sessions (token_hash)",
    "CREATE INDEX ix_sessions_user_id ON sessions (user_id) WHERE user_id IS NOT NULL",
    "CREATE INDEX ix_sessions_staff_id ON sessions (staff_id) WHERE staff_id IS NOT NULL",
    "CREATE INDEX ix_sessions_idle_expires_at ON sessions (idle_expires_at)",
    """
    CREATE TABLE subscriptions (
        id uuid CONSTRAINT pk_subscriptions PRIMARY KEY,
        user_id uuid NOT NULL CONSTRAINT fk_subscriptions_user_id REFERENCES users (id) ON DELETE CASCADE,
        plan text NOT NULL,
        tier text NOT NULL,
        token_base bigint NOT NULL,
        tokens_used bigint NOT NULL DEFAULT 0,
        stripe_customer_id text,
        status text NOT NULL DEFAULT 'ACTIVE',
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT ck_subscriptions_plan CHECK (plan IN ('STARTER', 'PRO', 'ENTERPRISE')),
        CONSTRAINT ck_subscriptions_tier CHECK (tier IN ('Lite', 'Build', 'Scale')),
        CONSTRAINT ck_subscriptions_status CHECK (status IN ('ACTIVE', 'PAST_DUE', 'CANCELLED')),
        CONSTRAINT ck_subscriptions_tokens CHECK (token_base >= 0 AND tokens_used >= 0)
    )
    """,
    "CREATE UNIQUE INDEX ux_subscriptions_user_id ON subscriptions (user_id)",
    """
    CREATE TABLE founding_members (
        id uuid CONSTRAINT pk_founding_members PRIMARY KEY,
        user_id uuid NOT NULL CONSTRAINT fk_founding_members_user_id REFERENCES users (id) ON DELETE CASCADE,
        number integer NOT NULL,
        token_multiplier integer NOT NULL,
        expires_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT ck_founding_members_positive CHECK (number >= 1 AND token_multiplier >= 1)
    )
    """,
    "CREATE UNIQUE INDEX ux_founding_members_user_id ON founding_members (user_id)",
    "CREATE UNIQUE INDEX ux_founding_members_number ON founding_members (number)",
    """
    CREATE TABLE setup_state (
        id smallint CONSTRAINT pk_setup_state PRIMARY KEY,
        token_hash bytea,
        completed_at timestamptz,
        CONSTRAINT ck_setup_state_one_row CHECK (id = 1)
    )
    """,
    "INSERT INTO setup_state (id) VALUES (1)",
    f"""
    CREATE TABLE orders (
        id uuid CONSTRAINT pk_orders PRIMARY KEY,
        user_id uuid NOT NULL CONSTRAINT fk_orders_user_id REFERENCES users (id),
        status text NOT NULL,
        tier text NOT NULL,
        domain text NOT NULL,
        tools text[] NOT NULL DEFAULT '{{}}'::text[],
        server_ip text,
        ssh_port integer NOT NULL,
        automation_mode text NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        fulfilled_at timestamptz,
        search tsvector GENERATED ALWAYS AS (
            to_tsvector('simple'::regconfig,
                translate(domain || ' ' || coalesce(server_ip, ''), '{_SIGNS}', '{_SPACES}'))
        ) STORED,
        CONSTRAINT ck_orders_status CHECK (status IN ('PAYMENT_CONFIRMED', 'AWAITING_SERVER', 'SERVER_READY',
            'DNS_PENDING', 'DNS_READY', 'PROVISIONING', 'FULFILLED', 'FAILED', 'CANCELLED')),
        CONSTRAINT ck_orders_tier CHECK (tier IN ('Lite', 'Build', 'Scale')),
        CONSTRAINT ck_orders_automation_mode CHECK (automation_mode IN ('AUTO', 'MANUAL', 'PAUSED')),
        CONSTRAINT ck_orders_ssh_port CHECK (ssh_port BETWEEN 1 AND 65535)
    )
    """,
    "CREATE UNIQUE INDEX ux_orders_domain ON orders (domain) WHERE status <> 'CANCELLED'",
    "CREATE INDEX ix_orders_user_id ON orders (user_id, created_at)",
    "CREATE INDEX ix_orders_search ON orders USING gin (search)",
    "CREATE INDEX ix_orders_created_at ON orders (created_at DESC, id DESC)",
    "CREATE INDEX ix_orders_status ON orders (status, created_at DESC, id DESC)",
    """
    CREATE TABLE audit_entries (
        id uuid CONSTRAINT pk_audit_entries PRIMARY KEY,
        position bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        at timestamptz NOT NULL,
        author_type text NOT NULL,
        author_id text,
        author_name text NOT NULL,
        address text,
        request_id text,
        action text NOT NULL,
        target text NOT NULL,
        before text,
        after text,
        customer_id uuid,
        CONSTRAINT ck_audit_entries_author_type
            CHECK (author_type IN ('staff', 'customer', 'tenant', 'system', 'cron'))
    )
    """,
    "CREATE UNIQUE INDEX ux_audit_entries_position ON audit_entries (position)",
    "CREATE INDEX ix_audit_entries_target ON audit_entries (target, position)",
    """
    CREATE INDEX ix_audit_entries_customer_id ON audit_entries (customer_id, position)
        WHERE customer_id IS NOT NULL
    """,
    """
    CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'audit_entries is append-only' USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER audit_entries_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """,
)

UNDO = (
    "DROP TABLE audit_entries",
    "DROP FUNCTION refuse_audit_change()",
    "DROP TABLE orders",
    "DROP TABLE setup_state",
    "DROP TABLE founding_members",
    "DROP TABLE subscriptions",
    "DROP TABLE sessions",
    "DROP TABLE staff",
    "DROP TABLE users",
)


def upgrade() -> None:
    """Make the tables."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop them, with all they hold."""
    for step in UNDO:
        op.execute(text(step))
