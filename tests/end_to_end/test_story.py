"""The thinnest path and back: a wrapper registers, asks, a person decides, the wrapper hears it at once and reports."""

from __future__ import annotations

from tests.end_to_end.hub_process import until
from tests.end_to_end.world import World


async def test_an_approval_goes_from_the_wrapper_to_a_person_and_back(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        request = await wrapper.ask(expiresInSeconds=600)
        approval = await tenant.approval_of(request)
        assert approval["status"] == "PENDING"
        assert approval["toolArgs"] == request["toolArgs"]
        assert approval["impact"] == "47 files, 2.3 GB"
        assert approval["argsHash"] == request["argsHash"]

        answer = await world.customer.decide(approval["id"], "approve", reason="clean up")
        assert answer.status_code == 200
        assert answer.json()["data"]["status"] == "APPROVED"
        assert answer.json()["data"]["decidedBy"]["name"] == "Maria Weber"

        settled = await wrapper.promise("approvalSettled")
        assert settled["seq"] == 2
        assert settled["action"] == "approve"
        assert settled["approvalId"] == approval["id"]
        assert settled["requestId"] == request["id"]
        assert settled["argsHash"] == request["argsHash"]
        assert settled["respondedBy"] == "Maria Weber"
        assert settled["reason"] == "clean up"
        await wrapper.ack()
        report = {"type": "approvalOutcome", "id": "out-1", "approvalId": approval["id"], "outcome": "executed"}
        assert (await wrapper.verdict(report))["type"] == "accepted"

    done = await world.customer.ok("GET", f"/api/v1/customer/approvals/{approval['id']}")
    assert done["outcome"] == "executed"
    await tenant.until_acknowledged(2)
    assert (await tenant.health())["unacknowledged"] == 0


async def test_a_command_goes_out_and_its_result_comes_back(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        command = await tenant.command("RESTART_SERVICE", payload={"service": "ghost"})
        frame = await wrapper.promise("command")
        assert frame["id"] == command["id"]
        assert frame["commandType"] == "RESTART_SERVICE"
        assert frame["payload"] == {"service": "ghost"}
        await wrapper.ack()
        result = {"type": "commandResult", "id": "res-1", "commandId": command["id"], "status": "succeeded"}
        assert (await wrapper.verdict({**result, "output": "done"}))["type"] == "accepted"
    now = await tenant.command_now(command["id"])
    assert now["status"] == "SUCCEEDED"
    assert now["output"] == "done"
    assert now["issuedBy"]["name"] == "Olga Owner"


async def test_a_change_of_an_agent_is_offered_in_the_same_breath(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        await world.staff.ok("POST", f"/api/v1/admin/orders/{tenant.order_id}/agents", {"role": "marketing"})
        offer = await wrapper.promise("configOffered")
        assert "marketing" in [agent["agentId"] for agent in offer["config"]["agents"]]
        await wrapper.ack()
        applied = {
            "type": "configApplied",
            "id": "applied-2",
            "configVersion": offer["configVersion"],
            "configHash": offer["configHash"],
            "ok": True,
        }
        assert (await wrapper.verdict(applied))["type"] == "accepted"
    health = await tenant.health()
    assert health["configAppliedVersion"] == health["configVersion"] == offer["configVersion"]


async def test_presence_follows_the_socket(world: World) -> None:
    tenant = await world.tenant()
    assert (await tenant.health())["presence"] == "offline"
    async with tenant.connected() as wrapper:
        await wrapper.say({"type": "heartbeat", "status": "healthy", "resources": {"cpuPercent": 12.5}})
        health: dict[str, object] = {}
        while health.get("resources") is None:
            health = await tenant.health()
        assert health["presence"] == "online"
        assert health["safetyWrapperVersion"] == "0.0.1-scripted"
    statement = "SELECT carrier FROM server_connections WHERE order_id = $1"
    await until(lambda: world.hub.value(statement, tenant.order) is None)
    assert (await tenant.health())["presence"] == "offline"
    await world.hub.until_logged("tenant.disconnected", order=tenant.order_id)
