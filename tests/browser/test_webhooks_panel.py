"""Webhooks on a tenant's page: how they are, why they ended, and setting them going again."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import World
from tests.browser.furnish import overflow, violations
from tests.browser.test_staff_rooms import PASSWORD, member


class Receiver:
    """Where a server's webhooks arrive: answers `status`, and counts."""

    def __init__(self) -> None:
        self.status = 200
        self.events: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                receiver.events.append(self.headers["x-letsbe-event"])
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *told: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def hooked(world: World, receiver: Receiver, domain: str) -> str:
    """A server that takes webhooks and opens no socket; answers its id."""
    order = world.staff.order(world.customer_id, domain)
    path = f"/api/v1/admin/orders/{order}/registration-token"
    token = world.staff.call("POST", path)["registrationToken"]
    body = {"registrationToken": token, "safetyWrapperUrl": receiver.url}
    world.staff.call("POST", "/api/v1/tenant/register", body)
    return next(str(one["id"]) for one in world.staff.servers() if one["orderId"] == order)


def ping(world: World, server: str) -> None:
    world.staff.call("POST", f"/api/v1/admin/servers/{server}/command", {"type": "PING"})


def panel_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Webhooks", exact=True)


def test_webhooks_that_were_switched_off_are_seen_and_set_going(world: World, receiver: Receiver) -> None:
    receiver.status = 410
    server = hooked(world, receiver, "gone.letsbe.example")
    page = world.owner(f"/admin/tenants/{server}", width=1440)
    panel = panel_of(page)
    ping(world, server)
    # By itself: the page was open before they ended.
    expect(panel.locator("header .state")).to_have_text("Switched off")
    expect(panel.locator("pre")).to_have_text("HTTP 410: no webhooks are taken there any more")
    expect(panel).to_contain_text(receiver.url)
    expect(panel).to_contain_text("Last taken")
    expect(panel.locator("dd", has_text="promise")).to_be_visible()
    assert violations(page) == []
    receiver.status = 200
    tried = len(receiver.events)
    again = panel.get_by_role("button", name="Try again now")
    again.click()
    expect(page.get_by_text("Webhooks to gone.letsbe.example are tried again now.")).to_be_visible()
    expect(again).to_have_count(0)
    # The panel looks by itself until nothing waits any more.
    expect(panel.locator("dd", has_text="nothing")).to_be_visible()
    expect(panel.locator("header .state")).to_have_text("Ready")
    expect(panel.locator("dd", has_text=re.compile("^today, "))).to_be_visible()
    assert len(receiver.events) > tried
    expect(page.locator(".timeline > li", has_text="Webhooks tried again")).to_contain_text("enabled by Nora Lindt")


def test_a_failing_address_says_when_it_is_tried_next(world: World, receiver: Receiver) -> None:
    receiver.status = 500
    server = hooked(world, receiver, "failing.letsbe.example")
    ping(world, server)
    page = world.owner(f"/admin/tenants/{server}")
    panel = panel_of(page)
    expect(panel.locator("header .state")).to_have_text("Failing")
    expect(panel.locator("pre")).to_have_text("HTTP 500")
    # The second try comes after five seconds, and is seen without an event that tells of it.
    expect(panel.locator("dd", has_text="2 failed")).to_be_visible()
    expect(panel.locator("dd", has_text=re.compile(r"in \d+ min"))).to_be_visible()
    assert violations(page) == []
    # Staff who may not command the server see all of this, and no button.
    member(world, "Kai", "SUPPORT")
    other = world.page("/sign-in?as=staff")
    world.sign_in(other, ("kai@hub.example", PASSWORD))
    other.goto(f"{world.hub.url}/admin/tenants/{server}")
    expect(panel_of(other).locator("header .state")).to_have_text("Failing")
    expect(panel_of(other).get_by_role("button", name="Try again now")).to_have_count(0)
    # A key that is revoked is not tried.
    expect(panel.get_by_role("button", name="Try again now")).to_be_visible()
    world.staff.call("DELETE", f"/api/v1/admin/servers/{server}/key")
    expect(panel.locator("header .state")).to_have_text("Key revoked")
    expect(panel.get_by_role("button", name="Try again now")).to_have_count(0)


def test_a_server_without_an_address_has_no_panel(world: World) -> None:
    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == world.order_id)
    page = world.owner("/admin/fleet")
    with page.expect_response(f"**/api/v1/admin/servers/{server}/webhooks") as asked:
        page.goto(f"{world.hub.url}/admin/tenants/{server}")
    assert asked.value.json()["data"]["state"] == "none"
    expect(page.get_by_role("heading", name="Key", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Webhooks")).to_have_count(0)


STATES = {
    "exhausted": ("All tries failed", "until something newer is promised", True),
    "disabled": ("Switched off", "or the server registers anew", True),
    "failing": ("Failing", "sent in its order", True),
    "pushing": ("Sending", "on its way", False),
    "ready": ("Ready", "holds no socket", False),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_every_state_is_told_accessible_and_fits_a_phone(world: World, state: str, scheme: str) -> None:
    word, after, may_try = STATES[state]
    hostile = "the address is refused: <b>x</b>\u202egpj.exe " + "A" * 500

    def answer(route: Route) -> None:
        told = route.fetch().json()
        told["data"] |= {
            "state": state,
            "url": f"https://{'long-name-' * 6}.letsbe.example/hooks",
            "attempts": 3 if state == "failing" else 0,
            "nextAttemptAt": "2100-01-01T00:00:00Z" if state == "failing" else None,
            "disabledAt": "2026-03-15T14:32:00Z" if state == "disabled" else None,
            "lastError": None if state == "ready" else hostile,
            "unacknowledged": 0 if state == "ready" else 2,
        }
        route.fulfill(content_type="application/json", body=json.dumps(told))

    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == world.order_id)
    page = world.owner("/admin/fleet", scheme=scheme, width=1440)
    page.route("**/api/v1/admin/servers/*/webhooks", answer)
    page.goto(f"{world.hub.url}/admin/tenants/{server}")
    panel = panel_of(page)
    expect(panel.locator("header .state")).to_have_text(word)
    expect(panel.locator(".hint").first).to_contain_text(after)
    expect(panel.get_by_role("button", name="Try again now")).to_have_count(1 if may_try else 0)
    assert panel.locator("b").count() == 0
    assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []
    assert violations(page) == []
