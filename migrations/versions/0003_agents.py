"""Agents: how each behaves, and every version of the configuration a tenant was given.

Revision ID: 0003_agents
Revises: 0002_tenants
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0003_agents"
down_revision = "0002_tenants"
branch_labels = None
depends_on = None

STEPS = (
    """
    CREATE TABLE agent_configs (
        id uuid CONSTRAINT pk_agent_configs PRIMARY KEY,
        order_id uuid NOT NULL CONSTRAINT fk_agent_configs_order_id REFERENCES orders (id) ON DELETE RESTRICT,
        agent_id text NOT NULL,
        name text NOT NULL,
        role text NOT NULL,
        soul_md text NOT NULL,
        tools_allowed text[] NOT NULL DEFAULT '{}'::text[],
        tools_denied text[] NOT NULL DEFAULT '{}'::text[],
        tool_profile text NOT NULL,
        autonomy_level smallint NOT NULL,
        external_comms_unlocks jsonb,
        tool_overrides jsonb NOT NULL DEFAULT '{}'::jsonb,
        is_active boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        removed_at timestamptz,
        CONSTRAINT ck_agent_configs_autonomy_level CHECK (autonomy_level BETWEEN 1 AND 3),
        CONSTRAINT ck_agent_configs_tool_profile
            CHECK (tool_profile IN ('minimal', 'coding', 'messaging', 'full')),
        CONSTRAINT ck_agent_configs_removed_has_a_time CHECK (is_active = (removed_at IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX ux_agent_configs_active ON agent_configs (order_id, agent_id) WHERE is_active",
    "CREATE INDEX ix_agent_configs_order_id ON agent_configs (order_id, created_at, id)",
    """
    CREATE TABLE tenant_configs (
        order_id uuid NOT NULL CONSTRAINT fk_tenant_configs_order_id REFERENCES orders (id) ON DELETE RESTRICT,
        version integer NOT NULL,
        hash text NOT NULL,
        basis text NOT NULL,
        body text NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT pk_tenant_configs PRIMARY KEY (order_id, version),
        CONSTRAINT ck_tenant_configs_counted_from_one CHECK (version >= 1)
    )
    """,
)

UNDO = ("DROP TABLE tenant_configs", "DROP TABLE agent_configs")


def upgrade() -> None:
    """Make the tables."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop them, with all they hold."""
    for step in UNDO:
        op.execute(text(step))
