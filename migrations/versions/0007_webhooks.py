"""Webhooks: how far those to each tenant's server are.

Revision ID: 0007_webhooks
Revises: 0006_credentials
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0007_webhooks"
down_revision = "0006_credentials"
branch_labels = None
depends_on = None

STEPS = (
    """
    CREATE TABLE webhook_carriers (
        order_id uuid CONSTRAINT pk_webhook_carriers PRIMARY KEY
            CONSTRAINT fk_webhook_carriers_order_id REFERENCES orders (id) ON DELETE CASCADE,
        key_prefix text NOT NULL,
        seq bigint NOT NULL DEFAULT 0,
        attempts integer NOT NULL DEFAULT 0,
        next_attempt_at timestamptz,
        claim uuid,
        claimed_until timestamptz,
        disabled_at timestamptz,
        exhausted_seq bigint,
        delivered_at timestamptz,
        last_error text,
        CONSTRAINT ck_webhook_carriers_claim_has_an_end CHECK ((claim IS NULL) = (claimed_until IS NULL)),
        CONSTRAINT ck_webhook_carriers_attempts_counted CHECK (attempts >= 0)
    )
    """,
    "CREATE INDEX ix_server_connections_webhooks ON server_connections (order_id) WHERE safety_wrapper_url IS NOT NULL",
)

UNDO = ("DROP INDEX ix_server_connections_webhooks", "DROP TABLE webhook_carriers")


def upgrade() -> None:
    """Make the table, and find quickly who takes webhooks."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop both."""
    for step in UNDO:
        op.execute(text(step))
