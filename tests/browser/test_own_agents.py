"""Customers edit an agent in the browser, within what is theirs; both rooms against silence and hostile text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.agent_room import (
    SOUL,
    choose,
    deploy,
    offered,
    own_room,
    path_of,
    ready,
    save,
    saved,
    soul,
    staff_room,
    tool,
)
from tests.browser.conftest import World
from tests.browser.furnish import overflow, violations


def test_a_customer_shapes_an_agent_within_what_is_theirs(world: World) -> None:
    agent = deploy(world, "pia", toolOverrides={"backup_restore": "deny"})
    page = own_room(world, agent, width=360, height=780)
    page.get_by_label("Name", exact=True).fill("Pia B.")
    soul(page).fill(SOUL.replace("letters", "poems"))
    expect(page.get_by_role("list", name="What saving changes in the character")).to_contain_text("poems")
    shell = tool(page, "Shell")
    for choice in ("On its list", "Not on it"):
        expect(shell.get_by_role("radio", name=choice)).to_be_disabled()
    expect(shell).to_contain_text("Red, and forbidden by its role: only LetsBe support can take that off.")
    choose(tool(page, "Env read"), "Its list of tools", "Not on it")  # forbidden by its role, and not red
    restore = tool(page, "Backup restore")
    expect(restore.get_by_role("group", name="Exception").get_by_role("radio", name="Asks")).to_be_disabled()
    search = tool(page, "Web search")
    choose(search, "Exception", "Asks")
    page.get_by_label("Find a tool").fill("docker")
    expect(tool(page, "Docker").get_by_role("radio", name="Runs", exact=True)).to_be_disabled()
    page.get_by_label("Find a tool").fill("")
    assert overflow(page) == []
    save(page)
    offered(world, "pia", lambda one: one["name"] == "Pia B." and "poems" in one["soulMd"])
    expect(page.get_by_text("Pia B. is saved.")).to_be_visible()
    after = saved(world, "pia")
    assert after["toolOverrides"] == {"backup_restore": "deny", "web_search": "ask"}
    assert "env_read" not in after["toolsDenied"]
    assert "shell" in after["toolsDenied"]
    world.staff.call("PATCH", path_of(world, "pia"), {"name": "Pia"})
    expect(page.get_by_label("Name", exact=True)).to_have_value("Pia")  # by itself


def test_a_refusal_is_named_at_its_field(world: World) -> None:
    agent = deploy(world, "tom")

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
    ready(page)
    page.get_by_role("button", name=re.compile("^All ")).click()
    choose(tool(page, "Package install"), "Its list of tools", "On its list")
    choose(tool(page, "Shell"), "Its list of tools", "Not on it")
    page.get_by_label("Name", exact=True).fill("Tommy")
    save(page)
    expect(tool(page, "Shell").get_by_role("alert")).to_have_text("shell is red: ask support to take it off")
    expect(tool(page, "Package install").get_by_role("alert")).to_have_text(
        "package_install is red: ask support to give it"
    )
    expect(page.get_by_text("Nothing was saved.")).to_be_visible()
    assert saved(world, "tom")["name"] == agent["name"]
    page.get_by_label("Name", exact=True).fill("N" * 101)
    expect(page.get_by_text("The name is longer than 100 characters.")).to_be_visible()
    world.complaints[:] = [one for one in world.complaints if "status of 400" not in one]


def test_a_character_that_is_too_long_or_empty_is_not_sent(world: World) -> None:
    deploy(world, "max")
    page = staff_room(world, "max")
    soul(page).fill("😀" * 100_001)
    wrong = page.locator("#f-soulMd-e")
    expect(wrong).to_have_text("The character is 1 character too long.")
    expect(soul(page)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_attribute("aria-disabled", "true")
    soul(page).fill("")
    expect(wrong).to_have_text("The character is empty.")
    soul(page).fill("😀" * 100_000)  # as many as the Hub takes, counted as it counts
    save(page)
    expect(page.get_by_text("Max is saved.")).to_be_visible()
    world.staff.call("PATCH", path_of(world, "max"), {"soulMd": SOUL})


def test_without_a_connection_nothing_is_saved_and_the_page_says_why(world: World) -> None:
    agent = deploy(world, "ada")
    for page in (staff_room(world, "ada"), own_room(world, agent)):
        soul(page).fill(SOUL + "Offline.\n")
        page.context.set_offline(True)
        expect(page.get_by_text("1 change not saved; you are offline")).to_be_visible()
        button = page.get_by_role("button", name="Save", exact=True)
        expect(button).to_have_attribute("title", "You are offline, so nothing can be changed.")
        button.click(force=True)
        expect(soul(page)).to_have_value(SOUL + "Offline.\n")
        page.context.set_offline(False)
        expect(button).not_to_have_attribute("aria-disabled", "true")
    assert saved(world, "ada")["soulMd"] == SOUL


def test_an_agent_that_is_taken_off_meanwhile_leaves_the_text_to_copy(world: World) -> None:
    agent = deploy(world, "gus")
    pages = [staff_room(world, "gus"), own_room(world, agent)]
    for page in pages:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        soul(page).fill("# Gus\nAn hour of work.")
    world.staff.call("DELETE", path_of(world, "gus"))
    for page in pages:
        expect(page.get_by_role("heading", name=re.compile("Gus was taken off"))).to_be_focused()
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
    agent = deploy(world, "zed", soulMd=f"{hostile}\nend", name="<i>Zed</i>\u202e")
    for page in (staff_room(world, "zed", width=360, height=780), own_room(world, agent, width=360, height=780)):
        expect(
            page.get_by_text("Holds characters that cannot be seen: U+202E in line 1, U+200B in line 1.")
        ).to_be_visible()
        soul(page).fill(f"{hostile[:-40]}<script>harm()</script>\u2066{hostile[-40:]}\nend\n</textarea><b>x")
        added = page.get_by_role("list", name="What saving changes in the character").locator(".add")
        expect(added.first).to_contain_text("<script>harm()</script>")  # what is other is seen, however long the line
        expect(added.first.locator(".hidden-sign")).to_have_text("U+2066")
        expect(added.last).to_contain_text("</textarea><b>x")
        assert page.locator("main img, main script, main iframe, main bdi b, main i").count() == 0
        assert page.evaluate("() => window.harmed") is None
        assert overflow(page) == []
        assert len(page.locator("main").inner_text()) < 20_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("who", ["staff", "customer"])
def test_a_room_of_an_agent_is_accessible_and_fits_a_phone(world: World, who: str, scheme: str) -> None:
    slug = f"{who}-{scheme}"
    agent = deploy(world, slug, toolOverrides={"web_search": "ask"}, externalCommsUnlocks={"email_send": True})
    page = (
        staff_room(world, slug, scheme=scheme, width=1440)
        if who == "staff"
        else own_room(world, agent, scheme=scheme, width=1440)
    )
    assert violations(page) == []
    soul(page).fill(SOUL.replace("letters", "poems\u200b") + "\nMine.\n")
    page.get_by_label("Name", exact=True).fill("Mine")
    row = tool(page, "web_search" if who == "staff" else "Web search")
    choose(row, "Its list of tools", "Forbidden")
    tool(page, "shell" if who == "staff" else "Shell")
    body = {"soulMd": SOUL + "Theirs.\n", "name": "Theirs", "toolsDenied": ["shell"]}
    world.staff.call("PATCH", path_of(world, slug), body)
    expect(page.locator(".clash")).to_have_count(2)
    for width in (1440, 360, 320):
        page.set_viewport_size({"width": width, "height": 780})
        assert violations(page) == []
        assert overflow(page) == []
    assert page.locator("h1").count() == 1
    assert page.evaluate("() => document.querySelectorAll('[style]').length") == 0
