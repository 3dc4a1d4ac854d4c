"""Crowds in the browser: two hundred requests that wait, hostile texts among them, and a fleet of five hundred."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.browser.conftest import World
from tests.browser.furnish import overflow, violations

WAITING = 200
TENANTS = 500
HOSTILE = '<img src=x onerror="window.harmed=1"> \u202egpj.exe\u202c ' + "A" * 100_000


@pytest.fixture(scope="module")
def crowd(own_world: World) -> World:
    """The module's world with two hundred requests, every tenth with hostile words of 100 KB."""
    for number in range(WAITING):
        hostile = number % 10 == 0
        own_world.wrapper.ask(
            f"IT Admin wants to restart service {number:03}" + (f" {HOSTILE}" if hostile else ""),
            tool="service_restart",
            command_class=("yellow", "red", "critical_red", "yellow_external")[number % 4],
            args={"service": f"s{number}", **({"note": HOSTILE} if hostile else {})},
        )
        if number % 50 == 25:  # what was asked on a connection that broke is asked again on the next
            own_world.wrapper.hang_up()
    return own_world


def _waits(page: Page) -> int:
    found = re.match(r"(\d+) requests? wait", page.locator("h1").inner_text())
    return int(found[1]) if found else 0


@pytest.mark.slow
def test_two_hundred_requests_are_read_searched_and_decided(crowd: World, world: World) -> None:
    page = world.customer()
    expect(page.locator("h1")).to_have_text(f"{WAITING} requests wait for you")
    expect(page.locator(".approval")).to_have_count(20)
    page.get_by_role("button", name="Show 20 more").click()
    expect(page.locator(".approval")).to_have_count(40)
    assert page.evaluate("() => window.harmed") is None
    page.get_by_label("Search requests").fill("service 173")
    card = page.locator(".approval", has_text="service 173")
    expect(card).to_have_count(1)
    card.get_by_role("button", name="Deny…").click()
    card.get_by_role("button", name="Deny and tell the agent").click()
    page.get_by_label("Search requests").fill("")
    expect(page.locator("h1")).to_have_text(f"{WAITING - 1} requests wait for you")
    # One more, so that whichever test comes next finds as many.
    world.wrapper.ask("IT Admin wants to restart service 173", tool="service_restart", args={"service": "s173"})
    expect(page.locator("h1")).to_have_text(f"{WAITING} requests wait for you")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("who", ["customer", "owner"])
def test_two_hundred_requests_are_accessible_and_fit_a_phone(crowd: World, world: World, who: str, scheme: str) -> None:
    page = world.customer(scheme=scheme) if who == "customer" else world.owner("/admin/approvals", scheme=scheme)
    expect(page.locator(".approval")).to_have_count(20)
    assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []


def _multiplied(world: World, page: Page) -> None:
    """Have the page read a fleet of five hundred: the answer's one server as often, each under a name of its own."""
    one = world.staff.servers()[0]
    fleet = [
        {
            **one,
            "id": f"srv_{n:026}",
            "orderId": f"ord_{n:026}",
            "domain": f"t{n:03}.example",
            "pendingApprovals": n % 3,
        }
        for n in range(TENANTS)
    ]

    def answer(route: Any) -> None:
        number = int(re.search(r"[?&]page=(\d+)", route.request.url)[1])  # type: ignore[index]
        rows = fleet[(number - 1) * 100 : number * 100]
        meta = {"total": TENANTS, "page": number, "pageSize": 100}
        route.fulfill(content_type="application/json", body=json.dumps({"success": True, "data": rows, "meta": meta}))

    page.route("**/api/v1/admin/servers?*", answer)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_five_hundred_tenants_are_paged_and_filtered(crowd: World, world: World, scheme: str) -> None:
    page = world.owner("/admin/history", scheme=scheme)
    _multiplied(world, page)
    page.goto(f"{world.hub.url}/admin/fleet")
    rows = page.locator(".fleet tbody tr")
    expect(rows).to_have_count(50)  # a page of the table, however many there are
    expect(page.locator("#t-n")).to_contain_text("1 to 50 of 50")
    page.get_by_role("button", name="Next").click()
    expect(rows.first).to_contain_text("t050.example")
    page.get_by_label("Search tenants").fill("t49")
    expect(rows).to_have_count(10)
    assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []


