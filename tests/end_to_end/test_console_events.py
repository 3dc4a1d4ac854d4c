"""The console socket on a real Hub: what is told, to whom, and that nobody who comes back has missed anything."""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from protocol.console import to_console
from tests.end_to_end.browser_console import BrowserConsole, open_console
from tests.end_to_end.hub_process import until
from tests.end_to_end.world import Tenant, World


async def asked(tenant: Tenant) -> dict[str, Any]:
    """A pending approval of a tenant."""
    async with tenant.connected() as wrapper:
        return await tenant.approval_of(await wrapper.ask(expiresInSeconds=600))


async def test_staff_see_a_decision_go_from_the_wrapper_to_its_outcome(world: World) -> None:
    tenant = await world.tenant()
    async with (
        open_console(world.hub, world.ground.owner.token) as console,
        open_console(world.hub, world.ground.maria.token, audience="customer") as at_home,
        tenant.connected() as wrapper,
    ):
        welcome = await console.hear("welcome")
        assert welcome["heartbeatSeconds"] == 30
        assert (await console.watch("approvals", f"order:{tenant.order_id}"))["topics"] == [
            "approvals",
            f"order:{tenant.order_id}",
        ]
        await at_home.watch("approvals")
        request = await wrapper.ask(expiresInSeconds=600)
        requested = await console.event("approval.requested")
        assert requested["topic"] == "approvals"
        assert (await console.event("approval.requested"))["topic"] == f"order:{tenant.order_id}"
        approval = requested["data"]
        assert approval == await world.staff.ok("GET", f"/api/v1/admin/approvals/{approval['id']}")
        assert approval["requestId"] == request["id"]
        assert (await world.customer.decide(approval["id"], "deny", reason="not today")).status_code == 200
        denied = await console.event("approval.denied", within_seconds=2)
        assert denied["data"]["decidedBy"]["name"] == "Maria Weber"
        assert denied["revision"] > requested["revision"]
        assert (await at_home.event("approval.denied", within_seconds=2))["data"] == denied["data"]
        await wrapper.promise("approvalSettled")
        await wrapper.ack()
        report = {"type": "approvalOutcome", "id": "out-1", "approvalId": approval["id"], "outcome": "abandoned"}
        await wrapper.verdict(report)
        assert (await console.event("approval.outcome"))["data"]["outcome"] == "abandoned"
    for frame in console.heard:
        to_console.decode(msgspec.json.encode(frame))


async def test_a_command_is_watched_through_its_states(world: World) -> None:
    tenant = await world.tenant()
    async with open_console(world.hub, world.ground.owner.token) as console, tenant.connected() as wrapper:
        await console.watch(f"order:{tenant.order_id}")
        command = await tenant.command()
        assert (await console.event("command.queued"))["data"] == command
        await wrapper.promise("command")
        await wrapper.ack()
        assert (await console.event("command.acknowledged"))["data"]["status"] == "ACKNOWLEDGED"
        await wrapper.verdict(
            {"type": "commandResult", "id": "res-1", "commandId": command["id"], "status": "timedOut", "output": "slow"}
        )
        assert (await console.event("command.timedOut"))["data"] == await tenant.command_now(command["id"])


async def test_a_change_of_an_agent_is_told_with_its_configuration(world: World) -> None:
    tenant = await world.tenant()
    async with (
        open_console(world.hub, world.ground.owner.token) as console,
        open_console(world.hub, world.ground.maria.token, audience="customer") as at_home,
        tenant.connected() as wrapper,
    ):
        await console.watch(f"order:{tenant.order_id}")
        await at_home.watch("agents")
        path = f"/api/v1/admin/orders/{tenant.order_id}/agents"
        agent = await world.staff.ok("POST", path, {"role": "marketing"})
        assert (await at_home.event("agent.deployed"))["data"]["id"] == agent["id"]
        offer = await wrapper.promise("configOffered")
        offered = (await console.event("config.offered"))["data"]
        assert offered["configVersion"] == offer["configVersion"]
        failed = {"type": "configApplied", "id": "applied-2", "ok": False, "error": "no such model"}
        await wrapper.verdict(failed | {name: offer[name] for name in ("configVersion", "configHash")})
        assert (await console.event("config.failed"))["data"]["error"] == "no such model"
        await world.staff.ok("DELETE", f"{path}/{agent['agentId']}")
        removed = await at_home.event("agent.removed")
        assert removed["data"]["isActive"] is False


