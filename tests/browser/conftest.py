"""Chromium, a seeded Hub and its people for the browser tests; without Chromium they are skipped, saying so."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.hub import CUSTOMER, OWNER, HubProcess, Staff, Wrapper
from tests.postgres import roomy_memory

#: How long a page may take for anything, and an assertion that waits for it.
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)

#: The one without windows first: the same engine, a third less work.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, PROGRAMS)), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium-headless-shell)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class World:
    """A Hub with an owner, a customer and one tenant whose wrapper is here."""

    hub: HubProcess
    staff: Staff
    customer_id: str
    order_id: str
    wrapper: Wrapper
    browser: Browser
    #: What pages complained of; a test that expects nothing finds it empty.
    complaints: list[str] = field(default_factory=list)
    #: Who is signed in already, by address: the cookies of a browser.
    cookies: dict[str, list[Any]] = field(default_factory=dict)

    def page(
        self, path: str = "/", *, width: int = 1280, height: int = 900, scheme: Any = "light", **options: Any
    ) -> Page:
        """A fresh browser's page, nobody signed in."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, timezone_id="Europe/Berlin", **options
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", lambda told: self._console(told.type, told.text))
        page.goto(path if path == "about:blank" else self.hub.url + path)
        return page

    def _console(self, kind: str, text: str) -> None:
        # A socket that cannot connect while its Hub restarts, and a decision that came second, are no bugs of the page.
        expected = ("WebSocket connection", "ERR_CONNECTION", "status of 409")
        if kind == "error" and not any(words in text for words in expected):
            self.complaints.append(f"console: {text}")

    def customer(self, path: str = "/customer/approvals", **options: Any) -> Page:
        """Maria's page, signed in by the form."""
        return self._signed_in("/sign-in", CUSTOMER, path, **options)

    def owner(self, path: str = "/admin/fleet", **options: Any) -> Page:
        """The owner's page, signed in by the form."""
        return self._signed_in("/sign-in?as=staff", OWNER, path, **options)

    def sign_in(self, page: Page, who: tuple[str, str]) -> None:
        """Fill in the form that is open and send it."""
        page.get_by_label("Email").fill(who[0])
        page.get_by_label("Password").fill(who[1])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/sign-in" not in url)

    def _signed_in(self, door: str, who: tuple[str, str], path: str, *, fresh: bool = False, **options: Any) -> Page:
        # By the form once, then with its cookies: hashing passwords takes its time. `fresh`: a session of its own.
        page = self.page("about:blank", **options)
        if not fresh and who[0] in self.cookies:
            page.context.add_cookies(self.cookies[who[0]])
            page.goto(self.hub.url + path)
            page.wait_for_selector(".live, .gate", state="attached")
        if page.url == "about:blank" or "/sign-in" in page.url:
            page.goto(self.hub.url + door)
            self.sign_in(page, who)
            if not fresh:
                self.cookies[who[0]] = list(page.context.cookies())
            page.goto(self.hub.url + path)
        page.wait_for_selector(".live", state="attached")  # the socket stands and the snapshots are in
        return page

    def close_pages(self) -> None:
        for context in self.browser.contexts:
            context.close()


@pytest.fixture(scope="module")
def own_world(chromium: Browser) -> Iterator[World]:
    """The module's Hub; short paths, because PostgreSQL's socket lies in the state folder."""
    with tempfile.TemporaryDirectory(prefix="hub-", dir=roomy_memory(), ignore_cleanup_errors=True) as folder:
        state = Path(folder) / "state"
        state.mkdir(mode=0o700)
        hub = HubProcess(state)
        wrapper: Wrapper | None = None
        try:
            hub.start()
            staff = Staff(hub)
            customer = staff.customer(*CUSTOMER, name="Maria Weber", company="Acme Marketing GmbH")
            order = staff.order(customer, "acme.letsbe.example")
            wrapper = Wrapper(hub, staff.register(order))
            yield World(hub, staff, customer, order, wrapper, chromium)
            staff.close()
        finally:
            if wrapper is not None:
                wrapper.close()
            hub.stop()


@pytest.fixture
def world(own_world: World) -> Iterator[World]:
    """The module's world; whatever a page complained of fails the test."""
    own_world.complaints.clear()
    own_world.wrapper.on_command = lambda frame: ("succeeded", "done")
    yield own_world
    own_world.close_pages()
    assert own_world.complaints == []
