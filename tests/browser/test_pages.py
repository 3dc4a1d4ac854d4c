"""Every page of the console in both themes and both widths: no axe violation, no overflow, nothing the CSP blocked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import World
from tests.browser.furnish import furnish, overflow, violations


def _tenant(world: World) -> str:
    identity: str = world.staff.servers()[0]["id"]
    return f"/admin/tenants/{identity}"


#: Page → who opens it, where it is, and what shows that it is there.
PAGES: dict[str, tuple[str, Callable[[World], str], str]] = {
    "sign-in": ("visitor", lambda world: "/sign-in", "#email"),
    "staff-sign-in": ("visitor", lambda world: "/sign-in?as=staff", "#email"),
    "setup": ("visitor", lambda world: "/setup", "#again"),
    "approvals": ("customer", lambda world: "/customer/approvals", ".approval h2"),
    "history": ("customer", lambda world: "/customer/history", ".past"),
    "agents": ("customer", lambda world: "/customer/agents", ".item"),
    "agent": ("customer", lambda world: "/customer/agents", ".item"),
    "settings": ("customer", lambda world: "/customer/settings", ".choices"),
    "forgot-password": ("visitor", lambda world: "/forgot-password", "#email"),
    "set-password": ("visitor", lambda world: "/set-password#abc", "#again"),
    "link-over": ("visitor", lambda world: "/accept-invite", ".gate-form"),
    "lost": ("customer", lambda world: "/customer/nowhere", ".empty"),
    "fleet": ("owner", lambda world: "/admin/fleet", ".fleet .name"),
    "admin-approvals": ("owner", lambda world: "/admin/approvals", ".approval h2"),
    "admin-history": ("owner", lambda world: "/admin/history", ".past"),
    "account": ("customer", lambda world: "/customer/account", ".rows .item"),
    "staff-account": ("owner", lambda world: "/admin/account", ".photo-row"),
    "tenant": ("owner", _tenant, ".timeline .track"),
    "tenant-agent": ("owner", lambda world: f"{_tenant(world)}/agents/marketing", ".tool"),
}


@pytest.fixture(scope="module")
def furnished(own_world: World) -> World:
    """The module's world with something on every page."""
    furnish(own_world)
    return own_world


def open_page(world: World, name: str, **options: Any) -> Page:
    who, where, there = PAGES[name]
    if who == "visitor":
        page = world.page(where(world), **options)
    else:
        page = (world.owner if who == "owner" else world.customer)(where(world), **options)
    page.locator(there).first.wait_for()
    if name == "agent":
        page.locator(".item a").first.click()
        page.get_by_role("heading", name="Character").wait_for()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_in_both_themes_and_fits_a_phone(
    furnished: World, world: World, name: str, scheme: str
) -> None:
    page = open_page(world, name, scheme=scheme, width=1440)
    assert violations(page) == []
    assert overflow(page) == []
    assert page.locator("h1").count() == 1
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []
    assert violations(page) == []
    assert page.evaluate("() => document.querySelectorAll('[style]').length") <= 1  # min-height by CSSOM only


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_opens_over_a_page_is_accessible(furnished: World, world: World, scheme: str) -> None:
    page = open_page(world, "approvals", scheme=scheme, width=360, height=780)
    page.locator(".approval", has_text="volume").get_by_role("button", name="Approve…").click()
    page.locator(".approval", has_text="campaign").get_by_role("button", name="Deny…").click()
    page.locator(".approval", has_text="47 files").locator("summary").click()
    assert violations(page) == []
    assert overflow(page) == []
    page.get_by_role("button", name="Account").click()
    assert violations(page) == []
    page.keyboard.press("Escape")

    page = open_page(world, "tenant", scheme=scheme)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("restart ac")
    expect(page.get_by_role("dialog").get_by_role("option").first).to_contain_text("Restart a service on acme")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Revoke key…").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="New token…").click()
    expect(page.get_by_role("dialog", name="Registration token")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Deploy…").click()
    expect(page.get_by_role("dialog").get_by_role("radio").first).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    for row in page.locator(".fold-row > summary").all():
        row.click()
    page.locator(".shape summary").first.click()
    assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []
    page.get_by_role("button", name="Menu").click()
    assert violations(page) == []


def test_the_theme_is_kept_and_set_before_the_first_paint(furnished: World, world: World) -> None:
    page = open_page(world, "approvals", scheme="light")
    page.locator("h1").focus()
    page.keyboard.press("t")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_single_letters_can_be_switched_off(furnished: World, world: World) -> None:
    page = open_page(world, "approvals")
    page.keyboard.press("?")
    page.get_by_label("Single letters work as keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("() => document.documentElement.dataset.theme ?? 'system'") == "system"
