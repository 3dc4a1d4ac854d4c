"""The bridge against the real gateway, with a Hub by script: allowed, denied, timed out, restarted in between."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio

from tests.integration.wrapper.conftest import Eager, OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer
from tests.openclaw.gateway_process import TOKEN, GatewayProcess, asking
from wrapper.daemon import Wrapper
from wrapper.gateway import GatewayAddress
from wrapper.keyring import Secret
from wrapper.openclaw import Bridge
from wrapper.ports import SystemClock


def bridged(gateway: GatewayProcess, open_wrapper: OpenWrapper) -> AbstractAsyncContextManager[Wrapper]:
    """A wrapper with a bridge that is connected to the gateway."""

    @asynccontextmanager
    async def opened() -> Any:
        async with open_wrapper() as wrapper, trio.open_nursery() as nursery:
            bridge = Bridge(GatewayAddress(gateway.url), Secret(TOKEN), randomness=Eager(), clock=SystemClock())
            nursery.start_soon(bridge.run, wrapper)
            await connected(wrapper)
            yield wrapper
            nursery.cancel_scope.cancel()

    return opened()


async def connected(wrapper: Wrapper) -> None:
    await status_of(wrapper, lambda gateway: gateway.get("connected"))


async def status_of(wrapper: Wrapper, condition: Callable[[dict[str, Any]], object]) -> None:
    """Wait for what the bridge tells; the gateway is another process, so there is no event to await."""
    with trio.fail_after(60):
        while not condition(wrapper.openclaw):  # noqa: ASYNC110
            await trio.sleep(0.05)


class Answer:
    """A decision that is waited for in the background."""

    def __init__(self, gateway: GatewayProcess, nursery: trio.Nursery, command: str, **more: Any) -> None:
        self._done = trio.Event()
        self._decision: str | None = None
        nursery.start_soon(self._ask, gateway, command, more)

    async def _ask(self, gateway: GatewayProcess, command: str, more: dict[str, Any]) -> None:
        async with asking(gateway.url) as asker:
            self._decision = await asker.ask(command, **more)
        self._done.set()

    async def __call__(self) -> str | None:
        with trio.fail_after(60):
            await self._done.wait()
        return self._decision


@pytest.mark.parametrize(("action", "decision"), [("approve", "allow-once"), ("deny", "deny")])
async def test_what_the_gateway_asks_is_decided_by_the_hub(
    hub: HubPeer,
    open_wrapper: OpenWrapper,
    gateway: GatewayProcess,
    nursery: trio.Nursery,
    action: str,
    decision: str,
):
    async with bridged(gateway, open_wrapper) as wrapper:
        answer = Answer(gateway, nursery, "rm -rf /srv/old")
        request = await hub.message("approvalRequest")
        assert (request["agentId"], request["toolName"], request["commandClass"]) == ("it-admin", "exec", "red")
        assert request["toolArgs"] == {"command": "rm -rf /srv/old", "cwd": "/srv"}
        assert request["humanReadable"] == "it-admin wants to run in /srv: rm -rf /srv/old"
        assert 55 <= request["expiresInSeconds"] <= 60
        await hub.settle(request, action)
        assert await answer() == decision
        if action == "approve":
            told = await hub.message("approvalOutcome")
            assert (told["outcome"], told["detail"]) == ("executed", "released once by the gateway")
        assert wrapper.status()["openclaw"]["connected"]


async def test_a_decision_after_the_gateway_stopped_waiting_releases_nothing(
    hub: HubPeer, open_wrapper: OpenWrapper, gateway: GatewayProcess, nursery: trio.Nursery
):
    async with bridged(gateway, open_wrapper):
        answer = Answer(gateway, nursery, "reboot", timeout_ms=1500)
        request = await hub.message("approvalRequest")
        assert await answer() is None
        await hub.settle(request, "approve")
        assert (await hub.message("approvalOutcome"))["outcome"] == "abandoned"


async def test_a_wrapper_that_restarts_still_answers_what_waits(
    hub: HubPeer, open_wrapper: OpenWrapper, gateway: GatewayProcess, nursery: trio.Nursery
):
    async with bridged(gateway, open_wrapper):
        answer = Answer(gateway, nursery, "apt-get -y upgrade")
        request = await hub.message("approvalRequest")
    await hub.settle(request, "approve")
    async with bridged(gateway, open_wrapper):
        assert await answer() == "allow-once"
        assert (await hub.message("approvalOutcome"))["outcome"] == "executed"


async def test_a_gateway_that_restarts_has_forgotten_and_nothing_is_released(
    hub: HubPeer, open_wrapper: OpenWrapper, gateway: GatewayProcess, nursery: trio.Nursery
):
    async with bridged(gateway, open_wrapper) as wrapper:
        async with asking(gateway.url) as asker:
            nursery.start_soon(_ask_and_lose, asker)
            request = await hub.message("approvalRequest")
            gateway.stop()
        await status_of(wrapper, lambda told: not told["connected"])
        assert wrapper.status()["status"] == "degraded"
        await hub.settle(request, "approve")
        gateway.start()
        await gateway.ready()
        await connected(wrapper)
        told = await hub.message("approvalOutcome")
        assert (told["outcome"], told["detail"]) == ("abandoned", "the gateway no longer waits")


async def _ask_and_lose(asker: Any) -> None:
    with pytest.raises(Exception, match="close"):
        await asker.ask("rm -rf /srv/old", timeout_ms=120_000)


async def test_a_wrong_gateway_token_is_told_in_the_status(
    hub: HubPeer, open_wrapper: OpenWrapper, gateway: GatewayProcess
):
    async with open_wrapper() as wrapper, trio.open_nursery() as nursery:
        bridge = Bridge(GatewayAddress(gateway.url), Secret("wrong"), randomness=Eager(), clock=SystemClock())
        nursery.start_soon(bridge.run, wrapper)
        await status_of(wrapper, lambda told: told.get("lastEnding"))
        assert "unauthorized" in wrapper.openclaw["lastEnding"]
        assert not wrapper.openclaw["connected"]
        nursery.cancel_scope.cancel()
