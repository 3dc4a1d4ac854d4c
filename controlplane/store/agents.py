"""Agents as they are read: listed, looked up, with their status, and the configuration they make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, func, select

from actors.people import Scope
from actors.runtime.ports import Clock, Ids
from controlplane.store import configuration
from controlplane.store.agent_rows import AGENT_COLUMNS, AgentWithStatus, agent_of, agent_with_status
from controlplane.store.agent_templates import TEMPLATES
from controlplane.store.agent_templates.template import AgentTemplate
from controlplane.store.agent_tools import AgentTool, tools_for
from controlplane.store.composition import HEARTBEAT_SECONDS
from controlplane.store.database import Database
from controlplane.store.keys import key_of, missing
from controlplane.store.scope import covers
from controlplane.store.tables.agents import agent_configs, tenant_configs
from controlplane.store.tables.orders import orders
from controlplane.store.tables.tenants import server_connections
from protocol.ids import AgentConfigId, OrderId
from protocol.objects import AgentConfig, Spoken, TenantConfig

_config: Final = msgspec.json.Decoder(TenantConfig)


class KeptConfig(Spoken):
    """A configuration that was written for a tenant, and when."""

    created_at: datetime
    config: TenantConfig


class Configurations(Spoken):
    """What a tenant should have and what it has; an applied version that is no longer kept is told by number only."""

    offered: KeptConfig | None
    applied: KeptConfig | None
    applied_version: int
    error: str | None


class AgentStore:
    """Agents as they are read; changes go through the tenant's actor and `configuration.change_agents`.

    Args:
        heartbeat_seconds: what a configuration says while none was written.
    """

    def __init__(
        self, database: Database, *, clock: Clock, ids: Ids, heartbeat_seconds: int = HEARTBEAT_SECONDS
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._heartbeat_seconds = heartbeat_seconds

    def templates(self) -> Sequence[AgentTemplate]:
        """The roles an agent can be deployed in."""
        return list(TEMPLATES.values())

    async def of_order(
        self, scope: Scope, order_id: OrderId, *, include_removed: bool = False, offset: int, limit: int
    ) -> tuple[Sequence[AgentConfig], int]:
        """A portion of an order's agents, in the order of their deployment, and how many there are in all.

        Raises:
            NotFound: there is no such order within the scope.
        """
        return await self._database.read(_of_order, scope, order_id, include_removed, offset, limit)

    async def in_scope(self, scope: Scope, *, offset: int, limit: int) -> tuple[Sequence[AgentWithStatus], int]:
        """A portion of the agents deployed on all orders in the scope, and how many there are in all."""
        return await self._database.read(_in_scope, scope, offset, limit, self._clock.now())

    async def get(self, scope: Scope, agent_config_id: AgentConfigId) -> AgentWithStatus:
        """One agent, also a removed one.

        Raises:
            NotFound: there is none, or it is not within the scope.
        """
        return await self._database.read(_get, scope, agent_config_id, self._clock.now())

    async def of_slug(self, scope: Scope, order_id: OrderId, slug: str) -> AgentConfig:
        """One deployed agent of an order, by its slug.

        Raises:
            NotFound: there is no such order within the scope, or no such agent on it.
        """
        return await self._database.read(_of_slug, scope, order_id, slug)

    async def tools(self, scope: Scope, order_id: OrderId, agent: str) -> Sequence[AgentTool]:
        """The tools a deployed agent has or could be given, by its slug or its id.

        Raises:
            NotFound: there is no such order within the scope, or no such agent on it.
            Conflict: it was removed.
        """
        return await self._database.read(_tools, scope, order_id, agent)

    async def config(self, order_id: OrderId) -> TenantConfig:
        """The configuration a tenant should have: for its wrapper, which pulls it."""
        return await self._database.read(
            configuration.current_config, key_of("ord", order_id), heartbeat_seconds=self._heartbeat_seconds
        )

    async def configurations(self, scope: Scope, order_id: OrderId) -> Configurations:
        """The latest configuration of a tenant beside the one its server has applied.

        Raises:
            NotFound: there is no such order within the scope.
        """
        return await self._database.read(_configurations, scope, order_id)


def _of_order(
    connection: Connection, scope: Scope, order_id: OrderId, include_removed: bool, offset: int, limit: int
) -> tuple[Sequence[AgentConfig], int]:
    key = _known(connection, scope, order_id)
    conditions = [agent_configs.c.order_id == key]
    if not include_removed:
        conditions.append(agent_configs.c.is_active)
    total = connection.execute(select(func.count()).select_from(agent_configs).where(*conditions)).scalar_one()
    statement = select(*AGENT_COLUMNS).where(*conditions).order_by(agent_configs.c.created_at, agent_configs.c.id)
    rows = connection.execute(statement.offset(offset).limit(limit)).mappings()
    return [agent_of(row) for row in rows], total


def _of_slug(connection: Connection, scope: Scope, order_id: OrderId, slug: str) -> AgentConfig:
    return configuration.find_agent(connection, _known(connection, scope, order_id), slug)


def _tools(connection: Connection, scope: Scope, order_id: OrderId, agent: str) -> Sequence[AgentTool]:
    key = _known(connection, scope, order_id)
    found = configuration.find_agent(connection, key, agent)
    applications = connection.execute(select(orders.c.tools).where(orders.c.id == key)).scalar_one()
    return tools_for(found, applications)


def _known(connection: Connection, scope: Scope, order_id: OrderId) -> UUID:
    key = key_of("ord", order_id)
    known = select(orders.c.id).where(orders.c.id == key, covers(scope, orders.c.user_id))
    if connection.execute(known).one_or_none() is None:
        raise missing("ord", order_id)
    return key


def _configurations(connection: Connection, scope: Scope, order_id: OrderId) -> Configurations:
    key = _known(connection, scope, order_id)
    server = connection.execute(
        select(server_connections.c.config_applied_version, server_connections.c.config_error).where(
            server_connections.c.order_id == key
        )
    ).one_or_none()
    applied = 0 if server is None else server.config_applied_version
    kept = select(tenant_configs.c.version, tenant_configs.c.body, tenant_configs.c.created_at).where(
        tenant_configs.c.order_id == key
    )
    latest = connection.execute(kept.order_by(tenant_configs.c.version.desc()).limit(1)).one_or_none()
    older = connection.execute(kept.where(tenant_configs.c.version == applied)).one_or_none()
    return Configurations(_kept(latest), _kept(older), applied, None if server is None else server.config_error)


def _kept(row: Row[Any, Any, Any] | None) -> KeptConfig | None:
    return None if row is None else KeptConfig(row.created_at, _config.decode(row.body))


_WITH_STATUS: Final = (
    select(*AGENT_COLUMNS, server_connections.c.heartbeat, server_connections.c.last_seen_at)
    .join(orders, orders.c.id == agent_configs.c.order_id)
    .outerjoin(server_connections, server_connections.c.order_id == agent_configs.c.order_id)
)


def _in_scope(
    connection: Connection, scope: Scope, offset: int, limit: int, now: datetime
) -> tuple[Sequence[AgentWithStatus], int]:
    conditions = [covers(scope, orders.c.user_id), agent_configs.c.is_active]
    counted = select(func.count()).select_from(agent_configs).join(orders).where(*conditions)
    total = connection.execute(counted).scalar_one()
    ordered = _WITH_STATUS.where(*conditions).order_by(
        orders.c.created_at, orders.c.id, agent_configs.c.created_at, agent_configs.c.id
    )
    rows = connection.execute(ordered.offset(offset).limit(limit)).mappings()
    return [agent_with_status(row, now=now) for row in rows], total


def _get(connection: Connection, scope: Scope, agent_config_id: AgentConfigId, now: datetime) -> AgentWithStatus:
    statement = _WITH_STATUS.where(
        agent_configs.c.id == key_of("agcfg", agent_config_id), covers(scope, orders.c.user_id)
    )
    row: Mapping[Any, Any] | None = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise missing("agcfg", agent_config_id)
    return agent_with_status(row, now=now)
