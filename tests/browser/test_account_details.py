"""One's own account in the browser: sessions, password, photo, name; of staff and of customers."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import World
from tests.browser.furnish import violations
from tests.browser.hub import OWNER
from tests.browser.own_account import forgive, panel_of, someone
from tests.browser.test_staff_rooms import identity

NEW_PASSWORD = "another horse, another battery"


@pytest.mark.parametrize("is_staff", [True, False], ids=["staff", "customer"])
def test_a_session_that_is_ended_closes_its_page(world: World, is_staff: bool) -> None:
    person = someone(world, "Sia" if is_staff else "Sita", is_staff=is_staff)
    page, other = person.page(), person.page()
    program = person.session()
    sessions = panel_of(page, "Where you are signed in")
    rows = sessions.get_by_role("listitem")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("This one")
    expect(rows.first).to_contain_text("Chrome on Linux")
    expect(rows.first.get_by_role("button")).to_have_count(0)
    expect(rows.filter(has_text="curl")).to_contain_text("127.0.0.1")
    rows.filter(has_text="Chrome on Linux").nth(1).get_by_role("button", name="End Chrome on Linux").click()
    expect(rows).to_have_count(2)
    expect(other.get_by_role("status").filter(has_text="Your session has ended")).to_be_visible()
    person.session()
    expect(rows).to_have_count(3)  # whoever signs in elsewhere is seen
    sessions.get_by_role("button", name="End all others…").click()
    expect(page.get_by_role("dialog")).to_contain_text("2 other sessions are signed out at once")
    page.get_by_role("dialog").get_by_role("button", name="End them").click()
    expect(rows).to_have_count(1)
    expect(sessions).to_contain_text("You are signed in nowhere else.")
    assert not program.signed_in()
    forgive(world)


@pytest.mark.parametrize("is_staff", [True, False], ids=["staff", "customer"])
def test_a_password_is_changed_and_the_other_sessions_end(world: World, is_staff: bool) -> None:
    person = someone(world, "Pia" if is_staff else "Pita", is_staff=is_staff)
    page, other = person.page(), person.page()
    panel = panel_of(page, "Password")
    change = panel.get_by_role("button", name="Change the password")
    expect(change).to_have_attribute("aria-disabled", "true")
    panel.get_by_label("Password as it is").fill("not this one at all")
    panel.get_by_label("New password", exact=True).fill("password12")
    panel.get_by_label("New password again").fill("password12")
    change.click()
    expect(panel.get_by_role("alert")).to_have_count(1)
    assert violations(page) == []
    panel.get_by_label("New password", exact=True).fill(NEW_PASSWORD)
    panel.get_by_label("New password again").fill(NEW_PASSWORD)
    change.click()
    expect(panel.locator("#pw-now-e")).to_be_visible()
    panel.get_by_label("Password as it is").fill(person.password)
    change.click()
    expect(page.get_by_text("Your password is changed. 1 other session ended.")).to_be_visible()
    expect(panel.get_by_label("Password as it is")).to_have_value("")
    expect(other.get_by_role("status").filter(has_text="Your session has ended")).to_be_visible()
    assert world.hub.letter(person.email, "Your password was changed.")
    expect(panel_of(page, "Where you are signed in").get_by_role("listitem")).to_have_count(1)
    person.password = NEW_PASSWORD
    person.page()
    forgive(world)


def _png(path: Path, *, side: int = 40, bytes_more: int = 0) -> Path:
    """A red picture, with so much more in it that shows nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xd0\x20\x20" * side) * side
    more = chunk(b"teXt", b"\0" * bytes_more) if bytes_more else b""
    body = chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_a_photo_is_looked_at_set_and_removed(world: World, tmp_path: Path) -> None:
    person = someone(world, "Fay", is_staff=True, role="MANAGER")
    page = person.page()
    panel = panel_of(page, "Who you are")
    picture = panel.get_by_label("Photo", exact=True)
    wrong = panel.get_by_role("alert")
    picture.set_input_files(_png(tmp_path / "large.png", bytes_more=1_200_000))
    expect(wrong).to_contain_text("1 MB is the most.")
    (tmp_path / "notes.txt").write_text("no picture")
    picture.set_input_files(tmp_path / "notes.txt")
    expect(wrong).to_have_text("This is no JPEG, PNG or WebP picture.")
    (tmp_path / "broken.png").write_text("no picture")
    picture.set_input_files(tmp_path / "broken.png")
    expect(wrong).to_have_text("Your browser cannot read this picture.")
    picture.set_input_files(_png(tmp_path / "red.png"))
    expect(wrong).to_have_count(0)
    expect(panel.get_by_role("img", name="The photo you have chosen")).to_be_visible()
    red = "(canvas) => [...canvas.getContext('2d').getImageData(80, 80, 1, 1).data].join()"
    page.wait_for_function(f"() => ({red})(document.querySelector('canvas')) === '208,32,32,255'")
    expect(panel.get_by_role("button", name="Use this photo")).to_be_focused()
    panel.get_by_role("button", name="Not this one").click()
    expect(panel.locator("canvas")).to_have_count(0)
    picture.set_input_files(tmp_path / "red.png")
    panel.get_by_role("button", name="Use this photo").click()
    expect(panel.locator("img.photo")).to_be_visible()
    loaded = "() => [...document.querySelectorAll('img.person')].every((one) => one.naturalWidth > 0)"
    page.wait_for_function(loaded)  # the policy lets it in, here and beside the name
    assert page.locator("img.person").count() == 2
    path = page.locator("img.photo").get_attribute("src")
    assert world.staff.call("GET", f"/api/v1/admin/staff/{identity(world, person.email)}")["image"] == path
    panel.get_by_role("button", name="Remove your photo").click()
    expect(page.locator("img.person")).to_have_count(0)
    expect(panel.get_by_role("button", name="Choose a photo…")).to_be_focused()


