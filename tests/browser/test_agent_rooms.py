"""Agents edited in the browser: character with its difference, tools, exceptions, gates; by staff and by customers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import World
from tests.browser.furnish import overflow, violations
from tests.browser.hub import Wrapper
from tests.browser.test_staff_rooms import PASSWORD, member

SOUL = "# Sam\n\n## Identity\nYou write letters.\n\n## Limits\n- Never lie.\n- Never shout.\n"


def _deploy(world: World, slug: str, *, role: str = "marketing", **values: Any) -> dict[str, Any]:
    """An agent of its own for a test."""
    body = {"role": role, "agentId": slug, "name": slug.title(), "soulMd": SOUL, **values}
    made: dict[str, Any] = world.staff.call("POST", _path(world), body)
    return made


def _path(world: World, slug: str = "") -> str:
    return f"/api/v1/admin/orders/{world.order_id}/agents{slug and '/'}{slug}"


def _saved(world: World, slug: str) -> dict[str, Any]:
    read: dict[str, Any] = world.staff.call("GET", _path(world, slug))
    return read


def _offer(world: World, slug: str, wanted: Any) -> dict[str, Any]:
    """The first configuration offered to the server in which the agent is as wanted."""
    frame = world.wrapper.wait(
        lambda frame: (
            frame["type"] == "configOffered"
            and any(one["agentId"] == slug and wanted(one) for one in frame["config"]["agents"])
        )
    )
    config: dict[str, Any] = frame["config"]
    return config


def _ready(page: Page) -> Page:
    page.locator(".tool").first.wait_for()
    return page


def _room(world: World, slug: str, **options: Any) -> Page:
    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == world.order_id)
    return _ready(world.owner(f"/admin/tenants/{server}/agents/{slug}", **options))


def _own_room(world: World, agent: dict[str, Any], **options: Any) -> Page:
    return _ready(world.customer(f"/customer/agents/{agent['id']}", **options))


def _soul(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Character")


def _tool(page: Page, name: str) -> Locator:
    """A tool's row, opened."""
    row = page.locator(".tool", has=page.get_by_text(name, exact=True)).first
    if row.get_attribute("open") is None:
        row.locator("summary").click()
    return row


def _choose(row: Locator, group: str, choice: str) -> None:
    row.get_by_role("group", name=group).get_by_role("radio", name=choice, exact=True).check(force=True)


def _save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def test_a_character_is_edited_with_its_difference_and_offered_to_the_server(world: World) -> None:
    _deploy(world, "sam")
    page, second = _room(world, "sam"), _room(world, "sam")
    expect(_soul(page)).to_have_value(SOUL)
    fresh = SOUL.replace("letters", "short letters").replace("- Never shout.\n", "") + "## Tone\nWarm.\n"
    _soul(page).fill(fresh)
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
    _save(page)
    offered = _offer(world, "sam", lambda one: one["soulMd"] == fresh)
    expect(page.get_by_text("Sam is saved. Its server is offered it at once.")).to_be_visible()
    expect(_soul(second)).to_have_value(fresh)  # by itself
    expect(page.locator(".diff")).to_have_count(0)
    server = page.locator(".panel", has_text="On its server")
    expect(server.get_by_text(str(offered["configVersion"]), exact=True)).to_be_visible()
    expect(server.locator("header .state")).to_have_text("Not yet applied")
    world.wrapper.message(
        type="configApplied", configVersion=offered["configVersion"], configHash=offered["configHash"], ok=True
    )
    expect(server.locator("header .state")).to_have_text("Applied")


def test_two_who_write_at_once_see_both_texts_and_choose(world: World) -> None:
    _deploy(world, "kim")
    page, second = _room(world, "kim"), _room(world, "kim")
    _soul(page).fill(SOUL + "Mine.\n")
    page.get_by_label("Name", exact=True).fill("Kim K.")
    _soul(second).fill(SOUL.replace("Never lie", "Never ever lie"))
    _save(second)
    clash = page.locator(".clash")
    theirs = clash.get_by_role("list", name="What somebody else changed").get_by_role("listitem")
    expect(theirs.filter(has_text="Never ever lie")).to_have_class("add")
    mine = page.get_by_role("list", name="What saving changes in the character").get_by_role("listitem")
    expect(mine.filter(has_text="Never ever lie")).to_have_class("del")  # keeping mine would take this away
    save = page.get_by_role("button", name="Save", exact=True)
    expect(save).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("Choose which version counts first.")).to_be_visible()
    clash.get_by_role("button", name="Keep mine").click()
    _save(page)
    _offer(world, "kim", lambda one: one["soulMd"] == SOUL + "Mine.\n" and one["name"] == "Kim K.")
    expect(_soul(second)).to_have_value(SOUL + "Mine.\n")


