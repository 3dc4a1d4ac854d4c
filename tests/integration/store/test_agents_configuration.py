"""Agents change on the real database: a version, a promise and an audit entry in one transaction, or nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from actors.people import Author, Scope
from actors.tenant.changes import DeployAgent, RemoveAgent, UnlockExternalComms, UpdateAgent
from controlplane.store import configuration
from controlplane.store.agent_templates import TEMPLATES
from controlplane.store.agent_templates.tools import TOOL_TABLE
from protocol.canonical import config_hash
from protocol.faults import Conflict, NotFound, ValidationError
from protocol.ids import OrderId, format_id
from protocol.objects import TenantConfig
from protocol.tenant import Void, to_tenant
from protocol.words import ToolOverride
from tests.integration.store.agents_world import World, offered_in, world

__all__ = ["world"]

NOW = datetime(2026, 3, 15, 14, 22, tzinfo=UTC)
STAFF = Author(type="staff", id="stf_x", name="Ada")
CUSTOMER = Author(type="customer", id="cust_x", name="Maria")


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
