"""Agents: deploy, change and remove them, each with the tenant's next configuration; list and read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from actors.people import Author, Scope
from actors.ports import AgentsChanged
from actors.runtime.ports import Clock, Ids
from actors.tenant.changes import (
    AGENTS_MOST,
    AgentChange,
    DeployAgent,
    RemoveAgent,
    UnlockExternalComms,
    UpdateAgent,
)
from controlplane.store import agent_rules, audit, configuration
from controlplane.store.agent_rows import AGENT_COLUMNS, AgentWithStatus, active_agents, agent_of, agent_with_status
from controlplane.store.agent_templates import TEMPLATES
from controlplane.store.agent_templates.template import AgentTemplate
from controlplane.store.configuration import HEARTBEAT_SECONDS, LockedOrder
from controlplane.store.database import Database
from controlplane.store.keys import key_of, missing
from controlplane.store.scope import covers
from controlplane.store.tables.agents import agent_configs
from controlplane.store.tables.orders import orders
from controlplane.store.tables.tenants import server_connections
from protocol.faults import Conflict
from protocol.ids import AgentConfigId, OrderId, format_id, parse_id
from protocol.objects import AgentConfig
from protocol.words import OrderStatus

#: The fields of an agent that a change may touch, as columns.
_CHANGING: Final = (
    *("name", "role", "soul_md", "tools_allowed", "tools_denied", "tool_profile", "autonomy_level"),
    *("external_comms_unlocks", "tool_overrides"),
)


class AgentStore:
    """Agents as they are read; changes go through the tenant's actor and `change_agents`."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

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


def change_agents(
    connection: Connection,
    *,
    order_id: UUID,
    change: AgentChange,
    author: Author,
    scope: Scope,
    at: datetime,
    ids: Ids,
    heartbeat_seconds: int = HEARTBEAT_SECONDS,
) -> AgentsChanged:
    """Make a change and write and promise the configuration that follows, in this transaction.

    A change that changes nothing writes nothing. A scope of one customer's things also means that customer's rights
    (`agent_rules.check_customer`).

    Args:
        heartbeat_seconds: what the configuration tells the wrapper.

    Raises:
        NotFound: no such order or agent within the scope.
        Conflict: the slug is taken, the agent was removed, too many agents, or the order is cancelled.
        ValidationError: names every bad field.
    """
    change = agent_rules.within_bounds(change)
    order = configuration.lock(connection, order_id, scope)
    before, after = _decide(connection, order_id, order, change, ids)
    if before == after:
        version = configuration.current_version(connection, order_id, heartbeat_seconds=heartbeat_seconds).version
        return AgentsChanged(agent=after, config_version=version, delivery=None)
    if after.is_active:
        field = "unlocks" if isinstance(change, UnlockExternalComms) else "externalCommsUnlocks"
        agent_rules.check(before, after, unlocks_field=field)
        if scope.customer_id is not None:
            agent_rules.check_customer(before, after, TEMPLATES.get(after.role))
    _write(connection, order_id, before, after, at)
    offer = configuration.write_next(connection, order_id=order_id, at=at, heartbeat_seconds=heartbeat_seconds)
    _record(connection, author, change, before, after, at=at, customer_id=order.customer_id)
    return AgentsChanged(agent=after, config_version=offer.config.config_version, delivery=offer.delivery)


def _decide(
    connection: Connection, order_id: UUID, order: LockedOrder, change: AgentChange, ids: Ids
) -> tuple[AgentConfig | None, AgentConfig]:
    if isinstance(change, DeployAgent):
        return None, _deploy(connection, order_id, order, change, ids)
    before = _find(connection, order_id, change.agent)
    match change:
        case UpdateAgent():
            return before, agent_rules.updated(before, change)
        case UnlockExternalComms(unlocks=unlocks):
            return before, agent_rules.unlocked(before, unlocks)
        case RemoveAgent():
            return before, msgspec.structs.replace(before, is_active=False)


