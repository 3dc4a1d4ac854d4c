"""Whoever loses a session, by whichever way, loses the console that it opened, within a second."""

from __future__ import annotations

import pytest

from tests.end_to_end.browser_console import open_console, refused_console
from tests.end_to_end.test_console_sessions import signed_in
from tests.end_to_end.world import PASSWORD, Caller, World


@pytest.mark.parametrize("way", ["one", "others", "password"])
async def test_a_customer_who_ends_a_session_closes_its_console(own_world: World, way: str) -> None:
    maria = own_world.ground.maria
    lost = await signed_in(own_world, maria)
    kept = Caller(own_world.hub.url, maria.token)
    async with (
        open_console(own_world.hub, lost, audience="customer") as console,
        open_console(own_world.hub, maria.token, audience="customer") as own,
    ):
        await console.watch("approvals")
        await own.watch("account")
        if way == "one":
            thief = Caller(own_world.hub.url, lost)
            sessions = await thief.ok("GET", "/api/v1/auth/sessions")
            [session] = [one["id"] for one in sessions if one["current"]]
            await thief.aclose()
            await kept.ok("DELETE", f"/api/v1/auth/sessions/{session}")
        elif way == "others":
            await kept.ok("DELETE", "/api/v1/auth/sessions")
        else:
            body = {"currentPassword": PASSWORD, "newPassword": "a wholly different passphrase"}
            await kept.ok("POST", "/api/v1/auth/password", body)
        assert (await console.closed(within_seconds=1))[0] == 4001
        # Their own sign-in may still be told first.
        while (await own.hear("event"))["kind"] != "account.signedOut":
            pass
    await kept.aclose()
    assert await refused_console(own_world.hub, lost, audience="customer") == (401, "UNAUTHORIZED")
