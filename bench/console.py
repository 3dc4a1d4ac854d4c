"""The console in two browsers: a commit's way to the screen, weight, first paint: `python -m bench.console`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import trio
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.console_wrappers import BeatingFleet
from bench.hub_process import HubProcess, free_port, running_hub, seed
from bench.wire import percentile

PROBE = (Path(__file__).parent / "console_probe.js").read_text("utf-8")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync")
PATIENCE_MS = 60_000
#: How many settled cards a page keeps before they are put away; it shows twenty cards.
AT_ONCE = 10


class Browsers:
    """Chromium, and pages of whoever is signed in, each with the probe.

    Args:
        hub: where pages lead.
        browser: whose pages.
        tokens: session tokens by who.
    """

    def __init__(self, hub: HubProcess, browser: Browser, tokens: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{hub.port}"
        self._browser = browser
        self._tokens = tokens

    def context(self, who: str) -> BrowserContext:
        """A browser with an empty cache in which somebody is signed in."""
        context = self._browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(PROBE)
        cookie: Any = {"name": "next-auth.session-token", "value": self._tokens[who], "url": self.url}
        context.add_cookies([cookie])
        return context

    def open(self, context: BrowserContext, path: str) -> Page:
        """A page on which something useful has been painted and the socket stands."""
        page = context.new_page()
        page.goto(self.url + path)
        page.wait_for_selector(".live", state="attached")
        return page


def _line(what: str, values: list[float], unit: str = "ms") -> None:
    click.echo(
        f"{what:<58} n={len(values):<4} p50={percentile(values, 0.5):8.1f} {unit}  "
        f"p99={percentile(values, 0.99):8.1f} {unit}  max={max(values):8.1f} {unit}"
    )


def _say(words: str) -> None:
    click.echo(words, err=True)


def pushes(browsers: Browsers, fleet: BeatingFleet, changes: int) -> None:
    """Requests that appear, and decisions clicked in one browser, as the second one paints them."""
    first_context, second_context = browsers.context("customer"), browsers.context("staff")
    first = browsers.open(first_context, "/customer/approvals")
    second = browsers.open(second_context, "/admin/approvals")
    asked: list[float] = []
    decided: list[float] = []
    clicked: list[float] = []
    heard: list[float] = []
    for turn in range(changes):
        words = f"IT Admin wants to restart service {turn}"
        fleet.ask(turn, words, {"service": f"s{turn}"})
        card = first.locator(".approval", has_text=f"service {turn}").filter(has_not_text="approved this")
        second.wait_for_selector(f'.approval:has(h2:has-text("service {turn}"))')
        identity = second.locator(".approval:not(.settled)").first.get_attribute("data-approval")
        card.get_by_role("button", name="Approve", exact=True).click()
        second.wait_for_function("(id) => probe.painted[`${id} waits`] && probe.painted[`${id} settled`]", arg=identity)
        seen = second.evaluate(
            """(id) => ({asked: probe.heard[`${id} PENDING`], decided: probe.heard[`${id} APPROVED`],
            waits: probe.painted[`${id} waits`], settled: probe.painted[`${id} settled`]})""",
            identity,
        )
        click_at = first.evaluate("(id) => probe.clicks[id]", identity)
        asked.append(seen["waits"] - seen["asked"]["at"])
        decided.append(seen["settled"] - seen["decided"]["at"])
        heard += [seen[name]["received"] - seen[name]["at"] for name in ("asked", "decided")]
        clicked.append(seen["settled"] - click_at)
        if turn % AT_ONCE == AT_ONCE - 1:
            _say(f"  {turn + 1} of {changes} requests asked and decided")
            for page in (first, second):
                page.get_by_role("button", name="Put away").click()
    _line("event committed -> painted in a second browser", asked + decided)
    _line("  of these: a request that appears", asked)
    _line("  of these: a decision", decided)
    _line("  event committed -> frame in the second browser", heard)
    _line("click in the first browser -> painted in the second", clicked)
    first_context.close()
    second_context.close()


def weigh(browsers: Browsers, who: str, path: str, loads: int) -> None:
    """What a page loads and when it is useful, with an empty cache and with a full one."""
    cold: list[float] = []
    warm: list[float] = []
    weights: dict[str, tuple[int, int, int, int]] = {}
    for _ in range(loads):
        context = browsers.context(who)
        for name, times in (("cold", cold), ("warm", warm)):
            page = context.new_page()
            with _counted(context, page) as counted:
                page.goto(browsers.url + path)
                page.wait_for_selector(".live", state="attached")
                page.wait_for_function("() => probe.useful")
            times.append(page.evaluate("() => probe.useful"))
            weights[name] = counted()
            page.close()
        context.close()
    for name, times in (("cold", cold), ("warm", warm)):
        requests, transferred, plain, cached = weights[name]
        click.echo(
            f"{path} {name}: {requests} requests, {transferred / 1024:.1f} KiB transferred, "
            f"{plain / 1024:.1f} KiB unpacked, {cached} from the cache"
        )
        _line(f"{path} {name}: first useful paint", times)


@contextmanager
def _counted(context: BrowserContext, page: Page) -> Iterator[Callable[[], tuple[int, int, int, int]]]:
    """Requests that reached the Hub, bytes on the wire, bytes unpacked, requests the cache answered."""
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    cached: set[str] = set()
    sizes: dict[str, int] = {}
    plain: dict[str, int] = {}

    def received(told: dict[str, Any]) -> None:
        if told["response"].get("fromDiskCache"):
            cached.add(told["requestId"])

    def data(told: dict[str, Any]) -> None:
        plain[told["requestId"]] = plain.get(told["requestId"], 0) + told["dataLength"]

    session.on("Network.requestServedFromCache", lambda told: cached.add(told["requestId"]))
    session.on("Network.responseReceived", received)
    session.on("Network.dataReceived", data)
    session.on("Network.loadingFinished", lambda told: sizes.update({told["requestId"]: told["encodedDataLength"]}))

    def count() -> tuple[int, int, int, int]:
        sent = [one for one in sizes if one not in cached]
        return len(sent), int(sum(sizes[one] for one in sent)), sum(plain.get(one, 0) for one in sent), len(cached)

    yield count
    session.detach()


def freezes(browsers: Browsers, who: str, path: str, words: str) -> None:
    """Long tasks of a full page: while it loads, while one types a search, and while it stands open."""
    context = browsers.context(who)
    page = browsers.open(context, path)
    page.wait_for_function("() => probe.useful")
    _long(page, f"{path} while it loads (useful after {page.evaluate('() => probe.useful'):.0f} ms)")
    typed: list[float] = []
    for length in [*range(1, len(words) + 1), *range(len(words) - 1, -1, -1)]:
        typed.append(
            page.evaluate(
                """(text) => probe.timed(() => {
                const field = document.querySelector("main input[type=search]");
                field.value = text; field.dispatchEvent(new Event("input", {bubbles: true})); })""",
                words[:length],
            )
        )
    _line(f"{path} a letter typed into the search -> painted", typed)
    _long(page, f"{path} while one types")
    page.wait_for_timeout(5000)
    _long(page, f"{path} open for 5 s")
    context.close()


def _long(page: Page, when: str) -> None:
    tasks: list[float] = page.evaluate("() => probe.long.splice(0)")
    longest = f", longest {max(tasks):.0f} ms" if tasks else ""
    click.echo(f"{when}: {len(tasks)} tasks above 50 ms{longest}")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--changes", default=50, help="Requests asked and decided; each is two changes.")
@click.option("--loads", default=3, help="Loads of each page, cold and warm.")
@click.option("--tenants", default=500, help="Tenants of the big fleet.")
@click.option("--approvals", default=200, help="Requests that wait in the big fleet.")
def main(changes: int, loads: int, tenants: int, approvals: int) -> None:
    """Measure the console: two headless Chromium on a Hub of its own, a fleet that beats, requests that wait.

    Clocks are those of one machine. An event's time is taken before its commit, so that the way shown is a little
    longer than it is. Painted: an animation frame has begun after the change, and the task behind it runs.
    """
    programs = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, programs)), None)
    if chromium is None:
        raise click.ClickException("no Chromium on this machine (apt-get install chromium-headless-shell)")
    begun = time.monotonic()
    with running_hub(port=free_port()) as hub:
        _say(f"seeding {tenants} tenants")
        staff, customer, seeded = trio.run(seed, hub, tenants)
        fleet = BeatingFleet(hub, seeded)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            browsers = Browsers(hub, browser, {"staff": staff, "customer": customer})
            _say(f"{2 * changes} changes, {tenants} tenants beating")
            pushes(browsers, fleet, changes)
            _say(f"loading pages {loads} times, cold and warm")
            fleet.wait_accepted({fleet.ask(0, "IT Admin wants to restart Ghost", {"service": "ghost"})})
            weigh(browsers, "customer", "/customer/approvals", loads)
            weigh(browsers, "staff", "/admin/fleet", loads)
            _say(f"{approvals} requests")
            fleet.wait_accepted(
                {fleet.ask(n, f"IT Admin wants to restart service {n}", {"service": n}) for n in range(approvals)}
            )
            freezes(browsers, "customer", "/customer/approvals", "service 19")
            freezes(browsers, "staff", "/admin/approvals", "service 19")
            freezes(browsers, "staff", "/admin/fleet", "t19.bench")
            browser.close()
        fleet.close()
    click.echo(f"in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
