"""Rooms that are fetched when they are visited: without a connection, and from a Hub that has them no more."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import World

ROOM = "**/rooms/customers.js"


def _visit(page: Page) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Customers").click()


def test_a_room_is_fetched_once_when_it_is_visited(world: World) -> None:
    page = world.owner()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/rooms/customers.js" in request.url else None)
    _visit(page)
    expect(page.get_by_role("heading", name="Customers", level=1)).to_be_focused()
    expect(page).to_have_title("Customers · LetsBe Hub")
    page.go_back()
    expect(page.get_by_role("heading", name="Fleet", level=1)).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("link", name="Acme Marketing GmbH")).to_be_visible()
    assert len(asked) == 1


def test_a_room_that_could_not_be_fetched_says_so_and_is_fetched_again(world: World) -> None:
    page = world.owner()
    page.route(ROOM, lambda route: route.abort("connectionfailed"))
    _visit(page)
    trouble = page.get_by_role("heading", name="This page could not be loaded")
    expect(trouble).to_be_visible()
    expect(page.get_by_role("button", name="Load anew")).to_have_count(0)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Load anew")).to_be_visible()
    page.unroute(ROOM)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="Acme Marketing GmbH")).to_be_visible()
    expect(trouble).to_have_count(0)


def test_a_room_is_fetched_by_itself_once_the_connection_is_back(world: World) -> None:
    page = world.owner()
    page.context.set_offline(True)
    _visit(page)
    expect(page.get_by_role("heading", name="This page could not be loaded")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("link", name="Acme Marketing GmbH")).to_be_visible()
    world.complaints[:] = [one for one in world.complaints if "ERR_INTERNET_DISCONNECTED" not in one]