def _deploy(connection: Connection, order_id: UUID, order: LockedOrder, change: DeployAgent, ids: Ids) -> AgentConfig:
    order_name = format_id("ord", order_id)
    if order.status == OrderStatus.CANCELLED:
        raise Conflict(f"order {order_name} is cancelled")
    after = agent_rules.deployed(
        change,
        TEMPLATES.get(change.role),
        agent_config_id=AgentConfigId(format_id("agcfg", ids.uuid7())),
        order_id=OrderId(order_name),
        applications=order.applications,
    )
    present = active_agents(connection, order_id)
    namesake = next((agent for agent in present if agent.agent_id == after.agent_id), None)
    if namesake is not None:
        raise Conflict(
            f"order {order_name} already has an agent {after.agent_id}",
            details={"id": namesake.id, "agentId": namesake.agent_id},
        )
    if len(present) >= AGENTS_MOST:
        raise Conflict(f"order {order_name} has {len(present)} agents; {AGENTS_MOST} is the most")
    return after


def _find(connection: Connection, order_id: UUID, agent: str) -> AgentConfig:
    """An agent of this order, by its slug or its id."""
    statement = select(*AGENT_COLUMNS).where(agent_configs.c.order_id == order_id)
    if "_" in agent:
        statement = statement.where(agent_configs.c.id == key_of("agcfg", agent))
    else:
        statement = statement.where(agent_configs.c.agent_id == agent, agent_configs.c.is_active)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise missing("agcfg", agent)
    found = agent_of(row)
    if not found.is_active:
        raise Conflict(f"agent {found.agent_id} was removed")
    return found


def _write(
    connection: Connection, order_id: UUID, before: AgentConfig | None, after: AgentConfig, at: datetime
) -> None:
    key = parse_id("agcfg", after.id)
    values: dict[str, Any] = {name: getattr(after, name) for name in _CHANGING}
    if before is None:
        fixed = {"id": key, "order_id": order_id, "agent_id": after.agent_id, "created_at": at, "updated_at": at}
        connection.execute(insert(agent_configs).values(fixed | values))
        return
    removed = {} if after.is_active else {"is_active": False, "removed_at": at}
    connection.execute(
        update(agent_configs).where(agent_configs.c.id == key).values(values | removed | {"updated_at": at})
    )


def _record(
    connection: Connection,
    author: Author,
    change: AgentChange,
    before: AgentConfig | None,
    after: AgentConfig,
    *,
    at: datetime,
    customer_id: UUID,
) -> None:
    old: object
    new: object
    match change:
        case DeployAgent():
            action, old, new = "agent.deployed", None, after
        case RemoveAgent():
            action, old, new = "agent.removed", before, None
        case UnlockExternalComms():
            action, (old, new) = "agent.external_comms_changed", audit.difference(before, after)
        case UpdateAgent():
            action, (old, new) = "agent.updated", audit.difference(before, after)
    audit.record(connection, author, action, after.id, at=at, before=old, after=new, customer_id=customer_id)


def _of_order(
    connection: Connection, scope: Scope, order_id: OrderId, include_removed: bool, offset: int, limit: int
) -> tuple[Sequence[AgentConfig], int]:
    key = key_of("ord", order_id)
    known = select(orders.c.id).where(orders.c.id == key, covers(scope, orders.c.user_id))
    if connection.execute(known).one_or_none() is None:
        raise missing("ord", order_id)
    conditions = [agent_configs.c.order_id == key]
    if not include_removed:
        conditions.append(agent_configs.c.is_active)
    total = connection.execute(select(func.count()).select_from(agent_configs).where(*conditions)).scalar_one()
    statement = select(*AGENT_COLUMNS).where(*conditions).order_by(agent_configs.c.created_at, agent_configs.c.id)
    rows = connection.execute(statement.offset(offset).limit(limit)).mappings()
    return [agent_of(row) for row in rows], total


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
