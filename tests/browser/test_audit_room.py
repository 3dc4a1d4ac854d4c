"""The audit log in the browser: read, opened, filtered, gone back in, while it grows; by roles, by keys, on a phone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import World
from tests.browser.furnish import furnish, overflow, violations

AUDIT = "/api/v1/admin/audit"
ROOM = "/admin/audit"
#: More than a page of the list.
MANY = 60


@pytest.fixture(scope="module")
def furnished(own_world: World) -> World:
    """Changes of every kind, more than one page of them."""
    furnish(own_world)
    own_world.staff.call("PATCH", "/api/v1/admin/settings", {"provisioning.cloudflareToken": "canary-1"})
    for number in range(MANY):
        change(own_world, f"Maria {number}")
    return own_world


def change(world: World, name: str) -> None:
    world.staff.call("PATCH", f"/api/v1/admin/customers/{world.customer_id}", {"name": name})


def opened(world: World, query: str = "", **options: Any) -> Page:
    page = world.owner(f"{ROOM}{query}", **options)
    page.locator(".entry, .empty").first.wait_for()
    return page


def entry(page: Page, words: str) -> Locator:
    return page.locator(".entry").filter(has_text=words).first


def member(world: World, role: str, **options: Any) -> Page:
    """A page of a fresh member of staff in this role."""
    address = f"{role.lower()}@audit.example"
    world.staff.call("POST", "/api/v1/admin/staff/invite", {"email": address, "role": role})
    link = re.search(r"#([A-Za-z0-9_-]{20,})", world.hub.letter(address, "#"))
    assert link
    body = {"token": link[1], "name": role.title(), "password": "a passphrase of this member"}
    world.staff.call("POST", "/api/v1/auth/accept-invite", body)
    page = world.page("/sign-in?as=staff", **options)
    world.sign_in(page, (address, "a passphrase of this member"))
    page.locator(".live").first.wait_for(state="attached")
    return page


def test_an_entry_opens_to_what_was_before_and_after(furnished: World, world: World) -> None:
    page = opened(world)
    expect(page.get_by_role("heading", name="Audit log", level=1)).to_be_visible()
    row = entry(page, "Customer changed")
    row.locator("summary").click()
    expect(row.locator(".diff .del")).to_contain_text(f"name: Maria {MANY - 2}")
    expect(row.locator(".diff .add")).to_contain_text(f"name: Maria {MANY - 1}")
    expect(row.get_by_text("127.0.0.1")).to_be_visible()
    expect(row.get_by_text(re.compile(r"^Sealed as number \d+$"))).to_be_visible()  # at once, or when it is looked up
    row.get_by_role("link", name="Acme Marketing GmbH").click()
    expect(page.get_by_role("heading", name="Acme Marketing GmbH", level=1)).to_be_visible()
    page.get_by_role("link", name="History of changes").click()
    expect(page).to_have_url(re.compile(rf"{ROOM}\?customerId={world.customer_id}"))
    expect(page.get_by_role("searchbox", name="Search by id")).to_have_value(world.customer_id)
    expect(entry(page, "Customer changed")).to_be_visible()


def test_a_secret_is_shown_as_changed_and_never_itself(furnished: World, world: World) -> None:
    page = opened(world, "?action=settings.")
    row = entry(page, "Settings changed")
    row.locator("summary").click()
    expect(row.locator(".diff")).to_contain_text("•••")
    assert "canary-1" not in page.content()


def test_older_entries_come_on_demand_without_a_double(furnished: World, world: World) -> None:
    page = opened(world)
    expect(page.locator(".entry")).to_have_count(50)
    while page.get_by_role("button", name="Load older").count():
        before = page.locator(".entry").count()
        page.get_by_role("button", name="Load older").click()
        expect(page.locator(".entry").nth(before)).to_be_attached()
    expect(page.get_by_text(re.compile("nothing older"))).to_be_visible()
    told: list[str] = []
    cursor = ""
    while True:
        answer = page.request.get(f"{world.hub.url}{AUDIT}?limit=100{cursor}").json()
        told += [one["id"] for one in answer["data"]]
        if answer["meta"]["nextCursor"] is None:
            break
        cursor = f"&cursor={answer['meta']['nextCursor']}"
    assert page.locator(".entry").count() == len(told)


def test_what_is_new_is_counted_and_nothing_moves(furnished: World, world: World) -> None:
    page = opened(world, f"?customerId={world.customer_id}")
    row = page.locator(".entry").first
    row.locator("summary").click()
    expect(row.locator(".diff")).to_be_visible()
    place = row.bounding_box()
    change(world, "Maria Neu")
    change(world, "Maria Weber")
    more = page.get_by_role("button", name=re.compile(r"^2 new entries, show$"))
    expect(more).to_be_visible()
    expect(row.locator(".diff")).to_be_visible()
    assert row.bounding_box() == place
    expect(page.get_by_text("Maria Neu")).to_have_count(0)
    more.click()
    expect(more).to_have_count(0)
    newest = page.locator(".entry").first
    expect(newest.locator(".diff")).to_have_count(0)
    newest.locator("summary").click()
    expect(newest.locator(".diff .del")).to_contain_text("Maria Neu")


def test_filters_stand_in_the_address_and_go_back(furnished: World, world: World) -> None:
    page = opened(world)
    page.get_by_label("What").select_option("order.")
    expect(page).to_have_url(re.compile("action=order"))
    expect(page.locator(".entry", has_text="Customer changed")).to_have_count(0)
    expect(entry(page, "Order created")).to_be_visible()
    page.get_by_label("Who").select_option(label="Nora Lindt")
    expect(page).to_have_url(re.compile("authorId=stf_"))
    page.reload()
    expect(entry(page, "Order created")).to_be_visible()
    expect(page.get_by_label("What")).to_have_value("order.")
    search = page.get_by_role("searchbox", name="Search by id")
    search.fill(world.order_id)
    expect(page).to_have_url(re.compile(f"orderId={world.order_id}"))
    expect(entry(page, "Order created")).to_be_visible()
    page.get_by_label("From").fill("2001-01-01")
    page.get_by_label("To", exact=True).fill("2001-01-02")
    expect(page.get_by_role("heading", name="No entry fits")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Show all").click()
    expect(page).to_have_url(re.compile(f"{ROOM}$"))
    expect(entry(page, "Customer changed")).to_be_visible()
    search.fill("cust_nobody")
    expect(page.get_by_role("alert")).to_contain_text("must be an id of the form cust_…")
    world.complaints[:] = [one for one in world.complaints if "status of 400" not in one]


def test_every_kind_of_action_can_be_chosen(furnished: World, world: World) -> None:
    page = opened(world)
    options = page.get_by_label("What").locator("option").evaluate_all("(all) => all.map((one) => one.value)")
    answer = page.request.get(f"{world.hub.url}{AUDIT}/export")
    actions = {json.loads(line)["action"] for line in answer.text().splitlines()}
    assert len(actions) >= 8
    assert {f"{action.split('.')[0]}." for action in actions} <= set(options)


def test_a_file_is_taken_with_the_filters_that_are_set(furnished: World, world: World, tmp_path: Path) -> None:
    page = opened(world, "?action=order.")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export table").click()
    assert re.fullmatch(r"audit-[\dTZ-]+\.csv", download.value.suggested_filename)
    download.value.save_as(tmp_path / "audit.csv")
    lines = (tmp_path / "audit.csv").read_text("utf-8").splitlines()
    assert lines[0].startswith("id,at,")
    assert lines[1:]
    assert all(",order." in line for line in lines[1:])
    page.goto(world.hub.url + f"{ROOM}?action=audit.")
    expect(entry(page, "Audit exported")).to_be_visible()


def test_a_page_without_a_connection_says_so_and_goes_on(furnished: World, world: World) -> None:
    page = opened(world)
    page.context.set_offline(True)
    expect(page.get_by_text(re.compile("^No connection since"))).to_be_visible()
    expect(page.get_by_role("button", name="Load older")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_role("link", name="Export table")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(".entry").first).to_be_visible()
    change(world, "Maria Offline")
    page.context.set_offline(False)
    expect(page.get_by_role("button", name=re.compile("new entr"))).to_be_visible()
    world.complaints[:] = [one for one in world.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


def test_it_is_offered_to_those_who_may_read_it(furnished: World, world: World) -> None:
    page = member(world, "SUPPORT")
    expect(page.get_by_role("link", name="Fleet")).to_be_visible()
    expect(page.get_by_role("link", name="Audit log")).to_have_count(0)
    page.goto(f"{world.hub.url}/admin/customers/{world.customer_id}")
    expect(page.get_by_role("heading", name="Acme Marketing GmbH", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="History of changes")).to_have_count(0)
    page.keyboard.press("Control+k")
    page.keyboard.type("audit")
    expect(page.get_by_text("Nothing is called that.")).to_be_visible()
    page.keyboard.press("Escape")
    page.goto(f"{world.hub.url}{ROOM}")
    expect(page.get_by_role("heading", name="Your role may not see the audit log")).to_be_visible()
    assert violations(page) == []


def test_links_lead_from_an_order_and_a_member_into_their_history(furnished: World, world: World) -> None:
    page = world.owner(f"/admin/orders/{world.order_id}")
    page.get_by_role("link", name="History of changes").click()
    expect(entry(page, "Order created")).to_be_visible()
    expect(page).to_have_url(re.compile(f"orderId={world.order_id}"))
    own = page.evaluate("() => fetch('/api/v1/profile').then((one) => one.json()).then((one) => one.data.id)")
    page.goto(f"{world.hub.url}/admin/staff/{own}")
    page.get_by_role("link", name="What they did").click()
    expect(page.get_by_label("Who")).to_have_value(own)
    expect(entry(page, "Customer changed")).to_be_visible()


def test_it_is_read_by_the_keyboard_alone(furnished: World, world: World) -> None:
    page = world.owner("/admin/fleet")
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page.get_by_role("heading", name="Audit log", level=1)).to_be_focused()
    page.locator(".entry").first.wait_for()
    page.keyboard.press("j")
    first = page.locator(".entry").first
    expect(first.locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    expect(first.locator(".facts")).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator(".entry").nth(1).locator("summary")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search by id")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(furnished: World, world: World, scheme: str) -> None:
    page = opened(world, scheme=scheme, width=1440)
    for number in range(3):
        page.locator(".entry > summary").nth(number).click()
        expect(page.locator(".entry").nth(number).locator(".facts")).to_be_visible()
    assert violations(page) == []
    assert page.locator("h1").count() == 1
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == []
    assert violations(page) == []


#: before, after, and the lines that tell it.
CHANGES: list[tuple[Any, Any, list[list[str]]]] = [
    (None, None, []),
    (None, {"tier": "Lite", "tools": ["a", "b"]}, [["add", "tier: Lite"], ["add", "tools: a"], ["add", "tools: b"]]),
    ({"name": "A"}, None, [["del", "name: A"]]),
    ({"n": 1, "same": True}, {"n": 2, "same": True}, [["del", "n: 1"], ["add", "n: 2"], ["", "same: true"]]),
    ({"key": "•••"}, {"key": "•••"}, [["", "key: •••, another one now"]]),
    ({"key": None}, {"key": "•••"}, [["add", "key: •••"]]),
    ({"a": {"b": 1}}, {"a": {"b": 1, "c": [{"d": 2}]}}, [["", "a.b: 1"], ["add", 'a.c: [{"d":2}]']]),
    ({"list": ["a", "b"]}, {"list": ["b", "c"]}, [["del", "list: a"], ["add", "list: c"]]),
    ({"a": 1}, {"a": {"b": 2}}, [["del", "a: 1"], ["add", 'a: {"b":2}']]),
    ("old", "new", [["del", "value: old"], ["add", "value: new"]]),
    (
        {"text": "one\ntwo\nthree"},
        {"text": "one\n2\nthree"},
        [["at", "text, from line 2"], ["del", "two", "2"], ["add", "2", "two"]],
    ),
]


def test_what_an_entry_changed_is_told_by_lines(furnished: World, world: World) -> None:
    page = opened(world)
    told = page.evaluate(
        """async (cases) => {
            const main = [...document.querySelectorAll("script[src]")].find((one) => one.src.endsWith("/main.js")).src;
            const words = await import(main.replace("main.js", "audit_words.js"));
            return {
                changes: cases.map(([before, after]) => words.changes(before, after)),
                actions: ["api_key.revoked", "order.registration_token_issued", "two_factor.reset"]
                    .map(words.actionWords),
                span: words.spanOf({ from: "2026-02-28", to: "2026-02-28" }),
                pages: ["ord_1", "settings", "aud_1", "key_1", "", null, "srv"].map(words.pageOf),
            };
        }""",
        [[before, after] for before, after, _ in CHANGES],
    )
    assert told["changes"] == [lines for _, _, lines in CHANGES]
    assert told["actions"] == ["API key revoked", "Order registration token issued", "Second factor reset"]
    assert told["span"] == {"from": "2026-02-28T00:00:00Z", "to": "2026-03-01T00:00:00.000Z"}
    assert told["pages"] == ["/admin/orders/ord_1", "/admin/settings", None, "/admin/api-keys", None, None, None]
