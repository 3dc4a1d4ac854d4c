"""The wrapper without a socket: heartbeats bring what waits, and acknowledge it by number or by the next beat."""

from __future__ import annotations

from typing import Any

from tests.end_to_end.hub_process import until
from tests.end_to_end.world import Caller, Tenant, World

BEAT = {"status": "healthy", "openclawVersion": "2026.2.1", "safetyWrapperVersion": "0.0.1-polling"}


async def beat(poller: Caller, tenant: Tenant, **changes: Any) -> dict[str, Any]:
    body = {**BEAT, "configVersion": tenant.journal["configVersion"], "configHash": tenant.journal["configHash"]}
    answer = await poller.ok("POST", "/api/v1/tenant/heartbeat", {**body, **changes})
    assert isinstance(answer, dict)
    return answer


async def test_a_wrapper_that_knows_the_specification_only(world: World) -> None:
    tenant = await world.tenant()
    poller = world.tenant_caller(tenant)
    asked = await poller.ok(
        "POST",
        "/api/v1/tenant/approval-request",
        {
            "agentId": "it-admin",
            "commandClass": "red",
            "toolName": "file_delete",
            "toolArgs": {"path": "/tmp/*"},
            "humanReadable": "IT Admin wants to delete /tmp/* (47 files, 2.3 GB)",
        },
    )
    path = f"/api/v1/tenant/approval-response/{asked['id']}"
    assert (await poller.ok("GET", path))["status"] == "PENDING"
    command = await tenant.command("RUN_BACKUP", payload={"full": True})
    assert (await world.customer.decide(asked["id"], "approve")).status_code == 200
    assert (await poller.ok("GET", path))["action"] == "approve"

    first = await beat(poller, tenant)
    assert [(one["id"], one["type"], one["payload"], one["seq"]) for one in first["pendingCommands"]] == [
        (command["id"], "RUN_BACKUP", {"full": True}, 2)
    ]
    assert [(one["id"], one["action"], one["seq"]) for one in first["pendingApprovals"]] == [
        (asked["id"], "approve", 3)
    ]
    assert first["configChanged"] is False
    assert (await tenant.command_now(command["id"]))["status"] == "SENT"
    assert tenant.marks() == (3, 1)

    second = await beat(poller, tenant)  # without ackSeq: what the last answer carried has arrived
    assert (second["pendingCommands"], second["pendingApprovals"]) == ([], [])
    assert tenant.marks() == (3, 3)
    assert (await tenant.command_now(command["id"]))["status"] == "ACKNOWLEDGED"
    result = {"status": "succeeded", "output": "2.3 GB"}
    await poller.ok("POST", f"/api/v1/tenant/commands/{command['id']}/result", result)
    assert (await tenant.command_now(command["id"]))["status"] == "SUCCEEDED"
    assert (await tenant.health())["presence"] == "online"
    await poller.aclose()


async def test_an_answer_that_got_lost_comes_again_for_who_acknowledges_by_number(world: World) -> None:
    tenant = await world.tenant()
    poller = world.tenant_caller(tenant)
    command = await tenant.command()
    for _ in range(3):  # the answers get lost: the wrapper's journal stays at 1
        answer = await beat(poller, tenant, ackSeq=1)
        assert [one["id"] for one in answer["pendingCommands"]] == [command["id"]]
    assert (await beat(poller, tenant, ackSeq=2))["pendingCommands"] == []
    status, code, error = await poller.refused("POST", "/api/v1/tenant/heartbeat", {**BEAT, "ackSeq": 3})
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert error["details"][0]["field"] == "ackSeq"
    assert tenant.marks() == (2, 2)
    await poller.aclose()


async def test_the_configuration_is_a_feed(world: World) -> None:
    tenant = await world.tenant()
    poller = world.tenant_caller(tenant)
    await world.staff.ok("POST", f"/api/v1/admin/orders/{tenant.order_id}/agents", {"role": "secretary"})
    answer = await beat(poller, tenant)
    assert answer["configChanged"] is True
    config = await poller.ok("GET", "/api/v1/tenant/config")
    assert config["configVersion"] == answer["configVersion"] == tenant.journal["configVersion"] + 1
    assert [agent["agentId"] for agent in config["agents"]] == ["secretary"]
    known = {"configVersion": config["configVersion"], "configHash": config["configHash"]}
    assert (await beat(poller, tenant, **known))["configChanged"] is False
    await poller.aclose()