async def test_reports_orders_and_customers_are_told(world: World) -> None:
    tenant = await world.tenant()
    async with (
        open_console(world.hub, world.ground.owner.token) as console,
        open_console(world.hub, world.ground.maria.token, audience="customer") as at_home,
        tenant.connected() as wrapper,
    ):
        await console.watch("orders", "customers", "fleet", f"order:{tenant.order_id}")
        await at_home.watch("activity", "orders")
        await wrapper.verdict({"type": "activity", "id": "a1", "agentId": "sales", "kind": "mail", "summary": "wrote"})
        assert (await console.event("activity.recorded"))["data"]["summary"] == "wrote"
        assert (await at_home.event("activity.recorded"))["data"]["orderId"] == tenant.order_id
        await wrapper.verdict({"type": "backupStatus", "id": "b1", "status": "success", "sizeBytes": 12})
        assert (await console.event("backup.reported"))["data"]["sizeBytes"] == 12
        hour = {"agentId": "sales", "model": "m", "bucketHour": "2026-01-01T10:00:00Z", "costCents": 3}
        bucket = {**hour, "tokensInput": 5, "tokensOutput": 6}
        await wrapper.verdict({"type": "usage", "id": "u1", "buckets": [bucket]})
        used = (await at_home.event("usage.reported"))["data"]
        assert used == {"orderId": tenant.order_id, "agents": ["sales"], "tokens": 11, "costCents": 3}
        await wrapper.verdict({"type": "imageUpdate", "id": "i1", "image": "ghost:6", "status": "new"})
        assert (await console.event("image.reported"))["data"]["image"] == "ghost:6"
        order_id = await world.order()
        assert (await console.event("order.created"))["data"]["id"] == order_id
        path = f"/api/v1/admin/orders/{order_id}"
        changed = await world.staff.ok("PATCH", path, {"serverIp": "192.0.2.7"})
        assert (await at_home.event("order.changed"))["data"] == changed
        await world.staff.ok("PATCH", f"{path}/automation", {"automationMode": "PAUSED"})
        assert (await console.event("order.automationChanged"))["data"]["automationMode"] == "PAUSED"
        company = {"company": "Weber & Daughters"}
        await world.staff.ok("PATCH", f"/api/v1/admin/customers/{world.ground.maria.id}", company)
        assert (await console.event("customer.changed"))["data"]["company"] == "Weber & Daughters"


async def test_presence_is_told_as_the_whole_server(world: World) -> None:
    tenant = await world.tenant()
    async with (
        open_console(world.hub, world.ground.owner.token) as console,
        open_console(world.hub, world.ground.maria.token, audience="customer") as at_home,
    ):
        await console.watch("fleet")
        await at_home.watch("servers")

        def of_tenant(frame: dict[str, Any]) -> bool:
            return bool(frame["server"]["id"] == tenant.server_id)

        async with tenant.connected() as wrapper:
            connected = await console.event("server.connected", within_seconds=2)
            assert connected["data"]["serverId"] == tenant.server_id
            online = await console.hear("presence", which=of_tenant, within_seconds=2)
            assert online["server"]["presence"] == "online"
            assert online["topic"] == "fleet"
            await wrapper.say({"type": "heartbeat", "status": "healthy", "resources": {"cpuPercent": 12.5}})
            warm = await console.hear("presence", which=lambda one: of_tenant(one) and one["server"]["resources"])
            assert warm["server"] == await tenant.health() | {"lastSeenAt": warm["server"]["lastSeenAt"]}
            await wrapper.ask(expiresInSeconds=600)
            await console.hear("presence", which=lambda one: of_tenant(one) and one["server"]["pendingApprovals"] == 1)
        await console.event("server.disconnected", within_seconds=2)
        await console.hear("presence", which=lambda one: one["server"]["presence"] == "offline", within_seconds=2)
        await at_home.hear("presence", which=lambda one: one["server"]["presence"] == "offline", within_seconds=2)
    spaced = [frame["at"] for frame in console.heard if frame["type"] == "presence" and of_tenant(frame)]
    assert len(spaced) == len(set(spaced)) < 12


async def test_a_customer_never_hears_of_anothers_things(world: World) -> None:
    """Two customers, every topic there is, with things of both happening."""
    everything = ("approvals", "agents", "activity", "servers", "orders")
    mine, theirs = await world.tenant(), await world.tenant(world.ground.stranger)
    async with (
        open_console(world.hub, world.ground.maria.token, audience="customer") as maria,
        open_console(world.hub, world.ground.stranger.token, audience="customer") as stranger,
    ):
        start = (await maria.watch(*everything))["cursor"]
        await stranger.watch(*everything)
        for topic in ("fleet", "customers", f"order:{theirs.order_id}", f"order:{mine.order_id}", "approvals:*", ""):
            await maria.say({"type": "watch", "topics": [topic]})
            assert (await maria.hear("refused"))["code"] == "NOT_FOUND"
        for tenant in (theirs, mine):
            async with tenant.connected() as wrapper:
                await wrapper.ask(expiresInSeconds=600)
                message = {"type": "activity", "id": "a1", "agentId": "sales", "kind": "mail", "summary": "wrote"}
                await wrapper.verdict(message)
                await world.staff.ok("POST", f"/api/v1/admin/orders/{tenant.order_id}/agents", {"role": "marketing"})
                await world.staff.ok("PATCH", f"/api/v1/admin/orders/{tenant.order_id}", {"sshPort": 2222})
            for console in (maria, stranger) if tenant is mine else (stranger,):
                if (console is maria) == (tenant is mine):
                    await console.event("server.disconnected")
                    await console.hear("presence", which=lambda one: one["server"]["presence"] == "offline")
        async with open_console(world.hub, world.ground.maria.token, audience="customer") as again:
            await again.watch(*everything, since=start)
    for console, own in ((maria, mine), (stranger, theirs), (again, mine)):
        told = [frame.get("data", frame.get("server")) for frame in console.heard if frame["type"] != "refused"]
        things = [thing for thing in told if thing]
        assert len(things) >= 5
        assert {thing.get("orderId", thing["id"] if "domain" in thing else None) for thing in things} == {own.order_id}


