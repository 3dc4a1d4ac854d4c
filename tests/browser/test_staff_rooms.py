"""The staff in the browser: invited, given roles, sent away under other hands; and what a role does not see."""

from __future__ import annotations

import re

import httpx
import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import World
from tests.browser.furnish import overflow, violations

PASSWORD = "correct horse battery staple 9"
STAFF = "/api/v1/admin/staff"


def member(world: World, name: str, role: str) -> str:
    """A member who came by an invitation; answers their id."""
    address = f"{name.lower()}@hub.example"
    world.staff.call("POST", f"{STAFF}/invite", {"email": address, "role": role})
    link = re.search(r"/accept-invite#(\S+)", world.hub.letter(address, "/accept-invite#"))
    assert link is not None
    body = {"token": link[1], "name": f"{name} Roth", "password": PASSWORD}
    httpx.post(f"{world.hub.url}/api/v1/auth/accept-invite", json=body, timeout=20).raise_for_status()
    return identity(world, address)


def identity(world: World, address: str) -> str:
    listed = world.staff.call("GET", f"{STAFF}?pageSize=100")
    return next(str(one["id"]) for one in listed if one["email"] == address)


def typed(page: Page, words: str, go: str) -> None:
    """Goes on in the dialog that wants a name typed."""
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_role("button", name=go, exact=True)
    expect(button).to_have_attribute("aria-disabled", "true")
    dialog.get_by_label(re.compile("^Type ")).fill(words)
    assert violations(page) == []
    button.click()


def test_somebody_is_invited_again_withdrawn_and_joins(world: World) -> None:
    page = world.owner("/admin/staff")
    page.get_by_role("button", name="Invite…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Email").fill("no address")
    dialog.get_by_role("button", name="Send the invitation").click()
    expect(dialog.locator("#f-email-e")).to_be_visible()
    assert violations(page) == []
    dialog.get_by_label("Email").fill("ida@hub.example")
    dialog.get_by_label("Role").select_option("MANAGER")
    expect(dialog.get_by_text("no billing, no settings")).to_be_visible()
    dialog.get_by_role("button", name="Send the invitation").click()
    row = page.get_by_role("listitem").filter(has_text="ida@hub.example")
    expect(row).to_contain_text("as manager")
    first = world.hub.letter("ida@hub.example", "/accept-invite#")
    row.get_by_role("button", name="Send again to ida@hub.example").click()
    expect(page.get_by_text("The link of the mail before is void.")).to_be_visible()
    assert first
    row.get_by_role("button", name="Withdraw… the invitation of ida@hub.example").click()
    typed(page, "ida@hub.example", "Withdraw")
    expect(row).to_contain_text("Withdrawn")
    expect(row.get_by_role("button")).to_have_count(0)
    member(world, "Jon", "SUPPORT")  # somebody else invites; who looks sees it without a reload
    page.locator("main > .stack").get_by_role("button", name=re.compile("to this list, show")).click()
    expect(page.get_by_role("link", name="Jon Roth")).to_be_visible()
    world.complaints[:] = [one for one in world.complaints if "status of 400" not in one]


def test_a_role_is_given_and_both_versions_stand_where_two_give_one(world: World) -> None:
    kim = member(world, "Kim", "SUPPORT")
    page = world.owner(f"/admin/staff/{kim}")
    role = page.get_by_label("Role", exact=True)
    role.select_option("ADMIN")
    world.staff.call("PATCH", f"{STAFF}/{kim}", {"role": "MANAGER"})
    clash = page.locator(".clash")
    expect(clash).to_contain_text("It is Manager now; yours is Admin.")
    save = page.get_by_role("button", name="Save")
    expect(save).to_have_attribute("aria-disabled", "true")
    assert violations(page) == []
    clash.get_by_role("button", name="Keep mine").click()
    save.click()
    expect(page.get_by_text("Saved. It counts from their next click on.")).to_be_visible()
    assert world.staff.call("GET", f"{STAFF}/{kim}")["role"] == "ADMIN"


