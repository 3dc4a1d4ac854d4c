"""Lists backups and activities of an order by indexes; what a subscription has used is added up, not noted.

Revision ID: 0016_pages_of_usage
Revises: 0015_usage
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0016_pages_of_usage"
down_revision = "0015_usage"
branch_labels = None
depends_on = None

STEPS = (
    "CREATE INDEX ix_activities_order ON activities (order_id, at, id)",
    "DROP INDEX ix_backup_reports_order",
    "CREATE INDEX ix_backup_reports_order ON backup_reports (order_id, reported_at, id)",
    # Nothing has ever written another number than 0 there.
    "ALTER TABLE subscriptions DROP CONSTRAINT ck_subscriptions_tokens",
    "ALTER TABLE subscriptions DROP COLUMN tokens_used",
    "ALTER TABLE subscriptions ADD CONSTRAINT ck_subscriptions_tokens CHECK (token_base >= 0)",
)

UNDO = (
    "ALTER TABLE subscriptions DROP CONSTRAINT ck_subscriptions_tokens",
    "ALTER TABLE subscriptions ADD COLUMN tokens_used bigint NOT NULL DEFAULT 0",
    "ALTER TABLE subscriptions ADD CONSTRAINT ck_subscriptions_tokens CHECK (token_base >= 0 AND tokens_used >= 0)",
    "DROP INDEX ix_backup_reports_order",
    "CREATE INDEX ix_backup_reports_order ON backup_reports (order_id, reported_at)",
    "DROP INDEX ix_activities_order",
)


def upgrade() -> None:
    """Add the indexes, and take off the column."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Take the indexes off, and put the column back."""
    for step in UNDO:
        op.execute(text(step))
