"""People who change their own accounts in the browser, and the ways of the account's page."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pyotp
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import World
from tests.browser.test_staff_rooms import PASSWORD, member

STEP_SECONDS = 30
#: What a browser logs of an answer the page expects and tells itself.
REFUSED = ("status of 400", "status of 401", "status of 404", "status of 413")


@dataclass
class Program:
    """A caller with a session that is no browser."""

    url: str
    headers: dict[str, str]

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(method, self.url + path, json=body, headers=self.headers, timeout=20)

    def signed_in(self) -> bool:
        """Whether its session lives."""
        return self.call("GET", "/api/v1/auth/2fa/status").status_code == 200


@dataclass
class Person:
    """Somebody with an account of their own to change."""

    world: World
    email: str
    password: str
    is_staff: bool
    #: The last step of whose code the Hub was told; it takes each once.
    step: int = 0

    @property
    def where(self) -> str:
        return "/admin/account" if self.is_staff else "/customer/account"

    def enter(self, page: Page) -> None:
        """The door's first step: address and password."""
        page.goto(self.world.hub.url + ("/sign-in?as=staff&to=" if self.is_staff else "/sign-in?to=") + self.where)
        page.get_by_label("Email").fill(self.email)
        page.get_by_label("Password").fill(self.password)
        page.get_by_role("button", name="Sign in").click()

    def page(self, **options: Any) -> Page:
        """The account's page in a browser of its own."""
        page = self.world.page("about:blank", **options)
        self.enter(page)
        return arrived(page)

    def code(self, secret: str) -> str:
        """A code of a step the Hub has not heard yet: this one, or the next, which its window takes as well."""
        assert self.step - time.time() // STEP_SECONDS < 1, "the window has no step left"
        self.step = max(int(time.time()) // STEP_SECONDS, self.step + 1)
        return pyotp.TOTP(secret).generate_otp(self.step)

    def session(self) -> Program:
        """A session of a program, begun without a browser."""
        provider = "credentials" if self.is_staff else "customer"
        who = {"email": self.email, "password": self.password}
        program = Program(self.world.hub.url, {"user-agent": "curl/8.5.0"})
        signed_in = program.call("POST", f"/api/auth/callback/{provider}", who)
        program.headers["authorization"] = f"Bearer {signed_in.cookies['next-auth.session-token']}"
        return program


def arrived(page: Page) -> Page:
    """The page, once it shows the account and hears of changes."""
    expect(page.get_by_role("heading", name="Your account", level=1)).to_be_visible()
    page.wait_for_selector(".live", state="attached")
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)
    return page


def someone(world: World, name: str, *, is_staff: bool, role: str = "ADMIN") -> Person:
    """A member of the staff, or a customer, whom nobody else changes."""
    if is_staff:
        member(world, name, role)
        return Person(world, f"{name.lower()}@hub.example", PASSWORD, True)
    address = f"{name.lower()}@acme.example"
    world.staff.customer(address, PASSWORD, name=f"{name} Roth", company=name)
    return Person(world, address, PASSWORD, False)


def panel_of(page: Page, name: str) -> Locator:
    """The panel with this heading."""
    return page.get_by_role("region", name=name)


def factor_panel(page: Page) -> Locator:
    """The panel of the second factor."""
    return panel_of(page, "Two-factor authentication")


def begin_to_enrol(page: Page) -> str:
    """Begin to enrol; answers the secret that is shown."""
    factor_panel(page).get_by_role("button", name="Turn it on…").click()
    shown = page.get_by_label("The secret")
    expect(shown).to_be_visible()
    return re.sub(r"\s", "", shown.inner_text())


def enrol(page: Page, person: Person) -> tuple[str, list[str]]:
    """Turn it on by the secret that is shown; answers it and the backup codes."""
    secret = begin_to_enrol(page)
    factor_panel(page).get_by_label("Code", exact=True).fill(person.code(secret))
    factor_panel(page).get_by_role("button", name="Turn it on", exact=True).click()
    listed = page.get_by_role("list", name="Backup codes").get_by_role("listitem")
    expect(listed).to_have_count(10)
    return secret, listed.all_inner_texts()


def keep_codes(page: Page) -> None:
    """Say that the codes are kept."""
    page.get_by_label("I have kept them").check()
    page.get_by_role("button", name="Done").click()


def forgive(world: World, *told: str) -> None:
    """Forget what a browser logs of refusals the page expects, or of what is told."""
    world.complaints[:] = [one for one in world.complaints if not any(words in one for words in told or REFUSED)]
