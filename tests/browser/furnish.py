"""What a Hub holds that every page has something to show; what axe-core and a ruler say of a page."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from tests.browser.conftest import World

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")


def furnish(world: World) -> None:
    """Requests of every class, some decided, a command that ran, a configuration half way."""
    world.wrapper.ask("IT Admin wants to delete /tmp/* (47 files, 2.3 GB)")
    world.wrapper.ask(
        "IT Admin wants to remove the volume odoo_db-data (1 database, 18.4 GB)",
        tool="volume_remove",
        command_class="critical_red",
        args={"volume": "odoo_db-data", "force": True},
    )
    world.wrapper.ask(
        "Marketing wants to send the campaign (1,284 people get an email)",
        tool="listmonk_campaign_send",
        command_class="yellow_external",
        agent="marketing",
        args={"list": "Newsletter DE", "recipients": 1284},
    )
    for number, action in enumerate(("approve", "deny")):
        words = f"IT Admin wants to restart service {number}"
        world.wrapper.ask(words, tool="service_restart", command_class="yellow", args={"service": str(number)})
        for one in world.staff.call("GET", "/api/v1/admin/approvals?pageSize=100"):
            if one["humanReadable"] == words:
                path = f"/api/v1/admin/approvals/{one['id']}"
                world.staff.call("POST", path, {"action": action, "reason": "As agreed"})
    server = world.staff.servers()[0]["id"]
    world.staff.call("POST", f"/api/v1/admin/servers/{server}/command", {"type": "PING"})
    world.wrapper.message(
        type="heartbeat",
        status="healthy",
        openclawVersion="v2026.2.1",
        safetyWrapperVersion="1.0.3",
        configVersion=1,
        resources={
            "cpuPercent": 93,
            "memoryUsedMb": 6400,
            "memoryTotalMb": 8000,
            "diskUsedGb": 20,
            "diskTotalGb": 200,
            "containersRunning": 18,
            "containersStopped": 2,
        },
    )
    agents = f"/api/v1/admin/orders/{world.order_id}/agents"
    first = world.wrapper.wait(lambda frame: frame["type"] == "configOffered")
    world.wrapper.message(
        type="configApplied", configVersion=first["configVersion"], configHash=first["configHash"], ok=True
    )
    world.staff.call("PATCH", f"{agents}/marketing", {"autonomyLevel": 1, "toolsDenied": ["volume_remove"]})


def violations(page: Page) -> list[str]:
    """What axe-core finds, one line each. Colours are measured at rest, not on their way from one to another."""
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function("() => document.getAnimations().every((one) => one.playState !== 'running')")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def overflow(page: Page) -> list[str]:
    """What is wider than the window."""
    found: list[str] = page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]
        .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
        .slice(0, 5).map((one) => one.outerHTML.slice(0, 120))"""
    )
    return found
