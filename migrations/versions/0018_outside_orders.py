"""Adds orders from outside: which reference of which API key they are, and which keys may place one.

Revision ID: 0018_outside_orders
Revises: 0017_audit_readers
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0018_outside_orders"
down_revision = "0017_audit_readers"
branch_labels = None
depends_on = None

STEPS = (
    # A key that was made to read reads on, and does nothing more.
    "ALTER TABLE api_keys ADD COLUMN may_order boolean NOT NULL DEFAULT false",
    """
    CREATE TABLE outside_orders (
        order_id uuid NOT NULL,
        api_key_id uuid NOT NULL,
        reference text NOT NULL,
        wish_hash bytea NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT pk_outside_orders PRIMARY KEY (order_id),
        CONSTRAINT fk_outside_orders_order_id FOREIGN KEY (order_id) REFERENCES orders (id)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        CONSTRAINT fk_outside_orders_api_key_id FOREIGN KEY (api_key_id) REFERENCES api_keys (id)
    )
    """,
    "CREATE UNIQUE INDEX ux_outside_orders_reference ON outside_orders (reference, api_key_id)",
)

UNDO = (
    "DROP TABLE outside_orders",
    "ALTER TABLE api_keys DROP COLUMN may_order",
)


def upgrade() -> None:
    """Add the table and the column."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop both."""
    for step in UNDO:
        op.execute(text(step))
