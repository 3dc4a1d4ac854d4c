"""A customer decides in the browser: one step, two steps, a name; races, expiry, a Hub that restarts, hostile text."""

from __future__ import annotations

import re
import time

from playwright.sync_api import Route, expect

from tests.browser.conftest import World


def test_a_red_request_takes_two_steps_and_its_outcome_comes_back(world: World) -> None:
    page = world.page("/")
    expect(page).to_have_url(re.compile(r"/sign-in$"))
    page.close()
    page = world.customer()
    request = world.wrapper.ask("IT Admin wants to delete /nextcloud/data/tmp/* (47 files, 2.3 GB)")

    ask = page.locator(".approval", has_text="delete /nextcloud/data/tmp/*")
    expect(ask.locator(".class")).to_have_text("Red")
    expect(ask.locator(".impact b")).to_have_text("47 files, 2.3 GB")
    expect(ask.locator(".left b")).to_have_text(re.compile(r"23 h 59 min|24 h"))
    expect(ask.locator(".danger").first).to_have_text("*")
    assert "1" in page.title()

    ask.get_by_role("button", name="Approve…").click()
    # The first step decides nothing.
    assert not [frame for frame in world.wrapper.heard if frame.get("requestId") == request]
    ask.get_by_role("button", name="Delete 47 files").click()

    settled = page.locator(".approval.settled", has_text="delete /nextcloud/data/tmp/*")
    expect(settled.locator(".verdict")).to_have_text("You approved this")
    told = world.wrapper.wait(lambda frame: frame.get("requestId") == request)
    assert told["action"] == "approve"
    world.wrapper.message(type="approvalOutcome", approvalId=told["approvalId"], outcome="executed", detail="47 gone")
    expect(settled.locator(".track .good")).to_contain_text("Executed")
    expect(settled).to_contain_text("47 gone")


def test_a_critical_request_wants_its_name_typed(world: World) -> None:
    page = world.customer()
    request = world.wrapper.ask(
        "IT Admin wants to remove the volume odoo_db-data",
        tool="volume_remove",
        command_class="critical_red",
        args={"volume": "odoo_db-data"},
    )
    ask = page.locator(".approval", has_text="remove the volume")
    ask.get_by_role("button", name="Approve…").click()
    go = ask.get_by_role("button", name="Remove the volume")
    expect(go).to_have_attribute("aria-disabled", "true")
    go.click(force=True)
    ask.get_by_label("Type odoo_db-data to approve").fill("odoo_db")
    ask.get_by_label("Type odoo_db-data to approve").press("Enter")
    expect(go).to_be_visible()
    assert not [frame for frame in world.wrapper.heard if frame.get("requestId") == request]
    ask.get_by_label("Type odoo_db-data to approve").fill("odoo_db-data")
    go.click()
    assert world.wrapper.wait(lambda frame: frame.get("requestId") == request)["action"] == "approve"


def test_denying_gives_the_agent_the_reason(world: World) -> None:
    page = world.customer()
    request = world.wrapper.ask(
        "Marketing wants to send the newsletter",
        tool="listmonk_campaign_send",
        command_class="yellow_external",
        args={"list": "DE"},
    )
    ask = page.locator(".approval", has_text="send the newsletter")
    ask.get_by_role("button", name="Deny…").click()
    expect(ask.get_by_role("textbox")).to_be_focused()
    ask.get_by_role("button", name="Too broad").click()
    ask.get_by_role("button", name="Deny and tell the agent").click()
    told = world.wrapper.wait(lambda frame: frame.get("requestId") == request)
    assert (told["action"], told["reason"]) == ("deny", "Too broad")
    expect(page.locator(".approval.settled", has_text="send the newsletter").locator(".verdict")).to_have_text(
        "You denied this"
    )


def test_of_two_browsers_one_wins_and_the_other_is_told_by_whom(world: World) -> None:
    maria, nora = world.customer(), world.owner("/admin/approvals")
    world.wrapper.ask(
        "IT Admin wants to restart Chatwoot",
        tool="service_restart",
        command_class="yellow",
        args={"service": "chatwoot"},
    )
    hers = maria.locator(".approval", has_text="restart Chatwoot")
    theirs = nora.locator(".approval", has_text="restart Chatwoot")
    expect(hers).to_be_visible()
    expect(theirs).to_be_visible()
    # While Maria's answer is on its way, staff decides: hers comes second.
    maria.route("**/api/v1/customer/approvals/*", lambda route: _staff_first(world, route))
    hers.get_by_role("button", name="Approve", exact=True).click()
    verdict = maria.locator(".approval.settled", has_text="restart Chatwoot").locator(".verdict")
    expect(verdict).to_have_text(re.compile(r"Nora Lindt denied this .+ before you"))
    expect(nora.locator(".approval.settled", has_text="restart Chatwoot").locator(".verdict")).to_contain_text(
        "You denied this"
    )


