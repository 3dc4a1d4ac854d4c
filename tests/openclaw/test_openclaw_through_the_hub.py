"""The whole way on real input: the gateway asks, the customer decides over the Hub's API, the gateway hears.

Three real processes: the OpenClaw gateway, `hub serve` with its embedded PostgreSQL, and `safety-wrapper openclaw`.
What is printed is the transcript in docs/openclaw.md.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.openclaw.gateway_process import TOKEN, GatewayProcess, asking, free_port

BIN = Path(sys.executable).parent
PASSWORD = "correct horse battery staple"


@contextmanager
def process(*command: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    # The Hub refuses settings that it does not know, and HUB_TEST_OPENCLAW is none of its.
    own = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, env={**own, **environment})
    try:
        yield child
    except BaseException:
        print(log.read_text())
        raise
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


async def until(condition: Any, seconds: float = 60) -> Any:
    """Poll another process over HTTP: there is no event to await."""
    with trio.fail_after(seconds):
        while True:
            try:
                value = await condition()
            except httpx.TransportError:
                value = None
            if value:
                return value
            await trio.sleep(0.1)


class People:
    """Staff and a customer, over the API alone."""

    def __init__(self, url: str) -> None:
        self.staff = httpx.AsyncClient(base_url=url, headers={"Origin": url}, trust_env=False)
        self.customer = httpx.AsyncClient(base_url=url, headers={"Origin": url}, trust_env=False)

    async def order_with_token(self) -> str:
        """A hub with an owner, a customer and an order; its registration token."""
        await self._post(self.staff, "/api/v1/setup", email="olga@letsbe.example", name="Olga", password=PASSWORD)
        await self._sign_in(self.staff, "credentials", "olga@letsbe.example")
        customer = await self._post(
            self.staff,
            "/api/v1/admin/customers",
            email="maria@shop.example",
            name="Maria",
            company="",
            password=PASSWORD,
        )
        order = await self._post(
            self.staff, "/api/v1/admin/orders", userId=customer["id"], tier="Build", domain="shop.example"
        )
        await self._sign_in(self.customer, "customer", "maria@shop.example")
        answer = await self._post(self.staff, f"/api/v1/admin/orders/{order['id']}/registration-token")
        return str(answer["registrationToken"])

    async def pending(self) -> Any:
        answer = await self.customer.get("/api/v1/customer/approvals")
        return answer.json()["data"]

    async def decide(self, approval: dict[str, Any], action: str) -> dict[str, Any]:
        return await self._post(self.customer, f"/api/v1/customer/approvals/{approval['id']}", action=action)

    async def outcome(self, approval_id: str) -> Any:
        answer = await self.customer.get(f"/api/v1/customer/approvals/{approval_id}")
        data = answer.json()["data"]
        return data if data["outcome"] else None

    async def _post(self, client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
        answer = await client.post(path, json={k: v for k, v in body.items() if v != ""} if body else None)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return dict(answer.json()["data"])

    async def _sign_in(self, client: httpx.AsyncClient, provider: str, email: str) -> None:
        answer = await client.post(f"/api/auth/callback/{provider}", json={"email": email, "password": PASSWORD})
        assert answer.is_success, answer.text


def say(who: str, what: Any) -> None:
    text = what if isinstance(what, str) else json.dumps(what, ensure_ascii=False)
    print(f"{who:<9}{text}")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a short name: it holds PostgreSQL's socket."""
    with tempfile.TemporaryDirectory(prefix="oc-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


async def test_an_agent_s_command_is_decided_by_the_customer(gateway: GatewayProcess, short_folder: Path):
    hub_url, health_url = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    people = People(hub_url)
    async with people.staff, people.customer:
        await _the_whole_way(gateway, people, hub_url, health_url, short_folder)


async def _the_whole_way(
    gateway: GatewayProcess, people: People, hub_url: str, health_url: str, short_folder: Path
) -> None:
    with process(
        str(BIN / "hub"),
        "serve",
        "--bind",
        hub_url.removeprefix("http://"),
        log=short_folder / "hub.log",
        HUB_STATE_DIR=str(short_folder / "hub"),
    ):
        await until(lambda: people.staff.get("/readyz"))
        token = await people.order_with_token()
        with process(
            *(str(BIN / "safety-wrapper"), "openclaw", "--hub", hub_url, "--state", str(short_folder / "wrapper")),
            *("--listen", health_url.removeprefix("http://"), "--gateway", gateway.url),
            log=short_folder / "wrapper.log",
            SAFETY_WRAPPER_REGISTRATION_TOKEN=token,
            SAFETY_WRAPPER_GATEWAY_TOKEN=TOKEN,
        ):
            await until(lambda: _healthy(people.staff, health_url))
            for action, command in (("approve", "rm -rf /srv/shop/tmp/cache"), ("deny", "shutdown -h now")):
                await _one(gateway, people, action, command)
        secrets = (short_folder / "wrapper.log").read_text() + (short_folder / "hub.log").read_text()
    assert token not in secrets
    assert TOKEN not in secrets


async def _healthy(client: httpx.AsyncClient, health_url: str) -> bool:
    return bool((await client.get(f"{health_url}/health")).json()["status"] == "ok")


async def _one(gateway: GatewayProcess, people: People, action: str, command: str) -> None:
    """One command, from the agent's wish to what became of it."""
    decisions: list[str | None] = []

    async def agent() -> None:
        async with asking(gateway.url) as asker:
            say("agent", f"exec.approval.request {json.dumps({'command': command, 'cwd': '/srv'})}")
            decisions.append(await asker.ask(command))
            for frame in asker.seen:
                say("gateway", {"event": frame["event"], "payload": frame["payload"]})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent)
        (approval,) = await until(people.pending)
        say("hub", "GET /api/v1/customer/approvals")
        say("", {name: approval[name] for name in ("id", "commandClass", "humanReadable", "status", "argsHash")})
        assert (approval["commandClass"], approval["toolArgs"]) == ("red", {"command": command, "cwd": "/srv"})
        say("customer", f"POST /api/v1/customer/approvals/{approval['id']} {json.dumps({'action': action})}")
        settled = await people.decide(approval, action)
        say("hub", {"status": settled["status"], "decidedBy": settled["decidedBy"]})
    say("agent", f"decision: {decisions[0]}")
    if action == "approve":
        assert decisions == ["allow-once"]
        told = await until(lambda: people.outcome(approval["id"]))
        say("hub", {name: told[name] for name in ("status", "outcome", "outcomeDetail")})
        assert told["outcome"] == "executed"
    else:
        assert decisions == ["deny"]
    say("", "")
