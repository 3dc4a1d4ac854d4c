"""`POST /gate` as an agent calls it: allowed, denied, waited for and taken up again; a grant opens once."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
import rfc8785
import trio

from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer
from tests.integration.wrapper.test_wrapper_approvals import configuration, offer
from wrapper.daemon import Wrapper
from wrapper.gate_api import WAITING_REQUESTS, GateApi
from wrapper.local_api import LocalApi

ARGS = {"path": "/opt/letsbe/tmp/*", "recursive": True}
CALL: dict[str, Any] = {"agentId": "it-admin", "toolName": "file_delete", "toolArgs": ARGS, "waitSeconds": 20}


class Agent:
    """An agent at the gate of a running wrapper."""

    def __init__(self, wrapper: Wrapper, client: httpx.AsyncClient) -> None:
        self.wrapper = wrapper
        self.client = client

    async def ask(self, **changes: Any) -> dict[str, Any]:
        answer = await self.client.post("/gate", json=CALL | changes)
        assert answer.status_code == (202 if answer.json().get("decision") == "pending" else 200), answer.text
        return answer.json()

    async def refused(self, **changes: Any) -> tuple[int, dict[str, Any]]:
        body = {name: value for name, value in (CALL | changes).items() if value is not ...}
        answer = await self.client.post("/gate", json=body)
        return answer.status_code, answer.json()["error"]

    async def say(self, request_id: str, outcome: str, detail: str | None = None) -> httpx.Response:
        return await self.client.post(f"/gate/{request_id}/outcome", json={"outcome": outcome, "detail": detail})


OpenGate = Callable[..., AbstractAsyncContextManager[Agent]]


@pytest.fixture
def open_gate(open_wrapper: OpenWrapper) -> OpenGate:
    """Opens a wrapper with its gate, on the journal of the test."""

    @asynccontextmanager
    async def opened(**fittings: Any) -> AsyncIterator[Agent]:
        async with open_wrapper(**fittings) as wrapper, trio.open_nursery() as nursery:
            api = LocalApi()
            GateApi(lambda: wrapper).add_to(api)
            port = await nursery.start(api.serve, "127.0.0.1", 0)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
                yield Agent(wrapper, client)
            nursery.cancel_scope.cancel()

    return opened


class Later:
    """What is asked in the background."""

    def __init__(self, nursery: trio.Nursery, agent: Agent, **changes: Any) -> None:
        self._done = trio.Event()
        self._answer: dict[str, Any] = {}
        nursery.start_soon(self._ask, agent, changes)

    async def _ask(self, agent: Agent, changes: dict[str, Any]) -> None:
        self._answer = await agent.ask(**changes)
        self._done.set()

    async def __call__(self) -> dict[str, Any]:
        with trio.fail_after(30):
            await self._done.wait()
        return self._answer


def of_type(hub: HubPeer, frame_type: str) -> list[dict[str, Any]]:
    return [frame for frame in hub.taken.values() if frame["type"] == frame_type]


# --- by policy ---------------------------------------------------------------------------------------------


async def test_the_configuration_decides_what_needs_no_person(hub: HubPeer, open_gate: OpenGate):
    await offer(hub, configuration(7))
    async with open_gate() as agent:
        await hub.message("configApplied")
        read = await agent.ask(toolName="file_read", toolArgs={"path": "/etc/hosts"})
        drop = await agent.ask(toolName="db_drop", toolArgs={})
        unknown = await agent.ask(toolName="launch", toolArgs={}, waitSeconds=0)
    assert (read["decision"], read["commandClass"], read["requestId"]) == ("allow", "green", None)
    assert read["reason"] == "file_read is green, which runs at autonomy level 2"
    assert not read["outcomeExpected"]
    assert (drop["decision"], drop["reason"]) == ("deny", "db_drop is denied to agent it-admin")
    assert (unknown["decision"], unknown["commandClass"]) == ("pending", "red")


@pytest.mark.parametrize("name", ["commandClass", "class", "autonomyLevel", "argsHash"])
async def test_the_caller_does_not_say_how_harmful_it_is(hub: HubPeer, open_gate: OpenGate, name: str):
    async with open_gate() as agent:
        status, error = await agent.refused(**{name: "green"})
        assert (status, error["code"]) == (400, "VALIDATION_ERROR")
        assert [problem["field"] for problem in error["details"]] == [name]
        assert not await agent.wrapper.approvals.unfinished("gate")


# --- by a person -------------------------------------------------------------------------------------------


async def test_an_approved_call_is_allowed_once_and_its_outcome_reaches_the_hub(
    hub: HubPeer, open_gate: OpenGate, nursery: trio.Nursery
):
    async with open_gate() as agent:
        asking = Later(nursery, agent, humanReadable="IT Admin wants to tidy up", impact="47 files")
        request = await hub.message("approvalRequest")
        approval = await hub.settle(request, "approve")
        answer = await asking()
        again = await agent.ask(requestId=answer["requestId"])
        told = await agent.say(answer["requestId"], "executed", "47 files gone")
        retried = await agent.say(answer["requestId"], "executed", "47 files gone")
        outcome = await hub.message("approvalOutcome")
        changed = await agent.say(answer["requestId"], "failed")
    digest = hashlib.sha256(rfc8785.dumps({"args": ARGS, "tool": "file_delete"})).hexdigest()
    assert (request["humanReadable"], request["impact"]) == ("IT Admin wants to tidy up", "47 files")
    assert answer["requestId"] == request["id"]
    assert (answer["decision"], answer["reason"]) == ("allow", "approved by Maria")
    assert (answer["approvalId"], answer["respondedBy"], answer["argsHash"]) == (approval, "Maria", digest)
    assert answer["outcomeExpected"]
    assert again["decision"] == "deny"
    assert "released once already" in again["reason"]
    assert (told.status_code, retried.status_code, changed.status_code) == (200, 200, 409)
    assert (outcome["approvalId"], outcome["outcome"], outcome["detail"]) == (approval, "executed", "47 files gone")
    assert len(of_type(hub, "approvalOutcome")) == 1


@pytest.mark.parametrize(
    ("action", "reason", "words"),
    [
        ("deny", "not on a Friday", "denied by Maria: not on a Friday"),
        ("deny", None, "denied by Maria"),
        ("expire", None, "expired before anybody decided"),
    ],
)
async def test_a_denied_or_expired_call_is_told_why(
    hub: HubPeer, open_gate: OpenGate, nursery: trio.Nursery, action: str, reason: str | None, words: str
):
    async with open_gate() as agent:
        asking = Later(nursery, agent, requestId="call-1")
        await hub.settle(await hub.message("approvalRequest"), action, reason=reason)
        answer = await asking()
        assert (answer["decision"], answer["reason"], answer["requestId"]) == ("deny", words, "call-1")
        said = await agent.say("call-1", "executed")
    assert (said.status_code, said.json()["error"]["code"]) == (409, "CONFLICT")


async def test_asking_again_goes_on_waiting_and_asks_nobody_twice(
    hub: HubPeer, open_gate: OpenGate, nursery: trio.Nursery
):
    async with open_gate() as agent:
        first = await agent.ask(requestId="call-1", waitSeconds=0)
        second = await agent.ask(requestId="call-1", waitSeconds=0.05)
        asking = Later(nursery, agent, requestId="call-1")
        request = await hub.message("approvalRequest")
        await hub.settle(request, "approve")
        third = await asking()
        assert [first["decision"], second["decision"], third["decision"]] == ["pending", "pending", "allow"]
        assert "ask again with requestId call-1" in first["reason"]
    assert len(of_type(hub, "approvalRequest")) == 1


async def test_without_an_id_the_answer_gives_one(hub: HubPeer, open_gate: OpenGate):
    async with open_gate() as agent:
        pending = await agent.ask(waitSeconds=0)
        await hub.settle(await hub.message("approvalRequest"), "approve")
        await hub.acked(1)
        assert (await agent.ask(requestId=pending["requestId"]))["decision"] == "allow"
    assert len(of_type(hub, "approvalRequest")) == 1


@pytest.mark.parametrize(
    "other", [{"toolArgs": {"path": "/"}}, {"toolName": "shell"}, {"agentId": "sales"}, {"toolArgs": {"n": 2**60}}]
)
async def test_an_id_opens_nothing_but_its_own_call(hub: HubPeer, open_gate: OpenGate, other: dict[str, Any]):
    async with open_gate() as agent:
        await agent.ask(requestId="call-1", waitSeconds=0)
        await hub.settle(await hub.message("approvalRequest"), "approve")
        await hub.acked(1)
        status, error = await agent.refused(requestId="call-1", **other)
        assert (status, error["code"]) == (409, "CONFLICT")
        assert (await agent.ask(requestId="call-1"))["decision"] == "allow"


async def test_of_many_who_ask_at_once_one_is_let_through(hub: HubPeer, open_gate: OpenGate, nursery: trio.Nursery):
    async with open_gate() as agent:
        asking = [Later(nursery, agent, requestId="call-1") for _ in range(12)]
        await hub.settle(await hub.message("approvalRequest"), "approve")
        decisions = sorted([(await one())["decision"] for one in asking])
    assert decisions == ["allow"] + ["deny"] * 11
    assert len(of_type(hub, "approvalRequest")) == 1


async def test_an_approval_of_other_arguments_opens_nothing(hub: HubPeer, open_gate: OpenGate, nursery: trio.Nursery):
    async with open_gate() as agent:
        asking = Later(nursery, agent)
        await hub.settle(await hub.message("approvalRequest"), "approve", argsHash="0" * 64)
        answer = await asking()
    assert (answer["decision"], "other arguments" in answer["reason"]) == ("deny", True)


async def test_what_the_configuration_denies_meanwhile_no_approval_opens(hub: HubPeer, open_gate: OpenGate):
    async with open_gate() as agent:
        await agent.ask(requestId="call-1", waitSeconds=0)
        approval = await hub.settle(await hub.message("approvalRequest"), "approve")
        agents = configuration(1)["agents"]
        await offer(hub, configuration(2, agents=[agents[0] | {"isActive": False}]))
        await hub.message("configApplied")
        answer = await agent.ask(requestId="call-1")
        told = await hub.message("approvalOutcome")
    assert (answer["decision"], answer["reason"]) == ("deny", "agent it-admin is switched off")
    assert (told["approvalId"], told["outcome"]) == (approval, "abandoned")


async def test_a_request_the_hub_refuses_is_denied_in_its_words(hub: HubPeer, open_gate: OpenGate):
    hub.refuse = lambda frame: {"code": "VALIDATION_ERROR", "message": "too long", "temporary": False}
    async with open_gate() as agent:
        answer = await agent.ask()
    assert (answer["decision"], answer["reason"]) == (
        "deny",
        "the Hub does not take this request: VALIDATION_ERROR: too long",
    )


async def test_what_cannot_be_shown_to_a_person_is_denied(hub: HubPeer, open_gate: OpenGate):
    async with open_gate() as agent:
        number = await agent.ask(toolArgs={"n": 2**60})
        large = await agent.ask(toolArgs={"text": "x" * 1_047_700})
        assert not await agent.wrapper.approvals.unfinished("gate")
    assert (number["decision"], number["reason"].startswith("cannot be asked for")) == ("deny", True)
    assert (large["decision"], "larger than a frame" in large["reason"]) == ("deny", True)


async def test_an_agent_floods_nobody(hub: HubPeer, open_gate: OpenGate):
    async with open_gate() as agent:
        for number in range(WAITING_REQUESTS):
            await agent.ask(requestId=f"call-{number}", waitSeconds=0)
        over = await agent.ask(requestId="one-more", waitSeconds=0)
        known = await agent.ask(requestId="call-3", waitSeconds=0)
        other = await agent.ask(requestId="of-another", agentId="sales", waitSeconds=0)
    assert (over["decision"], "wait for a decision already" in over["reason"]) == ("deny", True)
    assert (known["decision"], other["decision"]) == ("pending", "pending")


async def test_a_caller_that_hangs_up_uses_nothing_up(hub: HubPeer, open_gate: OpenGate):
    async with open_gate() as agent:
        with trio.move_on_after(0.5), contextlib.suppress(httpx.HTTPError):
            await agent.ask(requestId="call-1")
        request = await hub.message("approvalRequest")
        with trio.fail_after(20):
            while agent.wrapper.approvals._waiters:  # noqa: ASYNC110 (nobody tells of it)
                await trio.sleep(0.01)
        await hub.settle(request, "approve")
        await hub.acked(1)
        assert (await agent.ask(requestId="call-1"))["decision"] == "allow"


# --- outcomes ----------------------------------------------------------------------------------------------


async def test_an_outcome_needs_a_released_call(hub: HubPeer, open_gate: OpenGate):
    async with open_gate() as agent:
        assert (await agent.say("unknown", "executed")).status_code == 404
        pending = await agent.ask(requestId="call-1", waitSeconds=0)
        early = await agent.say("call-1", "executed")
        await hub.settle(await hub.message("approvalRequest"), "approve")
        await hub.acked(1)
        unreleased = await agent.say("call-1", "executed")
        withdrawn = await agent.say("call-1", "abandoned", "no longer needed")
        told = await hub.message("approvalOutcome")
        late = await agent.ask(requestId="call-1")
    assert pending["decision"] == "pending"
    assert [answer.status_code for answer in (early, unreleased, withdrawn)] == [409, 409, 200]
    assert early.json()["error"]["message"] == "it was never released: the request is requested"
    assert (told["outcome"], told["detail"]) == ("abandoned", "no longer needed")
    assert late["decision"] == "deny"


async def test_an_outcome_that_nobody_says_is_abandoned_in_time(hub: HubPeer, open_gate: OpenGate):
    async with open_gate() as agent:
        await agent.ask(requestId="call-1", waitSeconds=0)
        await hub.settle(await hub.message("approvalRequest"), "approve")
        await hub.acked(1)
        assert (await agent.ask(requestId="call-1", outcomeWithinSeconds=1))["decision"] == "allow"
        told = await hub.message("approvalOutcome")
        late = await agent.say("call-1", "executed")
    assert (told["outcome"], told["detail"]) == ("abandoned", "nobody said what became of it")
    assert (late.status_code, late.json()["error"]["details"]) == (409, {"outcome": "abandoned"})


async def test_a_text_with_what_no_frame_carries_is_mended(hub: HubPeer, open_gate: OpenGate):
    async with open_gate() as agent:
        await agent.ask(requestId="call-1", waitSeconds=0)
        await hub.settle(await hub.message("approvalRequest"), "approve")
        await hub.acked(1)
        await agent.ask(requestId="call-1")
        assert (await agent.say("call-1", "failed", "no\x00way")).status_code == 200
        told = await hub.message("approvalOutcome")
    assert told["detail"] == "no\N{REPLACEMENT CHARACTER}way"


# --- without a Hub, and before it --------------------------------------------------------------------------


async def test_with_the_hub_away_what_would_ask_is_denied_after_its_time(
    hub: HubPeer, open_gate: OpenGate, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("wrapper.journal.approvals.GRACE_SECONDS", 0.0)
    hub.refuse_handshakes = [(503, {})] * 1000
    async with open_gate() as agent:
        pending = await agent.ask(requestId="call-1", waitSeconds=0, expiresInSeconds=1)
        denied = await agent.ask(requestId="call-1")
    assert (pending["decision"], "the Hub has not taken the request yet" in pending["reason"]) == ("pending", True)
    assert (denied["decision"], denied["reason"]) == (
        "deny",
        "expired before anybody decided: no decision arrived in time",
    )


async def test_before_the_registration_nothing_runs():
    api = LocalApi()
    GateApi(lambda: None).add_to(api)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(api.serve, "127.0.0.1", 0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            answer = await client.post("/gate", json=CALL)
        nursery.cancel_scope.cancel()
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["retry-after"]) == (
        503,
        "OVERLOADED",
        "5",
    )


async def test_every_bad_field_is_named(hub: HubPeer, open_gate: OpenGate):
    async with open_gate() as agent:
        status, error = await agent.refused(
            agentId="", toolName=7, toolArgs=..., waitSeconds=-1, expiresInSeconds="soon", requestId="a b", nonsense=1
        )
        _, outcome = 0, (await agent.say("call-1", "exploded")).json()["error"]
        listed = await agent.client.post("/gate", json=[1])
    assert status == 400
    assert [problem["field"] for problem in error["details"]] == [
        "agentId",
        "toolName",
        "toolArgs",
        "waitSeconds",
        "expiresInSeconds",
        "requestId",
        "nonsense",
    ]
    assert [problem["field"] for problem in outcome["details"]] == ["outcome"]
    assert listed.json()["error"]["message"] == "body: must be an object"