def test_who_saves_on_a_stale_version_saves_nothing_and_is_told(world: World) -> None:
    _deploy(world, "lou")
    page = _room(world, "lou")
    held: list[Any] = []
    page.route(
        "**/agents/lou", lambda route: held.append(route) if route.request.method == "PATCH" else route.fallback()
    )
    _soul(page).fill(SOUL + "Mine.\n")
    _save(page)
    expect(page.get_by_role("button", name="Saving")).to_be_visible()
    world.staff.call("PATCH", _path(world, "lou"), {"soulMd": SOUL + "Theirs.\n"})
    held.pop().continue_()
    expect(page.get_by_role("alert").filter(has_text="Nothing was saved.")).to_be_visible()
    expect(page.locator(".clash")).to_contain_text("Theirs.")
    expect(_soul(page)).to_have_value(SOUL + "Mine.\n")
    assert _saved(world, "lou")["soulMd"] == SOUL + "Theirs.\n"
    page.locator(".clash").get_by_role("button", name="Take theirs").click()
    expect(_soul(page)).to_have_value(SOUL + "Theirs.\n")


def test_what_is_typed_while_it_is_saved_stays(world: World) -> None:
    _deploy(world, "ira")
    page = _room(world, "ira")
    held: list[Any] = []
    page.route(
        "**/agents/ira", lambda route: held.append(route) if route.request.method == "PATCH" else route.fallback()
    )
    _soul(page).fill(SOUL + "One.\n")
    _save(page)
    expect(page.get_by_role("button", name="Saving")).to_be_visible()
    _soul(page).fill(SOUL + "One.\nTwo.\n")
    held.pop().continue_()
    page.unroute("**/agents/ira")
    expect(page.get_by_text("Ira is saved.")).to_be_visible()
    expect(_soul(page)).to_have_value(SOUL + "One.\nTwo.\n")
    expect(page.get_by_text("1 change not saved")).to_be_visible()
    expect(page.locator(".clash")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(_soul(page)).to_have_value(SOUL + "One.\n")
    page.get_by_role("button", name="Bring back what was undone").click()
    _save(page)
    _offer(world, "ira", lambda one: one["soulMd"] == SOUL + "One.\nTwo.\n")


def test_edits_outlast_a_look_at_another_room(world: World) -> None:
    _deploy(world, "eva")
    page = _room(world, "eva")
    _soul(page).fill("# Eva\nShort.")
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="acme.letsbe.example").click()
    row = page.locator(".fold-row", has_text="Eva").first
    row.locator("summary").first.click()
    row.get_by_role("link", name="Character, tools, exceptions • not saved yet").click()
    _ready(page)
    expect(_soul(page)).to_have_value("# Eva\nShort.")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]


