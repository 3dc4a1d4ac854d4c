"""A second factor in the browser: turned on by staff and customers, used, turned off; by keys, in every state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import World
from tests.browser.furnish import overflow, violations
from tests.browser.own_account import (
    arrived,
    begin_to_enrol,
    enrol,
    factor_panel,
    forgive,
    keep_codes,
    panel_of,
    someone,
)


@pytest.mark.parametrize("is_staff", [True, False], ids=["staff", "customer"])
def test_a_second_factor_is_turned_on_used_and_turned_off(world: World, is_staff: bool) -> None:
    person = someone(world, "Ria" if is_staff else "Rita", is_staff=is_staff)
    elsewhere = person.session()
    page = person.page()
    begin_to_enrol(page)
    picture = page.get_by_role("img", name="QR code for your authenticator app")
    assert picture.locator("path").count() == 2  # the ground and the dark squares
    page.get_by_role("button", name="Not now").click()
    secret = begin_to_enrol(page)  # a fresh one
    code = factor_panel(page).get_by_label("Code", exact=True)
    code.fill("000000")
    factor_panel(page).get_by_role("button", name="Turn it on", exact=True).click()
    expect(factor_panel(page).get_by_role("alert")).to_contain_text("The code is wrong or was used already.")
    expect(factor_panel(page).locator("header")).to_contain_text("Off")
    code.fill(person.code(secret))
    factor_panel(page).get_by_role("button", name="Turn it on", exact=True).click()
    listed = page.get_by_role("list", name="Backup codes").get_by_role("listitem")
    expect(listed).to_have_count(10)
    codes = listed.all_inner_texts()
    expect(factor_panel(page).locator("header")).to_contain_text("On")
    expect(page.get_by_role("button", name="Done")).to_have_attribute("aria-disabled", "true")
    assert not elsewhere.signed_in()  # begun without a code
    keep_codes(page)
    expect(factor_panel(page)).to_contain_text("10 left")
    expect(factor_panel(page).get_by_role("heading", name="Two-factor authentication")).to_be_focused()
    assert codes[0] not in page.content()

    other = world.page("about:blank")
    person.enter(other)
    expect(other.get_by_role("heading", name="Enter your code")).to_be_visible()
    expect(other.get_by_label("Code", exact=True)).to_be_focused()
    other.get_by_label("Code", exact=True).fill(person.code(secret))
    other.get_by_role("button", name="Sign in").click()
    arrived(other)
    sessions = panel_of(page, "Where you are signed in")
    expect(sessions.get_by_role("listitem")).to_have_count(2)  # told by the socket

    spare = world.page("about:blank")
    person.enter(spare)
    spare.get_by_role("button", name="Use a backup code").click()
    expect(spare.get_by_label("Backup code")).to_be_focused()
    spare.get_by_label("Backup code").fill(codes[0].upper())
    spare.get_by_role("button", name="Sign in").click()
    arrived(spare)
    expect(factor_panel(page)).to_contain_text("9 left")
    again = world.page("about:blank")
    person.enter(again)
    again.get_by_role("button", name="Use a backup code").click()
    again.get_by_label("Backup code").fill(codes[0])
    again.get_by_role("button", name="Sign in").click()
    expect(again.get_by_role("alert")).to_contain_text("wrong or was used already")

    page.get_by_role("button", name="New backup codes…").click()
    page.get_by_role("dialog").get_by_label("Code", exact=True).fill(codes[1])
    page.get_by_role("dialog").get_by_role("button", name="Make new codes").click()
    expect(listed).to_have_count(10)
    assert codes[1] not in listed.all_inner_texts()
    keep_codes(page)
    page.get_by_role("button", name="Turn it off…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Code", exact=True).fill(codes[2])  # void now
    dialog.get_by_role("button", name="Turn it off").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The code is wrong or was used already.")
    dialog.get_by_role("button", name="Use my password instead").click()
    expect(dialog.get_by_label("Password")).to_be_focused()
    dialog.get_by_label("Password").fill(person.password)
    dialog.get_by_role("button", name="Turn it off").click()
    expect(factor_panel(page).get_by_role("button", name="Turn it on…")).to_be_visible()
    expect(factor_panel(other).get_by_role("button", name="Turn it on…")).to_be_visible()  # the other page follows
    person.page()  # by the password alone
    forgive(world)


def test_codes_are_copied_downloaded_and_outlast_a_look_at_another_room(world: World) -> None:
    person = someone(world, "Cara", is_staff=True, role="SUPPORT")  # a role that hears of no staff
    page = person.page(permissions=["clipboard-read", "clipboard-write"])
    _, codes = enrol(page, person)
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()").split() == codes
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "letsbe-backup-codes.txt"
    kept = Path(download.value.path()).read_text("utf-8")
    assert [line for line in kept.splitlines() if re.fullmatch(r"(\w{4}-){3}\w{4}", line)] == codes
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Customers").click()
    expect(page.get_by_role("heading", name="Customers", level=1)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("list", name="Backup codes").get_by_role("listitem")).to_have_text(codes)
    keep_codes(page)
    expect(factor_panel(page)).to_contain_text("10 left")


def test_enrolling_by_the_keyboard_alone(world: World) -> None:
    person = someone(world, "Kay", is_staff=False)
    page = person.page()

    def tab_to(wanted: Locator) -> None:
        for _ in range(60):
            if wanted.evaluate("(one) => one === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError("Tab does not lead there")

    tab_to(factor_panel(page).get_by_role("button", name="Turn it on…"))
    page.keyboard.press("Enter")
    expect(factor_panel(page).get_by_role("heading", name="Two-factor authentication")).to_be_focused()
    secret = re.sub(r"\s", "", page.get_by_label("The secret").inner_text())
    tab_to(factor_panel(page).get_by_label("Code", exact=True))
    page.keyboard.type("123")
    page.keyboard.press("Enter")  # nothing yet: six digits are wanted
    expect(factor_panel(page).get_by_role("button", name="Turn it on", exact=True)).to_have_attribute(
        "title", "Type the six digits first."
    )
    page.keyboard.press("Control+a")
    page.keyboard.type(person.code(secret))
    page.keyboard.press("Enter")
    expect(page.get_by_role("list", name="Backup codes")).to_be_visible()
    tab_to(page.get_by_label("I have kept them"))
    page.keyboard.press("Space")
    tab_to(page.get_by_role("button", name="Done"))
    page.keyboard.press("Enter")
    expect(factor_panel(page)).to_contain_text("10 left")
    opener = page.get_by_role("button", name="Turn it off…")
    tab_to(opener)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Code", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("is_staff", [True, False], ids=["staff", "customer"])
def test_each_state_is_accessible_and_fits_a_phone(world: World, is_staff: bool, scheme: str) -> None:
    person = someone(world, f"{'Ax' if is_staff else 'Ay'}{scheme}", is_staff=is_staff)
    person.session()
    page = person.page(scheme=scheme, width=1440)

    def look() -> None:
        for width in (1440, 360):
            page.set_viewport_size({"width": width, "height": 780})
            assert overflow(page) == []
            assert violations(page) == []
        assert page.locator("h1").count() == 1
        assert page.evaluate("() => document.querySelectorAll('[style]').length") == 0

    look()
    page.get_by_role("button", name="End all others…").click()
    look()
    page.get_by_role("button", name="Keep them").click()
    begin_to_enrol(page)
    look()
    page.get_by_role("button", name="Not now").click()
    enrol(page, person)
    look()
    keep_codes(page)
    expect(factor_panel(page)).to_contain_text("10 left")
    look()
    page.get_by_role("button", name="Turn it off…").click()
    look()
    page.get_by_role("button", name="Leave it").click()
    step = world.page("about:blank", scheme=scheme)
    person.enter(step)
    expect(step.get_by_label("Code", exact=True)).to_be_focused()
    for press in (None, "Use a backup code"):
        if press:
            step.get_by_role("button", name=press).click()
        for width in (1440, 360):
            step.set_viewport_size({"width": width, "height": 780})
            assert overflow(step) == []
            assert violations(step) == []
