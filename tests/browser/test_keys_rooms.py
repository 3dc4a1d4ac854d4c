"""API keys and founding members in the browser: made, shown once, revoked by name; places that are left."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import World
from tests.browser.furnish import overflow, violations


def test_a_key_is_shown_once_and_revoked_by_name(world: World) -> None:
    page = world.owner("/admin/api-keys", permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_text("No API key yet")).to_be_visible()
    page.get_by_role("button", name="New key…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Valid", exact=True).select_option("30")
    dialog.get_by_role("button", name="Make the key").click()
    expect(dialog.locator("#f-name-e")).to_be_visible()  # a key wants a name
    assert violations(page) == []
    dialog.get_by_label("Name").fill("Website")
    dialog.get_by_label("May create orders").check()
    dialog.get_by_role("button", name="Make the key").click()
    shown = dialog.get_by_label("The API key")
    expect(shown).to_contain_text("ak_")
    key = shown.inner_text()
    assert violations(page) == []
    dialog.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied.")).to_be_attached()
    assert page.evaluate("() => navigator.clipboard.readText()") == key
    dialog.get_by_role("button", name="Done").click()
    row = page.get_by_role("row").filter(has_text="Website")
    expect(row).to_contain_text("Good until")
    expect(row).to_contain_text("create and read orders")
    assert key not in page.content()
    order = f"{world.hub.url}/api/v1/public/orders/{world.order_id}"
    assert httpx.get(order, headers={"authorization": f"Bearer {key}"}, timeout=20).status_code == 200
    wish = {"reference": "cs_1", "email": "n@bakery.example", "name": "Nora", "tier": "Lite", "domain": "b.example.org"}
    shop = f"{world.hub.url}/api/v1/public/orders"
    assert httpx.post(shop, json=wish, headers={"authorization": f"Bearer {key}"}, timeout=20).status_code == 201
    row.get_by_role("button", name="Revoke…").click()
    revoke = dialog.get_by_role("button", name="Revoke key")
    expect(revoke).to_have_attribute("aria-disabled", "true")
    dialog.get_by_label(re.compile("^Type ")).fill("Website")
    assert violations(page) == []
    revoke.click()
    expect(row).to_contain_text("Revoked")
    expect(row.get_by_role("button")).to_have_count(0)
    assert httpx.get(order, headers={"authorization": f"Bearer {key}"}, timeout=20).status_code == 401
    other = world.staff.call("POST", "/api/v1/admin/api-keys", {"name": "Shop"})  # somebody else makes one
    page.get_by_role("button", name="1 change to this list, show").click()
    expect(page.get_by_role("row").filter(has_text="Shop")).to_contain_text("Good")
    expect(page.get_by_role("cell", name="read orders", exact=True)).to_be_visible()
    world.staff.call("DELETE", f"/api/v1/admin/api-keys/{other['id']}")
    expect(page.get_by_role("row").filter(has_text="Shop")).to_contain_text("Revoked")
    world.complaints[:] = [one for one in world.complaints if "status of 400" not in one]


def test_a_customer_becomes_a_founding_member_while_there_are_places(world: World) -> None:
    world.staff.call("PATCH", "/api/v1/admin/settings", {"hub.foundingMemberPlaces": 2})
    page = world.owner("/admin/customers")
    page.get_by_role("link", name="Founding members").click()
    expect(page.get_by_text("No founding member yet")).to_be_visible()
    expect(page.get_by_text("2 of 2 places left.")).to_be_visible()
    page.get_by_role("button", name="Add…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Find the customer").fill("acme")
    dialog.get_by_role("radio", name=re.compile("Acme Marketing")).check()
    assert violations(page) == []
    dialog.get_by_role("button", name="Make a founding member").click()
    expect(page.get_by_role("link", name="Acme Marketing GmbH")).to_be_visible()
    expect(page.get_by_text("1 of 2 places left.")).to_be_visible()
    page.get_by_role("button", name="Add…").click()
    dialog.get_by_role("radio", name=re.compile("Acme Marketing")).check()
    dialog.get_by_role("button", name="Make a founding member").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Nothing was saved.")  # one is enough
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    world.staff.call("PATCH", "/api/v1/admin/settings", {"hub.foundingMemberPlaces": 1})
    expect(page.get_by_text("0 of 1 places left.")).to_be_visible()  # told by its event
    expect(page.get_by_role("button", name="Add…")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("room", ["api-keys", "founding-members"])
def test_a_page_of_keys_and_members_is_accessible_and_fits_a_phone(world: World, room: str, scheme: str) -> None:
    page = world.owner(f"/admin/{room}", scheme=scheme, width=1440)
    page.locator(".records, .empty").first.wait_for()
    assert violations(page) == []
    assert page.locator("h1").count() == 1
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []
    assert violations(page) == []