def test_tools_exceptions_level_and_gates_are_saved_whole(world: World) -> None:
    _deploy(world, "ned")
    page = _room(world, "ned")
    assert "shell" in _saved(world, "ned")["toolsDenied"]
    row = _tool(page, "ghost_post_update")
    expect(row.locator("summary .state")).to_have_text("Runs by itself")
    _choose(row, "Exception", "Asks")
    expect(row.locator("summary .state")).to_have_text("Asks first")
    publish = _tool(page, "ghost_post_publish")
    page.get_by_role("radio", name="Level 3").check(force=True)
    expect(publish.locator("summary .state")).to_have_text("Asks first")
    page.get_by_role("checkbox", name=re.compile("ghost_post_publish")).check()
    expect(publish.locator("summary .state")).to_have_text("Runs by itself")
    _choose(_tool(page, "web_search"), "Its list of tools", "Forbidden")
    _choose(_tool(page, "shell"), "Its list of tools", "Not on it")
    page.get_by_role("button", name=re.compile("^All ")).click()
    volume = _tool(page, "volume_remove")
    expect(volume.get_by_role("radio", name="Runs", exact=True)).to_be_disabled()
    expect(volume).to_contain_text("Critical always asks.")
    page.get_by_label("Another tool, by its name").fill("our own tool")
    expect(page.get_by_text("a letter first")).to_be_visible()
    page.get_by_label("Another tool, by its name").fill("our_own_tool")
    page.keyboard.press("Enter")
    expect(_tool(page, "our_own_tool").locator("summary .state")).to_have_text("Asks first")
    changes = page.get_by_role("list", name="What else saving changes").get_by_role("listitem")
    for look, words in (("del", "web_search: on its list"), ("add", "web_search: forbidden"), ("add", "Level: 3")):
        expect(changes.filter(has_text=words)).to_have_class(look)
    before = _saved(world, "ned")
    _save(page)
    _offer(world, "ned", lambda one: "our_own_tool" in one["toolsAllowed"])
    after = _saved(world, "ned")
    assert after["toolOverrides"] == {"ghost_post_update": "ask"}
    assert after["externalCommsUnlocks"] == {"ghost_post_publish": True}
    assert after["autonomyLevel"] == 3
    assert set(before["toolsAllowed"]) ^ set(after["toolsAllowed"]) == {"web_search", "our_own_tool"}
    assert set(before["toolsDenied"]) ^ set(after["toolsDenied"]) == {"web_search", "shell"}
    assert after["soulMd"] == SOUL


def test_two_who_change_different_tools_do_not_meet(world: World) -> None:
    _deploy(world, "uma")
    page, second = _room(world, "uma"), _room(world, "uma")
    _choose(_tool(page, "web_fetch"), "Exception", "Asks")
    _choose(_tool(second, "web_search"), "Exception", "Never")
    _save(second)
    _offer(world, "uma", lambda one: one["toolOverrides"] == {"web_search": "deny"})
    expect(_tool(page, "web_search").locator("summary .state")).to_have_text("Never runs")
    expect(page.locator(".clash")).to_have_count(0)
    _save(page)
    _offer(world, "uma", lambda one: one["toolOverrides"] == {"web_search": "deny", "web_fetch": "ask"})


def test_a_customer_shapes_an_agent_within_what_is_theirs(world: World) -> None:
    agent = _deploy(world, "pia", toolOverrides={"backup_restore": "deny"})
    page = _own_room(world, agent, width=360, height=780)
    page.get_by_label("Name", exact=True).fill("Pia B.")
    _soul(page).fill(SOUL.replace("letters", "poems"))
    expect(page.get_by_role("list", name="What saving changes in the character")).to_contain_text("poems")
    shell = _tool(page, "Shell")
    for choice in ("On its list", "Not on it"):
        expect(shell.get_by_role("radio", name=choice)).to_be_disabled()
    expect(shell).to_contain_text("Red, and forbidden by its role: only LetsBe support can take that off.")
    _choose(_tool(page, "Env read"), "Its list of tools", "Not on it")  # forbidden by its role, and not red
    restore = _tool(page, "Backup restore")
    expect(restore.get_by_role("group", name="Exception").get_by_role("radio", name="Asks")).to_be_disabled()
    search = _tool(page, "Web search")
    _choose(search, "Exception", "Asks")
    page.get_by_label("Find a tool").fill("docker")
    expect(_tool(page, "Docker").get_by_role("radio", name="Runs", exact=True)).to_be_disabled()
    page.get_by_label("Find a tool").fill("")
    assert overflow(page) == []
    _save(page)
    _offer(world, "pia", lambda one: one["name"] == "Pia B." and "poems" in one["soulMd"])
    expect(page.get_by_text("Pia B. is saved.")).to_be_visible()
    after = _saved(world, "pia")
    assert after["toolOverrides"] == {"backup_restore": "deny", "web_search": "ask"}
    assert "env_read" not in after["toolsDenied"]
    assert "shell" in after["toolsDenied"]
    world.staff.call("PATCH", _path(world, "pia"), {"name": "Pia"})
    expect(page.get_by_label("Name", exact=True)).to_have_value("Pia")  # by itself


