"""Who may open a console, what ends it, and what it may not do."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
import trio
from websockets.exceptions import ConnectionClosed

from protocol.ids import parse_id
from tests.end_to_end.browser_console import BrowserConsole, open_console, refused_console
from tests.end_to_end.hub_process import HubProcess
from tests.end_to_end.world import PASSWORD, Caller, Person, World

CONSOLES = 200


async def signed_in(world: World, person: Person, provider: str = "customer") -> str:
    """A fresh session of someone, as a Bearer token."""
    answer = await world.nobody.call(
        "POST", f"/api/auth/callback/{provider}", {"email": person.email, "password": PASSWORD}
    )
    assert answer.status_code == 200, answer.text
    token = next(cookie.value for cookie in answer.cookies.jar if "session-token" in cookie.name)
    world.nobody = Caller(world.hub.url, None)  # which remembers no cookie
    assert token is not None
    return token


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:1", "nonsense"])
async def test_pages_of_other_origins_are_refused_before_the_upgrade(world: World, origin: str | None) -> None:
    for audience, person in (("admin", world.ground.owner), ("customer", world.ground.maria)):
        for bearer in (False, True):
            refused = await refused_console(world.hub, person.token, audience=audience, origin=origin, bearer=bearer)
            assert refused == (403, "FORBIDDEN")


async def test_without_a_session_nobody_connects(world: World) -> None:
    for audience in ("admin", "customer"):
        for token in (None, "", "x" * 43, "hk_0123456789ab_" + "0" * 64):
            assert await refused_console(world.hub, token, audience=audience) == (401, "UNAUTHORIZED")
    tenant = await world.tenant(settled_in=False)
    assert await refused_console(world.hub, tenant.key, bearer=True) == (401, "UNAUTHORIZED")


async def test_a_session_in_the_url_is_refused(world: World) -> None:
    token = world.ground.owner.token
    assert await refused_console(world.hub, token, query=f"?token={token}") == (401, "UNAUTHORIZED")
    assert token not in world.hub.log.read_text()


async def test_each_kind_of_people_has_a_socket_of_its_own(world: World) -> None:
    ground = world.ground
    assert await refused_console(world.hub, ground.maria.token, audience="admin") == (403, "FORBIDDEN")
    assert await refused_console(world.hub, ground.owner.token, audience="customer") == (403, "FORBIDDEN")
    for person, audience in ((ground.owner, "admin"), (ground.maria, "customer")):
        for bearer in (False, True):
            async with open_console(world.hub, person.token, audience=audience, bearer=bearer) as console:
                assert (await console.hear("welcome"))["serverTime"]
    refused = await refused_console(world.hub, ground.owner.token, subprotocol="letsbe.tenant.v1")
    assert refused[0] == 400


async def test_signing_out_closes_the_console_at_once(world: World) -> None:
    token = await signed_in(world, world.ground.maria)
    caller = Caller(world.hub.url, token)
    async with (
        open_console(world.hub, token, audience="customer") as console,
        open_console(world.hub, world.ground.maria.token, audience="customer") as other,
    ):
        await console.watch("approvals")
        await other.watch("approvals")
        await caller.call("POST", "/api/auth/signout", {})
        signed_out = time.monotonic()
        assert (await console.closed(within_seconds=1))[0] == 4001
        assert time.monotonic() - signed_out < 0.4
        await other.watch("orders")  # another session of the same customer lives on
    await caller.aclose()
    assert await refused_console(world.hub, token, audience="customer") == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE sessions SET revoked_at = now() WHERE user_id = $1",
        "UPDATE sessions SET idle_expires_at = now() WHERE user_id = $1",
        "DELETE FROM sessions WHERE user_id = $1",
        "UPDATE users SET status = 'SUSPENDED' WHERE id = $1",
    ],
)
async def test_a_session_that_ends_elsewhere_closes_the_console_within_a_second(own_world: World, end: str) -> None:
    """As when another node ends it: this one hears nothing of it."""
    ground = own_world.ground
    async with (
        open_console(own_world.hub, ground.maria.token, audience="customer") as console,
        open_console(own_world.hub, ground.stranger.token, audience="customer") as stranger,
    ):
        await console.watch("approvals")
        own_world.hub.sql(end, parse_id("cust", ground.maria.id))
        assert (await console.closed(within_seconds=1))[0] == 4001
        await stranger.watch("approvals")
    refused = await refused_console(own_world.hub, ground.maria.token, audience="customer")
    assert refused == (401, "UNAUTHORIZED")


async def test_suspending_a_customer_closes_their_consoles_at_once(own_world: World) -> None:
    maria = own_world.ground.maria
    async with open_console(own_world.hub, maria.token, audience="customer") as console:
        await console.watch("approvals")
        await own_world.staff.ok("PATCH", f"/api/v1/admin/customers/{maria.id}", {"status": "SUSPENDED"})
        assert (await console.closed(within_seconds=0.4))[0] == 4001


async def test_a_change_of_role_counts_at_once_for_what_is_told(own_world: World) -> None:
    world = own_world
    tenant = await world.tenant()
    hour = {"agentId": "sales", "model": "m", "bucketHour": "2026-01-01T10:00:00Z"}

    def usage(number: int) -> dict[str, object]:
        bucket = {**hour, "tokensInput": number, "revision": number}
        return {"type": "usage", "id": f"u{number}", "buckets": [bucket]}

    def activity(number: int) -> dict[str, object]:
        return {"type": "activity", "id": f"a{number}", "agentId": "sales", "kind": "mail", "summary": f"{number}"}

    async with open_console(world.hub, world.ground.owner.token) as console, tenant.connected() as wrapper:
        await console.watch(f"order:{tenant.order_id}")
        await wrapper.verdict(usage(1))
        await console.event("usage.reported")
        world.hub.sql("UPDATE staff SET role = 'SUPPORT'")
        assert (await console.hear("sessionChanged", within_seconds=1))["role"] == "SUPPORT"
        await wrapper.verdict(usage(2))
        await wrapper.verdict(activity(1))
        await console.event("activity.recorded")
        assert len([event for event in console.events() if event["kind"] == "usage.reported"]) == 1
        # Nor does a replay tell what the role may not know.
        async with open_console(world.hub, world.ground.owner.token) as again:
            await again.watch(f"order:{tenant.order_id}", since=console.events()[0]["cursor"])
            kinds = [event["kind"] for event in again.events()]
            assert "activity.recorded" in kinds
            assert "usage.reported" not in kinds
        world.hub.sql("UPDATE staff SET role = 'OWNER'")
        assert (await console.hear("sessionChanged", within_seconds=1))["role"] == "OWNER"
        await wrapper.verdict(usage(3))
        await console.event("usage.reported")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("nonsense", 4006),
        ("[]", 4006),
        ('{"type": "watch"}', 4006),
        ('{"type": "watch", "topics": []}', 4006),
        (json.dumps({"type": "watch", "topics": ["approvals"] * 51}), 4006),
        (json.dumps({"type": "watch", "topics": ["x" * 65]}), 4006),
        (json.dumps({"type": "watch", "topics": ["approvals"], "since": "x" * 300}), 4006),
        (json.dumps({"type": "unwatch", "topics": ["x" * 4096]}), 1009),
    ],
)
async def test_what_is_no_frame_of_this_socket_ends_it(world: World, said: str, code: int) -> None:
    async with open_console(world.hub, world.ground.owner.token) as console:
        await console.say(said)
        assert (await console.closed())[0] == code


async def test_a_newer_page_may_say_what_this_hub_does_not_know(world: World) -> None:
    async with open_console(world.hub, world.ground.owner.token) as console:
        await console.say({"type": "somethingNew", "topics": 1})
        await console.say({"type": "watch", "topics": ["approvals"], "color": "blue"})
        assert (await console.hear("watching"))["topics"] == ["approvals"]


async def test_a_console_watches_fifty_topics_and_no_more(world: World) -> None:
    order_id = await world.order()
    names = [f"order:{order_id[:-2]}{first}{second}" for first in "0123456789" for second in "01234"]
    async with open_console(world.hub, world.ground.owner.token) as console:
        for start in (0, 25):
            assert len((await console.watch(*names[start : start + 25]))["topics"]) == 25
        await console.say({"type": "watch", "topics": ["fleet"]})
        assert (await console.hear("refused"))["code"] == "VALIDATION_ERROR"
        await console.say({"type": "unwatch", "topics": names[:1]})
        assert (await console.watch("fleet"))["topics"] == ["fleet"]


async def test_a_console_that_says_too_much_is_sent_away(world: World) -> None:
    async with open_console(world.hub, world.ground.owner.token) as console:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(100):
                await console.say({"type": "unwatch", "topics": ["fleet"]})
        assert (await console.closed())[0] == 4005


async def test_a_console_that_stops_watching_hears_no_more(world: World) -> None:
    async with (
        open_console(world.hub, world.ground.owner.token) as console,
        open_console(world.hub, world.ground.owner.token) as other,
    ):
        await other.watch("orders")
        # Once this one is told, so is whatever was made before: events keep their order.
        earlier = await world.order()
        await other.hear("event", which=lambda frame: frame["data"].get("id") == earlier)
        await console.watch("orders")
        await console.say({"type": "unwatch", "topics": ["orders"]})
        await console.watch("customers")
        order_id = await world.order()
        assert (await other.event("order.created"))["data"]["id"] == order_id
        await console.watch("approvals")
        assert console.events() == []


async def open_many(
    hub: HubProcess, token: str, number: int, nursery: trio.Nursery, over: trio.Event
) -> list[BrowserConsole]:
    """Consoles that watch the approvals until it is over."""
    consoles: list[BrowserConsole] = []

    async def one(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with open_console(hub, token) as console:
            await console.watch("approvals")
            consoles.append(console)
            task_status.started()
            await over.wait()

    for _ in range(number):
        await nursery.start(one)
    return consoles


async def test_two_hundred_consoles_see_an_event_at_once(world: World) -> None:
    tenant = await world.tenant()
    tokens = [await signed_in(world, world.ground.owner, "credentials") for _ in range(CONSOLES // 25)]
    over = trio.Event()
    async with trio.open_nursery() as nursery:
        consoles = [console for token in tokens for console in await open_many(world.hub, token, 25, nursery, over)]
        assert len(consoles) == CONSOLES
        async with tenant.connected() as wrapper:
            request = await wrapper.ask(expiresInSeconds=600)
            accepted = trio.current_time()
            took: list[float] = []

            async def see(console: BrowserConsole) -> None:
                event = await console.event("approval.requested")
                assert event["data"]["requestId"] == request["id"]
                took.append(trio.current_time() - accepted)

            async with trio.open_nursery() as seeing:
                for console in consoles:
                    seeing.start_soon(see, console)
        assert len(took) == CONSOLES
        assert max(took) < 2
        over.set()


async def test_one_session_does_not_open_consoles_without_end(own_world: World) -> None:
    token = own_world.ground.owner.token
    over = trio.Event()
    async with trio.open_nursery() as nursery:
        consoles = await open_many(own_world.hub, token, 30, nursery, over)
        assert await refused_console(own_world.hub, token) == (429, "RATE_LIMITED")
        await consoles[0].socket.aclose()
        over.set()
    async with open_console(own_world.hub, token) as console:
        await console.watch("approvals")
