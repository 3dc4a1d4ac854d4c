"""Staff in the browser: the first owner, the fleet, a tenant's page with commands and keys, the roles."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.conftest import World
from tests.browser.hub import CUSTOMER, HubProcess, Wrapper
from tests.postgres import roomy_memory


def _tenant(world: World) -> str:
    servers = world.staff.servers()
    return f"/admin/tenants/{next(one['id'] for one in servers if one['orderId'] == world.order_id)}"


def test_the_first_owner_is_made_in_the_browser(chromium: Browser) -> None:
    with tempfile.TemporaryDirectory(prefix="hub-", dir=roomy_memory(), ignore_cleanup_errors=True) as folder:
        state = Path(folder) / "state"
        state.mkdir(mode=0o700)
        hub = HubProcess(state)
        try:
            hub.start()
            page = chromium.new_context().new_page()
            page.goto(hub.url + "/setup")
            page.get_by_label("Your name").fill("Nora Lindt")
            page.get_by_label("Email").fill("nora@letsbe.example")
            page.get_by_label("Password", exact=True).fill("short")
            page.get_by_label("Password again").fill("other")
            page.get_by_role("button", name="Create owner account").click()
            expect(page.get_by_role("alert").first).to_contain_text("Not the same")
            page.get_by_label("Password again").fill("short")
            page.get_by_role("button", name="Create owner account").click()
            expect(page.locator("#password-e")).to_be_visible()  # the Hub's own words for a password too short
            for label in ("Password", "Password again"):
                page.get_by_label(label, exact=True).fill("four quiet words here")
            page.get_by_role("button", name="Create owner account").click()
            expect(page).to_have_url(re.compile("/admin/fleet$"))
            expect(page.get_by_role("heading", name="No tenant yet")).to_be_visible()

            page.goto(hub.url + "/setup")
            page.get_by_label("Your name").fill("Eve")
            page.get_by_label("Email").fill("eve@letsbe.example")
            for label in ("Password", "Password again"):
                page.get_by_label(label, exact=True).fill("four quiet words here")
            page.get_by_role("button", name="Create owner account").click()
            expect(page.get_by_role("alert")).to_be_visible()
            page.context.close()
        finally:
            hub.stop()


def test_wrong_passwords_are_said_and_nothing_more(world: World) -> None:
    page = world.page("/sign-in")
    page.get_by_label("Email").fill(CUSTOMER[0])
    page.get_by_label("Password").fill("not the password at all")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Email and password do not match.")
    expect(page.get_by_label("Password")).to_be_focused()
    world.complaints[:] = [one for one in world.complaints if "status of 401" not in one]


def test_the_fleet_shows_who_is_there_and_finds_what_is_sought(world: World) -> None:
    page = world.owner()
    row = page.get_by_role("row", name=re.compile("acme.letsbe.example"))
    expect(row.locator(".presence")).to_contain_text(re.compile(r"Online\s*\d+ s"))
    page.keyboard.press("/")
    page.keyboard.type("nobody")
    expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(row).to_be_visible()
    page.get_by_role("radio", name=re.compile("Offline")).check()
    expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
    page.get_by_role("radio", name="All").check()
    world.wrapper.message(
        type="heartbeat",
        status="healthy",
        safetyWrapperVersion="1.0.3",
        configVersion=1,
        resources={"cpuPercent": 97, "memoryUsedMb": 4000, "memoryTotalMb": 8000},
    )
    expect(row.locator(".meter-bad")).to_have_text("97%")  # without a reload
    expect(row.locator("td").last).to_contain_text("no reading")  # no disk was told: a dash, never 0


def test_a_command_is_watched_through_its_states(world: World) -> None:
    world.wrapper.on_command = lambda frame: None
    page = world.owner(_tenant(world))
    page.get_by_label("Command", exact=True).select_option("RESTART_SERVICE")
    page.get_by_label("Payload").fill("{ not json")
    page.get_by_role("button", name="Send to acme").click()
    expect(page.get_by_role("alert")).to_contain_text("no JSON object")
    page.get_by_label("Payload").fill('{ "service": "<b>ghost</b>" }')
    page.get_by_role("button", name="Send to acme").click()
    row = page.locator(".timeline > li", has_text="RESTART_SERVICE").first
    expect(row.locator(".track .now")).to_contain_text("Running")
    expect(row).to_contain_text("<b>ghost</b>")
    asked = world.wrapper.wait(lambda frame: frame["type"] == "command" and frame["commandType"] == "RESTART_SERVICE")
    world.wrapper.message(type="commandResult", commandId=asked["id"], status="failed", output="no such service\n" * 3)
    expect(row.locator(".track .fail")).to_contain_text("Failed")
    expect(row.locator("pre")).to_contain_text("no such service")


def test_the_actor_is_explained(world: World) -> None:
    page = world.owner(_tenant(world))
    panel = page.locator(".panel", has_text="Explain this actor")
    expect(panel).to_contain_text(re.compile("it holds a socket"))
    expect(panel.locator("tbody tr").first).to_be_visible()


def test_a_key_is_revoked_by_its_name_and_comes_back_by_a_token(world: World) -> None:
    order = world.staff.order(world.customer_id, "roth.letsbe.example")
    wrapper = Wrapper(world.hub, world.staff.register(order))
    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == order)
    page = world.owner(f"/admin/tenants/{server}")
    page.get_by_role("button", name="New token…").click()
    token = page.get_by_role("dialog").locator("pre").inner_text()
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Revoke key…").click()
    dialog = page.get_by_role("dialog")
    go = dialog.get_by_role("button", name="Revoke key")
    expect(go).to_have_attribute("aria-disabled", "true")
    go.click(force=True)
    expect(dialog).to_be_visible()
    dialog.get_by_label(re.compile("Type roth")).fill("roth")
    go.click()
    expect(page.locator(".presence").first).to_contain_text("Refused")
    wrapper.close()
    key = world.staff.call("POST", "/api/v1/tenant/register", {"registrationToken": token.strip()})["hubApiKey"]
    again = Wrapper(world.hub, key)
    expect(page.locator(".presence").first).to_contain_text("Online")
    again.close()


def test_signing_out_ends_in_every_window(world: World) -> None:
    page = world.customer(fresh=True)
    other = page.context.new_page()
    other.goto(world.hub.url + "/customer/agents")
    other.wait_for_selector(".live", state="attached")
    page.get_by_role("button", name="Account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    expect(other).to_have_url(re.compile("/sign-in"))  # its socket was closed with 4001


def test_an_agent_s_level_is_changed_and_offered_to_its_server(world: World) -> None:
    page = world.customer("/customer/agents")
    page.get_by_role("link", name="Marketing").first.click()
    page.get_by_role("radio", name=re.compile("Level 1")).check()
    expect(page.get_by_role("status").filter(has_text="level 1 now")).to_be_visible()
    offered = world.wrapper.wait(
        lambda frame: (
            frame["type"] == "configOffered"
            and any(one["agentId"] == "marketing" and one["autonomyLevel"] == 1 for one in frame["config"]["agents"])
        )
    )
    assert offered["configVersion"] >= 1
