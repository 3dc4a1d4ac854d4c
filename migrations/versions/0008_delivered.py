"""When a decision was sent to its tenant and acknowledged.

Revision ID: 0008_delivered
Revises: 0007_webhooks
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0008_delivered"
down_revision = "0007_webhooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was delivered before keeps no time."""
    op.execute(text("ALTER TABLE deliveries ADD COLUMN sent_at timestamptz, ADD COLUMN acknowledged_at timestamptz"))


def downgrade() -> None:
    """Take the columns off again."""
    op.execute(text("ALTER TABLE deliveries DROP COLUMN sent_at, DROP COLUMN acknowledged_at"))