def test_a_refusal_is_named_at_its_field(world: World) -> None:
    agent = _deploy(world, "tom")

    def older(route: Any) -> None:  # as a page whose Hub has learned meanwhile that a tool is red
        answer = route.fetch()
        told = answer.json()
        for one in told["data"]:
            if one["name"] in ("shell", "package_install"):
                one["commandClass"] = "yellow"
        route.fulfill(response=answer, json=told)

    page = world.customer("/customer/agents")
    page.route("**/tools", older)
    page.get_by_role("link", name="Tom").click()
    _ready(page)
    page.get_by_role("button", name=re.compile("^All ")).click()
    _choose(_tool(page, "Package install"), "Its list of tools", "On its list")
    _choose(_tool(page, "Shell"), "Its list of tools", "Not on it")
    page.get_by_label("Name", exact=True).fill("Tommy")
    _save(page)
    expect(_tool(page, "Shell").get_by_role("alert")).to_have_text("shell is red: ask support to take it off")
    expect(_tool(page, "Package install").get_by_role("alert")).to_have_text(
        "package_install is red: ask support to give it"
    )
    expect(page.get_by_text("Nothing was saved.")).to_be_visible()
    assert _saved(world, "tom")["name"] == agent["name"]
    page.get_by_label("Name", exact=True).fill("N" * 101)
    expect(page.get_by_text("The name is longer than 100 characters.")).to_be_visible()
    world.complaints[:] = [one for one in world.complaints if "status of 400" not in one]


