"""A tenant's page in the browser: agents shaped, configurations compared, commands to their end, events far back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import World
from tests.browser.hub import Wrapper


def _server(world: World) -> str:
    servers = world.staff.servers()
    identity: str = next(one["id"] for one in servers if one["orderId"] == world.order_id)
    return identity


def _page(world: World, **options: Any) -> Page:
    return world.owner(f"/admin/tenants/{_server(world)}", **options)


def _offer(world: World, wanted: Any) -> dict[str, Any]:
    """The first configuration offered in which an agent is as wanted."""
    frame = world.wrapper.wait(
        lambda frame: frame["type"] == "configOffered" and any(wanted(one) for one in frame["config"]["agents"])
    )
    config: dict[str, Any] = frame["config"]
    return config


def _agent(page: Page, name: str) -> Any:
    row = page.locator(".fold-row", has_text=name).first
    row.locator("summary").first.click()
    return row


def test_staff_change_an_agent_s_level_and_its_gates(world: World) -> None:
    page, second = _page(world), _page(world)
    row = _agent(page, "Marketing")
    row.get_by_role("radio", name="Level 1").check()
    _offer(world, lambda one: one["agentId"] == "marketing" and one["autonomyLevel"] == 1)
    expect(second.locator(".fold-row", has_text="Marketing").locator(".level")).to_have_text("Level 1")
    gate = row.get_by_role("checkbox").first
    tool = row.locator(".gates .mono").first.inner_text()
    expect(gate).not_to_be_checked()
    gate.check()
    _offer(world, lambda one: one["agentId"] == "marketing" and (one["externalCommsUnlocks"] or {}).get(tool) is True)
    expect(row.locator(".gates li").first).to_contain_text("open")
    gate.uncheck()
    _offer(world, lambda one: one["agentId"] == "marketing" and (one["externalCommsUnlocks"] or {}).get(tool) is False)
    # The gate is named now, so its customer can turn it as well.
    maria = world.customer("/customer/agents")
    maria.get_by_role("link", name="Marketing").first.click()
    maria.get_by_role("checkbox", name=re.compile(re.escape(tool))).check()
    expect(maria.locator(".gates li", has_text=tool)).to_contain_text("open")
    expect(row.locator(".gates li", has_text=tool)).to_contain_text("open")  # on the staff's page, by itself


@pytest.mark.parametrize("who", ["staff", "customer"])
def test_a_turn_that_is_made_while_another_is_on_its_way_is_not_lost(world: World, who: str) -> None:
    """Clicks come as fast as a hand makes them: what was wanted last holds, and nothing falls back in between."""
    path = f"/api/v1/admin/orders/{world.order_id}/agents/marketing"
    shut = {"externalCommsUnlocks": {"email_send": False, "social_post_publish": False}}
    agent = world.staff.call("PATCH", path, {"autonomyLevel": 1, **shut})
    page = _page(world) if who == "staff" else world.customer(f"/customer/agents/{agent['id']}")
    room = _agent(page, "Marketing") if who == "staff" else page.locator("main")
    email = room.get_by_role("checkbox", name=re.compile("email_send"))
    social = room.get_by_role("checkbox", name=re.compile("social_post_publish"))
    expect(email).not_to_be_checked()
    email.evaluate(
        """(one) => {
            const line = one.closest("li"), what = { subtree: true, childList: true, characterData: true };
            window.said = [];
            new MutationObserver(() => window.said.push(line.textContent)).observe(line, what);
        }"""
    )
    held: list[Any] = []
    released: list[bool] = []

    def hold(route: Any) -> None:
        if route.request.method == "PATCH" and not released:
            held.append(route)
        else:
            route.fallback()

    page.route(re.compile("/agents/(marketing|agcfg_[^/]+)(/external-comms)?$"), hold)
    email.click()
    expect(room.locator(".gates li", has_text="email_send")).to_contain_text("(saving)")  # seen to be on its way
    social.click()
    for _ in range(3):
        room.get_by_role("radio", name=re.compile("Level 3")).check(force=True)
        room.get_by_role("radio", name=re.compile("Level 2")).check(force=True)
    email.click()
    email.click()
    page.evaluate("() => { window.said.length = 0; }")
    released.append(True)
    for route in held:
        route.continue_()
    expect(room.get_by_text("saving", exact=False)).to_have_count(0)
    expect(email).to_be_checked()
    expect(social).to_be_checked()
    expect(room.get_by_role("radio", name=re.compile("Level 2"))).to_be_checked()
    saved = world.staff.call("GET", path)
    assert saved["externalCommsUnlocks"] == {"email_send": True, "social_post_publish": True}
    assert saved["autonomyLevel"] == 2
    assert [one for one in page.evaluate("() => window.said") if "shut" in one] == []  # it never fell back


def test_two_who_turn_different_gates_at_once_both_have_their_way(world: World) -> None:
    path = f"/api/v1/admin/orders/{world.order_id}/agents/marketing"
    shut = {"externalCommsUnlocks": {"email_send": False, "social_post_publish": False}}
    world.staff.call("PATCH", path, {"autonomyLevel": 1, **shut})
    page = _page(world)
    email = _agent(page, "Marketing").get_by_role("checkbox", name=re.compile("email_send"))
    expect(email).not_to_be_checked()
    quicker: list[str] = []

    def overtake(route: Any) -> None:
        if route.request.method == "PATCH" and not quicker:
            quicker.append(path)
            theirs = {"email_send": False, "social_post_publish": True}
            world.staff.call("PATCH", path, {"externalCommsUnlocks": theirs})
        route.fallback()

    page.route(re.compile("/agents/marketing$"), overtake)
    email.check()
    expect(page.get_by_text("email_send of Marketing is open now")).to_be_visible()
    assert quicker
    assert world.staff.call("GET", path)["externalCommsUnlocks"] == {"email_send": True, "social_post_publish": True}


def test_an_agent_is_deployed_and_taken_off_by_its_name(world: World) -> None:
    page = _page(world)
    page.get_by_role("button", name="Deploy…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("radio", name=re.compile("IT Admin"))).to_be_disabled()  # is there already
    dialog.get_by_role("radio", name=re.compile("Secretary")).check()
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    _offer(world, lambda one: one["agentId"] == "secretary")
    row = _agent(page, "Secretary")
    row.get_by_role("button", name="Take off the server…").click()
    go = page.get_by_role("dialog").get_by_role("button", name="Take it off")
    page.get_by_label("Type secretary to go on").fill("secretar")
    page.keyboard.press("Enter")
    expect(go).to_have_attribute("aria-disabled", "true")
    page.get_by_label("Type secretary to go on").fill("secretary")
    page.keyboard.press("Enter")
    expect(page.locator(".fold-row", has_text="Secretary")).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_offered_and_applied_are_compared_field_by_field(world: World) -> None:
    page = _page(world)
    agents = f"/api/v1/admin/orders/{world.order_id}/agents"
    world.staff.call(
        "PATCH", f"{agents}/it-admin", {"name": "Ada", "autonomyLevel": 2, "toolsDenied": ["volume_remove"]}
    )
    first = _offer(world, lambda one: one["name"] == "Ada")
    world.wrapper.message(
        type="configApplied", configVersion=first["configVersion"], configHash=first["configHash"], ok=True
    )
    panel = page.locator(".panel", has_text="Configuration").first
    expect(panel.locator(".state").first).to_have_text("Applied")
    expect(panel.locator(".diff")).to_have_count(0)
    soul = next(one["soulMd"] for one in first["agents"] if one["agentId"] == "it-admin")
    change = {
        "name": "Grace",
        "autonomyLevel": 1,
        "toolsDenied": ["disk_format"],
        "soulMd": soul + "\nNever on a Friday.",
    }
    world.staff.call("PATCH", f"{agents}/it-admin", change)
    expect(panel.locator(".state").first).to_contain_text("Not applied for")
    lines = panel.locator(".diff li")
    for look, words in (
        ("at", "agents / it-admin"),
        ("del", "name: Ada"),
        ("add", "name: Grace"),
        ("del", "autonomyLevel: 2"),
        ("add", "autonomyLevel: 1"),
        ("del", "toolsDenied: volume_remove"),
        ("add", "toolsDenied: disk_format"),
        ("add", "Never on a Friday."),
    ):
        expect(lines.filter(has_text=words)).to_have_class(re.compile(rf"\b{look}\b"))
    second = _offer(world, lambda one: one["name"] == "Grace")
    world.wrapper.message(
        type="configApplied",
        configVersion=second["configVersion"],
        configHash=second["configHash"],
        ok=False,
        error="disk full <b>now</b>",
    )
    expect(panel.locator(".state").first).to_have_text("Failed to apply")
    expect(panel.locator("pre").first).to_have_text("disk full <b>now</b>")
    row = page.locator(".timeline > li", has_text=f"Configuration {second['configVersion']}").first
    expect(row.locator(".track .fail")).to_contain_text("Failed")
    world.staff.call("PATCH", f"{agents}/it-admin", {"name": "IT Admin", "toolsDenied": []})


def test_commands_are_rejected_withdrawn_and_expire(world: World) -> None:
    page = _page(world)
    world.wrapper.on_command = lambda frame: ("rejected", "unknown command")
    page.get_by_role("button", name="Send to acme").click()
    row = page.locator(".timeline > li", has_text="PING").first
    expect(row.locator(".track .fail")).to_contain_text("Rejected")
    expect(row.locator("pre")).to_have_text("unknown command")
    page.get_by_label("Payload").fill("{}")
    row.get_by_role("button", name="Send again…").click()
    expect(page.get_by_label("Command", exact=True)).to_be_focused()


def test_a_command_for_a_server_that_is_away_is_withdrawn_or_expires(world: World) -> None:
    order = world.staff.order(world.customer_id, "away.letsbe.example")
    wrapper = Wrapper(world.hub, world.staff.register(order))
    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == order)
    page = world.owner(f"/admin/tenants/{server}")
    wrapper.close()
    page.get_by_role("button", name="Send to away").click()
    row = page.locator(".timeline > li", has_text="PING").first
    expect(row.locator(".track .now")).to_contain_text("Sent")
    row.get_by_role("button", name="Withdraw").click()
    expect(row.locator(".track .fail")).to_contain_text("Withdrawn")
    body = {"type": "RUN_BACKUP", "expiresInSeconds": 1}
    world.staff.call("POST", f"/api/v1/admin/servers/{server}/command", body)
    expired = page.locator(".timeline > li", has_text="RUN_BACKUP").first
    expect(expired.locator(".track .fail")).to_contain_text("Expired")
    expect(expired).to_contain_text("it did not run")


def test_a_decision_s_way_is_told_on_the_card_in_history_and_on_the_timeline(world: World) -> None:
    request = world.wrapper.ask(
        "IT Admin wants to walk the whole way", tool="env_update", command_class="yellow", args={}
    )
    maria = world.customer()
    card = maria.locator(".approval", has_text="walk the whole way")
    card.get_by_role("button", name="Approve", exact=True).click()
    expect(card.locator(".track")).to_contain_text("Acknowledged")
    told = world.wrapper.wait(lambda frame: frame.get("requestId") == request)
    world.wrapper.message(type="approvalOutcome", approvalId=told["approvalId"], outcome="executed", detail="walked")
    expect(card.locator(".track .good")).to_contain_text("Executed")
    expect(card.locator(".track")).to_contain_text("Acknowledged")
    for page in (world.customer("/customer/history"), world.owner("/admin/history")):
        line = page.locator(".past", has_text="walk the whole way")
        line.locator("summary").click()
        expect(line.locator(".track li")).to_contain_text([re.compile("Asked"), re.compile("Approved")])
        expect(line.locator(".track")).to_contain_text("Acknowledged")
        expect(line.locator("pre")).to_have_text("walked")
    row = _page(world).locator(".timeline > li", has_text="walk the whole way")
    expect(row.locator(".track")).to_contain_text("Acknowledged")


def test_the_timeline_goes_back_to_the_first_event_without_a_hole(world: World) -> None:
    order = world.staff.order(world.customer_id, "long.letsbe.example")
    wrapper = Wrapper(world.hub, world.staff.register(order))
    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == order)
    numbers = range(60)
    for number in numbers:
        path = f"/api/v1/admin/servers/{server}/command"
        world.staff.call("POST", path, {"type": "PING", "payload": {"number": f"n{number}."}})
        if number % 3 == 0:
            wrapper.message(type="backupStatus", status="success", sizeBytes=(number + 1) * 10**9)
    wrapper.wait(lambda frame: frame["type"] == "command" and frame["payload"] == {"number": "n59."})
    page = world.owner(f"/admin/tenants/{server}")
    timeline = page.locator(".timeline")
    expect(timeline.locator("li", has_text="n59.").first).to_be_visible()
    seen: list[int] = []
    for _ in range(20):
        shown = [int(one) for one in re.findall(r"n(\d+)\.", timeline.inner_text())]
        assert shown == list(range(59, 59 - len(shown), -1)), "a hole, or another order"
        seen.append(len(shown))
        more = page.get_by_role("button", name="Earlier events")
        if not more.count():
            break
        more.click()
        expect(page.get_by_role("button", name="Fetching earlier events")).to_have_count(0)
    expect(page.get_by_text("Nothing earlier")).to_be_visible()
    assert seen[0] < seen[-1] == 60
    expect(timeline.locator("li", has_text="Backup finished")).to_have_count(20)
    expect(timeline.locator("li", has_text="Order created")).to_be_visible()
    wrapper.close()


@pytest.mark.parametrize("hostile", ['<img src=x onerror="window.harmed=1">\u202egpj.exe' + "A" * 100_000])
def test_hostile_text_of_a_wrapper_stays_text_on_the_tenant_s_page(world: World, hostile: str) -> None:
    world.wrapper.on_command = lambda frame: ("failed", hostile)
    page = _page(world, width=360, height=780)
    world.wrapper.message(type="activity", agentId="it-admin", kind="note", summary=hostile[:900])
    world.wrapper.message(
        type="heartbeat",
        status="healthy",
        safetyWrapperVersion="<b>1.0</b>\u202e",
        openclawVersion="<i>v2</i>",
        configVersion=1,
    )
    path = f"/api/v1/admin/servers/{_server(world)}/command"
    world.staff.call("POST", path, {"type": "PING", "payload": {"<b>": hostile[:200]}})
    row = page.locator(".timeline > li", has_text="PING").first
    expect(row.locator(".track .fail")).to_contain_text("Failed")
    expect(row.locator("pre")).to_contain_text("<img src=x")
    expect(page.locator(".facts-line")).to_contain_text("<b>1.0</b>")
    assert page.locator("main img, main script, main iframe, main b b").count() == 0
    assert page.evaluate("() => window.harmed") is None
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert len(page.locator("main").inner_text()) < 20_000
