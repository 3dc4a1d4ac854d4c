"""Everybody gets through: the keyboard alone, a finger, 200 % zoom, less motion, a wrong clock."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import World
from tests.browser.furnish import furnish, overflow
from tests.browser.hub import CUSTOMER

FINGER_PX = 44
CONTROLS = (
    "button, .btn, .chip, summary, select, textarea, .dock a, .nav-link, label:has(input), .item a, .menu-link,"
    " input:not([type=radio]):not([type=checkbox])"
)


@pytest.fixture(scope="module")
def furnished(own_world: World) -> World:
    """The module's world with something on every page."""
    furnish(own_world)
    return own_world


def _tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until it has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("(one) => one === document.activeElement"):
            return
    raise AssertionError("Tab does not lead there")


def test_from_the_sign_in_to_a_decision_by_the_keyboard_alone(furnished: World, world: World) -> None:
    request = world.wrapper.ask(
        "IT Admin wants to be decided by keys",
        tool="volume_remove",
        command_class="critical_red",
        args={"volume": "v1"},
    )
    page = world.page("/customer/approvals")
    expect(page.get_by_label("Email")).to_be_focused()
    page.keyboard.type(CUSTOMER[0])
    page.keyboard.press("Tab")
    page.keyboard.type(CUSTOMER[1])
    page.keyboard.press("Enter")
    card = page.locator(".approval", has_text="decided by keys")
    expect(card).to_be_visible()
    approve = card.get_by_role("button", name="Approve…")
    _tab_to(page, approve)
    outline = approve.evaluate("(one) => getComputedStyle(one).outlineStyle")
    assert outline != "none", "the focus is seen"
    page.keyboard.press("Enter")
    expect(card.get_by_label("Type v1 to approve")).to_be_focused()
    page.keyboard.type("v1")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(card.get_by_role("button", name="Remove the volume")).to_be_focused()
    page.keyboard.press("Enter")
    assert world.wrapper.wait(lambda frame: frame.get("requestId") == request)["action"] == "approve"
    expect(card.locator(".verdict")).to_have_text("You approved this")


def test_a_dialog_holds_the_focus_and_gives_it_back(furnished: World, world: World) -> None:
    server = world.staff.servers()[0]["id"]
    page = world.owner(f"/admin/tenants/{server}")
    opener = page.get_by_role("button", name="Revoke key…")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    for key in ("Tab", "Tab", "Tab", "Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab"):
        page.keyboard.press(key)
        outside = "() => !document.activeElement.closest('dialog') && document.activeElement !== document.body"
        assert not page.evaluate(outside), f"{key} leads out of the dialog"
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name=re.compile("^Search"))).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()


PLACES = [
    ("customer", "/customer/approvals", ".approval h2"),
    ("customer", "/customer/history", ".past"),
    ("customer", "/customer/agents", ".item"),
    ("customer", "/customer/dashboard", ".pool"),
    ("customer", "/customer/usage", ".pool"),
    ("customer", "/customer/billing", ".records"),
    ("customer", "/customer/backups", ".item"),
    ("customer", "/customer/settings", ".choices"),
    ("customer", "/customer/account", ".rows .item"),
    ("owner", "/admin/fleet", ".fleet .name"),
    ("owner", "TENANT", ".timeline .track"),
    ("owner", "/admin/audit", ".entry"),
    ("owner", "/admin/account", ".photo-row"),
    ("owner", "TENANT/agents/marketing", ".tool"),
    ("customer", "AGENT", ".tool"),
]


def _open(world: World, who: str, path: str, there: str, **options: Any) -> Page:
    path = path.replace("TENANT", f"/admin/tenants/{world.staff.servers()[0]['id']}")
    if path == "AGENT":
        agents = world.staff.call("GET", f"/api/v1/admin/orders/{world.order_id}/agents")
        path = f"/customer/agents/{agents[0]['id']}"
    page = (world.owner if who == "owner" else world.customer)(path, **options)
    page.locator(there).first.wait_for()
    return page


@pytest.mark.parametrize(("who", "path", "there"), PLACES)
def test_a_finger_meets_everything(furnished: World, world: World, who: str, path: str, there: str) -> None:
    page = _open(world, who, path, there, width=360, height=780, has_touch=True, is_mobile=True)
    for button in page.get_by_role("button", name="Approve…").all()[:1]:
        button.tap()
    small = page.evaluate(
        """([controls, least]) => [...document.querySelectorAll(controls)].filter((one) => one.checkVisibility()
        && !one.closest('.vh, .said, .args') && !one.matches('.as-link, .fold, .skip, .with-icon')).map((one) => {
            const { width, height } = one.getBoundingClientRect();
            return [Math.round(width), Math.round(height), one.outerHTML.slice(0, 90)];
        }).filter(([width, height]) => height && (height < least - 0.5 || width < 24))""",
        [CONTROLS, FINGER_PX],
    )
    assert small == []
    assert overflow(page) == []


@pytest.mark.parametrize(("who", "path", "there"), PLACES)
def test_at_200_percent_nothing_is_cut(furnished: World, world: World, who: str, path: str, there: str) -> None:
    # A window of 1280 px at 200 % is one of 640 CSS px; at 400 % one of 320 (WCAG 1.4.10).
    page = _open(world, who, path, there, width=640, height=450, device_scale_factor=2)
    assert overflow(page) == []
    page.set_viewport_size({"width": 320, "height": 400})
    assert overflow(page) == []
    # Only the text at 200 % (WCAG 1.4.4).
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
    assert overflow(page) == []


def test_less_motion_means_none(furnished: World, world: World) -> None:
    page = _open(world, "customer", "/customer/approvals", ".approval h2", reduced_motion="reduce")
    world.wrapper.ask("IT Admin wants to arrive calmly", tool="env_update", command_class="yellow", args={})
    expect(page.locator(".approval", has_text="arrive calmly")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("() => document.getAnimations().filter((one) => one.playState === 'running').length") == 0


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_countdown_is_right_where_the_clock_is_an_hour_wrong(furnished: World, world: World, hours: int) -> None:
    page = world.page("/sign-in")
    page.clock.install(time=time.time() + hours * 3600)
    page.goto(world.hub.url + "/sign-in?to=/customer/approvals")
    world.sign_in(page, CUSTOMER)
    words = f"IT Admin wants to be timed {hours}"
    world.wrapper.ask(words, tool="env_update", command_class="yellow", args={}, expiresInSeconds=1800)
    card = page.locator(".approval", has_text=words)
    for _ in range(40):
        page.clock.run_for(500)
        if card.count():
            break
    expect(card.locator(".left b")).to_have_text(re.compile("29 min left|30 min left"))
    expect(card.get_by_role("button", name="Approve", exact=True)).not_to_have_attribute("aria-disabled", "true")
