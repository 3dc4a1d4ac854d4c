"""The third carrier, from the Hub: what a tenant without a socket is pushed, in what order, what its answers do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.end_to_end.hub_process import free_port, until
from tests.end_to_end.webhook_receiver import Receiver
from tests.end_to_end.world import Tenant, World


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver.listening() as receiver:
        yield receiver


async def hooked(world: World, url: str) -> Tenant:
    """A tenant that takes webhooks at an address, settled in, and without a socket.

    It has the address only now: registered with it, its first promise could go there before its socket stands.
    """
    tenant = await world.tenant()
    await until(lambda: carrier(tenant) is None, what="the end of the socket")
    world.hub.sql("UPDATE server_connections SET safety_wrapper_url = $2 WHERE order_id = $1", tenant.order, url)
    return tenant


def carrier(tenant: Tenant) -> Any:
    return tenant.world.hub.value("SELECT carrier FROM server_connections WHERE order_id = $1", tenant.order)


def row(tenant: Tenant, columns: str) -> tuple[Any, ...]:
    rows = tenant.world.hub.sql(f"SELECT {columns} FROM webhook_carriers WHERE order_id = $1", tenant.order)
    return rows[0] if rows else ()


async def until_tried(tenant: Tenant, attempts: int) -> None:
    await until(lambda: row(tenant, "attempts, claim IS NULL") == (attempts, True), what=f"{attempts} tries")


def try_now(tenant: Tenant) -> None:
    """Let the time until the next try be over. The next commit, or the next look, finds it."""
    tenant.world.hub.sql(
        "UPDATE webhook_carriers SET next_attempt_at = now() WHERE order_id = $1 AND next_attempt_at IS NOT NULL",
        tenant.order,
    )


async def test_promises_go_out_in_order_signed_twice_and_a_2xx_acknowledges(world: World, receiver: Receiver) -> None:
    tenant = await hooked(world, receiver.url)
    poller = world.tenant_caller(tenant)
    request = {
        "id": "req-1",
        "agentId": "it-admin",
        "commandClass": "red",
        "toolName": "file_delete",
        "toolArgs": {"path": "/tmp/*"},
        "humanReadable": "IT Admin wants to delete /tmp/* (47 files, 2.3 GB)",
    }
    asked = await poller.ok("POST", "/api/v1/tenant/approval-request", request)
    receiver.hold = type(receiver.hold)()  # the first one's answer waits, until all are made
    command = await tenant.command("RUN_BACKUP", payload={"full": True, "n": 1.0})
    await receiver.until(1)
    assert (await world.customer.decide(asked["id"], "approve", reason="clean up")).status_code == 200
    await world.staff.ok("POST", f"/api/v1/admin/orders/{tenant.order_id}/agents", {"role": "secretary"})
    receiver.hold.set()
    arrived = await receiver.until(3)
    for webhook in arrived:
        webhook.check(tenant.key)
    assert [webhook.path for webhook in arrived] == [
        "/hooks/webhooks/command",
        "/hooks/webhooks/approval-response",
        "/hooks/webhooks/config-update",
    ]
    first, second, third = (webhook.body for webhook in arrived)
    assert {name: first[name] for name in ("commandId", "type", "seq", "after", "resumedFrom")} == {
        "commandId": command["id"],
        "type": "RUN_BACKUP",
        "seq": 2,
        "after": 1,
        "resumedFrom": 1,
    }
    assert b'"payload":{"full":true,"n":1.0}' in arrived[0].raw.replace(b": ", b":").replace(b", ", b",")
    assert {name: second[name] for name in ("approvalId", "action", "respondedBy", "requestId", "reason", "seq")} == {
        "approvalId": asked["id"],
        "action": "approve",
        "respondedBy": "Maria Weber",
        "requestId": "req-1",
        "reason": "clean up",
        "seq": 3,
    }
    assert second["argsHash"] == asked["argsHash"]
    assert (third["seq"], third["changedFields"], third["config"]["configHash"]) == (
        4,
        ["agents"],
        third["configHash"],
    )
    await tenant.until_acknowledged(4)
    assert tenant.marks() == (4, 4)
    assert (await tenant.command_now(command["id"]))["status"] == "ACKNOWLEDGED"
    assert (await tenant.health())["unacknowledged"] == 0
    await poller.aclose()


async def test_a_socket_carries_alone_and_webhooks_only_where_there_is_none(world: World, receiver: Receiver) -> None:
    tenant = await hooked(world, receiver.url)
    async with tenant.connected() as wrapper:
        first = await tenant.command()
        assert (await wrapper.promise("command"))["id"] == first["id"]
        second = await tenant.command()
        assert (await wrapper.promise("command"))["id"] == second["id"]
        await wrapper.ack(2)
        await tenant.until_acknowledged(2)
        assert receiver.arrived == []
    arrived = await receiver.until(1)  # what the socket left unacknowledged
    assert arrived[0].body["commandId"] == second["id"]
    await tenant.until_acknowledged(3)
    async with tenant.dial() as wrapper:  # its journal is behind what it took by webhook
        assert (await wrapper.hello(**{**tenant.journal, "lastSeq": 2}))["resumedFrom"] == 3
    assert len(receiver.arrived) == 1


async def test_a_failed_try_is_made_again_with_the_same_id_and_a_fresh_time(world: World, receiver: Receiver) -> None:
    tenant = await hooked(world, receiver.url)
    receiver.answers = [(500, {}, {}), None]
    command = await tenant.command()
    await until_tried(tenant, 1)
    assert tenant.marks() == (2, 1)
    assert (await tenant.command_now(command["id"]))["status"] == "SENT"
    await until_tried(tenant, 2)  # after five seconds
    waits = world.hub.value(
        "SELECT extract(epoch FROM next_attempt_at - now())::float FROM webhook_carriers WHERE order_id = $1",
        tenant.order,
    )
    assert 60 < waits <= 330  # the third try comes after five minutes
    try_now(tenant)
    await tenant.command()  # wakes the courier; its own turn comes after
    arrived = await receiver.until(4)
    assert [webhook.body["seq"] for webhook in arrived] == [2, 2, 2, 3]
    assert len({webhook.headers["x-letsbe-id"] for webhook in arrived}) == 2
    await tenant.until_acknowledged(3)
    assert row(tenant, "attempts, last_error, claim") == (0, None, None)


async def test_retry_after_is_honoured(world: World, receiver: Receiver) -> None:
    tenant = await hooked(world, receiver.url)
    receiver.answers = [(429, {"Retry-After": "4000"}, {}), (503, {"Retry-After": "1"}, {})]
    await tenant.command()
    await until_tried(tenant, 1)
    statement = "SELECT extract(epoch FROM next_attempt_at - now())::float FROM webhook_carriers WHERE order_id = $1"
    assert 3600 < world.hub.value(statement, tenant.order) <= 4400
    try_now(tenant)
    await tenant.command()
    await until_tried(tenant, 2)
    assert 200 < world.hub.value(statement, tenant.order) <= 330  # no sooner than the table says


async def test_410_ends_it_and_staff_reads_why_until_the_server_registers_anew(
    world: World, receiver: Receiver
) -> None:
    tenant = await hooked(world, receiver.url)
    receiver.answers = [(410, {}, {})]
    await tenant.command()
    await until(lambda: row(tenant, "disabled_at IS NOT NULL") == (True,), what="the end of webhooks")
    events = [
        one[0]
        for one in world.hub.sql(
            "SELECT data FROM events WHERE order_id = $1 AND kind = 'server.webhooksDisabled'", tenant.order
        )
    ]
    assert len(events) == 1
    assert "410" in events[0]
    audited = world.hub.sql(
        "SELECT after FROM audit_entries WHERE action = 'server.webhooks_disabled' AND target = $1", tenant.server_id
    )
    assert len(audited) == 1
    assert receiver.url in audited[0][0]
    await tenant.command()
    again = await world.register(await world.registration_token(tenant.order_id), safetyWrapperUrl=receiver.url)
    assert again.status_code == 201
    new_key = again.json()["data"]["hubApiKey"]
    arrived = await receiver.until(3)
    assert [webhook.body["seq"] for webhook in arrived] == [2, 2, 3]
    arrived[1].check(new_key)
    await tenant.until_acknowledged(3)


@pytest.mark.parametrize("ended", ["disabled_at = now()", "exhausted_seq = 2"])
async def test_staff_sets_them_going_again(world: World, receiver: Receiver, ended: str) -> None:
    tenant = await hooked(world, receiver.url)
    receiver.always = lambda _: (500, {}, {})
    await tenant.command()
    await until_tried(tenant, 1)
    world.hub.sql(f"UPDATE webhook_carriers SET {ended}, attempts = 0 WHERE order_id = $1", tenant.order)
    path = f"/api/v1/admin/servers/{tenant.server_id}/webhooks"
    assert (await world.staff.ok("GET", path))["lastError"] == "HTTP 500"
    tries = len(receiver.arrived)
    receiver.always = lambda _: (200, {}, {})
    await world.staff.ok("POST", f"{path}/enable")
    assert (await receiver.until(tries + 1))[-1].body["seq"] == 2
    await tenant.until_acknowledged(2)
    seen = await world.staff.ok("GET", path)
    assert (seen["state"], seen["lastError"], seen["unacknowledged"]) == ("ready", None, 0)


async def test_after_the_last_try_there_is_silence_until_something_newer(world: World, receiver: Receiver) -> None:
    tenant = await hooked(world, receiver.url)
    receiver.always = lambda _: (500, {}, {})
    await tenant.command()
    await until_tried(tenant, 1)
    world.hub.sql("UPDATE webhook_carriers SET attempts = 7, next_attempt_at = now() WHERE order_id = $1", tenant.order)
    await until(lambda: row(tenant, "exhausted_seq, attempts") == (2, 0), what="the last try")
    told = "SELECT count(*) FROM events WHERE order_id = $1 AND kind = 'server.webhooksExhausted'"
    assert world.hub.value(told, tenant.order) == 1
    tries = len(receiver.arrived)
    receiver.always = lambda _: (200, {}, {})
    await tenant.command()
    arrived = await receiver.until(tries + 2)
    assert [webhook.body["seq"] for webhook in arrived[tries:]] == [2, 3]
    await tenant.until_acknowledged(3)


async def test_what_was_withdrawn_is_passed_over_and_told_with_the_next(world: World, receiver: Receiver) -> None:
    tenant = await hooked(world, receiver.url)
    receiver.answers = [(500, {}, {})]
    withdrawn = await tenant.command()
    await until_tried(tenant, 1)
    path = f"/api/v1/admin/servers/{tenant.server_id}/commands/{withdrawn['id']}/cancel"
    await world.staff.ok("POST", path)
    try_now(tenant)
    wanted = await tenant.command()
    arrived = await receiver.until(2)
    body = arrived[-1].body
    assert (body["commandId"], body["seq"], body["after"]) == (wanted["id"], 3, 1)
    await tenant.until_acknowledged(3)


async def test_an_answer_that_names_another_mark_is_taken_at_its_word(world: World, receiver: Receiver) -> None:
    tenant = await hooked(world, receiver.url)

    def data(mark: int) -> tuple[int, dict[str, str], Any]:
        return 200, {}, {"success": True, "data": {"taken": False, "lastSeq": mark}}

    receiver.answers = [data(1)]  # says yes, and that it has nothing of it
    await tenant.command()
    await until_tried(tenant, 1)
    assert "reaches 1 only" in row(tenant, "last_error")[0]
    receiver.answers = [data(77)]  # the journal of another Hub
    try_now(tenant)
    await tenant.command()
    await until_tried(tenant, 2)
    assert "never made" in row(tenant, "last_error")[0]
    assert tenant.marks() == (3, 1)
    receiver.answers = [data(3)]  # has both already, by another carrier
    try_now(tenant)
    await tenant.command()
    await tenant.until_acknowledged(4)
    assert [webhook.body["seq"] for webhook in receiver.arrived] == [2, 2, 2, 4]


async def test_redirects_are_not_followed_and_endless_answers_not_read(world: World, receiver: Receiver) -> None:
    tenant = await hooked(world, receiver.url)
    receiver.answers = [(307, {"Location": f"http://127.0.0.1:{world.hub.port}/"}, {}), (200, {}, "x" * 1_000_000)]
    await tenant.command()
    await until_tried(tenant, 1)
    assert row(tenant, "last_error") == ("HTTP 307",)
    try_now(tenant)
    await tenant.command()
    await tenant.until_acknowledged(3)  # a 2xx it is, whatever it goes on to say


async def test_an_address_that_may_not_be_used_is_not(world: World) -> None:
    tenant = await hooked(world, "http://user:secret@127.0.0.1:9/")
    await tenant.command()
    await until(lambda: row(tenant, "disabled_at IS NOT NULL") == (True,), what="the end of webhooks")
    private = await hooked(world, "https://192.168.1.1/")
    await private.command()
    await until_tried(private, 1)
    assert "not a public address" in row(private, "last_error")[0]
    metrics = (await world.nobody.call("GET", "/metrics")).text
    refused = next(line for line in metrics.splitlines() if line.startswith("hub_webhooks_address_refused "))
    assert float(refused.split()[1]) >= 2


async def test_the_tries_survive_the_hub(own_world: World) -> None:
    port = free_port()
    tenant = await hooked(own_world, f"http://127.0.0.1:{port}")
    await tenant.command()
    await until_tried(tenant, 1)
    own_world.hub.kill()
    own_world.hub.start()
    await until(lambda: row(tenant, "attempts")[0] >= 2, what="the next try, after the restart")
    async with Receiver.listening(port) as receiver:
        try_now(tenant)
        command = await tenant.command()
        arrived = await receiver.until(2)
        assert arrived[1].body["commandId"] == command["id"]
        await tenant.until_acknowledged(3)
    assert own_world.hub.bugs() == []


async def test_a_hub_killed_while_it_pushes_pushes_again(own_world: World) -> None:
    async with Receiver.listening() as receiver:
        tenant = await hooked(own_world, receiver.url)
        receiver.hold = type(receiver.hold)()
        await tenant.command()
        await receiver.until(1)
        own_world.hub.kill()
        receiver.hold.set()
        own_world.hub.start()
        own_world.hub.sql("UPDATE webhook_carriers SET claimed_until = now() WHERE claim IS NOT NULL")
        arrived = await receiver.until(2, seconds=60)
        assert [webhook.headers["x-letsbe-id"] for webhook in arrived] == ["dlv_2", "dlv_2"]
        await tenant.until_acknowledged(2)