def told_of(console: BrowserConsole, kind: str) -> list[str]:
    return [event["data"]["id"] for event in console.events() if event["kind"] == kind]


async def test_nothing_is_missed_across_reconnects(world: World) -> None:
    """Approvals come from six tenants at once while the page comes and goes in the middle of it."""
    tenants = [await world.tenant() for _ in range(6)]
    asked_for: set[str] = set()
    seen: list[str] = []
    token = world.ground.owner.token
    async with open_console(world.hub, token) as console:
        cursor = (await console.watch("approvals"))["cursor"]
    done = trio.Event()

    async def ask(tenant: Tenant) -> None:
        async with tenant.connected() as wrapper:
            for _ in range(20):
                asked_for.add((await wrapper.ask(expiresInSeconds=600))["id"])

    async def look() -> None:
        nonlocal cursor
        last = False
        while not last:
            last = done.is_set()
            async with open_console(world.hub, token) as console:
                await console.watch("approvals", since=cursor)
                with trio.move_on_after(0.05):
                    await console.closed()
                assert not [frame for frame in console.heard if frame["type"] == "snapshotNeeded"]
                seen.extend(event["data"]["requestId"] for event in console.events())
                cursor = console.events()[-1]["cursor"] if console.events() else cursor

    async with trio.open_nursery() as lookers:
        lookers.start_soon(look)
        async with trio.open_nursery() as askers:
            for tenant in tenants:
                askers.start_soon(ask, tenant)
        done.set()
    assert len(asked_for) == 120
    assert set(seen) >= asked_for
    assert len(seen) == len(set(seen))


async def test_nothing_is_missed_across_a_restart_of_the_hub(own_world: World) -> None:
    world = own_world
    tenant = await world.tenant()
    async with open_console(world.hub, world.ground.owner.token) as console:
        cursor = (await console.watch("approvals", "orders"))["cursor"]
        first = await asked(tenant)
        await console.event("approval.requested")
        world.hub.kill()
        await console.closed()
    world.hub.start()
    second = await asked(tenant)
    async with open_console(world.hub, world.ground.owner.token) as console:
        await console.watch("approvals", "orders", since=cursor)
        assert told_of(console, "approval.requested") == [first["id"], second["id"]]
        third = await asked(tenant)
        assert (await console.event("approval.requested"))["data"]["id"] == third["id"]
        # Only what came after: this cursor is the newest.
        newest = console.cursor
        async with open_console(world.hub, world.ground.owner.token) as another:
            await another.watch("approvals", "orders", since=newest)
            assert another.events() == []


async def test_a_gap_too_large_asks_for_a_snapshot(own_world: World) -> None:
    world = own_world
    tenant = await world.tenant()
    async with open_console(world.hub, world.ground.owner.token) as console:
        cursor = (await console.watch("approvals", "orders"))["cursor"]
    first = await asked(tenant)
    world.hub.sql(
        "INSERT INTO events (at, kind, data) SELECT now(), 'customer.changed', '{}' FROM generate_series(1, 2100)"
    )
    async with open_console(world.hub, world.ground.owner.token) as console:
        await console.watch("customers")
        await until(lambda: asks_for_snapshot(world, cursor), what="the Hub has read them")
        answer = await console.watch("approvals", "orders", since=cursor)
        needed = [frame for frame in console.heard if frame["type"] == "snapshotNeeded"]
        assert [frame["topic"] for frame in needed] == ["approvals", "orders"]
        assert {frame["cursor"] for frame in needed} == {answer["cursor"]}
        await world.staff.decide(first["id"], "approve")
        assert (await console.event("approval.approved"))["data"]["id"] == first["id"]
    # One order's own events are few, however much happened elsewhere; so are one customer's.
    async with open_console(world.hub, world.ground.owner.token) as console:
        await console.watch(f"order:{tenant.order_id}", since=cursor)
        assert told_of(console, "approval.requested") == [first["id"]]
    async with open_console(world.hub, world.ground.maria.token, audience="customer") as console:
        await console.watch("approvals", since=cursor)
        assert told_of(console, "approval.requested") == [first["id"]]
        for strange in ("", "x", "0-0-0", "1-2", "-1--1--1", f"{cursor}0-", cursor.split("-")[0] + "-1-" + "f" * 40):
            await console.say({"type": "watch", "topics": ["approvals"], "since": strange})
            assert (await console.hear("snapshotNeeded"))["topic"] == "approvals"
            await console.hear("watching")


async def asks_for_snapshot(world: World, cursor: str) -> bool:
    async with open_console(world.hub, world.ground.owner.token) as console:
        await console.watch("approvals", since=cursor)
        return any(frame["type"] == "snapshotNeeded" for frame in console.heard)
