"""What a tenant should have: offered at hello, renewed with the defaults, and the status of its agents."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
import trio

from actors.people import Author, Scope
from actors.tenant.changes import DeployAgent, UpdateAgent
from controlplane.store import composition, configuration
from controlplane.store.agent_templates.tools import TOOL_TABLE
from protocol.canonical import config_hash
from protocol.faults import Conflict, NotFound
from protocol.ids import AgentConfigId, OrderId, format_id
from protocol.objects import AgentConfig, TenantConfig
from tests.integration.store.agents_world import World, offered_in, world

__all__ = ["world"]

NOW = datetime(2026, 3, 15, 14, 22, tzinfo=UTC)
STAFF = Author(type="staff", id="stf_x", name="Ada")
CUSTOMER = Author(type="customer", id="cust_x", name="Maria")


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
