"""The Hub's settings, API keys and founding members in the browser: saved by category, under two hands, by role."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import World
from tests.browser.furnish import overflow, violations
from tests.browser.test_staff_rooms import PASSWORD, member

SETTINGS = "/api/v1/admin/settings"


def shown(world: World, name: str) -> dict[str, object]:
    category = name.split(".")[0]
    found: dict[str, object] = next(one for one in world.staff.call("GET", SETTINGS)[category] if one["name"] == name)
    return found


def test_every_setting_stands_in_its_category_with_its_default(world: World) -> None:
    categories = world.staff.call("GET", SETTINGS)
    page = world.owner("/admin/settings")
    links = page.get_by_role("navigation", name="Categories").get_by_role("link")
    expect(links).to_have_count(len(categories))
    for index, (_, entries) in enumerate(categories.items()):
        links.nth(index).click()
        expect(page.locator(".setting-foot > code")).to_have_text([one["name"] for one in entries])
        for one in entries:
            control = page.locator(f"#f-{one['name'].replace('.', '-')}")
            if one["type"] == "secret":
                expect(control).to_have_count(0)
            elif one["type"] == "boolean":
                expect(control).to_be_checked(checked=one["value"])
            else:
                value = "\n".join(one["value"]) if one["type"] == "list" else one["value"]
                value = f"{value:g}" if one["type"] == "number" else value
                expect(control).to_have_value("" if value is None else str(value))


def test_a_category_is_saved_at_once_and_each_wrong_field_says_so(world: World) -> None:
    page = world.owner("/admin/settings/hub")
    page.get_by_label("Events kept days").fill("0")
    page.get_by_label("Currency").fill("euro")
    page.get_by_label("Tokens build").fill("8000000")
    page.get_by_role("button", name="Save Hub").click()
    expect(page.locator("#f-hub-eventsKeptDays-e")).to_be_visible()
    expect(page.locator("#f-hub-currency-e")).to_be_visible()
    assert violations(page) == []
    assert shown(world, "hub.tokensBuild")["isSet"] is False
    page.get_by_label("Events kept days").fill("14")
    page.get_by_label("Currency").fill("CHF")
    expect(page.get_by_role("status").filter(has_text="3 changes not saved")).to_be_visible()
    page.get_by_role("link", name="Docker", exact=True).click()
    expect(page.get_by_role("link", name="Hub • not saved yet")).to_be_visible()
    page.get_by_role("link", name="Hub • not saved yet").click()
    page.get_by_role("button", name="Save Hub").click()
    expect(page.get_by_text("Hub: saved. It counts from now on.")).to_be_visible()
    assert shown(world, "hub.tokensBuild")["value"] == 8_000_000
    page.get_by_role("button", name="Back to the default of Currency").click()
    expect(page.get_by_label("Currency")).to_have_value("EUR")
    save = page.get_by_role("button", name="Save Hub")
    save.click()
    expect(save).to_have_attribute("title", "Nothing has changed.")  # saved
    expect(page.locator(".setting").filter(has_text="hub.currency").get_by_text("Default", exact=True)).to_be_visible()
    assert shown(world, "hub.currency")["isSet"] is False
    world.complaints[:] = [one for one in world.complaints if "status of 400" not in one]


def test_both_versions_stand_where_two_change_one_setting(world: World) -> None:
    page = world.owner("/admin/settings/docker")
    page.get_by_label("Network").fill("mine")
    world.staff.call("PATCH", SETTINGS, {"docker.network": "theirs", "docker.cpus": 2.5, "hub.tokensLite": 1})
    expect(page.get_by_label("CPUs")).to_have_value("2.5")  # pushed, without a reload
    clash = page.locator(".clash")
    expect(clash).to_contain_text("It is theirs now; yours is mine.")
    expect(page.get_by_role("button", name="Save Docker")).to_have_attribute("aria-disabled", "true")
    assert violations(page) == []
    clash.get_by_role("button", name="Take theirs").click()
    expect(page.get_by_label("Network")).to_have_value("theirs")
    expect(clash).to_have_count(0)


def test_a_stale_version_saves_nothing_and_the_next_press_does(world: World) -> None:
    page = world.owner("/admin/settings/netcup")
    page.get_by_label("Poll seconds").fill("9")
    page.route(
        f"**{SETTINGS}",
        lambda route: (
            route.continue_(headers={**route.request.headers, "if-match": '"0"'})
            if route.request.method == "PATCH"
            else route.continue_()
        ),
    )
    page.get_by_role("button", name="Save Netcup").click()
    expect(page.get_by_role("alert").filter(has_text="changed meanwhile")).to_contain_text("Nothing was saved.")
    assert shown(world, "netcup.pollSeconds")["isSet"] is False
    page.unroute(f"**{SETTINGS}")
    page.get_by_role("button", name="Save Netcup").click()
    expect(page.get_by_text("Netcup: saved.")).to_be_visible()
    assert shown(world, "netcup.pollSeconds")["value"] == 9


def test_a_secret_is_set_replaced_and_forgotten_but_never_shown(world: World) -> None:
    page = world.owner("/admin/settings/gitea")
    page.get_by_role("button", name="Set Token").click()
    page.get_by_label("Token, new").fill("gitea-secret-17")
    page.get_by_role("button", name="Save Gitea").click()
    expect(page.get_by_text("Set, never shown")).to_be_visible()
    expect(page.get_by_label("Token, new")).to_have_count(0)
    assert "gitea-secret-17" not in page.content()
    page.get_by_role("button", name="Replace Token").click()
    expect(page.get_by_label("Token, new")).to_have_value("")
    page.get_by_role("button", name="Leave as it is").click()
    page.get_by_role("button", name="Forget Token").click()
    expect(page.get_by_text("Forgotten once saved")).to_be_visible()
    page.get_by_role("button", name="Save Gitea").click()
    expect(page.get_by_text("Not set")).to_be_visible()
    assert shown(world, "gitea.token")["isSet"] is False


def test_a_test_mail_says_how_it_went(world: World) -> None:
    page = world.owner("/admin/settings/email")
    page.get_by_label("To", exact=True).fill("nowhere")
    page.get_by_role("button", name="Send a test mail").click()
    expect(page.locator("#test-to-e")).to_be_visible()
    page.get_by_label("To", exact=True).fill("nora@hub.example")
    page.get_by_role("button", name="Send a test mail").click()
    expect(page.get_by_text("the mail was taken; look for it in its mailbox")).to_be_visible()
    assert violations(page) == []
    assert world.hub.letter("nora@hub.example", "")
    world.complaints[:] = [one for one in world.complaints if "status of 400" not in one]


def test_an_admin_looks_an_owner_changes_and_support_is_not_offered_it(world: World) -> None:
    member(world, "Ada", "ADMIN")
    page = world.page("/sign-in?as=staff&to=/admin/settings/email")
    world.sign_in(page, ("ada@hub.example", PASSWORD))
    expect(page.get_by_text("Your role may look at settings, not change them. Owners may.")).to_be_visible()
    expect(page.get_by_label("Kept days")).to_be_disabled()
    expect(page.get_by_role("button", name="Save Email")).to_have_count(0)
    expect(page.get_by_role("heading", name="Test mail")).to_have_count(0)
    ada = next(one["id"] for one in world.staff.call("GET", "/api/v1/admin/staff") if one["role"] == "ADMIN")
    world.staff.call("PATCH", f"/api/v1/admin/staff/{ada}", {"role": "SUPPORT"})
    expect(page.get_by_role("heading", name="Your role may not see the settings")).to_be_visible()
    menu = page.get_by_role("navigation", name="Main")
    expect(menu.get_by_role("link", name="Settings")).to_have_count(0)
    page.goto(world.hub.url + "/admin/founding-members")
    expect(page.get_by_text("Owners and admins make a customer one.")).to_be_visible()
    expect(page.get_by_role("button", name="Add…")).to_have_count(0)
    page.goto(world.hub.url + "/admin/api-keys")
    expect(page.get_by_role("heading", name="Your role may not see API keys")).to_be_visible()


def test_without_a_connection_nothing_is_saved_and_what_was_typed_stays(world: World) -> None:
    page = world.owner("/admin/settings/storage")
    page.get_by_label("Bucket").fill("backups-2")
    page.context.set_offline(True)
    expect(page.get_by_text("1 change not saved; you are offline")).to_be_visible()
    expect(page.get_by_role("button", name="Save Storage")).to_have_attribute("aria-disabled", "true")
    page.context.set_offline(False)
    expect(page.get_by_role("button", name="Save Storage")).not_to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Save Storage").click()
    expect(page.get_by_text("Storage: saved.")).to_be_visible()
    assert shown(world, "storage.bucket")["value"] == "backups-2"
    world.complaints[:] = [one for one in world.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("room", ["settings/hub", "settings/email", "settings/provisioning"])
def test_a_page_of_settings_is_accessible_and_fits_a_phone(world: World, room: str, scheme: str) -> None:
    page = world.owner(f"/admin/{room}", scheme=scheme, width=1440)
    page.locator(".setting").first.wait_for()
    assert violations(page) == []
    assert page.locator("h1").count() == 1
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []
    assert violations(page) == []
