"""Staff edit an agent in the browser: its character with the difference, tools, exceptions, gates, two at once."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.browser.agent_room import SOUL, choose, deploy, offered, path_of, ready, save, saved, soul, staff_room, tool
from tests.browser.conftest import World
from tests.browser.hub import Wrapper
from tests.browser.test_staff_rooms import PASSWORD, member


def test_a_character_is_edited_with_its_difference_and_offered_to_the_server(world: World) -> None:
    deploy(world, "sam")
    page, second = staff_room(world, "sam"), staff_room(world, "sam")
    expect(soul(page)).to_have_value(SOUL)
    fresh = SOUL.replace("letters", "short letters").replace("- Never shout.\n", "") + "## Tone\nWarm.\n"
    soul(page).fill(fresh)
    lines = page.get_by_role("list", name="What saving changes in the character").get_by_role("listitem")
    for look, words in (
        ("del", "You write letters."),
        ("add", "You write short letters."),
        ("del", "- Never shout."),
        ("add", "## Tone"),
        ("at", "1 line as before"),
    ):
        expect(lines.filter(has_text=words).first).to_have_class(look)
    expect(lines.locator("mark")).to_have_text(["short "])  # only what is other is marked
    expect(page.get_by_text("−2 lines +3 lines")).to_be_visible()
    expect(second.locator(".diff")).to_have_count(0)
    save(page)
    config = offered(world, "sam", lambda one: one["soulMd"] == fresh)
    expect(page.get_by_text("Sam is saved. Its server is offered it at once.")).to_be_visible()
    expect(soul(second)).to_have_value(fresh)  # by itself
    expect(page.locator(".diff")).to_have_count(0)
    server = page.locator(".panel", has_text="On its server")
    expect(server.get_by_text(str(config["configVersion"]), exact=True)).to_be_visible()
    expect(server.locator("header .state")).to_have_text("Not yet applied")
    world.wrapper.message(
        type="configApplied", configVersion=config["configVersion"], configHash=config["configHash"], ok=True
    )
    expect(server.locator("header .state")).to_have_text("Applied")


def test_two_who_write_at_once_see_both_texts_and_choose(world: World) -> None:
    deploy(world, "kim")
    page, second = staff_room(world, "kim"), staff_room(world, "kim")
    soul(page).fill(SOUL + "Mine.\n")
    page.get_by_label("Name", exact=True).fill("Kim K.")
    soul(second).fill(SOUL.replace("Never lie", "Never ever lie"))
    save(second)
    clash = page.locator(".clash")
    theirs = clash.get_by_role("list", name="What somebody else changed").get_by_role("listitem")
    expect(theirs.filter(has_text="Never ever lie")).to_have_class("add")
    mine = page.get_by_role("list", name="What saving changes in the character").get_by_role("listitem")
    expect(mine.filter(has_text="Never ever lie")).to_have_class("del")  # keeping mine would take this away
    button = page.get_by_role("button", name="Save", exact=True)
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("Choose which version counts first.")).to_be_visible()
    clash.get_by_role("button", name="Keep mine").click()
    save(page)
    offered(world, "kim", lambda one: one["soulMd"] == SOUL + "Mine.\n" and one["name"] == "Kim K.")
    expect(soul(second)).to_have_value(SOUL + "Mine.\n")


def test_who_saves_on_a_stale_version_saves_nothing_and_is_told(world: World) -> None:
    deploy(world, "lou")
    page = staff_room(world, "lou")
    held: list[Any] = []
    page.route(
        "**/agents/lou", lambda route: held.append(route) if route.request.method == "PATCH" else route.fallback()
    )
    soul(page).fill(SOUL + "Mine.\n")
    save(page)
    expect(page.get_by_role("button", name="Saving")).to_be_visible()
    world.staff.call("PATCH", path_of(world, "lou"), {"soulMd": SOUL + "Theirs.\n"})
    held.pop().continue_()
    expect(page.get_by_role("alert").filter(has_text="Nothing was saved.")).to_be_visible()
    expect(page.locator(".clash")).to_contain_text("Theirs.")
    expect(soul(page)).to_have_value(SOUL + "Mine.\n")
    assert saved(world, "lou")["soulMd"] == SOUL + "Theirs.\n"
    page.locator(".clash").get_by_role("button", name="Take theirs").click()
    expect(soul(page)).to_have_value(SOUL + "Theirs.\n")


def test_what_is_typed_while_it_is_saved_stays(world: World) -> None:
    deploy(world, "ira")
    page = staff_room(world, "ira")
    held: list[Any] = []
    page.route(
        "**/agents/ira", lambda route: held.append(route) if route.request.method == "PATCH" else route.fallback()
    )
    soul(page).fill(SOUL + "One.\n")
    save(page)
    expect(page.get_by_role("button", name="Saving")).to_be_visible()
    soul(page).fill(SOUL + "One.\nTwo.\n")
    held.pop().continue_()
    page.unroute("**/agents/ira")
    expect(page.get_by_text("Ira is saved.")).to_be_visible()
    expect(soul(page)).to_have_value(SOUL + "One.\nTwo.\n")
    expect(page.get_by_text("1 change not saved")).to_be_visible()
    expect(page.locator(".clash")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(soul(page)).to_have_value(SOUL + "One.\n")
    page.get_by_role("button", name="Bring back what was undone").click()
    save(page)
    offered(world, "ira", lambda one: one["soulMd"] == SOUL + "One.\nTwo.\n")


def test_edits_outlast_a_look_at_another_room(world: World) -> None:
    deploy(world, "eva")
    page = staff_room(world, "eva")
    soul(page).fill("# Eva\nShort.")
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="acme.letsbe.example").click()
    row = page.locator(".fold-row", has_text="Eva").first
    row.locator("summary").first.click()
    row.get_by_role("link", name="Character, tools, exceptions • not saved yet").click()
    ready(page)
    expect(soul(page)).to_have_value("# Eva\nShort.")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]


def test_tools_exceptions_level_and_gates_are_saved_whole(world: World) -> None:
    deploy(world, "ned")
    page = staff_room(world, "ned")
    assert "shell" in saved(world, "ned")["toolsDenied"]
    row = tool(page, "ghost_post_update")
    expect(row.locator("summary .state")).to_have_text("Runs by itself")
    choose(row, "Exception", "Asks")
    expect(row.locator("summary .state")).to_have_text("Asks first")
    publish = tool(page, "ghost_post_publish")
    page.get_by_role("radio", name="Level 3").check(force=True)
    expect(publish.locator("summary .state")).to_have_text("Asks first")
    page.get_by_role("checkbox", name=re.compile("ghost_post_publish")).check()
    expect(publish.locator("summary .state")).to_have_text("Runs by itself")
    choose(tool(page, "web_search"), "Its list of tools", "Forbidden")
    choose(tool(page, "shell"), "Its list of tools", "Not on it")
    page.get_by_role("button", name=re.compile("^All ")).click()
    volume = tool(page, "volume_remove")
    expect(volume.get_by_role("radio", name="Runs", exact=True)).to_be_disabled()
    expect(volume).to_contain_text("Critical always asks.")
    page.get_by_label("Another tool, by its name").fill("our own tool")
    expect(page.get_by_text("a letter first")).to_be_visible()
    page.get_by_label("Another tool, by its name").fill("our_own_tool")
    page.keyboard.press("Enter")
    expect(tool(page, "our_own_tool").locator("summary .state")).to_have_text("Asks first")
    changes = page.get_by_role("list", name="What else saving changes").get_by_role("listitem")
    for look, words in (("del", "web_search: on its list"), ("add", "web_search: forbidden"), ("add", "Level: 3")):
        expect(changes.filter(has_text=words)).to_have_class(look)
    before = saved(world, "ned")
    save(page)
    offered(world, "ned", lambda one: "our_own_tool" in one["toolsAllowed"])
    after = saved(world, "ned")
    assert after["toolOverrides"] == {"ghost_post_update": "ask"}
    assert after["externalCommsUnlocks"] == {"ghost_post_publish": True}
    assert after["autonomyLevel"] == 3
    assert set(before["toolsAllowed"]) ^ set(after["toolsAllowed"]) == {"web_search", "our_own_tool"}
    assert set(before["toolsDenied"]) ^ set(after["toolsDenied"]) == {"web_search", "shell"}
    assert after["soulMd"] == SOUL


def test_two_who_change_different_tools_do_not_meet(world: World) -> None:
    deploy(world, "uma")
    page, second = staff_room(world, "uma"), staff_room(world, "uma")
    choose(tool(page, "web_fetch"), "Exception", "Asks")
    choose(tool(second, "web_search"), "Exception", "Never")
    save(second)
    offered(world, "uma", lambda one: one["toolOverrides"] == {"web_search": "deny"})
    expect(tool(page, "web_search").locator("summary .state")).to_have_text("Never runs")
    expect(page.locator(".clash")).to_have_count(0)
    save(page)
    offered(world, "uma", lambda one: one["toolOverrides"] == {"web_search": "deny", "web_fetch": "ask"})


def test_the_keyboard_alone_edits_and_saves(world: World) -> None:
    deploy(world, "jo")
    page = staff_room(world, "jo")
    soul(page).focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("Always kind.")
    page.keyboard.press("Tab")
    expect(soul(page)).not_to_be_focused()  # Tab leaves the editor, and puts nothing in
    expect(soul(page)).to_have_value(SOUL + "Always kind.")
    for _ in range(60):
        if page.evaluate("() => document.activeElement.textContent.includes('email_send')"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    row = page.locator(".tool[open]")
    expect(row).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(row.locator("summary .state")).to_have_text("Never runs")
    page.keyboard.press("Control+s")
    offered(world, "jo", lambda one: one["soulMd"].endswith("Always kind.") and "email_send" in one["toolsDenied"])
    expect(page.get_by_text("Jo is saved.")).to_be_visible()


def test_a_role_that_may_not_change_agents_looks(world: World) -> None:
    deploy(world, "ben")
    member(world, "Sue", "SUPPORT")
    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == world.order_id)
    page = world.page(f"/sign-in?as=staff&to=/admin/tenants/{server}/agents/ben")
    world.sign_in(page, ("sue@hub.example", PASSWORD))
    ready(page)
    expect(page.get_by_text("Your role may look at agents, not change them.")).to_be_visible()
    expect(soul(page)).not_to_be_editable()
    expect(page.get_by_label("Name", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    expect(tool(page, "web_search").get_by_role("radio").first).to_be_disabled()
    page.goto(world.hub.url + f"/admin/tenants/{server}/agents/nobody")
    expect(page.get_by_role("heading", name="There is no such agent")).to_be_visible()
    world.complaints[:] = [one for one in world.complaints if "status of 404" not in one]


def test_a_server_that_is_away_is_told_when_it_is_back(world: World) -> None:
    order = world.staff.order(world.customer_id, "asleep.letsbe.example")
    wrapper = Wrapper(world.hub, world.staff.register(order))
    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == order)
    page = ready(world.owner(f"/admin/tenants/{server}/agents/marketing"))
    wrapper.close()
    panel = page.locator(".panel", has_text="On its server")
    expect(panel).to_contain_text("What is saved is offered when the server is back.")
    page.get_by_label("Name", exact=True).fill("Mara")
    save(page)
    expect(page.get_by_text("Its server is offered it when it is back.")).to_be_visible()
