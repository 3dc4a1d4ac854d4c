"""A real wrapper without a socket: it asks over HTTP, is told by webhook, and goes back to the socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.end_to_end.hub_process import free_port, until
from tests.end_to_end.middlebox import Middlebox
from tests.end_to_end.world import Tenant, World
from tests.fault.wrapper_process import WrapperProcess

DONE = [("begun", 1), ("acted", 1)]


class Server:
    """A tenant's server: its wrapper's process, what agents ask there, and what the Hub's book says of it."""

    def __init__(self, world: World, tenant: Tenant, wrapper: WrapperProcess, port: int) -> None:
        self.world = world
        self.tenant = tenant
        self.wrapper = wrapper
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=120)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def ask(self, path: str, body: Any) -> dict[str, Any]:
        """An agent's call at the gate."""
        answer = await self._client.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def health(self) -> dict[str, Any]:
        return dict((await self._client.get("/health")).json()["safetyWrapper"])

    def pushed(self, seq: int) -> list[dict[str, Any]]:
        """The Hub's word that a promise was taken by webhook."""
        return self.world.hub.logged("webhook.delivered", order=self.tenant.order_id, seq=seq)

    def results(self) -> int:
        """How many results of commands the Hub has committed."""
        statement = "SELECT count(*) FROM tenant_inbox WHERE order_id = $1 AND kind = 'commandResult'"
        return int(self.world.hub.value(statement, self.tenant.order))

    async def until_succeeded(self, command_id: str) -> dict[str, Any]:
        now: dict[str, Any] = {}

        async def ended() -> bool:
            self.wrapper.running()
            now.update(await self.tenant.command_now(command_id))
            return now["status"] not in ("QUEUED", "SENT", "ACKNOWLEDGED")

        await until(ended, what=f"the end of {command_id}", seconds=90)
        assert now["status"] == "SUCCEEDED", now
        return now


@pytest.fixture
async def box(world: World) -> AsyncIterator[Middlebox]:
    async with Middlebox.placed(world.hub.port) as box:
        yield box


@pytest.fixture
async def server(world: World, box: Middlebox, tmp_path: Path) -> AsyncIterator[Server]:
    """Registered through the box, on HTTP, with its first configuration in force; from then on no heartbeat comes
    through, which could bring promises too.
    """
    order_id = await world.order()
    wrapper = WrapperProcess(tmp_path)
    port = free_port()
    here = f"127.0.0.1:{port}"
    try:
        wrapper.start(
            box.url,
            await world.registration_token(order_id),
            options=["--listen", here, "--webhook-url", f"http://{here}"],
        )
        applied = "SELECT config_applied_version FROM server_connections WHERE order_id = $1"
        order = Tenant(world, order_id, "", "").order
        await until(lambda: (world.hub.sql(applied, order) or [(0,)])[0][0], what="a configured wrapper", seconds=90)
        server = Server(world, Tenant(world, order_id, world.server_of(order_id), ""), wrapper, port)
        assert (await server.health())["carrier"] == "http"
        box.hold_requests("/heartbeat")
        yield server
        await server.aclose()
    finally:
        wrapper.kill()


CALL = {"agentId": "it-admin", "toolName": "wipe_folder", "toolArgs": {"path": "/tmp/x"}, "waitSeconds": 100}


async def test_asked_over_http_decided_by_webhook_and_the_outcome_told(server: Server, world: World) -> None:
    tenant = server.tenant
    waiting = f"/api/v1/customer/approvals?orderId={tenant.order_id}&status=PENDING"
    answers: list[dict[str, Any]] = []
    async with trio.open_nursery() as agent:

        async def ask() -> None:
            answers.append(await server.ask("/gate", CALL))

        agent.start_soon(ask)

        async def asked() -> list[dict[str, Any]]:
            """Scripted agents may have asked for something too."""
            return [one for one in await world.customer.ok("GET", waiting) if one["toolName"] == "wipe_folder"]

        await until(asked, what="the request, over HTTP")
        (approval,) = await asked()
        assert (await world.customer.decide(approval["id"], "approve", reason="go on")).status_code == 200
    (answer,) = answers
    assert (answer["decision"], answer["respondedBy"], answer["approvalId"]) == ("allow", "Maria Weber", approval["id"])
    ((seq, _, _),) = tenant.promises("approvalSettled")
    await until(lambda: server.pushed(seq), what="the Hub's word that the webhook was taken")

    told = {"outcome": "executed", "detail": "12 files deleted"}
    await server.ask(f"/gate/{answer['requestId']}/outcome", told)

    async def outcome() -> Any:
        return (await world.customer.ok("GET", f"/api/v1/customer/approvals/{approval['id']}"))["outcome"]

    await until(outcome, what="the outcome, over HTTP", seconds=90)
    assert await outcome() == "executed"
    assert (await server.health())["carrier"] != "socket"


async def test_a_command_by_webhook_runs_once_and_nothing_is_lost_or_doubled_on_the_way_back_to_the_socket(
    server: Server, box: Middlebox
) -> None:
    tenant, wrapper = server.tenant, server.wrapper
    first = await tenant.command("ONCE")
    assert (await server.until_succeeded(first["id"]))["output"] == "acted in run 1"
    assert wrapper.steps(first["id"]) == DONE
    await until(lambda: server.pushed(first["seq"]), what="the Hub's word that the webhook was taken")
    assert box.refused >= 3

    box.sockets = True
    commands = [first]

    def carrier() -> Any:
        statement = "SELECT carrier FROM server_connections WHERE order_id = $1"
        return tenant.world.hub.value(statement, tenant.order)

    async def back() -> bool:
        commands.append(await tenant.command("ONCE"))  # while it changes over
        await server.until_succeeded(commands[-1]["id"])
        return bool(carrier() == "socket")

    await until(back, what="the socket", seconds=180)

    async def welcomed() -> bool:
        return bool((await server.health())["carrier"] == "socket")

    await until(welcomed, what="the welcome, at the wrapper")
    last = await tenant.command("ONCE")
    await server.until_succeeded(last["id"])
    assert server.pushed(last["seq"]) == []
    commands.append(last)

    assert [wrapper.steps(command["id"]) for command in commands] == [DONE] * len(commands)
    await tenant.until_acknowledged(last["seq"])
    assert tenant.marks() == (last["seq"], last["seq"])
    await until(lambda: not wrapper.journal("SELECT id FROM messages"), what="an empty outbox")
    assert server.results() == len(commands)
    numbers = [row[0] for row in wrapper.journal("SELECT seq FROM promises ORDER BY seq")]
    assert numbers == list(range(1, last["seq"] + 1))
