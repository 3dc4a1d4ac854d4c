"""Lists the audit log by a request and by a family of actions, each by an index.

Revision ID: 0017_audit_readers
Revises: 0016_pages_of_usage
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0017_audit_readers"
down_revision = "0016_pages_of_usage"
branch_labels = None
depends_on = None

STEPS = (
    """
    CREATE INDEX ix_audit_entries_request_id ON audit_entries (request_id, at, position)
        WHERE request_id IS NOT NULL
    """,
    "CREATE INDEX ix_audit_entries_family ON audit_entries (split_part(action, '.'::text, 1), at, position)",
)

UNDO = ("DROP INDEX ix_audit_entries_family", "DROP INDEX ix_audit_entries_request_id")


def upgrade() -> None:
    """Add the indexes."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Take them off."""
    for step in UNDO:
        op.execute(text(step))
