"""A bug in a tenant's work: its wrapper begins a new session, its promises go on, no neighbour feels it."""

from __future__ import annotations

from tests.end_to_end.world import World

POISON = """
    CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = 'XX001'; END $$;
"""


async def test_a_crash_costs_the_session_and_nothing_else(own_world: World) -> None:
    world, hub = own_world, own_world.hub
    tenant, neighbour = await world.tenant(), await world.tenant()
    for statement in (
        POISON,
        "CREATE TRIGGER poison BEFORE INSERT ON remote_commands FOR EACH ROW"
        " WHEN (NEW.type = 'POISON') EXECUTE FUNCTION poison()",
    ):
        hub.sql(statement)
    async with tenant.connected() as wrapper, neighbour.connected() as calm:
        first = await tenant.command()
        assert (await wrapper.promise("command"))["id"] == first["id"]  # not acknowledged
        path = f"/api/v1/admin/servers/{tenant.server_id}/command"
        status, code, error = await world.staff.refused("POST", path, {"type": "POISON"})
        assert (status, code) == (500, "INTERNAL_ERROR")
        assert "poison" not in str(error)
        ended, words = await wrapper.closed(within_seconds=2)
        assert ended == 1012
        assert "crashed" in words
        await calm.ask()
        second = await neighbour.command()
        assert (await calm.promise("command"))["id"] == second["id"]
    await hub.until_logged("actor.crashed", actor=f"tenant/{tenant.order_id}")
    async with tenant.connected() as wrapper:
        assert (await wrapper.promise("command"))["id"] == first["id"]
        third = await tenant.command()
        frame = await wrapper.promise("command")
        assert (frame["id"], frame["seq"]) == (third["id"], 3)  # what crashed took no number