def _hold_presence(page: Page) -> Callable[[], None]:
    """Keep back what the page is told of presences, so that no tenant joins an empty fleet; the answer lets go."""
    kept: list[tuple[WebSocketRoute, str | bytes]] = []

    def between(route: WebSocketRoute) -> None:
        def pass_on(frame: str | bytes) -> None:
            if json.loads(frame)["type"] == "presence":
                kept.append((route, frame))
            else:
                route.send(frame)

        route.connect_to_server().on_message(pass_on)

    def let_go() -> None:
        while not kept:
            page.wait_for_timeout(50)
        for route, frame in kept:
            route.send(frame)

    page.route_web_socket("**/api/v1/admin/socket", between)
    return let_go


def _no_tenants(route: Route) -> None:
    meta = {"total": 0, "page": 1, "pageSize": 100}
    route.fulfill(content_type="application/json", body=json.dumps({"success": True, "data": [], "meta": meta}))


def test_the_first_tenant_of_an_empty_fleet_shows_at_once(world: World) -> None:
    page = world.owner("/admin/history")
    page.route("**/api/v1/admin/servers?*", _no_tenants)
    let_go = _hold_presence(page)
    page.goto(f"{world.hub.url}/admin/fleet")
    expect(page.locator(".empty")).to_contain_text("No tenant yet")
    let_go()
    expect(page.locator(".fleet tbody tr")).to_have_count(1)
    expect(page.locator("#t-n")).to_contain_text("1 tenant")
    expect(page.locator("#t-n")).not_to_contain_text("would move")
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["loading", "empty", "offline"])
@pytest.mark.parametrize("room", ["fleet", "approvals"])
def test_a_room_s_other_states_are_accessible_and_fit_a_phone(world: World, room: str, state: str, scheme: str) -> None:
    page = world.owner("/admin/history", scheme=scheme)
    asked = "**/api/v1/admin/servers?*" if room == "fleet" else "**/api/v1/admin/approvals?*"
    held: list[Route] = []
    if state == "loading":
        page.route(asked, lambda route: held.append(route))  # noqa: PLW0108 - it looks at a function's signature
    elif state == "empty":
        page.route(asked, _no_tenants)
        _hold_presence(page)
    page.goto(f"{world.hub.url}/admin/{room}")
    if state == "loading":
        page.locator("main [aria-busy=true]").first.wait_for()
    elif state == "empty":
        page.locator(".empty").wait_for()
        expect(page.get_by_label("Search tenants")).to_have_count(0)  # nothing to search
    else:
        page.wait_for_selector(".live", state="attached")
        page.context.set_offline(True)
        expect(page.locator(".banner")).to_contain_text("No connection since")
    assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []
    assert violations(page) == []
    for route in held:
        _no_tenants(route)
    page.context.close()
    world.complaints[:] = [one for one in world.complaints if "INTERNET_DISCONNECTED" not in one]


def test_settled_by_somebody_else_and_expired_are_accessible(world: World) -> None:
    page = world.customer()
    for words, more in (("be decided elsewhere", {}), ("run out of time", {"expiresInSeconds": 2})):
        world.wrapper.ask(f"IT Admin wants to {words}", tool="env_update", command_class="yellow", args={}, **more)
    # The newest is last, below the others: the link leads to it.
    found = world.staff.call("GET", "/api/v1/admin/approvals?pageSize=100&status=PENDING")
    ours = [one["id"] for one in found if "be decided elsewhere" in one["humanReadable"]]
    if not ours:
        last = world.staff.call("GET", "/api/v1/admin/approvals?pageSize=100&page=3&status=PENDING")
        ours = [one["id"] for one in last if "be decided elsewhere" in one["humanReadable"]]
    page = world.customer(f"/customer/approvals/{ours[0]}")
    card = page.locator(f"[data-approval={ours[0]}]")
    expect(card).to_be_focused()
    world.staff.call("POST", f"/api/v1/admin/approvals/{ours[0]}", {"action": "deny", "reason": "Later"})
    expect(card.locator(".verdict")).to_have_text("Nora Lindt denied this")
    page.get_by_text(re.compile("^Expired")).first.wait_for()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []
