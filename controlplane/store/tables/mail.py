"""Tables of mail: the outbox, which approvals their customers were told of, and how customers want to be told."""

from __future__ import annotations

from sqlalchemy import (
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
    text,
)

from controlplane.store.tables.base import metadata

#: The outbox. `body` is sealed, and erased with the end of the mail; `subject` must never hold a secret.
mails = Table(
    "mails",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("customer_id", Uuid, ForeignKey("users.id", ondelete="CASCADE")),
    Column("recipient", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", LargeBinary),
    Column("dedupe_key", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="queued"),
    # The number of the attempt under way is what its result must name: a late one of an older attempt changes nothing.
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # While an attempt is under way: when another node may take it for dead.
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("settled_at", DateTime(timezone=True)),
    Column("last_error", Text),
    CheckConstraint("state IN ('queued', 'sent', 'failed', 'abandoned')", name="state_known"),
    CheckConstraint("(state = 'queued') = (body IS NOT NULL)", name="body_is_erased"),
    CheckConstraint("(state = 'queued') = (settled_at IS NULL)", name="settled_has_a_time"),
    Index("ux_mails_dedupe_key", "dedupe_key", unique=True),
    Index("ix_mails_due", "next_attempt_at", "id", postgresql_where=text("state = 'queued'")),
    Index("ix_mails_expiring", "expires_at", postgresql_where=text("state = 'queued'")),
    Index("ix_mails_settled_at", "settled_at", postgresql_where=text("state <> 'queued'")),
    Index("ix_mails_customer_id", "customer_id", "kind", "state"),
)

#: Each approval whose customer was told of it, and by which mail.
approval_notices = Table(
    "approval_notices",
    metadata,
    Column("approval_id", Uuid, ForeignKey("command_approvals.id", ondelete="CASCADE"), primary_key=True),
    Column("mail_id", Uuid, ForeignKey("mails.id", ondelete="SET NULL")),
    Index("ix_approval_notices_mail_id", "mail_id"),
)

#: When each customer was told last; the row is also what two nodes race for.
approval_mailings = Table(
    "approval_mailings",
    metadata,
    Column("customer_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("last_at", DateTime(timezone=True)),
)

#: What a customer has chosen; without a row the defaults hold.
customer_preferences = Table(
    "customer_preferences",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("timezone", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("approval_mail", Text, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("approval_mail IN ('atOnce', 'digest', 'never')", name="approval_mail"),
)
