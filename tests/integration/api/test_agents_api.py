"""Agents over HTTP: what staff and customers may change, and that it reaches the wrapper in the same breath."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
import trio
from sqlalchemy import insert, text

from actors.root import plant
from actors.runtime.ports import SystemRandomness
from actors.runtime.system import ActorSystem
from actors.tenant.messages import Attach
from controlplane.api.account import session, setup, sign_in
from controlplane.api.admin import agents as admin_agents
from controlplane.api.customer import agents as customer_agents
from controlplane.api.mount import build_app
from controlplane.store.agent_templates import TEMPLATES
from controlplane.store.agents import AgentStore
from controlplane.store.order_book import PostgresOrderBook
from controlplane.store.orders import NewOrder
from controlplane.store.tables.tenants import server_connections
from controlplane.store.tenant_book import PostgresTenantBook
from controlplane.store.waiting_approvals import WaitingApprovals
from protocol.faults import Fault
from protocol.ids import OrderId, format_id, parse_id
from protocol.objects import AgentConfig
from protocol.tenant import ConfigOffered, Hello, Welcome, to_tenant
from protocol.words import AutomationMode, Role, Tier
from tests.people import PASSWORD, TESTER, People

NO_AGENT = format_id("agcfg", parse_id("ord", "ord_" + "0" * 26))


@dataclass
class Wrapper:
    """The far end of a link: what was pushed to it."""

    frames: list[Any] = field(default_factory=list)
    frame_limit: int = 65536
    last_received_at: float = field(default_factory=trio.current_time)
    open: bool = True

    def send_text(self, data: bytes) -> bool:
        self.frames.append(to_tenant.decode(data))
        return True

    def close(self, code: int, reason: str = "") -> None:
        self.open = False

    @property
    def offers(self) -> list[ConfigOffered]:
        return [frame for frame in self.frames if isinstance(frame, ConfigOffered)]


@dataclass
class Town:
    """A Hub with people and live tenants."""

    people: People

    async def order(self, customer: Any, domain: str, *tools: str) -> str:
        order = await self.people.orders.create(
            TESTER,
            NewOrder(
                user_id=customer.id,
                tier=Tier.BUILD,
                domain=domain,
                tools=list(tools),
                server_ip=None,
                ssh_port=22,
                automation_mode=AutomationMode.MANUAL,
            ),
        )
        return order.id

    async def wrapper(self, order: str) -> Wrapper:
        """A wrapper that has said hello."""
        key, at = parse_id("ord", order), datetime.now(UTC)
        row = {
            "id": self.people.hub.ids.uuid7(),
            "order_id": key,
            "registered_at": at,
            "key_prefix": order,
            "key_hash": b"h",
            "key_sealed": b"s",
            "key_issued_at": at,
        }

        def register(connection: Any) -> None:
            connection.execute(insert(server_connections).values(row))

        await self.people.database.write(register)
        wrapper = Wrapper()
        hello = Hello(protocol_min=1, protocol_max=1, wrapper_version="1", boot_id="b", capabilities=["configOffered"])
        await self.people.hub.tenant(OrderId(order)).ask(Attach(wrapper, hello, order))
        assert isinstance(wrapper.frames[0], Welcome)
        return wrapper

    async def audit(self) -> list[Any]:
        def read(connection: Any) -> list[Any]:
            entries = "SELECT action, author_type, author_name FROM audit_entries WHERE action LIKE 'agent.%'"
            rows = connection.execute(text(f"{entries} ORDER BY position"))
            return [tuple(row) for row in rows]

        return await self.people.database.read(read)


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    hub, database = people.hub, people.database
    async with ActorSystem.open(
        clock=hub.clock, ids=hub.ids, randomness=SystemRandomness(), refusals=(Fault,)
    ) as system:
        book = PostgresTenantBook(database, ids=hub.ids, heartbeat_seconds=30, waiting=WaitingApprovals())
        plant(system, tenant_book=book, order_book=PostgresOrderBook(database), heartbeat_seconds=30)
        hub.system = system
        hub.agents = AgentStore(database, clock=hub.clock, ids=hub.ids, heartbeat_seconds=30)
        people.app = build_app(
            [setup.routes, sign_in.routes, session.routes, admin_agents.routes, customer_agents.routes], hub
        )
        yield Town(people)


def data(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def refusal(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def bad_fields(answer: httpx.Response) -> list[str]:
    return [problem["field"] for problem in refusal(answer, 400)["details"]]


async def test_staff_see_the_five_templates(town: Town):
    owner = await town.people.owner()
    templates = data(await owner.get("/api/v1/admin/agents/templates"))
    assert [one["role"] for one in templates] == ["dispatcher", "it-admin", "marketing", "secretary", "sales"]
    assert templates[1]["soulMd"] == TEMPLATES["it-admin"].soul_md
    assert templates[1]["toolProfile"] == "coding"


async def test_the_life_of_an_agent_reaches_the_wrapper(town: Town):
    owner = await town.people.owner()
    maria = await town.people.customer()
    order = await town.order(maria, "acme.test", "nextcloud")
    wrapper = await town.wrapper(order)
    agents = f"/api/v1/admin/orders/{order}/agents"

    deployed = data(await owner.post(agents, json={"role": "it-admin"}), 201)
    assert set(deployed) == {field.encode_name for field in msgspec.structs.fields(AgentConfig)}
    assert (deployed["agentId"], deployed["orderId"], deployed["isActive"]) == ("it-admin", order, True)
    assert "nextcloud_user_list" in deployed["toolsAllowed"]
    assert [agent.agent_id for agent in wrapper.offers[-1].config.agents] == ["it-admin"]

    changed = data(
        await owner.patch(f"{agents}/it-admin", json={"autonomyLevel": 1, "toolOverrides": {"shell": "deny"}})
    )
    assert (changed["id"], changed["autonomyLevel"], changed["name"]) == (deployed["id"], 1, "IT Admin")
    assert wrapper.offers[-1].config.agents[0].autonomy_level == 1

    listed = await owner.get(agents)
    assert data(listed) == [changed]
    assert listed.json()["meta"] == {"page": 1, "pageSize": 25, "total": 1}

    removed = data(await owner.delete(f"{agents}/it-admin"))
    assert removed == {**changed, "isActive": False}
    assert wrapper.offers[-1].config.agents == []
    assert data(await owner.get(agents)) == []
    assert data(await owner.get(f"{agents}?includeRemoved=true")) == [removed]
    refusal(await owner.delete(f"{agents}/it-admin"), 404)

    versions = [offer.config_version for offer in wrapper.offers]
    assert versions == sorted(set(versions))
    assert [entry[0] for entry in await town.audit()] == ["agent.deployed", "agent.updated", "agent.removed"]


async def test_tools_are_told_with_their_class_and_what_the_role_says(town: Town):
    owner = await town.people.owner()
    maria = await town.people.customer("maria@acme.com")
    order = await town.order(maria, "acme.test", "ghost")
    agents = f"/api/v1/admin/orders/{order}/agents"
    deployed = data(await owner.post(agents, json={"role": "marketing", "toolOverrides": {"own_tool": "ask"}}), 201)
    told = data(await owner.get(f"{agents}/marketing/tools"))
    tools = {one["name"]: one for one in told}
    assert len(tools) == len(told)
    assert tools["ghost_post_publish"] == {
        "name": "ghost_post_publish",
        "commandClass": "yellow_external",
        "application": "ghost",
        "ofRole": "allowed",
    }
    assert (tools["shell"]["commandClass"], tools["shell"]["ofRole"]) == ("red", "denied")
    assert (tools["own_tool"]["commandClass"], tools["own_tool"]["ofRole"]) == ("red", None)
    assert "service_restart" in tools, "a general tool the agent does not have could be given"
    assert not [name for name in tools if name.startswith(("nextcloud_", "odoo_"))], (
        "of no application that is not there"
    )
    browser = await town.people.signed_in("customer", "maria@acme.com")
    own = f"/api/v1/customer/agents/{deployed['id']}/tools"
    assert data(await browser.get(own)) == told
    data(await owner.delete(f"{agents}/marketing"))
    refusal(await owner.get(f"{agents}/marketing/tools"), 404)
    refusal(await browser.get(own), 409)


async def test_a_repeated_patch_pushes_nothing(town: Town):
    owner = await town.people.owner()
    order = await town.order(await town.people.customer(), "acme.test")
    wrapper = await town.wrapper(order)
    agents = f"/api/v1/admin/orders/{order}/agents"
    data(await owner.post(agents, json={"role": "sales"}), 201)
    pushed = len(wrapper.frames)
    first = data(await owner.patch(f"{agents}/sales", json={"name": "Sam"}))
    assert len(wrapper.frames) == pushed + 1
    assert data(await owner.patch(f"{agents}/sales", json={"name": "Sam"})) == first
    assert data(await owner.patch(f"{agents}/sales", json={})) == first
    assert len(wrapper.frames) == pushed + 1


async def test_bad_bodies_name_every_field(town: Town):
    owner = await town.people.owner()
    order = await town.order(await town.people.customer(), "acme.test")
    agents = f"/api/v1/admin/orders/{order}/agents"
    body = {"role": "It Admin", "autonomyLevel": 4, "toolProfile": "root", "toolsAllowed": ["ok", ""], "isActive": True}
    assert sorted(bad_fields(await owner.post(agents, json=body))) == [
        "autonomyLevel",
        "isActive",
        "role",
        "toolProfile",
        "toolsAllowed.1",
    ]
    assert bad_fields(await owner.post(agents, json={"role": "poet"})) == ["name", "soulMd"]
    assert bad_fields(await owner.post(agents, json={"role": "sales", "soulMd": "x" * 100_001})) == ["soulMd"]
    assert bad_fields(await owner.post(agents, json={"role": "sales", "soulMd": "a\0b"})) == ["soulMd"]
    assert bad_fields(await owner.post(agents, json={"role": "sales", "type": "deploy"})) == ["type"]
    contradiction = {"role": "sales", "toolsAllowed": ["shell"], "toolsDenied": ["shell"]}
    assert bad_fields(await owner.post(agents, json=contradiction)) == ["toolsDenied"]
    gates = {"role": "sales", "externalCommsUnlocks": {"shell": True}}
    assert bad_fields(await owner.post(agents, json=gates)) == ["externalCommsUnlocks.shell"]
    assert data(await owner.get(agents)) == []


async def test_what_is_not_there_is_404_and_what_is_taken_409(town: Town):
    owner = await town.people.owner()
    order = await town.order(await town.people.customer(), "acme.test")
    agents = f"/api/v1/admin/orders/{order}/agents"
    unknown = f"/api/v1/admin/orders/ord_{'0' * 26}/agents"
    refusal(await owner.get(unknown), 404)
    refusal(await owner.post(unknown, json={"role": "sales"}), 404)
    refusal(await owner.get("/api/v1/admin/orders/nonsense/agents"), 404)
    refusal(await owner.patch(f"{agents}/sales", json={"name": "Sam"}), 404)
    refusal(await owner.patch(f"{agents}/Not-A-Slug", json={"name": "Sam"}), 404)
    deployed = data(await owner.post(agents, json={"role": "sales"}), 201)
    error = refusal(await owner.post(agents, json={"role": "marketing", "agentId": "sales"}), 409)
    assert (error["code"], error["details"]) == ("CONFLICT", {"id": deployed["id"], "agentId": "sales"})


@pytest.mark.parametrize(("role", "may_write"), [(Role.ADMIN, True), (Role.MANAGER, True), (Role.SUPPORT, False)])
async def test_support_looks_and_the_others_change(town: Town, role: Role, may_write: bool):
    order = await town.order(await town.people.customer(), "acme.test")
    await town.people.accounts.create_owner(TESTER, email="x@letsbe.biz", name="Xu", password=PASSWORD)
    browser = await town.people.signed_in("credentials", "x@letsbe.biz")

    def demote(connection: Any) -> None:
        connection.execute(text("UPDATE staff SET role = :role"), {"role": role.value})

    await town.people.database.write(demote)
    agents = f"/api/v1/admin/orders/{order}/agents"
    data(await browser.get(agents))
    data(await browser.get("/api/v1/admin/agents/templates"))
    answer = await browser.post(agents, json={"role": "sales"})
    assert answer.status_code == (201 if may_write else 403)
    assert (await browser.delete(f"{agents}/sales")).status_code == (200 if may_write else 403)


async def test_a_customer_shapes_their_own_agents(town: Town):
    owner = await town.people.owner()
    maria = await town.people.customer("maria@acme.com")
    order = await town.order(maria, "acme.test")
    wrapper = await town.wrapper(order)
    staff_made = data(await owner.post(f"/api/v1/admin/orders/{order}/agents", json={"role": "secretary"}), 201)
    browser = await town.people.signed_in("customer", "maria@acme.com")
    own = f"/api/v1/customer/agents/{staff_made['id']}"

    seen = data(await browser.get(own))
    assert seen == {**staff_made, "status": "unknown", "lastActiveAt": None}
    assert data(await browser.get("/api/v1/customer/agents")) == [seen]

    changed = data(await browser.patch(own, json={"soulMd": "# Anna", "name": "Anna", "autonomyLevel": 3}))
    assert changed == {**seen, "soulMd": "# Anna", "name": "Anna", "autonomyLevel": 3}
    assert wrapper.offers[-1].config.agents[0].soul_md == "# Anna"

    opened = data(await browser.patch(f"{own}/external-comms", json={"unlocks": {"email_send": True}}))
    assert opened["externalCommsUnlocks"] == {"email_send": True}
    merged = data(await browser.patch(f"{own}/external-comms", json={"unlocks": {"calendar_invite": False}}))
    assert merged["externalCommsUnlocks"] == {"email_send": True, "calendar_invite": False}
    assert wrapper.offers[-1].config.agents[0].external_comms_unlocks == merged["externalCommsUnlocks"]
    assert (await town.audit())[-1] == ("agent.external_comms_changed", "customer", "Maria Weber")


async def test_a_customer_is_held_to_what_is_theirs_to_change(town: Town):
    owner = await town.people.owner()
    maria = await town.people.customer("maria@acme.com")
    order = await town.order(maria, "acme.test")
    agent = data(await owner.post(f"/api/v1/admin/orders/{order}/agents", json={"role": "secretary"}), 201)
    browser = await town.people.signed_in("customer", "maria@acme.com")
    own = f"/api/v1/customer/agents/{agent['id']}"
    assert bad_fields(await browser.patch(own, json={"role": "it-admin", "toolProfile": "full"})) == [
        "role",
        "toolProfile",
    ]
    assert bad_fields(await browser.patch(own, json={"toolOverrides": {"shell": "allow"}})) == ["toolOverrides.shell"]
    assert bad_fields(await browser.patch(own, json={"toolsAllowed": ["docker"], "toolsDenied": []})) == [
        "toolsAllowed",
        *["toolsDenied"] * 4,  # shell, docker and the two that delete; the yellow ones may be taken off
    ]
    assert bad_fields(await browser.patch(f"{own}/external-comms", json={"unlocks": {"shell": True}})) == [
        "unlocks.shell"
    ]
    assert bad_fields(await browser.patch(f"{own}/external-comms", json={"unlocks": {"email_send": "yes"}})) == [
        "unlocks.email_send"
    ]
    assert bad_fields(await browser.patch(f"{own}/external-comms", json={})) == ["unlocks"]
    assert {**data(await browser.get(own)), **agent} == data(await browser.get(own))


async def test_another_customers_agents_do_not_exist(town: Town):
    owner = await town.people.owner()
    order = await town.order(await town.people.customer("maria@acme.com"), "acme.test")
    agent = data(await owner.post(f"/api/v1/admin/orders/{order}/agents", json={"role": "sales"}), 201)
    await town.people.customer("eve@evil.test")
    eve = await town.people.signed_in("customer", "eve@evil.test")
    own = f"/api/v1/customer/agents/{agent['id']}"
    unknown = f"/api/v1/customer/agents/{NO_AGENT}"
    assert data(await eve.get("/api/v1/customer/agents")) == []
    for url in (own, unknown, "/api/v1/customer/agents/nonsense"):
        refusal(await eve.get(url), 404)
        refusal(await eve.patch(url, json={"name": "Mine"}), 404)
        refusal(await eve.patch(f"{url}/external-comms", json={"unlocks": {"email_send": True}}), 404)
    refusal(await eve.get(f"/api/v1/admin/orders/{order}/agents"), 403)
    refusal(await town.people.browser().get(own), 401)


async def test_a_removed_agent_can_be_read_and_no_longer_changed(town: Town):
    owner = await town.people.owner()
    order = await town.order(await town.people.customer("maria@acme.com"), "acme.test")
    agents = f"/api/v1/admin/orders/{order}/agents"
    agent = data(await owner.post(agents, json={"role": "sales"}), 201)
    data(await owner.delete(f"{agents}/sales"))
    maria = await town.people.signed_in("customer", "maria@acme.com")
    own = f"/api/v1/customer/agents/{agent['id']}"
    assert data(await maria.get("/api/v1/customer/agents")) == []
    assert data(await maria.get(own))["status"] == "removed"
    assert "was removed" in refusal(await maria.patch(own, json={"name": "Back"}), 409)["message"]
