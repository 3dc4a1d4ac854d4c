"""Rows of agents, read into the objects that are spoken of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Connection, Select, select

from controlplane.store.tables.agents import agent_configs
from protocol.ids import AgentConfigId, OrderId, format_id
from protocol.objects import AgentConfig, AgentHealth
from protocol.words import ToolOverride

log = structlog.get_logger()

_BOOKKEEPING: Final = frozenset({"created_at", "updated_at", "removed_at"})

#: The columns `agent_of` reads.
AGENT_COLUMNS: Final = tuple(column for column in agent_configs.c if column.name not in _BOOKKEEPING)

#: Three of the slowest carrier's heartbeats: what was said longer ago says nothing of now.
STALE_AFTER_SECONDS: Final = 900


class AgentWithStatus(AgentConfig):
    """An agent and how it was at the tenant's last heartbeat.

    Args:
        status: the wrapper's own word (`active`, `idle` …); `offline` when the tenant has been silent for a quarter
            of an hour, `unknown` when it never spoke of this agent, `removed` for one no longer deployed.
        last_active_at: when the agent last did something, as far as its tenant told.
    """

    status: str = "unknown"
    last_active_at: datetime | None = None

    @property
    def config(self) -> AgentConfig:
        """The agent itself, whose version people edit: how it is moves with every heartbeat."""
        return AgentConfig(**{name: getattr(self, name) for name in AgentConfig.__struct_fields__})


class _Reported(msgspec.Struct):
    agents: dict[str, AgentHealth] = {}


_reported = msgspec.json.Decoder(_Reported)
_unlocks = msgspec.json.Decoder(dict[str, bool])
_overrides = msgspec.json.Decoder(dict[str, ToolOverride])


def agent_of(row: Mapping[Any, Any]) -> AgentConfig:
    """The agent that a row of the table tells of."""
    return AgentConfig(**_values(row))


def columns_of(agent: AgentConfig) -> dict[str, Any]:
    """What of an agent a change may touch, as the table holds it."""
    unlocks = agent.external_comms_unlocks
    return {
        "name": agent.name,
        "role": agent.role,
        "soul_md": agent.soul_md,
        "tools_allowed": agent.tools_allowed,
        "tools_denied": agent.tools_denied,
        "tool_profile": agent.tool_profile,
        "autonomy_level": agent.autonomy_level,
        "external_comms_unlocks": None if unlocks is None else msgspec.json.encode(unlocks).decode(),
        "tool_overrides": msgspec.json.encode(agent.tool_overrides).decode(),
    }


def agent_with_status(row: Mapping[Any, Any], *, now: datetime) -> AgentWithStatus:
    """The same with its status, from a row that has the server's `heartbeat` and `last_seen_at` besides."""
    agent = AgentWithStatus(**_values(row))
    heartbeat, last_seen_at = row["heartbeat"], row["last_seen_at"]
    health = _health(heartbeat, agent.agent_id)
    agent.last_active_at = health.last_active_at if health else None
    if not agent.is_active:
        agent.status = "removed"
    elif health is not None:
        silent = last_seen_at is None or (now - last_seen_at).total_seconds() > STALE_AFTER_SECONDS
        agent.status = "offline" if silent else health.status
    return agent


def active_agents(connection: Connection, order_id: UUID) -> list[AgentConfig]:
    """The agents deployed on an order, in the order of their deployment."""
    return [agent_of(row) for row in connection.execute(_active(order_id)).mappings()]


def _health(heartbeat: str | None, agent_id: str) -> AgentHealth | None:
    if heartbeat is None:
        return None
    try:
        return _reported.decode(heartbeat).agents.get(agent_id)
    except msgspec.MsgspecError:
        # What a wrapper said must never keep a customer from reading what they own.
        log.warning("heartbeat.unreadable", agent=agent_id)
        return None


def _active(order_id: UUID) -> Select[Any]:
    statement = select(*AGENT_COLUMNS).where(agent_configs.c.order_id == order_id, agent_configs.c.is_active)
    return statement.order_by(agent_configs.c.created_at, agent_configs.c.id)


def _values(row: Mapping[Any, Any]) -> dict[str, Any]:
    values = {column.name: row[column.name] for column in AGENT_COLUMNS}
    unlocks = values["external_comms_unlocks"]
    return {
        **values,
        "id": AgentConfigId(format_id("agcfg", values["id"])),
        "order_id": OrderId(format_id("ord", values["order_id"])),
        "tools_allowed": list(values["tools_allowed"]),
        "tools_denied": list(values["tools_denied"]),
        "external_comms_unlocks": None if unlocks is None else _unlocks.decode(unlocks),
        "tool_overrides": _overrides.decode(values["tool_overrides"]),
    }
