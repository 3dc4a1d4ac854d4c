"""Tables of what proves who somebody is: second factors and their spare codes, one-time links, invitations."""

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
    Uuid,
    func,
    text,
)

from controlplane.store.tables.accounts import staff
from controlplane.store.tables.base import metadata

#: One a person. The secret is sealed; `last_step` is the newest time step whose code was used: none works twice.
second_factors = Table(
    "second_factors",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE")),
    Column("staff_id", Uuid, ForeignKey("staff.id", ondelete="CASCADE")),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("last_step", BigInteger),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # NULL: shown, but no code of it was given yet; it guards nothing before that.
    Column("confirmed_at", DateTime(timezone=True)),
    CheckConstraint("(user_id IS NULL) <> (staff_id IS NULL)", name="one_owner"),
    Index("ux_second_factors_user_id", "user_id", unique=True, postgresql_where=text("user_id IS NOT NULL")),
    Index("ux_second_factors_staff_id", "staff_id", unique=True, postgresql_where=text("staff_id IS NOT NULL")),
)

#: SHA-256 of codes of 80 bits.
backup_codes = Table(
    "backup_codes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("factor_id", Uuid, ForeignKey("second_factors.id", ondelete="CASCADE"), nullable=False),
    Column("code_hash", LargeBinary, nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Index("ux_backup_codes_code_hash", "factor_id", "code_hash", unique=True),
)

#: Sign-ins whose password was right and whose code is awaited.
pending_2fa_sessions = Table(
    "pending_2fa_sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE")),
    Column("staff_id", Uuid, ForeignKey("staff.id", ondelete="CASCADE")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("(user_id IS NULL) <> (staff_id IS NULL)", name="one_owner"),
    Index("ux_pending_2fa_sessions_token_hash", "token_hash", unique=True),
    Index("ix_pending_2fa_sessions_user_id", "user_id", postgresql_where=text("user_id IS NOT NULL")),
    Index("ix_pending_2fa_sessions_staff_id", "staff_id", postgresql_where=text("staff_id IS NOT NULL")),
    Index("ix_pending_2fa_sessions_expires_at", "expires_at"),
)

#: Links by which somebody chooses a password without knowing one; the row goes with its use.
password_links = Table(
    "password_links",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE")),
    Column("staff_id", Uuid, ForeignKey("staff.id", ondelete="CASCADE")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("(user_id IS NULL) <> (staff_id IS NULL)", name="one_owner"),
    Index("ux_password_links_token_hash", "token_hash", unique=True),
    Index("ix_password_links_user_id", "user_id", postgresql_where=text("user_id IS NOT NULL")),
    Index("ix_password_links_staff_id", "staff_id", postgresql_where=text("staff_id IS NOT NULL")),
    Index("ix_password_links_expires_at", "expires_at"),
)

#: Invitations to the staff: open until accepted or revoked, and worth nothing once expired.
staff_invitations = Table(
    "staff_invitations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("invited_by", Uuid, ForeignKey("staff.id", ondelete="CASCADE"), nullable=False),
    Column("staff_id", Uuid, ForeignKey("staff.id", ondelete="CASCADE")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("accepted_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    CheckConstraint("role IN ('OWNER', 'ADMIN', 'MANAGER', 'SUPPORT')", name="role"),
    CheckConstraint("accepted_at IS NULL OR revoked_at IS NULL", name="one_end"),
    CheckConstraint("(accepted_at IS NULL) = (staff_id IS NULL)", name="accepted_by_somebody"),
    Index("ux_staff_invitations_token_hash", "token_hash", unique=True),
    Index("ix_staff_invitations_invited_by", "invited_by"),
    Index("ix_staff_invitations_staff_id", "staff_id", postgresql_where=text("staff_id IS NOT NULL")),
)
Index(
    "ux_staff_invitations_email",
    func.lower(staff_invitations.c.email),
    unique=True,
    postgresql_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
)
Index(
    "ix_staff_invitations_open",
    staff_invitations.c.created_at.desc(),
    staff_invitations.c.id.desc(),
    postgresql_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
)
Index("ix_staff_created_at", staff.c.created_at.desc(), staff.c.id.desc())
Index("ix_staff_status", staff.c.status, staff.c.created_at.desc(), staff.c.id.desc())
