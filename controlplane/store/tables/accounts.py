"""Tables of people: customers (`users`), staff, their sessions, subscriptions, setup, and the audit log."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
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
from sqlalchemy.dialects.postgresql import TSVECTOR

from controlplane.store.tables.base import metadata
from controlplane.store.tables.search import searchable

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("company", Text),
    Column("status", Text, nullable=False, server_default="ACTIVE"),
    Column("password_hash", Text),
    Column("image", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column(
        "search",
        TSVECTOR,
        Computed(searchable("email || ' ' || name || ' ' || coalesce(company, '')"), persisted=True),
    ),
    CheckConstraint("status IN ('ACTIVE', 'SUSPENDED', 'DEACTIVATED')", name="status"),
    Index("ix_users_search", "search", postgresql_using="gin"),
)
Index("ux_users_email", func.lower(users.c.email), unique=True)
Index("ix_users_created_at", users.c.created_at.desc(), users.c.id.desc())
Index("ix_users_status", users.c.status, users.c.created_at.desc(), users.c.id.desc())

staff = Table(
    "staff",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="ACTIVE"),
    Column("password_hash", Text),
    Column("image", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("role IN ('OWNER', 'ADMIN', 'MANAGER', 'SUPPORT')", name="role"),
    CheckConstraint("status IN ('ACTIVE', 'SUSPENDED', 'DEACTIVATED')", name="status"),
)
Index("ux_staff_email", func.lower(staff.c.email), unique=True)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    # SHA-256 of the token: who reads the table can sign in as nobody.
    Column("token_hash", LargeBinary, nullable=False),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE")),
    Column("staff_id", Uuid, ForeignKey("staff.id", ondelete="CASCADE")),
    Column("address", Text),
    Column("user_agent", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_seen_at", DateTime(timezone=True), nullable=False),
    Column("idle_expires_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    CheckConstraint("(user_id IS NULL) <> (staff_id IS NULL)", name="one_owner"),
    Index("ux_sessions_token_hash", "token_hash", unique=True),
    Index("ix_sessions_user_id", "user_id", postgresql_where=text("user_id IS NOT NULL")),
    Index("ix_sessions_staff_id", "staff_id", postgresql_where=text("staff_id IS NOT NULL")),
    Index("ix_sessions_idle_expires_at", "idle_expires_at"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("plan", Text, nullable=False),
    Column("tier", Text, nullable=False),
    # The tier's base; the limit that applies is this times a founding member's multiplier.
    Column("token_base", BigInteger, nullable=False),
    Column("stripe_customer_id", Text),
    Column("status", Text, nullable=False, server_default="ACTIVE"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("plan IN ('STARTER', 'PRO', 'ENTERPRISE')", name="plan"),
    CheckConstraint("tier IN ('Lite', 'Build', 'Scale')", name="tier"),
    CheckConstraint("status IN ('ACTIVE', 'PAST_DUE', 'CANCELLED')", name="status"),
    CheckConstraint("token_base >= 0", name="tokens"),
    Index("ux_subscriptions_user_id", "user_id", unique=True),
)

founding_members = Table(
    "founding_members",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("token_multiplier", Integer, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("number >= 1 AND token_multiplier >= 1", name="positive"),
    Index("ux_founding_members_user_id", "user_id", unique=True),
    Index("ux_founding_members_number", "number", unique=True),
)

#: One row: whether the Hub has its owner, and the hash of the token that makes the first one.
setup_state = Table(
    "setup_state",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("token_hash", LargeBinary),
    Column("completed_at", DateTime(timezone=True)),
    CheckConstraint("id = 1", name="one_row"),
)

#: Append-only by trigger. `position` is the order of writing, `xid` the writer's transaction, and both together the
#: order in which entries are sealed (store/audit_sealing.py); `before` and `after` are JSON as text.
audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("position", BigInteger, Identity(always=True), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("author_type", Text, nullable=False),
    Column("author_id", Text),
    Column("author_name", Text, nullable=False),
    Column("address", Text),
    Column("request_id", Text),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    # No foreign keys: the log outlives what it tells of.
    Column("customer_id", Uuid),
    Column("xid", BigInteger, nullable=False, server_default=text("((pg_current_xact_id())::text)::bigint")),
    Column("user_agent", Text),
    Column("order_id", Uuid),
    CheckConstraint("author_type IN ('staff', 'customer', 'tenant', 'system', 'cron')", name="author_type"),
    Index("ux_audit_entries_position", "position", unique=True),
    Index("ix_audit_entries_commit", "xid", "position"),
    Index("ix_audit_entries_at", "at", "position"),
    Index("ix_audit_entries_target", "target", "at", "position"),
    Index("ix_audit_entries_action", "action", "at", "position"),
    Index("ix_audit_entries_author_id", "author_id", "at", "position"),
    Index("ix_audit_entries_order_id", "order_id", "at", "position", postgresql_where=text("order_id IS NOT NULL")),
    Index(
        "ix_audit_entries_customer_id",
        "customer_id",
        "at",
        "position",
        postgresql_where=text("customer_id IS NOT NULL"),
    ),
    Index(
        "ix_audit_entries_request_id",
        "request_id",
        "at",
        "position",
        postgresql_where=text("request_id IS NOT NULL"),
    ),
    Index("ix_audit_entries_family", text("split_part(action, '.'::text, 1)"), "at", "position"),
)