async def test_two_carriers_read_one_outbox_and_whichever_acknowledges_first_wins(world: World) -> None:
    tenant = await world.tenant()
    poller = world.tenant_caller(tenant)
    first = await tenant.command()
    assert [one["id"] for one in (await beat(poller, tenant, ackSeq=1))["pendingCommands"]] == [first["id"]]
    async with tenant.connected() as wrapper:
        assert (await wrapper.promise("command"))["id"] == first["id"]  # not acknowledged yet, so here too
        assert (await beat(poller, tenant, ackSeq=2))["pendingCommands"] == []
        second = await tenant.command()
        assert (await wrapper.promise("command"))["id"] == second["id"]
        await wrapper.ack()
        await tenant.until_acknowledged(3)
        assert (await beat(poller, tenant, ackSeq=2))["pendingCommands"] == []
    async with tenant.connected(lastSeq=1) as wrapper:
        third = await tenant.command()
        assert (await wrapper.promise("command"))["id"] == third["id"]
    await poller.aclose()


async def test_a_heartbeat_over_http_that_makes_an_offer_leaves_the_socket_in_order(world: World) -> None:
    tenant = await world.tenant()
    poller = world.tenant_caller(tenant)
    async with tenant.connected() as wrapper:
        await beat(poller, tenant, configVersion=0, configHash=None, ackSeq=1)  # it lost its configuration
        command = await tenant.command()
        while (frame := await wrapper.promise())["type"] != "command":
            assert frame["type"] in ("configOffered", "void")
        assert frame["id"] == command["id"]
        seqs = [frame["seq"] for frame in wrapper.heard if "seq" in frame]
        assert seqs == list(range(2, 2 + len(seqs)))
        await wrapper.ack()
        await tenant.until_acknowledged(seqs[-1])
    await poller.aclose()


async def test_usage_and_backups_reported_twice_count_once(world: World) -> None:
    tenant = await world.tenant()
    poller = world.tenant_caller(tenant)
    bucket = {
        "agentId": "it-admin",
        "model": "claude-opus",
        "bucketHour": "2026-11-23T18:00:00Z",
        "tokensInput": 1000,
        "tokensOutput": 200,
    }
    for _ in range(2):
        receipt = await poller.ok("POST", "/api/v1/tenant/usage", {"id": "usage-1", "buckets": [bucket]})
        assert receipt == {"id": "usage-1", "accepted": True}
    await poller.ok("POST", "/api/v1/tenant/usage", {"buckets": [bucket]})
    async with tenant.connected() as wrapper:
        assert (await wrapper.verdict({"type": "usage", "id": "usage-2", "buckets": [bucket]}))["type"] == "accepted"
    rows = world.hub.sql("SELECT tokens_input, tokens_output FROM token_usage_buckets WHERE order_id=$1", tenant.order)
    assert rows == [(1000, 200)]
    for _ in range(2):
        await poller.ok("POST", "/api/v1/tenant/backup-status", {"id": "backup-1", "status": "success"})
    assert world.hub.value("SELECT count(*) FROM backup_reports WHERE order_id = $1", tenant.order) == 1
    await poller.aclose()


async def test_an_approval_asked_for_over_http_is_pushed_to_the_socket(world: World) -> None:
    tenant = await world.tenant()
    poller = world.tenant_caller(tenant)
    async with tenant.connected() as wrapper:
        body = {
            "id": "req-1",
            "agentId": "it-admin",
            "commandClass": "red",
            "toolName": "shell",
            "toolArgs": {"command": "ls"},
            "humanReadable": "ls",
            "expiresInSeconds": 1,
        }
        made = await poller.ok("POST", "/api/v1/tenant/approval-request", body)
        again = await poller.call("POST", "/api/v1/tenant/approval-request", body)
        assert (again.status_code, again.json()["data"]["id"]) == (200, made["id"])
        frame = await wrapper.promise("approvalSettled")
        assert (frame["requestId"], frame["action"]) == ("req-1", "expire")
    await until(lambda: world.hub.logged("approval.expired", approval=made["id"]))
    await poller.aclose()
