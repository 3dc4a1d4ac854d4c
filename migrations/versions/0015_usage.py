"""Adds up token usage by day, agent and model.

Revision ID: 0015_usage
Revises: 0014_lists
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0015_usage"
down_revision = "0014_lists"
branch_labels = None
depends_on = None

STEPS = (
    """
    CREATE TABLE token_usage_days (
        order_id uuid NOT NULL, day date NOT NULL, agent_id text NOT NULL, model text NOT NULL,
        tokens_input numeric(30, 0) NOT NULL, tokens_output numeric(30, 0) NOT NULL,
        tokens_cache_read numeric(30, 0) NOT NULL, tokens_cache_write numeric(30, 0) NOT NULL,
        web_search_count numeric(30, 0) NOT NULL, web_fetch_count numeric(30, 0) NOT NULL,
        cost_cents numeric(30, 0) NOT NULL, is_closed boolean NOT NULL DEFAULT false,
        CONSTRAINT pk_token_usage_days PRIMARY KEY (order_id, day, agent_id, model),
        CONSTRAINT ck_token_usage_days_sums CHECK (tokens_input >= 0 AND tokens_output >= 0 AND tokens_cache_read >= 0
            AND tokens_cache_write >= 0 AND web_search_count >= 0 AND web_fetch_count >= 0 AND cost_cents >= 0),
        CONSTRAINT fk_token_usage_days_order_id FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE RESTRICT
    )
    """,
    "CREATE INDEX ix_token_usage_days_open ON token_usage_days (day, order_id) WHERE NOT is_closed",
    """
    INSERT INTO token_usage_days (order_id, day, agent_id, model, tokens_input, tokens_output, tokens_cache_read,
        tokens_cache_write, web_search_count, web_fetch_count, cost_cents)
    SELECT order_id, CAST(bucket_hour AT TIME ZONE 'UTC' AS date), agent_id, model, sum(tokens_input),
        sum(tokens_output), sum(tokens_cache_read), sum(tokens_cache_write), sum(web_search_count),
        sum(web_fetch_count), sum(cost_cents)
    FROM token_usage_buckets GROUP BY 1, 2, 3, 4
    """,
)


def upgrade() -> None:
    """Make the table, and add up what was reported so far."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop the sums; those of days whose hours were forgotten go with them."""
    op.execute(text("DROP TABLE token_usage_days"))
