"""Secrets planted everywhere, a whole run, and then the search: none of them is in any log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.fixtures import OpenHub
from tests.end_to_end.hub_process import HubProcess
from tests.end_to_end.scripted_wrapper import approval_request, hello, refusal
from tests.end_to_end.world import OWNER, PASSWORD, Ground, World

CANARY = "canary-7f3a9c1e5b2d"


@pytest.fixture
def talkative_hub(open_hub: OpenHub) -> Iterator[HubProcess]:
    with open_hub(HUB_LOG_LEVEL="debug") as hub:
        yield hub


async def test_no_secret_is_in_any_log_after_a_whole_run(talkative_hub: HubProcess, ground: Ground) -> None:
    hub = talkative_hub
    async with World.around(hub, ground) as world:
        order_id = await world.order()
        token = await world.registration_token(order_id)
        key = (await world.register(token)).json()["data"]["hubApiKey"]
        assert (await world.register(token)).status_code == 401
        tenant = await world.tenant()
        async with tenant.connected() as wrapper:
            args = {"path": f"/{CANARY}-argument", "password": f"{CANARY}-password"}
            request = await wrapper.ask(toolArgs=args, humanReadable=f"{CANARY}-sentence")
            approval = await tenant.approval_of(request)
            assert (await world.customer.decide(approval["id"], "approve", reason=f"{CANARY}-reason")).is_success
            assert (await world.staff.decide(approval["id"], "deny")).status_code == 409
            await wrapper.promise("approvalSettled")
            command = await tenant.command("RUN_BACKUP", payload={"token": f"{CANARY}-payload"})
            await wrapper.promise("command")
            result = {"type": "commandResult", "id": "r1", "commandId": command["id"], "status": "failed"}
            assert (await wrapper.verdict({**result, "output": f"{CANARY}-output"}))["type"] == "accepted"
            bad = await wrapper.verdict(approval_request(toolArgs={"x": f"{CANARY}-bad"}, argsHash="0" * 64))
            assert bad["type"] == "refused"
            await wrapper.verdict(approval_request(commandClass=f"{CANARY}-class"))
            await wrapper.say({"type": "ack", "seq": f"{CANARY}-seq"})
            assert (await wrapper.closed())[0] == 4006
        async with tenant.dial() as wrapper:
            await wrapper.say(f"{CANARY} is not JSON")
            assert (await wrapper.closed())[0] == 4006
        async with tenant.dial() as wrapper:
            await wrapper.say(hello(bootId=["a list", tenant.key]))
            assert (await wrapper.closed())[0] == 4006
        for url in (f"{hub.socket_url}?key={key}", f"{hub.socket_url}/{key}"):
            assert (await refusal(url, key))[0] in (401, 404)
        await refusal(hub.socket_url, f"hk_{CANARY}")
        for path in (f"/api/v1/tenant/config?key={key}", f"/api/v1/{key}", f"/api/v1/tenant/approval-response/{key}"):
            assert (await world.tenant_caller(tenant).call("GET", path)).status_code in (200, 404)
        await world.staff.call("POST", "/api/v1/admin/customers", {"email": CANARY, "name": "", "password": "short"})
        changed = await world.staff.call(
            "POST",
            f"/api/v1/admin/orders/{tenant.order_id}/agents",
            {"role": "marketing", "soulMd": f"{CANARY}-soul"},
        )
        assert changed.status_code == 201, changed.text
        await world.staff.ok("DELETE", f"/api/v1/admin/servers/{tenant.server_id}/key")
        async with httpx.AsyncClient(base_url=hub.url, trust_env=False) as browser:
            wrong = {"email": OWNER, "password": f"{CANARY}-wrong"}
            assert (await browser.post("/api/auth/callback/credentials", json=wrong)).status_code == 401
            right = {"email": OWNER, "password": PASSWORD}
            assert (await browser.post("/api/auth/callback/credentials", json=right)).status_code == 200
            session = next(str(cookie.value) for cookie in browser.cookies.jar if "session-token" in cookie.name)
        staff_list = await world.staff.call("GET", f"/api/v1/admin/orders?search={CANARY}-search")
        assert staff_list.status_code == 200
    hub.kill()  # and what a start after a crash has to say
    hub.start()
    hub.terminate()
    assert hub.wait() == 0

    secrets = {
        "owner's session": ground.owner.token,
        "customer's session": ground.maria.token,
        "fresh session": session,
        "registration token": token,
        "hub key": key,
        "another hub key": tenant.key,
        "the secret part of a key": tenant.key.split("_")[2],
        "password": PASSWORD,
        "what a person or an agent wrote": CANARY,
    }
    for name, content in ((path.name, path.read_text(errors="replace")) for path in logs_of(hub)):
        for secret, value in secrets.items():
            assert value not in content, f"{secret} is in {name}: {line_with(value, content)}"
    assert len(hub.lines()) > 40
    assert hub.bugs() == []


def logs_of(hub: HubProcess) -> list[Path]:
    folder = hub.state / "postgres"
    return [hub.log, *folder.glob("*.log"), *folder.glob("log/*")]


def line_with(value: str, content: str) -> str:
    return next(line for line in content.splitlines() if value in line)[:500]
