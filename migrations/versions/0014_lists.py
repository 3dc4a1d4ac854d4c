"""Lists the staff and its open invitations by indexes, with and without the filter.

Revision ID: 0014_lists
Revises: 0013_models
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0014_lists"
down_revision = "0013_models"
branch_labels = None
depends_on = None

STEPS = (
    "CREATE INDEX ix_staff_created_at ON staff (created_at DESC, id DESC)",
    "CREATE INDEX ix_staff_status ON staff (status, created_at DESC, id DESC)",
    """
    CREATE INDEX ix_staff_invitations_open ON staff_invitations (created_at DESC, id DESC)
    WHERE accepted_at IS NULL AND revoked_at IS NULL
    """,
)


def upgrade() -> None:
    """Add the indexes."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Take them off again."""
    for name in ("ix_staff_invitations_open", "ix_staff_status", "ix_staff_created_at"):
        op.execute(text(f"DROP INDEX {name}"))