def test_a_photo_the_hub_refuses_stays_as_it_was(world: World, tmp_path: Path) -> None:
    page = someone(world, "Flo", is_staff=True).page()
    page.route(
        "**/api/v1/profile/photo",
        lambda route: route.continue_(post_data=(route.request.post_data_buffer or b"").replace(b"PNG", b"GNP", 1)),
    )
    panel = panel_of(page, "Who you are")
    panel.get_by_label("Photo", exact=True).set_input_files(_png(tmp_path / "red.png"))
    panel.get_by_role("button", name="Use this photo").click()
    expect(panel.get_by_role("alert")).to_have_text(
        "The picture must be a JPEG, PNG or WebP picture. Your photo has not changed."
    )
    forgive(world)


def test_both_versions_of_a_name_stand_where_two_browsers_change_it(world: World) -> None:
    person = someone(world, "Nia", is_staff=True)
    page, other = person.page(), person.page()
    page.get_by_label("Name", exact=True).fill("Nia Mine")
    other.get_by_label("Name", exact=True).fill("Nia Theirs")
    other.get_by_role("button", name="Save").click()
    clash = page.locator(".clash")
    expect(clash).to_contain_text("It is Nia Theirs now; yours is Nia Mine.")
    menu = page.get_by_role("navigation", name="Main").get_by_role("link", name="Your account")
    expect(menu).to_contain_text("Nia Theirs")  # the frame follows
    save = page.get_by_role("button", name="Save")
    expect(save).to_have_attribute("aria-disabled", "true")
    assert violations(page) == []
    clash.get_by_role("button", name="Keep mine").click()
    save.click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    expect(other.get_by_label("Name", exact=True)).to_have_value("Nia Mine")
    page.get_by_label("Email", exact=True).fill(OWNER[0])
    save.click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was saved.")  # it is somebody else's
    page.get_by_role("button", name="Undo").click()
    page.get_by_label("Email", exact=True).fill("nia.new@hub.example")
    save.click()
    expect(page.get_by_text("Saved. Sign in with the new address from now on.")).to_be_visible()
    expect(page.locator(".page-head")).to_contain_text("nia.new@hub.example")
    assert world.hub.letter("nia@hub.example", "Your e-mail address was changed.")
    forgive(world)


def test_a_stale_name_is_not_saved_and_read_anew(world: World) -> None:
    page = someone(world, "Una", is_staff=True).page()
    page.get_by_label("Name", exact=True).fill("Una New")
    stale = {"if-match": '"0"'}
    page.route(
        "**/api/v1/profile",
        lambda route: (
            route.continue_(headers={**route.request.headers, **stale})
            if route.request.method == "PATCH"
            else route.continue_()
        ),
    )
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved.")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Una New")


def test_a_role_that_hears_of_no_staff_follows_when_it_is_looked_at(world: World) -> None:
    person = someone(world, "Sue", is_staff=True, role="SUPPORT")
    page = person.page()
    sessions = panel_of(page, "Where you are signed in").get_by_role("listitem")
    expect(sessions).to_have_count(1)
    person.session().call("PATCH", "/api/v1/profile", {"name": "Sue Else"}).raise_for_status()
    page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(sessions).to_have_count(2)
    expect(page.get_by_label("Name", exact=True)).to_have_value("Sue Else")


def test_the_way_there_from_everywhere(world: World) -> None:
    page = world.owner("/admin/fleet")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Your account").click()
    expect(page.get_by_role("heading", name="Your account", level=1)).to_be_visible()
    expect(page).to_have_title("Your account · LetsBe Hub")
    page.go_back()
    expect(page.get_by_role("heading", name="Fleet", level=1)).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page).to_have_url(re.compile("/admin/account$"))
    customer = world.customer("/customer/agents", width=360, height=780)
    customer.get_by_role("button", name="Account of Maria Weber").click()
    customer.get_by_role("link", name="Your account").click()
    expect(customer.get_by_role("heading", name="Your account", level=1)).to_be_visible()
    expect(panel_of(customer, "Who you are")).to_contain_text("maria@acme.example")
    expect(panel_of(customer, "Who you are").get_by_role("textbox")).to_have_count(0)
    customer.get_by_role("button", name="More").click()
    more = customer.get_by_role("navigation", name="More")
    expect(more.get_by_role("link", name="Your account")).to_have_attribute("aria-current", "page")
    customer.keyboard.press("Escape")
    customer.keyboard.press("Control+k")
    customer.keyboard.type("account")
    expect(customer.get_by_role("option", name="Go to your account")).to_be_visible()


def test_without_a_connection_nothing_of_it_can_be_changed(world: World) -> None:
    page = someone(world, "Ola", is_staff=True).page()
    page.get_by_label("Name", exact=True).fill("Ola Off")
    page.context.set_offline(True)
    expect(page.locator(".banner")).to_contain_text("No connection since")
    for name in ("Save", "Change the password", "Turn it on…"):
        expect(page.get_by_role("button", name=name)).to_have_attribute("aria-disabled", "true")
    page.context.set_offline(False)
    expect(page.get_by_role("button", name="Save")).not_to_have_attribute("aria-disabled", "true")
    forgive(world, "ERR_INTERNET_DISCONNECTED")
