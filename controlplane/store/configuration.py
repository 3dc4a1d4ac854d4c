"""What changes a tenant's configuration: its agents, and the Hub's own defaults; what a tenant should have now."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Connection, insert, select, text, update

from actors.people import Author, Scope
from actors.ports import AgentsChanged, Delivery
from actors.runtime.ports import Ids
from actors.tenant.changes import (
    AGENTS_MOST,
    AgentChange,
    DeployAgent,
    RemoveAgent,
    UnlockExternalComms,
    UpdateAgent,
)
from controlplane.store import agent_rules, audit, events, outbox
from controlplane.store.agent_rows import AGENT_COLUMNS, active_agents, agent_of, columns_of
from controlplane.store.agent_templates import TEMPLATES
from controlplane.store.composition import (
    HEARTBEAT_SECONDS,
    LockedOrder,
    basis_of,
    compose,
    latest_version,
    lock,
    lock_server,
    offered,
    write_next,
)
from controlplane.store.keys import key_of, missing
from controlplane.store.tables.agents import agent_configs
from controlplane.store.versions import demand_version
from protocol.faults import Conflict, ValidationError
from protocol.ids import AgentConfigId, OrderId, format_id, parse_id
from protocol.objects import AgentConfig, TenantConfig
from protocol.words import OrderStatus

log = structlog.get_logger()

_BODY = text("SELECT body FROM tenant_configs WHERE order_id = :order_id ORDER BY version DESC LIMIT 1")

_ON_ITS_WAY = text("""
    SELECT 1 FROM deliveries d JOIN server_connections s ON s.order_id = d.order_id
    WHERE d.order_id = :order_id AND d.seq > s.acked_seq AND d.kind = 'configOffered' AND d.voided_at IS NULL
    LIMIT 1""")

_config = msgspec.json.Decoder(TenantConfig)

_TOLD = {
    DeployAgent: "agent.deployed",
    UpdateAgent: "agent.updated",
    UnlockExternalComms: "agent.externalCommsChanged",
    RemoveAgent: "agent.removed",
}


def current_version(connection: Connection, order_id: UUID) -> int:
    """The version a tenant should have; 0 while nothing was written for it yet."""
    latest = latest_version(connection, order_id)
    return 0 if latest is None else latest.version


def current_config(
    connection: Connection, order_id: UUID, *, heartbeat_seconds: int = HEARTBEAT_SECONDS
) -> TenantConfig:
    """The configuration a tenant should have: the latest version, or version 0 (the defaults, no agents) before one."""
    body = connection.execute(_BODY, {"order_id": order_id}).scalar_one_or_none()
    return compose(connection, order_id, 0, heartbeat_seconds) if body is None else _config.decode(body)


def config_body(connection: Connection, order_id: UUID, *, heartbeat_seconds: int = HEARTBEAT_SECONDS) -> bytes:
    """The same as JSON bytes."""
    body: str | None = connection.execute(_BODY, {"order_id": order_id}).scalar_one_or_none()
    if body is not None:
        return body.encode()
    return msgspec.json.encode(compose(connection, order_id, 0, heartbeat_seconds))


def offer_current(
    connection: Connection,
    order_id: UUID,
    at: datetime,
    *,
    known_version: int | None = None,
    known_hash: str | None = None,
    heartbeat_seconds: int = HEARTBEAT_SECONDS,
) -> Delivery | None:
    """See to it that a tenant which says hello gets the configuration it should have; cheap where it has it already.

    Writes the first version where there is none, and a new one where the Hub's defaults have changed since the latest.
    Promises nothing twice: an offer still on its way will arrive by itself.

    Args:
        known_version, known_hash: what the wrapper says it holds; None where it does not say.

    Returns:
        The promise made, or None where none was needed.

    Raises:
        NotFound: there is no such order.
    """
    delivery = _renew(connection, order_id, at, heartbeat_seconds)
    if delivery is not None:
        return delivery
    latest = latest_version(connection, order_id)
    if latest is None or (known_version == latest.version and known_hash in (None, latest.hash)):
        return None
    # Whoever promises holds the server's row: no change can come between this look and the promise.
    lock_server(connection, order_id)
    if connection.execute(_ON_ITS_WAY, {"order_id": order_id}).one_or_none() is not None:
        return None
    config = current_config(connection, order_id)
    return outbox.promise(connection, order_id=order_id, build=partial(offered, config), at=at)


def _renew(connection: Connection, order_id: UUID, at: datetime, heartbeat_seconds: int) -> Delivery | None:
    basis = basis_of(heartbeat_seconds)
    latest = latest_version(connection, order_id)
    if latest is not None and latest.basis == basis:
        return None
    lock(connection, order_id, Scope.everything())
    latest = latest_version(connection, order_id)
    if latest is not None and latest.basis == basis:
        return None
    try:
        return write_next(connection, order_id=order_id, at=at, heartbeat_seconds=heartbeat_seconds).delivery
    except ValidationError as fault:
        # The defaults have grown and the agents fill the rest: the tenant keeps what it has until one of them shrinks.
        log.warning("configuration.not_renewed", order=format_id("ord", order_id), reason=fault.message)
        return None


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
        Conflict: the slug is taken, the agent was removed or changed meanwhile, too many agents, or the order is
            cancelled.
        ValidationError: names every bad field.
    """
    change = agent_rules.within_bounds(change)
    order = lock(connection, order_id, scope)
    before, after = _decide(connection, order_id, order, change, ids)
    if before == after:
        version = current_version(connection, order_id)
        return AgentsChanged(agent=after, config_version=version, delivery=None)
    if after.is_active:
        field = "unlocks" if isinstance(change, UnlockExternalComms) else "externalCommsUnlocks"
        agent_rules.check(before, after, unlocks_field=field)
        if scope.customer_id is not None:
            agent_rules.check_customer(before, after, TEMPLATES.get(after.role))
    _write(connection, order_id, before, after, at)
    offer = write_next(connection, order_id=order_id, at=at, heartbeat_seconds=heartbeat_seconds)
    _record(connection, author, change, before, after, at=at, customer_id=order.customer_id, order_id=order_id)
    events.emit(connection, _TOLD[type(change)], at=at, order_id=order_id, data=after)
    return AgentsChanged(agent=after, config_version=offer.config.config_version, delivery=offer.delivery)


def _decide(
    connection: Connection, order_id: UUID, order: LockedOrder, change: AgentChange, ids: Ids
) -> tuple[AgentConfig | None, AgentConfig]:
    if isinstance(change, DeployAgent):
        return None, _deploy(connection, order_id, order, change, ids)
    before = find_agent(connection, order_id, change.agent)
    if not isinstance(change, RemoveAgent):
        demand_version(before, change.version, f"the agent {before.agent_id}")
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


def find_agent(connection: Connection, order_id: UUID, agent: str) -> AgentConfig:
    """An agent of this order, by its slug or its id.

    Raises:
        NotFound: there is none.
        Conflict: it was removed.
    """
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
    values = columns_of(after)
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
    order_id: UUID,
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
    owner = {"customer_id": customer_id, "order_id": order_id}
    audit.record(connection, author, action, after.id, at=at, before=old, after=new, **owner)
