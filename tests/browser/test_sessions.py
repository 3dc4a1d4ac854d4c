"""Sign-ins in the browser: links from mail, sessions that end elsewhere, roles that change, second factors."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import World
from tests.browser.hub import CUSTOMER, OWNER

SUPPORT = ("sam@hub.example", "correct horse battery staple 3")


def _by_wish(world: World, words: str, status: str = "PENDING") -> str:
    found = world.staff.call("GET", f"/api/v1/admin/approvals?pageSize=100&status={status}")
    identity: str = next(one["id"] for one in found if words in one["humanReadable"])
    return identity


def _link(letter: str, path: str) -> str:
    found = re.search(rf"https?://\S+?({re.escape(path)}\S*)", letter)
    assert found is not None, letter
    return found[1]


def test_the_link_of_a_mail_leads_to_its_card_and_to_a_decision(world: World) -> None:
    request = world.wrapper.ask(
        "IT Admin wants to be found by letter", tool="env_update", command_class="yellow", args={}
    )
    path = _link(world.hub.letter(CUSTOMER[0], "be found by letter"), "/customer/approvals/")
    page = world.page(path, width=360, height=780, has_touch=True)
    expect(page).to_have_url(re.compile(r"/sign-in\?to="))
    world.sign_in(page, CUSTOMER)
    expect(page).to_have_url(re.compile(re.escape(path) + "$"))
    card = page.locator(".approval", has_text="be found by letter")
    expect(card).to_be_focused()
    card.get_by_role("button", name="Approve", exact=True).tap()
    expect(card.locator(".verdict")).to_have_text("You approved this")
    assert world.wrapper.wait(lambda frame: frame.get("requestId") == request)["action"] == "approve"


@pytest.mark.parametrize(("ending", "verdict"), [("decided", "Nora Lindt denied this"), ("expired", "nobody decided")])
def test_a_link_to_what_is_settled_already_shows_what_became_of_it(world: World, ending: str, verdict: str) -> None:
    words = f"IT Admin wants to be {ending} before"
    world.wrapper.ask(
        words,
        tool="env_update",
        command_class="yellow",
        args={},
        **({"expiresInSeconds": 1} if ending == "expired" else {}),
    )
    if ending == "decided":
        identity = _by_wish(world, words)
        world.staff.call("POST", f"/api/v1/admin/approvals/{identity}", {"action": "deny", "reason": "Too late"})
    else:
        world.wrapper.wait(lambda frame: frame["type"] == "approvalSettled" and frame["action"] == "expire")
        identity = _by_wish(world, words, "EXPIRED")
    page = world.page(f"/customer/approvals/{identity}")
    world.sign_in(page, CUSTOMER)
    card = page.locator(f"[data-approval={identity}]")
    expect(card).to_be_focused()
    expect(card.locator(".verdict")).to_contain_text(verdict)
    expect(card.get_by_role("button", name=re.compile("Approve|Deny"))).to_have_count(0)


def test_a_link_for_somebody_else_says_so(world: World) -> None:
    other = world.staff.customer("eve@else.example", "correct horse battery staple 4", name="Eve", company="Else")
    assert other
    world.wrapper.ask("IT Admin wants to be seen by Maria only", tool="env_update", command_class="yellow", args={})
    page = world.page(f"/customer/approvals/{_by_wish(world, 'by Maria only')}")
    world.sign_in(page, ("eve@else.example", "correct horse battery staple 4"))
    expect(page.get_by_role("alert")).to_contain_text("does not exist here")
    expect(page.locator(".approval")).to_have_count(0)
    world.complaints[:] = [one for one in world.complaints if "status of 404" not in one]


def test_a_session_that_ends_elsewhere_says_so_and_leads_back(world: World) -> None:
    where = "/customer/agents"
    page = world.customer(where, fresh=True)
    cookies = {one["name"]: one["value"] for one in page.context.cookies()}
    token = next(value for name, value in cookies.items() if "session-token" in name)
    httpx.post(f"{world.hub.url}/api/auth/signout", headers={"authorization": f"Bearer {token}"}, json={})
    expect(page).to_have_url(re.compile(r"/sign-in\?to="))
    expect(page.get_by_role("status").filter(has_text="Your session has ended")).to_be_visible()
    world.sign_in(page, CUSTOMER)
    expect(page).to_have_url(re.compile(where + "$"))
    expect(page.locator(".item").first).to_be_visible()
    page.get_by_role("button", name="Account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("Your session has ended")).to_have_count(0)  # it was this page's own doing


def _invited(world: World, who: tuple[str, str], role: str) -> Page:
    """A page on which somebody has just accepted an invitation, by the link of its letter, and signed in."""
    world.staff.call("POST", "/api/v1/admin/staff/invite", {"email": who[0], "role": role})
    page = world.page(_link(world.hub.letter(who[0], "/accept-invite"), "/accept-invite#"))
    expect(page.locator(".gate-form")).to_contain_text(f"invites {who[0]} as {role.lower()}")
    assert "#" not in page.url
    page.get_by_label("Your name").fill("Sam Ito")
    page.get_by_label("Password", exact=True).fill(who[1])
    page.get_by_label("Password again").fill(who[1])
    page.get_by_role("button", name="Join").click()
    page.get_by_role("button", name="Sign in").click()
    world.sign_in(page, who)
    page.wait_for_selector(".live", state="attached")
    return page


def test_a_role_that_changes_under_an_open_page_is_told_and_counts(world: World) -> None:
    world.wrapper.ask("IT Admin wants to outlive a role", tool="env_update", command_class="yellow", args={})
    page = _invited(world, SUPPORT, "ADMIN")
    page.goto(f"{world.hub.url}/admin/approvals")
    card = page.locator(".approval", has_text="outlive a role")
    expect(card.get_by_role("button", name="Approve", exact=True)).not_to_have_attribute("aria-disabled", "true")
    staff = world.staff.call("GET", "/api/v1/admin/staff?pageSize=100")
    member = next(one for one in staff if one["email"] == SUPPORT[0])
    world.staff.call("PATCH", f"/api/v1/admin/staff/{member['id']}", {"role": "SUPPORT"})
    expect(page.get_by_role("status").filter(has_text="Your role is Support now")).to_be_visible()
    expect(card.locator(".note")).to_contain_text("Your role may read requests, not decide them")
    expect(card.get_by_role("button", name="Approve", exact=True)).to_have_attribute("aria-disabled", "true")
    # What comes afterwards still comes.
    world.wrapper.ask("IT Admin wants to come later", tool="env_update", command_class="yellow", args={})
    expect(page.locator(".approval", has_text="come later")).to_be_visible()
    world.staff.call("DELETE", f"/api/v1/admin/staff/{member['id']}")
    expect(page.get_by_role("status").filter(has_text="Your session has ended")).to_be_visible()


def test_a_forgotten_password_is_chosen_anew_by_the_letter_s_link(world: World) -> None:
    who, fresh = ("rosa@acme.example", "correct horse battery staple 5"), "another horse battery staple"
    world.staff.customer(*who, name="Rosa", company="Rosa")
    page = world.page("/sign-in")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("Email").fill(who[0])
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    path = _link(world.hub.letter(who[0], "/reset-password"), "/reset-password#")
    page.goto("about:blank")
    page.goto(world.hub.url + path)
    page.get_by_label("Password", exact=True).fill(fresh)
    page.get_by_label("Password again").fill(fresh)
    page.get_by_role("button", name="Set the password").click()
    page.get_by_role("button", name="Sign in").click()
    world.sign_in(page, (who[0], fresh))
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    page.goto("about:blank")
    page.goto(world.hub.url + path)  # once
    page.get_by_label("Password", exact=True).fill(fresh)
    page.get_by_label("Password again").fill(fresh)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("heading", name="This link does not work any more")).to_be_visible()
    world.complaints[:] = [one for one in world.complaints if "status of 404" not in one]


def _code(secret: str) -> str:
    """The code of this moment (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


def test_a_second_factor_is_asked_for_and_leads_on_to_where_one_wanted(world: World) -> None:
    who = ("tina@acme.example", "correct horse battery staple 6")
    world.staff.customer(*who, name="Tina", company="Tina")
    with httpx.Client(base_url=world.hub.url) as client:
        signed_in = client.post("/api/auth/callback/customer", json={"email": who[0], "password": who[1]})
        client.headers["authorization"] = f"Bearer {signed_in.cookies['next-auth.session-token']}"
        client.cookies.clear()
        secret = client.post("/api/v1/auth/2fa/setup", json={}).json()["data"]["secret"]
        turned_on = client.post("/api/v1/auth/2fa/verify", json={"code": _code(secret)})
        spare = turned_on.json()["data"]["backupCodes"][0]
    page = world.page("/customer/agents")
    page.get_by_label("Email").fill(who[0])
    page.get_by_label("Password").fill(who[1])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Code", exact=True)).to_be_focused()
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text(re.compile("code", re.IGNORECASE))
    page.get_by_label("Code", exact=True).fill(spare)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/customer/agents$"))
    world.complaints[:] = [one for one in world.complaints if "status of 401" not in one]


def test_mail_is_asked_for_or_not(world: World) -> None:
    page = world.customer("/customer/approvals")
    page.get_by_role("button", name="Account").click()
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("radio", name=re.compile("Never")).check()
    expect(page.get_by_role("status").filter(has_text="No more mail")).to_be_visible()
    page.get_by_role("button", name="Use this browser’s: Europe/Berlin").click()
    expect(page.get_by_text("Europe/Berlin", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("radio", name=re.compile("Never"))).to_be_checked()
    page.get_by_role("radio", name=re.compile("At once")).check()
    expect(page.get_by_role("status").filter(has_text="Mail comes at once")).to_be_visible()


def test_the_owner_comes_back_to_a_tenant_s_page(world: World) -> None:
    path = f"/admin/tenants/{world.staff.servers()[0]['id']}"
    page = world.page(path)
    expect(page).to_have_url(re.compile(r"/sign-in\?to=.*&as=staff"))
    world.sign_in(page, OWNER)
    expect(page).to_have_url(re.compile(re.escape(path) + "$"))
