"""Customers and orders in the browser: made, found, changed under somebody's hands, suspended, let in."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import World
from tests.browser.furnish import overflow, violations


def test_a_customer_is_made_found_and_given_an_order(world: World) -> None:
    page = world.owner("/admin/customers")
    page.get_by_role("button", name="New customer…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Jonas Roth")
    dialog.get_by_label("Email").fill("maria@acme.example")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_be_visible()  # somebody has this address
    dialog.get_by_label("Email").fill("jonas@roth.example")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Jonas Roth")).to_be_visible()
    expect(page.get_by_text("No order yet")).to_be_visible()
    page.get_by_role("button", name="New order…").click()
    dialog.get_by_label("Domain").fill("not a domain")
    dialog.get_by_role("button", name="Create").click()
    expect(page.locator("#f-domain-e")).to_be_visible()  # said at the field that is wrong
    dialog.get_by_label("Domain").fill("roth-studio.letsbe.example")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="roth-studio.letsbe.example")).to_be_visible()
    page.get_by_role("radio", name="Paused").check()
    expect(page.get_by_role("status").filter(has_text="Nothing starts until")).to_be_visible()
    page.get_by_role("button", name="Registration token…").click()
    expect(page.get_by_role("dialog").locator("pre")).not_to_be_empty()
    page.get_by_role("button", name="Done").click()
    page.goto(world.hub.url + "/admin/orders")
    page.get_by_label("Domain, address, customer or reference").fill("roth-st")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page).to_have_url(re.compile("search=roth-st"))
    world.complaints[:] = [one for one in world.complaints if "status of 400" not in one]


def test_what_one_writes_outlasts_what_others_save(world: World) -> None:
    page = world.owner(f"/admin/customers/{world.customer_id}")
    page.get_by_label("Name", exact=True).fill("Maria W.")
    world.staff.call("PATCH", f"/api/v1/admin/customers/{world.customer_id}", {"name": "Mary", "company": "Acme AG"})
    expect(page.get_by_role("heading", name="Acme AG", level=1)).to_be_visible()  # pushed, without a reload
    expect(page.get_by_label("Company")).to_have_value("Acme AG")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Maria W.")
    clash = page.locator(".clash")
    expect(clash).to_contain_text("Changed by somebody meanwhile")
    expect(clash).to_contain_text("Mary")
    expect(page.get_by_role("button", name="Save")).to_have_attribute("aria-disabled", "true")
    clash.get_by_role("button", name="Keep mine").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    read = world.staff.call("GET", f"/api/v1/admin/customers/{world.customer_id}")
    assert (read["name"], read["company"]) == ("Maria W.", "Acme AG")


def test_a_customer_is_suspended_by_name_and_let_in_again(world: World) -> None:
    email = "lena@verde.example"
    identity = world.staff.customer(email, "correct horse battery staple 3", name="Lena Verde", company="Verde")
    page = world.owner(f"/admin/customers/{identity}")
    page.get_by_role("button", name="Suspend…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Suspend", exact=True)).to_have_attribute("aria-disabled", "true")
    dialog.get_by_label(re.compile("Type ")).fill(email)
    dialog.get_by_role("button", name="Suspend", exact=True).click()
    expect(page.locator(".page-head .state")).to_have_text("Suspended")
    page.get_by_role("button", name="Let them in again").click()
    expect(page.locator(".page-head .state")).to_have_text("Active")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("room", ["customers", "customer", "orders", "order"])
def test_a_page_of_records_is_accessible_and_fits_a_phone(world: World, room: str, scheme: str) -> None:
    where = {"customer": f"customers/{world.customer_id}", "order": f"orders/{world.order_id}"}.get(room, room)
    page = world.owner(f"/admin/{where}", scheme=scheme, width=1440)
    page.locator(".records .name, .facts").first.wait_for()
    assert violations(page) == []
    assert page.locator("h1").count() == 1
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []
    assert violations(page) == []
