"""A customer's home, usage, billing and backups: live, decided at once, read by keys, told in words, on a phone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import World
from tests.browser.furnish import overflow, violations

DEEPSEEK = "deepseek/deepseek-v3.2"


@cache
def today() -> datetime:
    """The UTC day on which the first of these tests began."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _use(world: World, tokens: int, *, agent: str = "marketing", days_ago: int = 0, model: str = DEEPSEEK) -> None:
    hour = _said(today() - timedelta(days=days_ago))
    bucket = {"agentId": agent, "model": model, "bucketHour": hour, "tokensInput": tokens}
    world.wrapper.message(type="usage", buckets=[bucket])


def _back_up(world: World, status: str, **more: Any) -> None:
    world.wrapper.message(type="backupStatus", status=status, **more)


@pytest.fixture(scope="module")
def used(own_world: World) -> World:
    """The module's world, whose agents have worked for a month."""
    for days_ago in range(1, 29):
        _use(own_world, 100_000 + days_ago, days_ago=days_ago)
        _use(own_world, 40_000, agent="it-admin", days_ago=days_ago)
    _back_up(own_world, "success", sizeBytes=2_300_000_000, finishedAt=_said(datetime.now(UTC) - timedelta(hours=3)))
    own_world.wrapper.message(type="activity", agentId="marketing", kind="task", summary="Marketing wrote the letter")
    return own_world


def _room(world: World, room: str, heading: str | re.Pattern[str], **options: Any) -> Page:
    page = world.customer(f"/customer/{room}".rstrip("/"), **options)
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    return page


def test_the_home_shows_what_waits_and_decides_it_in_one_step(used: World, world: World) -> None:
    page = _room(world, "", re.compile("Nothing waits|waits? for you|wait for you"), width=360, height=780)
    expect(page).to_have_url(re.compile("/customer/dashboard$"))
    expect(page.get_by_text("wrote the letter")).to_be_visible()
    request = world.wrapper.ask(
        "Marketing wants to publish the post", tool="ghost_post_publish", command_class="yellow", agent="marketing"
    )
    card = page.locator(".approval", has_text="publish the post")
    expect(page.get_by_role("heading", name="1 request waits for you", level=1)).to_be_visible()
    card.get_by_role("button", name="Approve", exact=True).click()
    assert world.wrapper.wait(lambda frame: frame.get("requestId") == request)["action"] == "approve"
    expect(card.locator(".verdict")).to_have_text("You approved this")  # it stays in its place
    page.get_by_role("button", name="Put away 1 settled").click()
    expect(page.locator(".approval")).to_have_count(0)
    expect(page.get_by_role("heading", name="Nothing waits for you", level=1)).to_be_visible()


def test_the_home_shows_three_requests_and_where_the_others_are(used: World, world: World) -> None:
    for number in range(4):
        world.wrapper.ask(f"IT Admin wants to look at {number}", tool="env_update", command_class="yellow", args={})
    page = _room(world, "dashboard", "4 requests wait for you")
    expect(page.locator(".approval")).to_have_count(3)
    page.locator(".approval").first.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator(".approval .verdict")).to_have_count(1)
    expect(page.locator(".approval")).to_have_count(4)  # the fourth follows, none of the others moves
    while world.staff.call("GET", "/api/v1/admin/approvals"):
        for one in world.staff.call("GET", "/api/v1/admin/approvals"):
            world.staff.call("POST", f"/api/v1/admin/approvals/{one['id']}", {"action": "deny"})
    expect(page.get_by_role("heading", name="Nothing waits for you", level=1)).to_be_visible()


def test_the_home_hears_of_servers_and_what_was_done(used: World, world: World) -> None:
    page = _room(world, "dashboard", "Nothing waits for you")
    server = page.locator("li.item", has_text="acme.letsbe.example").filter(has=page.locator(".presence"))
    expect(server.locator(".is-online")).to_be_visible()
    expect(server).to_contain_text("Finished")
    world.wrapper.message(
        type="activity", agentId="it-admin", kind="task", summary="IT Admin wants to greet: it did so"
    )
    expect(page.locator(".feed li").first).to_contain_text(re.compile("IT Admin.*wants to greet"))
    _back_up(world, "failed", detail="the disk of the backups is full")
    expect(server).to_contain_text("Failed")
    _back_up(world, "success", sizeBytes=2_400_000_000)
    expect(server).to_contain_text("Finished")


