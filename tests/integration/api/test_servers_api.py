"""Staff and servers over HTTP: the list, health, commands, explanation, automation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol.tenant import Ack, Command, Heartbeat
from tests.integration.api.tenants import Town, bad_fields, data, open_town, refusal
from tests.people import People

SERVERS = "/api/v1/admin/servers"


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    async with open_town(people) as town:
        yield town


async def test_a_server_is_listed_from_its_registration_on(town: Town) -> None:
    tenancy = await town.tenancy()
    assert data(await town.owner.get(SERVERS)) == []
    await tenancy.register()
    answer = await town.owner.get(SERVERS)
    [server] = data(answer)
    assert answer.json()["meta"] == {"page": 1, "pageSize": 25, "total": 1}
    assert (server["orderId"], server["presence"], server["lastSeenAt"]) == (tenancy.order_id, "offline", None)
    assert data(await town.owner.get(f"{SERVERS}/{server['id']}/health")) == server


async def test_presence_follows_the_socket(town: Town) -> None:
    tenant = await town.tenant()
    health = f"{SERVERS}/{await tenant.server_id()}/health"
    socket = await tenant.connect()
    await tenant.say(socket, Heartbeat("ok", safety_wrapper_version="2.0"))
    assert data(await town.owner.get(health))["presence"] == "online"
    town.people.clock.advance(seconds=50)
    assert data(await town.owner.get(health))["presence"] == "late"
    town.people.clock.advance(seconds=50)
    assert data(await town.owner.get(health))["presence"] == "offline"


async def test_a_command_is_pushed_acknowledged_and_shown(town: Town) -> None:
    tenant = await town.tenant()
    server, socket = await tenant.server_id(), await tenant.connect()
    body = {"type": "RESTART_SERVICE", "payload": {"service": "nextcloud"}, "expiresInSeconds": 60}
    command = data(await town.owner.post(f"{SERVERS}/{server}/command", json=body), 201)
    assert isinstance(socket.frames[-1], Command)
    assert (command["status"], command["payload"], command["output"]) == ("QUEUED", body["payload"], None)
    assert command["issuedBy"]["name"] == "Olga Owner"
    await tenant.say(socket, Ack(command["seq"]))
    answer = await town.owner.get(f"{SERVERS}/{server}/commands")
    assert answer.json()["meta"] == {"page": 1, "pageSize": 25, "total": 1}
    assert [one["id"] for one in data(answer)] == [command["id"]]
    assert [entry[:2] for entry in await town.audit("command.%")] == [("command.issued", "staff")]


async def test_a_command_to_nobody_waits_and_is_withdrawn(town: Town) -> None:
    tenant = await town.tenant()
    server = await tenant.server_id()
    command = data(await town.owner.post(f"{SERVERS}/{server}/command", json={"type": "RESTART"}), 201)
    path = f"{SERVERS}/{server}/commands/{command['id']}"
    assert data(await town.owner.post(f"{path}/cancel"))["status"] == "CANCELLED"
    lost = refusal(await town.owner.post(f"{path}/cancel"), 409)
    assert lost["details"]["status"] == "CANCELLED"
    socket = await tenant.connect()
    assert "Command" not in socket.kinds
    assert "Void" in socket.kinds


async def test_a_command_belongs_to_its_server(town: Town) -> None:
    mine, theirs = await town.tenant(), await town.tenant()
    command = data(await town.owner.post(f"{SERVERS}/{await mine.server_id()}/command", json={"type": "X"}), 201)
    other = f"{SERVERS}/{await theirs.server_id()}/commands/{command['id']}"
    refusal(await town.owner.get(other), 404)
    refusal(await town.owner.post(f"{other}/cancel"), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "type"),
        ({"type": "lower"}, "type"),
        ({"type": "X\n"}, "type"),
        ({"type": "X", "payload": []}, "payload"),
        ({"type": "X", "payload": {"a": "x" * 300_000}}, "payload"),
        ({"type": "X", "payload": {"a": "\0"}}, "payload.a"),
        ({"type": "X", "expiresInSeconds": 0}, "expiresInSeconds"),
        ({"type": "X", "expiresInSeconds": 30 * 86400 + 1}, "expiresInSeconds"),
        ({"type": "X", "priority": 1}, "priority"),
    ],
)
async def test_a_bad_command_names_its_field(town: Town, body: dict[str, Any], field: str) -> None:
    server = await (await town.tenant()).server_id()
    assert bad_fields(await town.owner.post(f"{SERVERS}/{server}/command", json=body)) == [field]


@pytest.mark.parametrize("payload", [b'{"n":' + b"9" * 400 + b"}", b'{"a":' + b"[" * 500 + b"]" * 500 + b"}"])
async def test_odd_payloads_are_carried_or_refused_but_never_a_bug(town: Town, payload: bytes) -> None:
    server = await (await town.tenant()).server_id()
    body = b'{"type":"X","payload":' + payload + b"}"
    answer = await town.owner.post(
        f"{SERVERS}/{server}/command", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (201, 400), answer.text


@pytest.mark.parametrize("path", ["health", "explain", "commands", "commands/cmd_x"])
async def test_a_server_nobody_has(town: Town, path: str) -> None:
    for name in ("srv_nonsense", "srv_01hzzzzzzzzzzzzzzzzzzzzzzz"):
        refusal(await town.owner.get(f"{SERVERS}/{name}/{path}"), 404)
    refusal(await town.owner.post(f"{SERVERS}/srv_01hzzzzzzzzzzzzzzzzzzzzzzz/command", json={"type": "X"}), 404)
    refusal(await town.owner.delete(f"{SERVERS}/srv_01hzzzzzzzzzzzzzzzzzzzzzzz/key"), 404)


async def test_the_explanation_shows_the_actor_and_no_secret(town: Town) -> None:
    tenant = await town.tenant()
    server = await tenant.server_id()
    await tenant.connect()
    answer = await town.owner.get(f"{SERVERS}/{server}/explain")
    view = data(answer)
    assert (view["path"], view["state"], view["extra"]["connected"]) == (f"tenant/{tenant.order_id}", "idle", True)
    assert tenant.key.split("_")[2] not in answer.text
    assert "Attach" in [one["type"] for one in view["lastMessages"]]


async def test_customers_and_wrappers_see_no_servers(town: Town) -> None:
    tenant = await town.tenant()
    customer = await tenant.signed_in()
    assert (await customer.get(SERVERS)).status_code in (401, 403)
    assert (await town.nobody.get(SERVERS, headers={"Authorization": f"Bearer {tenant.key}"})).status_code == 401


async def test_an_orders_automation_is_changed_by_its_actor(town: Town) -> None:
    tenancy = await town.tenancy()
    path = f"/api/v1/admin/orders/{tenancy.order_id}/automation"
    assert data(await town.owner.get(path)) == {"automationMode": "MANUAL", "status": "PAYMENT_CONFIRMED"}
    changed = data(await town.owner.patch(path, json={"automationMode": "PAUSED"}))
    assert changed["automationMode"] == data(await town.owner.get(path))["automationMode"] == "PAUSED"
    assert [entry[:2] for entry in await town.audit("order.automation%")] == [("order.automation_changed", "staff")]
    assert bad_fields(await town.owner.patch(path, json={"automationMode": "SOMETIMES"})) == ["automationMode"]
    nobody = "/api/v1/admin/orders/ord_01hzzzzzzzzzzzzzzzzzzzzzzz"
    refusal(await town.owner.patch(f"{nobody}/automation", json={"automationMode": "AUTO"}), 404)
    refusal(await town.owner.post(f"{nobody}/registration-token"), 404)