def test_a_stale_version_changes_nothing_and_is_read_anew(world: World) -> None:
    lou = member(world, "Lou", "SUPPORT")
    page = world.owner(f"/admin/staff/{lou}")
    page.get_by_label("Role", exact=True).select_option("ADMIN")
    stale = re.compile("changed meanwhile")
    page.route(
        f"**{STAFF}/{lou}",
        lambda route: (
            route.continue_(headers={**route.request.headers, "if-match": '"0"'})
            if route.request.method == "PATCH"
            else route.continue_()
        ),
    )
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").filter(has_text=stale)).to_contain_text("Nothing was saved.")
    assert world.staff.call("GET", f"{STAFF}/{lou}")["role"] == "SUPPORT"
    page.unroute(f"**{STAFF}/{lou}")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. It counts from their next click on.")).to_be_visible()
    page.get_by_role("button", name="Deactivate…").click()
    typed(page, "lou@hub.example", "Deactivate")
    expect(page.locator(".page-head .state")).to_have_text("Deactivated")
    page.get_by_role("button", name="Let them in again").click()
    expect(page.locator(".page-head .state")).to_have_text("Active")


def test_nobody_changes_themselves_and_a_role_sees_what_it_may(world: World) -> None:
    page = world.owner("/admin/staff")
    page.get_by_role("link", name="Nora Lindt", exact=True).click()
    expect(page.get_by_text("Nobody changes their own role; another owner may.")).to_be_visible()
    expect(page.get_by_role("button", name="Deactivate…")).to_have_count(0)
    member(world, "Ada", "ADMIN")
    member(world, "Sue", "SUPPORT")

    admin = world.page("/sign-in?as=staff&to=/admin/staff")
    world.sign_in(admin, ("ada@hub.example", PASSWORD))
    admin.get_by_role("link", name="Nora Lindt", exact=True).click()
    expect(admin.get_by_text("Owners give roles.")).to_be_visible()
    expect(admin.get_by_label("Role", exact=True)).to_be_disabled()
    admin.get_by_role("link", name="Staff").first.click()
    expect(admin.get_by_role("heading", name="Open invitations")).to_be_visible()
    expect(admin.get_by_role("button", name="Invite…")).to_have_count(0)

    support = world.page("/sign-in?as=staff&to=/admin/staff")
    world.sign_in(support, ("sue@hub.example", PASSWORD))
    expect(support.get_by_role("heading", name="Your role may not see the staff")).to_be_visible()
    menu = support.get_by_role("navigation", name="Main")
    expect(menu.get_by_role("link", name="Customers")).to_be_visible()
    expect(menu.get_by_role("link", name="Staff")).to_have_count(0)
    world.staff.call("PATCH", f"{STAFF}/{identity(world, 'sue@hub.example')}", {"role": "ADMIN"})
    expect(support.get_by_role("link", name="Nora Lindt", exact=True)).to_be_visible()  # the page opens by itself
    expect(menu.get_by_role("link", name="Staff")).to_be_visible()


def test_a_lost_second_factor_is_taken_off_by_name_and_sign_ins_show_at_once(world: World) -> None:
    max_id = member(world, "Max", "SUPPORT")
    page = world.owner("/admin/staff")
    row = page.get_by_role("row").filter(has_text="max@hub.example")
    expect(row).to_contain_text("never")
    with httpx.Client(base_url=world.hub.url, timeout=20) as client:
        who = {"email": "max@hub.example", "password": PASSWORD}
        signed_in = client.post("/api/auth/callback/credentials", json=who)
        expect(row).to_contain_text("today, ")  # while one looks
        client.headers["authorization"] = f"Bearer {signed_in.cookies['next-auth.session-token']}"
        client.cookies.clear()
        secret = client.post("/api/v1/auth/2fa/setup", json={}).json()["data"]["secret"]
        client.post("/api/v1/auth/2fa/verify", json={"code": pyotp.TOTP(secret).now()}).raise_for_status()
    expect(row).to_contain_text("On")
    page.get_by_role("link", name="Max Roth").click()
    page.get_by_role("button", name="Take it off…").click()
    typed(page, "max@hub.example", "Take it off")
    expect(page.get_by_text("They sign in by password alone. They turn it on in their own account.")).to_be_visible()
    assert world.staff.call("GET", f"{STAFF}/{max_id}")["twoFactorEnabled"] is False


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("room", ["staff", "member"])
def test_a_page_of_the_staff_is_accessible_and_fits_a_phone(world: World, room: str, scheme: str) -> None:
    where = "staff" if room == "staff" else f"staff/{identity(world, 'owner@hub.example')}"
    page = world.owner(f"/admin/{where}", scheme=scheme, width=1440)
    page.locator(".records .name, .facts").first.wait_for()
    assert violations(page) == []
    assert page.locator("h1").count() == 1
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []
    assert violations(page) == []
