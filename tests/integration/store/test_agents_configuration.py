"""Agents change on the real database: a version, a promise and an audit entry in one transaction, or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
import trio
from sqlalchemy import Connection, insert, text

from actors.people import Author, Scope
from actors.ports import AgentsChanged, Delivery
from actors.runtime.ports import SystemClock, SystemIds, SystemRandomness
from actors.tenant.changes import AgentChange, DeployAgent, RemoveAgent, UnlockExternalComms, UpdateAgent
from controlplane.store import composition, configuration, outbox
from controlplane.store.agent_templates import TEMPLATES
from controlplane.store.agent_templates.tools import TOOL_TABLE
from controlplane.store.agents import AgentStore
from controlplane.store.database import Database
from controlplane.store.tables.accounts import users
from controlplane.store.tables.orders import orders
from controlplane.store.tables.tenants import server_connections
from protocol.canonical import config_hash
from protocol.faults import Conflict, NotFound, ValidationError
from protocol.ids import AgentConfigId, OrderId, format_id
from protocol.objects import AgentConfig, TenantConfig
from protocol.tenant import ConfigOffered, Void, to_tenant
from protocol.words import ToolOverride

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


async def test_a_deployed_agent_is_in_the_configuration_that_is_promised(world: World):
    order = await world.order()
    await world.server(order)
    changed = await world.change(order, DeployAgent(role="it-admin"))

    assert changed.agent.agent_id == "it-admin"
    assert changed.agent.soul_md == TEMPLATES["it-admin"].soul_md
    assert "nextcloud_user_list" in changed.agent.tools_allowed
    assert "stalwart_queue_read" not in changed.agent.tools_allowed
    assert changed.config_version == 1

    frame = offered_in(changed.delivery)
    assert (frame.seq, frame.config_version) == (1, 1)
    assert frame.config.agents == [changed.agent]
    assert frame.config.tool_table == TOOL_TABLE
    assert frame.config.config_hash == frame.config_hash == config_hash(frame.config)
    assert await world.config(order) == frame.config
    body = await world.database.read(configuration.config_body, order)
    assert msgspec.json.decode(body, type=TenantConfig) == frame.config


async def test_a_change_withdraws_the_older_offer(world: World):
    order = await world.order()
    await world.server(order)
    await world.change(order, DeployAgent(role="sales"))
    second = await world.change(order, UpdateAgent(agent="sales", autonomy_level=1))

    first, newest = await world.deliveries(order)
    assert to_tenant.decode(first.frame) == Void(seq=1)
    assert newest.frame == second.delivery.frame if second.delivery else False
    assert offered_in(second.delivery).config.agents[0].autonomy_level == 1


async def test_an_acknowledged_offer_stays_what_it_was(world: World):
    order = await world.order()
    await world.server(order)
    await world.change(order, DeployAgent(role="sales"))
    await world.run("UPDATE server_connections SET acked_seq = 1")
    await world.change(order, UpdateAgent(agent="sales", name="Sam"))
    assert [delivery.kind for delivery in await world.deliveries(order)] == ["configOffered", "configOffered"]


async def test_a_change_that_changes_nothing_writes_nothing(world: World):
    order = await world.order()
    await world.server(order)
    first = await world.change(order, DeployAgent(role="sales", tool_overrides={"shell": ToolOverride.DENY}))
    for change in (
        UpdateAgent(agent="sales"),
        UpdateAgent(agent="sales", name="Sales", tool_overrides={"shell": ToolOverride.DENY}),
        UpdateAgent(agent=first.agent.id, external_comms_unlocks=None),
    ):
        again = await world.change(order, change)
        assert (again.config_version, again.delivery, again.agent) == (1, None, first.agent)
    assert len(await world.deliveries(order)) == 1
    assert await world.run("SELECT count(*) FROM audit_entries") == [(1,)]


async def test_without_a_server_the_change_is_kept_for_hello(world: World):
    order = await world.order()
    changed = await world.change(order, DeployAgent(role="sales"))
    assert (changed.config_version, changed.delivery) == (1, None)

    await world.server(order)
    frame = offered_in(await world.offer(order, known_version=0))
    assert [agent.agent_id for agent in frame.config.agents] == ["sales"]


async def test_every_change_has_its_audit_entry(world: World):
    owner = await world.customer()
    order = await world.order(owner)
    agent = (await world.change(order, DeployAgent(role="sales"))).agent
    await world.change(order, UpdateAgent(agent="sales", name="Sam"))
    await world.change(order, UnlockExternalComms(agent="sales", unlocks={"email_send": True}), author=CUSTOMER)
    await world.change(order, RemoveAgent(agent="sales"))

    entries = await world.run(
        "SELECT action, target, author_name, customer_id, before, after FROM audit_entries ORDER BY position"
    )
    assert [entry.action for entry in entries] == [
        "agent.deployed",
        "agent.updated",
        "agent.external_comms_changed",
        "agent.removed",
    ]
    assert {entry.target for entry in entries} == {agent.id}
    assert {entry.customer_id for entry in entries} == {owner}
    assert json.loads(entries[0].after)["soulMd"] == agent.soul_md
    assert (json.loads(entries[1].before), json.loads(entries[1].after)) == ({"name": "Sales"}, {"name": "Sam"})
    assert entries[2].author_name == "Maria"
    assert json.loads(entries[2].after) == {"externalCommsUnlocks": {"email_send": True}}
    assert json.loads(entries[3].before)["name"] == "Sam"


async def test_a_removed_agent_leaves_the_configuration_and_keeps_its_row(world: World):
    order = await world.order()
    first = (await world.change(order, DeployAgent(role="sales"))).agent
    removed = await world.change(order, RemoveAgent(agent="sales"))
    assert (removed.agent.is_active, removed.config_version) == (False, 2)
    assert (await world.config(order)).agents == []

    order_name = OrderId(format_id("ord", order))
    everything = Scope.everything()
    assert await world.agents.of_order(everything, order_name, offset=0, limit=10) == ([], 0)
    kept, total = await world.agents.of_order(everything, order_name, include_removed=True, offset=0, limit=10)
    assert ([agent.id for agent in kept], total) == ([first.id], 1)
    assert (await world.agents.get(everything, first.id)).status == "removed"

    with pytest.raises(NotFound):
        await world.change(order, UpdateAgent(agent="sales", name="Sam"))
    with pytest.raises(Conflict, match="was removed"):
        await world.change(order, UpdateAgent(agent=first.id, name="Sam"))


async def test_a_slug_deployed_again_is_a_new_agent(world: World):
    order = await world.order()
    first = (await world.change(order, DeployAgent(role="sales"))).agent
    with pytest.raises(Conflict) as refusal:
        await world.change(order, DeployAgent(role="marketing", agent_id="sales"))
    assert refusal.value.details == {"id": first.id, "agentId": "sales"}
    await world.change(order, RemoveAgent(agent="sales"))
    second = (await world.change(order, DeployAgent(role="sales"))).agent
    assert second.id != first.id
    assert [agent.id for agent in (await world.config(order)).agents] == [second.id]


async def test_a_cancelled_order_takes_no_agent(world: World):
    order = await world.order(status="CANCELLED")
    with pytest.raises(Conflict, match="is cancelled"):
        await world.change(order, DeployAgent(role="sales"))


async def test_an_order_takes_fifty_agents(world: World):
    order = await world.order()
    for number in range(50):
        await world.change(order, DeployAgent(role="sales", agent_id=f"sales-{number}"))
    with pytest.raises(Conflict, match="50 is the most"):
        await world.change(order, DeployAgent(role="sales", agent_id="one-more"))


async def test_a_configuration_larger_than_a_frame_is_refused_whole(world: World):
    order = await world.order()
    await world.server(order)
    for number in range(8):
        await world.change(order, DeployAgent(role="sales", agent_id=f"sales-{number}", soul_md="x" * 100_000))
    with pytest.raises(ValidationError) as error:
        await world.change(order, DeployAgent(role="sales", agent_id="too-much", soul_md="ü" * 50_000))
    assert [problem.field for problem in error.value.details] == ["soulMd"]
    config = await world.config(order)
    assert (config.config_version, len(config.agents)) == (8, 8)
    frames = [delivery.frame for delivery in await world.deliveries(order)]
    assert len(frames) == 8
    assert max(len(frame) for frame in frames) < 1024 * 1024


async def test_foreign_things_do_not_exist(world: World):
    owner, stranger = await world.customer(), await world.customer()
    order = await world.order(owner)
    agent = (await world.change(order, DeployAgent(role="sales"))).agent
    foreign = Scope.customer(stranger)
    for change in (
        UpdateAgent(agent=agent.id, name="Mine"),
        UpdateAgent(agent="sales", name="Mine"),
        UnlockExternalComms(agent="sales", unlocks={"email_send": True}),
        RemoveAgent(agent="sales"),
        DeployAgent(role="marketing"),
    ):
        with pytest.raises(NotFound):
            await world.change(order, change, scope=foreign, author=CUSTOMER)
    with pytest.raises(NotFound):
        await world.agents.get(foreign, agent.id)
    with pytest.raises(NotFound):
        await world.agents.of_order(foreign, OrderId(format_id("ord", order)), offset=0, limit=10)
    assert await world.agents.in_scope(foreign, offset=0, limit=10) == ([], 0)
    assert (await world.config(order)).config_version == 1


async def test_an_agent_of_another_order_is_not_found(world: World):
    first, second = await world.order(), await world.order()
    agent = (await world.change(first, DeployAgent(role="sales"))).agent
    for reference in (agent.id, "sales", "agcfg_nonsense"):
        with pytest.raises(NotFound):
            await world.change(second, UpdateAgent(agent=reference, name="Mine"))
    with pytest.raises(NotFound):
        await world.change(UUID(int=1), DeployAgent(role="sales"))


async def test_a_customer_is_held_to_a_customers_rights(world: World):
    owner = await world.customer()
    order = await world.order(owner)
    await world.change(order, DeployAgent(role="sales"))
    own = Scope.customer(owner)
    with pytest.raises(ValidationError) as error:
        await world.change(
            order,
            UpdateAgent(agent="sales", tool_overrides={"shell": ToolOverride.ALLOW}),
            scope=own,
            author=CUSTOMER,
        )
    assert [problem.field for problem in error.value.details] == ["toolOverrides.shell"]
    changed = await world.change(
        order,
        UpdateAgent(
            agent="sales", soul_md="# Sam", autonomy_level=3, tool_overrides={"odoo_quote_draft": ToolOverride.ASK}
        ),
        scope=own,
        author=CUSTOMER,
    )
    assert (changed.agent.soul_md, changed.config_version) == ("# Sam", 2)


async def test_a_wrong_gate_is_named_as_it_was_sent(world: World):
    order = await world.order()
    await world.change(order, DeployAgent(role="sales"))
    with pytest.raises(ValidationError) as error:
        await world.change(order, UnlockExternalComms(agent="sales", unlocks={"shell": True, "email_send": True}))
    assert [problem.field for problem in error.value.details] == ["unlocks.shell"]


# --- what a tenant should have -------------------------------------------------------------------------------


async def test_a_tenant_without_agents_has_the_defaults(world: World):
    order = await world.order()
    config = await world.config(order)
    assert (config.config_version, config.agents, config.tool_table) == (0, [], TOOL_TABLE)
    assert config.config_hash == config_hash(config)
    body = await world.database.read(configuration.config_body, order)
    assert msgspec.json.decode(body, type=TenantConfig) == config
    assert await world.database.read(configuration.current_version, order) == 0


async def test_the_first_hello_brings_the_first_version(world: World):
    order = await world.order()
    await world.server(order)
    frame = offered_in(await world.offer(order, known_version=0))
    assert (frame.config_version, frame.config.agents, frame.config.tool_table) == (1, [], TOOL_TABLE)
    assert await world.database.read(configuration.current_version, order) == 1


async def test_who_holds_the_current_version_is_offered_nothing(world: World):
    order = await world.order()
    await world.server(order)
    frame = offered_in(await world.offer(order))
    assert await world.offer(order, known_version=1, known_hash=frame.config_hash) is None
    assert await world.offer(order, known_version=1) is None


async def test_an_offer_on_its_way_is_not_made_again(world: World):
    order = await world.order()
    await world.server(order)
    await world.offer(order)
    assert await world.offer(order, known_version=0) is None
    await world.run("UPDATE server_connections SET acked_seq = issued_seq")
    again = await world.offer(order, known_version=0)
    assert (offered_in(again).seq, offered_in(again).config_version) == (2, 1)


async def test_the_same_version_with_another_hash_is_offered_again(world: World):
    order = await world.order()
    await world.server(order)
    await world.offer(order)
    await world.run("UPDATE server_connections SET acked_seq = issued_seq")
    assert offered_in(await world.offer(order, known_version=1, known_hash="damaged")).config_version == 1


async def test_other_defaults_make_a_new_version_at_hello(world: World):
    order = await world.order()
    await world.server(order)
    await world.change(order, DeployAgent(role="sales"))
    frame = offered_in(await world.offer(order, known_version=1, heartbeat_seconds=60))
    assert (frame.config_version, frame.config.heartbeat_seconds) == (2, 60)
    assert [agent.agent_id for agent in frame.config.agents] == ["sales"]


async def test_defaults_that_no_longer_fit_leave_a_tenant_what_it_has(world: World, monkeypatch: pytest.MonkeyPatch):
    order = await world.order()
    await world.server(order)
    await world.change(order, DeployAgent(role="sales"))
    monkeypatch.setattr(composition, "CONFIG_LIMIT_BYTES", 1000)
    assert await world.offer(order, known_version=1, heartbeat_seconds=60) is None
    assert await world.database.read(configuration.current_version, order) == 1


async def test_a_hello_for_an_unknown_order_is_refused(world: World):
    with pytest.raises(NotFound):
        await world.offer(UUID(int=1))


async def test_only_the_latest_versions_are_kept(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(composition, "VERSIONS_KEPT", 3)
    order, other = await world.order(), await world.order()
    await world.change(other, DeployAgent(role="sales"))
    await world.change(order, DeployAgent(role="sales"))
    for level in (1, 2, 3, 1, 2):
        await world.change(order, UpdateAgent(agent="sales", autonomy_level=level))
    rows = await world.run("SELECT version FROM tenant_configs WHERE order_id = :o ORDER BY version", o=order)
    assert [row.version for row in rows] == [4, 5, 6]
    assert await world.run("SELECT version FROM tenant_configs WHERE order_id = :o", o=other) == [(1,)]


async def test_changes_at_once_make_a_version_each_without_a_hole(world: World):
    order = await world.order()
    await world.server(order)
    versions: list[int] = []

    async def deploy(number: int) -> None:
        changed = await world.change(order, DeployAgent(role="sales", agent_id=f"sales-{number}"))
        versions.append(changed.config_version)

    async def say_hello() -> None:
        await world.offer(order, known_version=0)

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(deploy, number)
            nursery.start_soon(say_hello)
    assert len(set(versions)) == 12
    config = await world.config(order)
    assert (config.config_version, len(config.agents)) == (max(versions), 12)
    *older, newest = await world.deliveries(order)
    assert {delivery.kind for delivery in older} == {"void"}
    assert offered_in(newest).config == config


async def test_one_slug_deployed_at_once_has_one_winner(world: World):
    order = await world.order()
    outcomes: list[str] = []

    async def deploy() -> None:
        try:
            await world.change(order, DeployAgent(role="sales"))
            outcomes.append("deployed")
        except Conflict:
            outcomes.append("conflict")

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(deploy)
    assert sorted(outcomes) == ["conflict"] * 7 + ["deployed"]


# --- status --------------------------------------------------------------------------------------------------


async def heartbeat(world: World, order: UUID, agents: object, *, ago: timedelta = timedelta(0)) -> None:
    await world.run(
        "UPDATE server_connections SET heartbeat = :body, last_seen_at = :at WHERE order_id = :o",
        body=json.dumps({"status": "healthy", "agents": agents}),
        at=NOW - ago,
        o=order,
    )


async def test_a_customer_sees_the_agents_of_all_orders_with_their_status(world: World):
    owner = await world.customer()
    first = await world.order(owner)
    second = await world.order(owner, created_at=NOW + timedelta(days=1))
    await world.server(first)
    for role in ("sales", "secretary"):
        await world.change(first, DeployAgent(role=role))
    await world.change(second, DeployAgent(role="marketing"))
    await world.change(await world.order(), DeployAgent(role="sales"))
    await heartbeat(world, first, {"sales": {"status": "idle", "lastActiveAt": "2026-03-14T09:00:00Z"}})

    found, total = await world.agents.in_scope(Scope.customer(owner), offset=0, limit=10)
    assert total == 3
    assert [(agent.agent_id, agent.status) for agent in found] == [
        ("sales", "idle"),
        ("secretary", "unknown"),
        ("marketing", "unknown"),
    ]
    assert found[0].last_active_at == datetime(2026, 3, 14, 9, tzinfo=UTC)
    assert await world.agents.get(Scope.customer(owner), found[0].id) == found[0]
    page, total = await world.agents.in_scope(Scope.customer(owner), offset=1, limit=1)
    assert ([agent.agent_id for agent in page], total) == (["secretary"], 3)


async def test_a_tenant_long_silent_says_nothing_of_now(world: World):
    order = await world.order()
    await world.server(order)
    agent = (await world.change(order, DeployAgent(role="sales"))).agent
    said = {"sales": {"status": "active", "lastActiveAt": "2026-03-15T14:00:00Z"}}
    await heartbeat(world, order, said, ago=timedelta(minutes=14))
    assert (await world.agents.get(Scope.everything(), agent.id)).status == "active"
    await heartbeat(world, order, said, ago=timedelta(minutes=16))
    silent = await world.agents.get(Scope.everything(), agent.id)
    assert (silent.status, silent.last_active_at) == ("offline", datetime(2026, 3, 15, 14, tzinfo=UTC))


@pytest.mark.parametrize("heard", ["not json", '{"agents": 3}', '{"agents": {"sales": {}}}', "{}"])
async def test_a_heartbeat_that_cannot_be_read_hides_no_agent(world: World, heard: str):
    order = await world.order()
    await world.server(order)
    agent = (await world.change(order, DeployAgent(role="sales"))).agent
    await world.run("UPDATE server_connections SET heartbeat = :body, last_seen_at = :at", body=heard, at=NOW)
    assert (await world.agents.get(Scope.everything(), agent.id)).status == "unknown"


async def test_an_agents_spoken_form_is_the_specifications(world: World):
    order = await world.order()
    agent = (await world.change(order, DeployAgent(role="it-admin"))).agent
    spoken = msgspec.to_builtins(agent)
    assert {"externalCommsUnlocks", "isActive", "soulMd", "toolProfile", "toolOverrides"} <= spoken.keys()
    assert spoken["orderId"] == format_id("ord", order)
    assert isinstance(msgspec.convert(spoken, AgentConfig).id, str)
    assert AgentConfigId(spoken["id"]).startswith("agcfg_")


async def test_the_feed_of_a_tenant(world: World):
    order = await world.order()
    await world.change(order, DeployAgent(role="sales"))
    assert await world.agents.config(OrderId(format_id("ord", order))) == await world.config(order)
    with pytest.raises(NotFound):
        await world.agents.config(OrderId("ord_nonsense"))