def test_a_character_that_is_too_long_or_empty_is_not_sent(world: World) -> None:
    _deploy(world, "max")
    page = _room(world, "max")
    _soul(page).fill("😀" * 100_001)
    wrong = page.locator("#f-soulMd-e")
    expect(wrong).to_have_text("The character is 1 character too long.")
    expect(_soul(page)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_attribute("aria-disabled", "true")
    _soul(page).fill("")
    expect(wrong).to_have_text("The character is empty.")
    _soul(page).fill("😀" * 100_000)  # as many as the Hub takes, counted as it counts
    _save(page)
    expect(page.get_by_text("Max is saved.")).to_be_visible()
    world.staff.call("PATCH", _path(world, "max"), {"soulMd": SOUL})


def test_without_a_connection_nothing_is_saved_and_the_page_says_why(world: World) -> None:
    agent = _deploy(world, "ada")
    for page in (_room(world, "ada"), _own_room(world, agent)):
        _soul(page).fill(SOUL + "Offline.\n")
        page.context.set_offline(True)
        expect(page.get_by_text("1 change not saved; you are offline")).to_be_visible()
        save = page.get_by_role("button", name="Save", exact=True)
        expect(save).to_have_attribute("title", "You are offline, so nothing can be changed.")
        save.click(force=True)
        expect(_soul(page)).to_have_value(SOUL + "Offline.\n")
        page.context.set_offline(False)
        expect(save).not_to_have_attribute("aria-disabled", "true")
    assert _saved(world, "ada")["soulMd"] == SOUL


def test_an_agent_that_is_taken_off_meanwhile_leaves_the_text_to_copy(world: World) -> None:
    agent = _deploy(world, "gus")
    pages = [_room(world, "gus"), _own_room(world, agent)]
    for page in pages:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        _soul(page).fill("# Gus\nAn hour of work.")
    world.staff.call("DELETE", _path(world, "gus"))
    for page in pages:
        expect(page.get_by_role("heading", name=re.compile("Gus was taken off"))).to_be_visible()
        expect(page.get_by_label("The character you wrote")).to_have_value("# Gus\nAn hour of work.")
        assert violations(page) == []
        page.get_by_role("button", name="Copy it").click()
        expect(page.get_by_text("Copied.")).to_be_visible()
        assert page.evaluate("() => navigator.clipboard.readText()") == "# Gus\nAn hour of work."
        page.get_by_role("button", name="Let it go").click()
        expect(page.get_by_label("The character you wrote")).to_have_count(0)
    world.complaints[:] = [one for one in world.complaints if not re.search("status of (404|409)", one)]


def test_hostile_text_stays_text_in_the_editor_and_in_its_difference(world: World) -> None:
    hostile = '<img src=x onerror="window.harmed=1"><b>bold</b>\u202egpj.exe\u200b' + "A" * 90_000
    agent = _deploy(world, "zed", soulMd=f"{hostile}\nend", name="<i>Zed</i>\u202e")
    for page in (_room(world, "zed", width=360, height=780), _own_room(world, agent, width=360, height=780)):
        expect(
            page.get_by_text("Holds characters that cannot be seen: U+202E in line 1, U+200B in line 1.")
        ).to_be_visible()
        _soul(page).fill(f"{hostile[:-40]}<script>harm()</script>\u2066{hostile[-40:]}\nend\n</textarea><b>x")
        added = page.get_by_role("list", name="What saving changes in the character").locator(".add")
        expect(added.first).to_contain_text("<script>harm()</script>")  # what is other is seen, however long the line
        expect(added.first.locator(".hidden-sign")).to_have_text("U+2066")
        expect(added.last).to_contain_text("</textarea><b>x")
        assert page.locator("main img, main script, main iframe, main bdi b, main i").count() == 0
        assert page.evaluate("() => window.harmed") is None
        assert overflow(page) == []
        assert len(page.locator("main").inner_text()) < 20_000


def test_the_keyboard_alone_edits_and_saves(world: World) -> None:
    _deploy(world, "jo")
    page = _room(world, "jo")
    _soul(page).focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("Always kind.")
    page.keyboard.press("Tab")
    expect(_soul(page)).not_to_be_focused()  # Tab leaves the editor, and puts nothing in
    expect(_soul(page)).to_have_value(SOUL + "Always kind.")
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
    _offer(world, "jo", lambda one: one["soulMd"].endswith("Always kind.") and "email_send" in one["toolsDenied"])
    expect(page.get_by_text("Jo is saved.")).to_be_visible()


def test_a_role_that_may_not_change_agents_looks(world: World) -> None:
    _deploy(world, "ben")
    member(world, "Sue", "SUPPORT")
    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == world.order_id)
    page = world.page(f"/sign-in?as=staff&to=/admin/tenants/{server}/agents/ben")
    world.sign_in(page, ("sue@hub.example", PASSWORD))
    _ready(page)
    expect(page.get_by_text("Your role may look at agents, not change them.")).to_be_visible()
    expect(_soul(page)).not_to_be_editable()
    expect(page.get_by_label("Name", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    expect(_tool(page, "web_search").get_by_role("radio").first).to_be_disabled()
    page.goto(world.hub.url + f"/admin/tenants/{server}/agents/nobody")
    expect(page.get_by_role("heading", name="There is no such agent")).to_be_visible()
    world.complaints[:] = [one for one in world.complaints if "status of 404" not in one]


def test_a_server_that_is_away_is_told_when_it_is_back(world: World) -> None:
    order = world.staff.order(world.customer_id, "asleep.letsbe.example")
    wrapper = Wrapper(world.hub, world.staff.register(order))
    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == order)
    page = _ready(world.owner(f"/admin/tenants/{server}/agents/marketing"))
    wrapper.close()
    panel = page.locator(".panel", has_text="On its server")
    expect(panel).to_contain_text("What is saved is offered when the server is back.")
    page.get_by_label("Name", exact=True).fill("Mara")
    _save(page)
    expect(page.get_by_text("Its server is offered it when it is back.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("who", ["staff", "customer"])
def test_a_room_of_an_agent_is_accessible_and_fits_a_phone(world: World, who: str, scheme: str) -> None:
    slug = f"{who}-{scheme}"
    agent = _deploy(world, slug, toolOverrides={"web_search": "ask"}, externalCommsUnlocks={"email_send": True})
    page = (
        _room(world, slug, scheme=scheme, width=1440)
        if who == "staff"
        else _own_room(world, agent, scheme=scheme, width=1440)
    )
    assert violations(page) == []
    _soul(page).fill(SOUL.replace("letters", "poems\u200b") + "\nMine.\n")
    page.get_by_label("Name", exact=True).fill("Mine")
    row = _tool(page, "web_search" if who == "staff" else "Web search")
    _choose(row, "Its list of tools", "Forbidden")
    _tool(page, "shell" if who == "staff" else "Shell")
    body = {"soulMd": SOUL + "Theirs.\n", "name": "Theirs", "toolsDenied": ["shell"]}
    world.staff.call("PATCH", _path(world, slug), body)
    expect(page.locator(".clash")).to_have_count(2)
    for width in (1440, 360, 320):
        page.set_viewport_size({"width": width, "height": 780})
        assert violations(page) == []
        assert overflow(page) == []
    assert page.locator("h1").count() == 1
    assert page.evaluate("() => document.querySelectorAll('[style]').length") == 0