def _staff_first(world: World, route: Route) -> None:
    for one in world.staff.call("GET", "/api/v1/admin/approvals?pageSize=100"):
        if "Chatwoot" in one["humanReadable"]:
            world.staff.call("POST", f"/api/v1/admin/approvals/{one['id']}", {"action": "deny", "reason": "Later"})
    route.continue_()


def test_a_change_is_pushed_into_a_second_browser(world: World) -> None:
    first, second = world.customer(), world.customer()
    world.wrapper.ask(
        "IT Admin wants to restart Ghost", tool="service_restart", command_class="yellow", args={"service": "ghost"}
    )
    for page in (first, second):
        expect(page.locator(".approval", has_text="restart Ghost")).to_be_visible()
    asked: list[str] = []
    second.on("request", lambda request: asked.append(request.url))
    first.locator(".approval", has_text="restart Ghost").get_by_role("button", name="Approve", exact=True).click()
    expect(second.locator(".approval.settled", has_text="restart Ghost")).to_be_visible()
    assert [url for url in asked if "/api/" in url] == []  # how fast: bench.console


def test_the_hub_restarts_under_an_open_page(world: World) -> None:
    page = world.customer()
    world.wrapper.ask("IT Admin wants to do the first thing", tool="shell", args={"command": "ls"})
    expect(page.locator(".approval", has_text="the first thing")).to_be_visible()
    page.evaluate("() => { window.untouched = true; }")
    world.hub.stop()
    expect(page.locator(".banner")).to_contain_text("No connection since")
    ask = page.locator(".approval", has_text="the first thing")
    expect(ask.locator(".note")).to_contain_text("offline")
    expect(ask.get_by_role("button", name="Approve…")).to_have_attribute("aria-disabled", "true")
    ask.get_by_role("button", name="Approve…").click(force=True)
    expect(ask.locator(".second")).to_have_count(0)

    world.hub.start()
    world.wrapper.heard.clear()
    world.wrapper.wait(lambda frame: frame["type"] == "welcome")
    world.wrapper.ask("IT Admin wants to do the second thing", tool="shell", args={"command": "ls -l"})
    expect(page.locator(".approval", has_text="the second thing")).to_be_visible(timeout=40_000)
    expect(page.locator(".approval", has_text="the first thing")).to_be_visible()
    expect(page.locator(".banner")).to_have_count(0)
    assert page.evaluate("() => window.untouched") is True


def test_a_settled_card_stays_in_its_place(world: World) -> None:
    page = world.customer()
    for number in ("one", "two"):
        world.wrapper.ask(
            f"IT Admin wants thing {number}", tool="service_restart", command_class="yellow", args={"service": number}
        )
    second = page.locator(".approval", has_text="thing two")
    expect(second).to_be_visible()
    # In the page, not in the window: a click may scroll.
    place = "(card) => card.getBoundingClientRect().top + scrollY"
    before = second.evaluate(place)
    page.locator(".approval", has_text="thing one").get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator(".approval.settled", has_text="thing one")).to_be_visible()
    assert abs(before - second.evaluate(place)) < 2
    page.get_by_role("button", name=re.compile("Put away")).click()
    expect(page.locator(".approval", has_text="thing one")).to_have_count(0)


def test_what_an_agent_writes_stays_text(world: World) -> None:
    page = world.customer()
    hostile = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>'
    world.wrapper.ask(
        f"{hostile} \u202egpj.exe\u202c שלום (<b>47</b> files)",
        tool="file_write",
        command_class="yellow",
        args={
            "path": "javascript:window.harmed=1",
            "content": hostile + "A" * 100_000,
            "\u202ename": "\u202etxt.exe",
            "__proto__x": {"a": [1]},
        },
    )
    ask = page.locator(".approval", has_text="gpj.exe")
    expect(ask).to_be_visible()
    expect(ask.locator("img, script, iframe")).to_have_count(0)
    expect(ask.locator("h2")).to_contain_text("<script>")
    expect(ask.locator("h2 .hidden-sign").first).to_have_text("U+202E")
    fold = ask.get_by_role("button", name=re.compile(r"Show all \d+ KB")).first
    assert len(ask.inner_text()) < 8000
    fold.click()
    assert len(ask.inner_text()) > 100_000
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("() => window.harmed") is None
    expect(page.locator("a[href^='javascript:']")).to_have_count(0)


