"""Finds promises by age, so that old ones can be forgotten.

Revision ID: 0009_old_promises
Revises: 0008_delivered
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0009_old_promises"
down_revision = "0008_delivered"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.execute(text("CREATE INDEX ix_deliveries_created_at ON deliveries (created_at)"))


def downgrade() -> None:
    """Take it off again."""
    op.execute(text("DROP INDEX ix_deliveries_created_at"))
