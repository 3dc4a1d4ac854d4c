"""Orders, servers and agents to change, on a real database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert, text

from actors.people import Author, Scope
from actors.ports import AgentsChanged, Delivery
from actors.runtime.ports import SystemClock, SystemIds, SystemRandomness
from actors.tenant.changes import AgentChange
from controlplane.store import configuration, outbox
from controlplane.store.agents import AgentStore
from controlplane.store.database import Database
from controlplane.store.tables.accounts import users
from controlplane.store.tables.orders import orders
from controlplane.store.tables.tenants import server_connections
from protocol.objects import TenantConfig
from protocol.tenant import ConfigOffered, to_tenant

NOW = datetime(2026, 3, 15, 14, 22, tzinfo=UTC)
STAFF = Author(type="staff", id="stf_x", name="Ada")
CUSTOMER = Author(type="customer", id="cust_x", name="Maria")


@dataclass
class World:
    """One database with customers, their orders and their servers."""

    database: Database
    ids: SystemIds = field(default_factory=lambda: SystemIds(SystemClock(), SystemRandomness()))

    def __post_init__(self) -> None:
        self.agents = AgentStore(self.database, clock=FixedClock(), ids=self.ids)

    async def customer(self) -> UUID:
        key = self.ids.uuid7()
        row = {"id": key, "email": f"{key}@acme.test", "name": "Maria", "created_at": NOW, "updated_at": NOW}
        await self.database.write(lambda connection: connection.execute(insert(users).values(row)) and None)
        return key

    async def order(self, owner: UUID | None = None, **values: Any) -> UUID:
        key = self.ids.uuid7()
        row: dict[str, Any] = {
            "id": key,
            "user_id": owner or await self.customer(),
            "status": "FULFILLED",
            "tier": "Build",
            "domain": f"{key}.test",
            "tools": ["nextcloud", "ghost"],
            "ssh_port": 22,
            "automation_mode": "AUTO",
            "created_at": NOW,
            "updated_at": NOW,
        } | values
        await self.database.write(lambda connection: connection.execute(insert(orders).values(row)) and None)
        return key

    async def server(self, order: UUID) -> None:
        row = {
            "id": self.ids.uuid7(),
            "order_id": order,
            "registered_at": NOW,
            "key_prefix": str(order),
            "key_hash": b"h",
            "key_sealed": b"s",
            "key_issued_at": NOW,
        }
        await self.database.write(
            lambda connection: connection.execute(insert(server_connections).values(row)) and None
        )

    async def run(self, statement: str, **values: Any) -> list[Any]:
        def work(connection: Connection) -> list[Any]:
            result = connection.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []

        return await self.database.write(work)

    async def change(
        self, order: UUID, change: AgentChange, *, scope: Scope | None = None, author: Author = STAFF
    ) -> AgentsChanged:
        return await self.database.write(
            configuration.change_agents,
            order_id=order,
            change=change,
            author=author,
            scope=scope or Scope.everything(),
            at=NOW,
            ids=self.ids,
        )

    async def config(self, order: UUID) -> TenantConfig:
        return await self.database.read(configuration.current_config, order)

    async def offer(self, order: UUID, **values: Any) -> Delivery | None:
        return await self.database.write(configuration.offer_current, order, NOW, **values)

    async def deliveries(self, order: UUID) -> list[Delivery]:
        return await self.database.read(outbox.page, order_id=order, after=0, limit=100, limit_bytes=10**7)


class FixedClock(SystemClock):
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def offered_in(delivery: Delivery | None) -> ConfigOffered:
    assert delivery is not None
    frame = to_tenant.decode(delivery.frame)
    assert isinstance(frame, ConfigOffered)
    return frame