def test_without_a_connection_the_home_says_since_when_and_decides_nothing(used: World, world: World) -> None:
    world.wrapper.ask("IT Admin wants to wait offline", tool="env_update", command_class="yellow", args={})
    page = _room(world, "dashboard", "1 request waits for you")
    page.context.set_offline(True)
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^1 request waited at \d\d:\d\d$"))
    approve = page.get_by_role("button", name="Approve", exact=True)
    expect(approve).to_have_attribute("aria-disabled", "true")
    assert violations(page) == []
    page.context.set_offline(False)
    expect(approve).not_to_have_attribute("aria-disabled", "true")
    approve.click()
    expect(page.locator(".verdict")).to_have_text("You approved this")
    world.complaints[:] = [one for one in world.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


def _bars(page: Page) -> Any:
    return page.locator("[data-bar]")


def test_the_chart_is_read_by_keys_and_its_table_has_every_digit(used: World, world: World) -> None:
    page = _room(world, "usage", "Usage")
    expect(_bars(page)).to_have_count(30)
    readout = page.locator(".readout")
    expect(readout).to_contain_text("140 k.")  # yesterday, the last one with anything
    page.locator("[data-bar][tabindex='0']").focus()
    page.keyboard.press("ArrowLeft")
    focused = page.locator("[data-bar]:focus")
    expect(focused).to_have_attribute("aria-label", re.compile(r"140 k tokens\. Marketing 100 k, IT Admin 40 k$"))
    before = str(focused.get_attribute("data-bar"))
    assert before == (today() - timedelta(days=2)).date().isoformat()
    page.keyboard.press("End")
    expect(focused).to_have_attribute("data-bar", str(_bars(page).last.get_attribute("data-bar")))
    expect(readout).to_contain_text(": 0.")
    assert page.locator("[data-bar][tabindex='0']").count() == 1  # one stop for Tab
    page.get_by_role("radio", name="Table").check(force=True)
    table = page.get_by_role("table", name="Tokens by day")
    expect(table.get_by_role("row").nth(2)).to_contain_text(re.compile("140,001.*100,001.*40,000"))
    expect(_bars(page).first).to_be_hidden()
    page.get_by_role("radio", name="Model").check(force=True)
    expect(table).to_contain_text(DEEPSEEK)
    expect(page).to_have_url(re.compile("by=model"))
    page.get_by_role("radio", name="Months").check(force=True)
    expect(page.get_by_role("heading", name="By month")).to_be_visible()
    page.reload()  # the address tells all of it
    expect(page.get_by_role("table", name="Tokens by month")).to_contain_text(DEEPSEEK)


def test_a_pointer_chooses_a_bar_and_usage_is_pushed(used: World, world: World) -> None:
    page = _room(world, "usage", "Usage")
    _bars(page).nth(27).hover()
    expect(page.locator(".readout")).to_contain_text("140 k.")
    total = page.locator(".bars").first.get_by_role("row").nth(1)
    expect(total).to_contain_text("2.8 M")
    _use(world, 5_000_000)
    expect(total).to_contain_text("7.8 M")  # without a reload
    page.get_by_text("Line by line").click()
    lines = page.get_by_role("table", name="Usage line by line")
    expect(lines.get_by_role("row").nth(1)).to_contain_text("5,000,000")


def test_billing_tells_the_period_its_overage_and_what_founding_members_have(used: World, world: World) -> None:
    page = _room(world, "billing", "Billing")
    month = page.get_by_role("table", name="Months").get_by_role("row").nth(1)
    expect(month).to_contain_text("Running")
    expect(month).to_contain_text("7.5 M")
    expect(page.locator(".pool")).to_contain_text("of 7.5 M tokens")
    _use(world, 40_000_000, agent="it-admin")
    expect(page.get_by_text("over the limit.")).to_be_visible()  # pushed
    expect(page.get_by_role("row", name=re.compile("tokens beyond the limit, at €.1.50 a million"))).to_be_visible()
    world.staff.call("POST", f"/api/v1/admin/customers/{world.customer_id}/founding-member")
    page.reload()
    expect(page.get_by_text("Founding member, number 1")).to_be_visible()
    expect(page.get_by_text("15 M instead of 7.5 M a month")).to_be_visible()
    expect(page.locator(".pool")).to_contain_text("of 15 M tokens")
    assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []


def test_backups_tell_what_a_failed_one_means(used: World, world: World) -> None:
    page = _room(world, "backups", "Backups")
    rows = page.get_by_role("table", name="All backups").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("Finished")
    _back_up(world, "failed", detail="no space left <b>here</b>")
    banner = page.locator(".banner-bad")
    expect(banner).to_contain_text("The newest good copy is of")
    expect(banner.locator("pre")).to_have_text("no space left <b>here</b>")
    expect(rows.nth(1)).to_contain_text("Failed")
    page.get_by_label("Outcome").select_option("running")
    expect(page.get_by_role("heading", name="None fits")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    _back_up(world, "success", sizeBytes=2_500_000_000)
    expect(banner).to_have_count(0)


def test_everything_is_one_or_two_taps_away_on_a_phone(used: World, world: World) -> None:
    page = _room(world, "dashboard", re.compile("."), width=360, height=780, has_touch=True, is_mobile=True)
    dock = page.get_by_role("navigation", name="Main")
    for name, heading in (("Agents", "Agents"), ("Usage", "Usage"), ("Home", re.compile("wait"))):
        dock.get_by_role("link", name=name).tap()
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    for name in ("History", "Backups", "Billing", "Settings"):
        dock.get_by_role("button", name="More").tap()
        page.get_by_role("navigation", name="More").get_by_role("link", name=name).tap()
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        expect(page.get_by_role("navigation", name="More")).to_be_hidden()
        assert overflow(page) == []
    dock.get_by_role("button", name="More").tap()
    assert violations(page) == []


def test_a_customer_without_a_server_is_told_what_comes_next(used: World, world: World) -> None:
    who = ("lea@new.example", "correct horse battery staple 5")
    customer = world.staff.customer(*who, name="Lea Neu", company="Neu")
    page = world.page("/sign-in")
    world.sign_in(page, who)
    expect(page.get_by_text("No order yet.")).to_be_visible()
    world.staff.call("POST", "/api/v1/admin/orders", {"userId": customer, "tier": "Build", "domain": "neu.example"})
    expect(page.get_by_role("heading", name="Your server is on its way", level=1)).to_be_visible()
    expect(page.get_by_role("list", name="How far it is").locator("[aria-current=step]")).to_be_visible()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Usage").click()
    expect(page.get_by_role("heading", name="Nothing was used in this time")).to_be_visible()
    page.goto(world.hub.url + "/customer/backups")
    expect(page.get_by_text("No server yet, so nothing to copy.")).to_be_visible()
    page.goto(world.hub.url + "/customer/billing")
    expect(page.get_by_role("heading", name="Months")).to_be_visible()


def test_a_page_that_cannot_be_read_says_so_and_is_read_again(used: World, world: World) -> None:
    page = world.customer("/customer/agents")
    page.route("**/api/v1/customer/billing*", lambda route: route.abort("connectionfailed"))
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Billing").click()
    trouble = page.get_by_role("alert").first
    expect(trouble).to_contain_text("The Hub does not answer.")
    expect(trouble.get_by_role("button", name="Try again")).to_be_visible()
    page.unroute("**/api/v1/customer/billing*")
    page.evaluate("() => document.querySelector('main [role=alert] button')?.click()")  # unless it came by itself
    expect(page.locator(".pool")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("room", ["dashboard", "usage", "usage?lines=hour", "billing", "backups"])
def test_a_room_of_customers_is_accessible_and_fits_a_phone(used: World, world: World, room: str, scheme: str) -> None:
    page = world.customer(f"/customer/{room}", scheme=scheme, width=1440)
    page.locator(".pool, .records").first.wait_for()
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)
    assert violations(page) == []
    assert overflow(page) == []
    assert page.locator("h1").count() == 1
    if room == "usage":
        page.get_by_role("radio", name="Table").check(force=True)
        assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []
    assert violations(page) == []
    assert page.evaluate("() => document.querySelectorAll('[style]').length") == 0
    page.set_viewport_size({"width": 320, "height": 400})  # 400 % zoom (WCAG 1.4.10)
    assert overflow(page) == []
