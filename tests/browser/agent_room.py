"""The rooms of an agent as tests use them: agents of their own, the editor, the tools, what is saved and offered."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page

from tests.browser.conftest import World

SOUL = "# Sam\n\n## Identity\nYou write letters.\n\n## Limits\n- Never lie.\n- Never shout.\n"


def deploy(world: World, slug: str, *, role: str = "marketing", **values: Any) -> dict[str, Any]:
    """An agent of its own for a test."""
    body = {"role": role, "agentId": slug, "name": slug.title(), "soulMd": SOUL, **values}
    made: dict[str, Any] = world.staff.call("POST", path_of(world), body)
    return made


def path_of(world: World, slug: str = "") -> str:
    return f"/api/v1/admin/orders/{world.order_id}/agents{slug and '/'}{slug}"


def saved(world: World, slug: str) -> dict[str, Any]:
    read: dict[str, Any] = world.staff.call("GET", path_of(world, slug))
    return read


def offered(world: World, slug: str, wanted: Any) -> dict[str, Any]:
    """The first configuration offered to the server in which the agent is as wanted."""
    frame = world.wrapper.wait(
        lambda frame: (
            frame["type"] == "configOffered"
            and any(one["agentId"] == slug and wanted(one) for one in frame["config"]["agents"])
        )
    )
    config: dict[str, Any] = frame["config"]
    return config


def ready(page: Page) -> Page:
    page.locator(".tool").first.wait_for()
    return page


def staff_room(world: World, slug: str, **options: Any) -> Page:
    server = next(one["id"] for one in world.staff.servers() if one["orderId"] == world.order_id)
    return ready(world.owner(f"/admin/tenants/{server}/agents/{slug}", **options))


def own_room(world: World, agent: dict[str, Any], **options: Any) -> Page:
    return ready(world.customer(f"/customer/agents/{agent['id']}", **options))


def soul(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Character")


def tool(page: Page, name: str) -> Locator:
    """A tool's row, opened."""
    row = page.locator(".tool", has=page.get_by_text(name, exact=True)).first
    if row.get_attribute("open") is None:
        row.locator("summary").click()
    return row


def choose(row: Locator, group: str, choice: str) -> None:
    row.get_by_role("group", name=group).get_by_role("radio", name=choice, exact=True).check(force=True)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
