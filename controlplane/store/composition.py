"""The whole configuration of a tenant, composed of its agents and the Hub's defaults; versioned, hashed, promised."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache, partial
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from actors.people import Scope
from actors.ports import Delivery
from controlplane.store import events, outbox
from controlplane.store.agent_rows import active_agents
from controlplane.store.agent_templates.tools import TOOL_TABLE
from controlplane.store.keys import missing
from protocol.canonical import config_hash
from protocol.console import ConfigTold
from protocol.faults import ValidationError
from protocol.ids import OrderId, format_id
from protocol.objects import ModelRoute, TenantConfig
from protocol.tenant import ConfigOffered

#: Below a frame's 1 MiB, with room for the frame around it.
CONFIG_LIMIT_BYTES: Final = 900_000
#: How many versions are kept for reading what a tenant was given.
VERSIONS_KEPT: Final = 50
HEARTBEAT_SECONDS: Final = 30

#: Which model an agent's requests go to; `default` where nothing else is said.
MODEL_ROUTING: Final[dict[str, ModelRoute]] = {
    "default": ModelRoute(primary="deepseek/deepseek-v3.2", fallback=["google/gemini-2.5-flash"]),
}

# Every transaction that writes a configuration locks in this order: the server, then its order.
_LOCK_SERVER = text("SELECT 1 FROM server_connections WHERE order_id = :order_id FOR NO KEY UPDATE")

_LOCK_ORDER = text("""
    SELECT user_id, status, tools FROM orders
    WHERE id = :order_id AND (CAST(:customer_id AS uuid) IS NULL OR user_id = :customer_id)
    FOR NO KEY UPDATE""")

_LATEST = text("""
    SELECT version, hash, basis FROM tenant_configs WHERE order_id = :order_id ORDER BY version DESC LIMIT 1""")

_INSERT = text("""
    INSERT INTO tenant_configs (order_id, version, hash, basis, body, created_at)
    VALUES (:order_id, :version, :hash, :basis, :body, :at)""")

_PRUNE = text("DELETE FROM tenant_configs WHERE order_id = :order_id AND version <= :version")


class LockedOrder(NamedTuple):
    """The order whose configuration this transaction may change."""

    customer_id: UUID
    status: str
    applications: list[str]


class Written(NamedTuple):
    """The latest version written for a tenant.

    Args:
        basis: the hash of the Hub's own share in it.
    """

    version: int
    hash: str
    basis: str


class Offer(NamedTuple):
    """A configuration just written, and its promise (None where no server is registered yet)."""

    config: TenantConfig
    delivery: Delivery | None


def lock(connection: Connection, order_id: UUID, scope: Scope) -> LockedOrder:
    """Hold the order's configuration until the end of this transaction.

    Raises:
        NotFound: there is no such order within the scope.
    """
    lock_server(connection, order_id)
    row = connection.execute(_LOCK_ORDER, {"order_id": order_id, "customer_id": scope.customer_id}).one_or_none()
    if row is None:
        raise missing("ord", format_id("ord", order_id))
    return LockedOrder(row.user_id, row.status, list(row.tools))


def lock_server(connection: Connection, order_id: UUID) -> None:
    """Hold the server's row: nobody else promises anything to this tenant until the end of this transaction."""
    connection.execute(_LOCK_SERVER, {"order_id": order_id})


def latest_version(connection: Connection, order_id: UUID) -> Written | None:
    """The latest version; None while nothing was written for this tenant yet."""
    row = connection.execute(_LATEST, {"order_id": order_id}).one_or_none()
    return None if row is None else Written(row.version, row.hash, row.basis)


def write_next(
    connection: Connection, *, order_id: UUID, at: datetime, heartbeat_seconds: int = HEARTBEAT_SECONDS
) -> Offer:
    """Write the next version from the agents as they stand, withdraw older offers and promise this one.

    The caller holds `lock`.

    Raises:
        ValidationError: the configuration would be larger than a frame.
    """
    latest = latest_version(connection, order_id)
    config = compose(connection, order_id, 1 if latest is None else latest.version + 1, heartbeat_seconds)
    body = msgspec.json.encode(config)
    if len(body) > CONFIG_LIMIT_BYTES:
        size = f"{len(body):,} bytes of {CONFIG_LIMIT_BYTES:,}"
        raise ValidationError.of("soulMd", f"all agents together would make too large a configuration: {size}")
    connection.execute(
        _INSERT,
        {
            "order_id": order_id,
            "version": config.config_version,
            "hash": config.config_hash,
            "basis": basis_of(heartbeat_seconds),
            "body": body.decode(),
            "at": at,
        },
    )
    connection.execute(_PRUNE, {"order_id": order_id, "version": config.config_version - VERSIONS_KEPT})
    outbox.withdraw(connection, order_id=order_id, kind="configOffered", at=at)
    told = ConfigTold(OrderId(format_id("ord", order_id)), config.config_version, config.config_hash)
    events.emit(connection, "config.offered", at=at, order_id=order_id, data=told)
    return Offer(config, outbox.promise(connection, order_id=order_id, build=partial(offered, config), at=at))


def offered(config: TenantConfig, seq: int) -> ConfigOffered:
    """The frame that offers a configuration."""
    return ConfigOffered(seq=seq, config_version=config.config_version, config_hash=config.config_hash, config=config)


def compose(connection: Connection, order_id: UUID, version: int, heartbeat_seconds: int) -> TenantConfig:
    """A configuration of the agents as they stand, with its hash."""
    config = TenantConfig(
        config_version=version,
        agents=active_agents(connection, order_id),
        tool_table=TOOL_TABLE,
        model_routing=MODEL_ROUTING,
        heartbeat_seconds=heartbeat_seconds,
    )
    config.config_hash = config_hash(config)
    return config


@cache
def basis_of(heartbeat_seconds: int) -> str:
    """The hash of the Hub's own share in every configuration: another one means that the defaults have changed."""
    share = (sorted(TOOL_TABLE.items()), sorted(MODEL_ROUTING.items()), heartbeat_seconds)
    return hashlib.sha256(msgspec.json.encode(share)).hexdigest()
