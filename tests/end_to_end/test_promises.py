"""Promises without a listener: kept while the tenant is away, void when their time is over, one socket a key."""

from __future__ import annotations

from typing import Any

from tests.end_to_end.hub_process import until
from tests.end_to_end.scripted_wrapper import approval_request
from tests.end_to_end.world import World


async def test_a_command_to_an_offline_tenant_is_kept_expires_at_its_time_and_travels_as_void(world: World) -> None:
    tenant = await world.tenant()
    brief = await tenant.command("RESTART_SERVICE", expiresInSeconds=1)
    lasting = await tenant.command("RUN_BACKUP")
    assert brief["status"] == lasting["status"] == "QUEUED"

    async def expired() -> bool:
        return bool((await tenant.command_now(brief["id"]))["status"] == "EXPIRED")

    await until(expired)
    assert await world.hub.until_logged("command.expired", command=brief["id"], order=tenant.order_id)
    assert (await tenant.command_now(lasting["id"]))["status"] == "QUEUED"
    assert tenant.promises() == [(1, "configOffered", False), (2, "command", True), (3, "command", False)]
    async with tenant.connected() as wrapper:
        assert await wrapper.promise() == {"type": "void", "seq": 2}
        assert (await wrapper.promise())["id"] == lasting["id"]
        await wrapper.ack()
        await tenant.until_acknowledged(3)
    assert (await tenant.command_now(lasting["id"]))["status"] == "ACKNOWLEDGED"
    assert (await tenant.command_now(brief["id"]))["status"] == "EXPIRED"


async def test_a_cancelled_command_travels_as_void_and_one_that_arrived_cannot_be_cancelled(world: World) -> None:
    tenant = await world.tenant()
    path = f"/api/v1/admin/servers/{tenant.server_id}/commands"
    command = await tenant.command()
    assert (await world.staff.ok("POST", f"{path}/{command['id']}/cancel"))["status"] == "CANCELLED"
    async with tenant.connected() as wrapper:
        assert await wrapper.promise() == {"type": "void", "seq": 2}
        there = await tenant.command()
        await wrapper.promise("command")
        await wrapper.ack()
        await tenant.until_acknowledged(3)
        status, code, error = await world.staff.refused("POST", f"{path}/{there['id']}/cancel")
        assert (status, code) == (409, "CONFLICT")
        assert error["details"]["status"] == "ACKNOWLEDGED"


async def test_an_older_configuration_nobody_acknowledged_becomes_void(world: World) -> None:
    tenant = await world.tenant()
    for role in ("marketing", "sales"):
        await world.staff.ok("POST", f"/api/v1/admin/orders/{tenant.order_id}/agents", {"role": role})
    async with tenant.connected() as wrapper:
        assert await wrapper.promise() == {"type": "void", "seq": 2}
        offer = await wrapper.promise()
        assert offer["seq"] == 3
        assert {agent["agentId"] for agent in offer["config"]["agents"]} == {"marketing", "sales"}


async def test_a_promise_the_wrapper_cannot_take_is_void_and_the_command_rejected(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected(capabilities=["approvalSettled"]) as wrapper:
        command = await tenant.command()
        assert await wrapper.promise() == {"type": "void", "seq": 2}
    assert (await tenant.command_now(command["id"]))["status"] == "REJECTED"


async def test_of_two_wrappers_with_one_key_the_newer_one_stays_and_staff_are_told(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as older:
        first = await tenant.command()
        assert (await older.promise("command"))["id"] == first["id"]  # and does not acknowledge it
        async with tenant.connected() as newer:
            assert await older.closed(within_seconds=2) == (4000, "replaced by a newer session")
            assert (await newer.promise("command"))["id"] == first["id"]
            second = await tenant.command()
            assert (await newer.promise("command"))["id"] == second["id"]
            await newer.ack()
            await tenant.until_acknowledged(3)
    assert await world.hub.until_logged("tenant.key_used_twice", order=tenant.order_id)


async def test_the_same_wrapper_back_on_a_new_socket_is_no_second_wrapper(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected(bootId="same") as older, tenant.connected(bootId="same") as newer:
        assert (await older.closed())[0] == 4000
        await newer.ask()
    assert not world.hub.logged("tenant.key_used_twice", order=tenant.order_id)


async def test_what_the_older_wrapper_still_says_counts_for_nothing(world: World) -> None:
    tenant = await world.tenant()
    command = await tenant.command()
    async with tenant.connected() as older, tenant.dial() as newer:
        await older.promise("command")
        welcome = await newer.hello(**tenant.journal)
        assert welcome["resumedFrom"] == 1
        await older.closed()
        assert (await newer.promise("command"))["id"] == command["id"]
    assert tenant.marks() == (2, 1)


async def test_promises_come_in_order_however_fast_they_are_made_and_resume_without_a_hole(world: World) -> None:
    tenant = await world.tenant()
    wanted = 150
    heard: list[int] = []

    async def take(count: int, **journal: Any) -> None:
        async with tenant.connected(**journal) as wrapper:
            for _ in range(count):
                heard.append((await wrapper.promise("command"))["seq"])
                if len(heard) in (10, 30):
                    await wrapper.ack()

    for _ in range(wanted):
        await tenant.command()
    journalled = 1
    while journalled < wanted + 1:
        heard.clear()
        count = min(35, wanted + 1 - journalled)
        await take(count, lastSeq=journalled)
        assert heard == list(range(journalled + 1, journalled + 1 + count))
        journalled += count if count < 35 else 32  # a crash forgot three that were never acknowledged
    assert tenant.marks()[0] == wanted + 1


async def test_a_wrapper_that_lost_its_journal_is_not_played_the_past(world: World) -> None:
    tenant = await world.tenant()
    for _ in range(3):
        await tenant.command()
    async with tenant.connected() as wrapper:
        for _ in range(3):
            await wrapper.promise("command")
        await wrapper.ack(3)
        await tenant.until_acknowledged(3)
    async with tenant.dial() as wrapper:
        welcome = await wrapper.hello(**{**tenant.journal, "lastSeq": 0})
        assert welcome["resumedFrom"] == 3
        assert (await wrapper.promise())["seq"] == 4
        assert await wrapper.hears_nothing_before(approval_request(), "accepted") == []