def test_time_runs_out_on_the_servers_clock(world: World) -> None:
    page = world.page("/sign-in")
    page.clock.install(time=time.time() - 7200)  # this machine's clock is two hours slow
    page.goto(world.hub.url + "/sign-in?to=/customer/approvals")
    page.get_by_label("Email").fill("maria@acme.example")
    page.get_by_label("Password").fill("correct horse battery staple 2")
    page.get_by_role("button", name="Sign in").click()
    page.clock.run_for(1000)
    world.wrapper.ask("IT Admin wants to look at the clock", tool="shell", args={"command": "date"})
    ask = page.locator(".approval", has_text="look at the clock")
    for _ in range(20):
        page.clock.run_for(500)
        if ask.count():
            break
    expect(ask.locator(".left b")).to_have_text(re.compile(r"23 h 59 min|24 h"))


def test_the_keyboard_alone_is_enough(world: World) -> None:
    page = world.customer()
    request = world.wrapper.ask(
        "IT Admin wants to drop the keyboard table",
        tool="database_drop",
        command_class="critical_red",
        args={"database": "keys"},
    )
    ask = page.locator(".approval", has_text="drop the keyboard table")
    expect(ask).to_be_visible()
    for _ in range(30):
        page.keyboard.press("j")
        if ask.evaluate("(card) => card === document.activeElement"):
            break
    page.keyboard.press("a")
    expect(ask.get_by_label("Type keys to approve")).to_be_focused()
    page.keyboard.press("Escape")
    expect(ask.get_by_role("button", name="Approve…")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("keys")
    page.keyboard.press("Enter")
    assert world.wrapper.wait(lambda frame: frame.get("requestId") == request)["action"] == "approve"
    page.keyboard.press("Control+k")
    page.keyboard.type("history")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/customer/history$"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_link_leads_to_its_card(world: World) -> None:
    world.wrapper.ask("IT Admin wants to be found by mail", tool="shell", args={"command": "uptime"})
    found = [
        one
        for one in world.staff.call("GET", "/api/v1/admin/approvals?pageSize=100")
        if "by mail" in one["humanReadable"]
    ]
    path = f"/customer/approvals/{found[0]['id']}"
    page = world.page(path)
    expect(page).to_have_url(re.compile(r"/sign-in\?to="))
    page.get_by_label("Email").fill("maria@acme.example")
    page.get_by_label("Password").fill("correct horse battery staple 2")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(re.escape(path)))
    expect(page.locator(".approval", has_text="found by mail")).to_be_focused()


def test_where_sockets_are_blocked_the_page_asks_by_http_and_says_so(world: World) -> None:
    page = world.customer()
    page.add_init_script(
        """window.WebSocket = class { static OPEN = 1; readyState = 3;
        constructor() { setTimeout(() => this.onclose?.({code: 1006}), 5); } send() {} close() {} };"""
    )
    request = world.wrapper.ask("IT Admin wants to pass a proxy", tool="env_update", command_class="yellow", args={})
    page.reload()
    expect(page.locator(".bar .state")).to_have_text("Every 15 s", timeout=20_000)
    ask = page.locator(".approval", has_text="pass a proxy")
    expect(ask).to_be_visible()
    expect(page.locator(".banner")).to_have_count(0)
    ask.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator(".approval.settled", has_text="pass a proxy")).to_be_visible()
    assert world.wrapper.wait(lambda frame: frame.get("requestId") == request)["action"] == "approve"


def test_an_answer_that_never_came_is_not_guessed(world: World) -> None:
    page = world.customer()
    world.wrapper.ask("IT Admin wants to lose an answer", tool="env_update", command_class="yellow", args={"n": 1})
    ask = page.locator(".approval", has_text="lose an answer")
    page.route(
        "**/api/v1/customer/approvals/*",
        lambda route: route.abort() if route.request.method == "POST" else route.continue_(),
    )
    ask.get_by_role("button", name="Approve", exact=True).click()
    expect(ask.get_by_role("alert")).to_have_text("It did not arrive. The request still waits.")
    page.unroute_all()
    ask.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator(".approval.settled", has_text="lose an answer")).to_be_visible()
    world.complaints[:] = [one for one in world.complaints if "ERR_FAILED" not in one]
