"""Events: what has happened, told to consoles in an order without holes.

Revision ID: 0004_events
Revises: 0003_agents
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0004_events"
down_revision = "0003_agents"
branch_labels = None
depends_on = None

STEPS = (
    """
    CREATE TABLE events (
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_events PRIMARY KEY,
        xid bigint NOT NULL DEFAULT CAST(CAST(pg_current_xact_id() AS text) AS bigint),
        at timestamptz NOT NULL,
        kind text NOT NULL,
        order_id uuid,
        customer_id uuid,
        data text NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX ix_events_position ON events (xid, id)",
    "CREATE INDEX ix_events_customer ON events (customer_id, xid, id)",
    "CREATE INDEX ix_events_order ON events (order_id, xid, id)",
    """
    CREATE TABLE event_horizon (
        singleton boolean NOT NULL DEFAULT true CONSTRAINT pk_event_horizon PRIMARY KEY,
        epoch bigint NOT NULL,
        xid bigint NOT NULL DEFAULT 0,
        id bigint NOT NULL DEFAULT 0,
        CONSTRAINT ck_event_horizon_one_row CHECK (singleton)
    )
    """,
    "INSERT INTO event_horizon (epoch) VALUES (CAST(extract(epoch FROM clock_timestamp()) AS bigint))",
)

UNDO = ("DROP TABLE event_horizon", "DROP TABLE events")


def upgrade() -> None:
    """Make the tables."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop them, with all they hold."""
    for step in UNDO:
        op.execute(text(step))
