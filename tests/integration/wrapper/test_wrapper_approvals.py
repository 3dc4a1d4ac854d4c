"""Approvals end to end on the wrapper's side: asked, decided, used once; closed in every other case."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import rfc8785
import trio

from protocol.words import ApprovalOutcome, CommandClass
from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import HubPeer
from wrapper.approvals import NotAskable
from wrapper.daemon import Wrapper
from wrapper.gate import Pass, ToolCall

ARGS = {"path": "/opt/letsbe/tmp/*", "recursive": True}
CALL = ToolCall("it-admin", "file_delete", ARGS, "IT Admin wants to delete tmp/* (47 files)")


class Asking:
    """An agent that asks in the background."""

    def __init__(self, wrapper: Wrapper, nursery: trio.Nursery, call: ToolCall = CALL) -> None:
        self.done = trio.Event()
        self.answer: Pass
        nursery.start_soon(self._ask, wrapper, call)

    async def _ask(self, wrapper: Wrapper, call: ToolCall) -> None:
        self.answer = await wrapper.gate.ask(call)
        self.done.set()

    async def __call__(self) -> Pass:
        with trio.fail_after(20):
            await self.done.wait()
        return self.answer


async def test_an_approved_call_runs_once_and_its_outcome_is_told(
    hub: HubPeer, open_wrapper: OpenWrapper, nursery: trio.Nursery
):
    async with open_wrapper() as wrapper:
        asking = Asking(wrapper, nursery)
        request = await hub.message("approvalRequest")
        assert request["commandClass"] == "red"
        text = rfc8785.dumps({"args": ARGS, "tool": "file_delete"})
        assert request["argsHash"] == hashlib.sha256(text).hexdigest()
        approval = await hub.settle(request, "approve")
        answer = await asking()
        assert answer.granted
        assert [await answer.use(), await answer.use()] == [True, False]
        await answer.report(ApprovalOutcome.EXECUTED, "47 files")
        await answer.report(ApprovalOutcome.EXECUTED, "again")
        told = await hub.message("approvalOutcome")
    assert (told["approvalId"], told["outcome"], told["detail"]) == (approval, "executed", "47 files")
    assert len([frame for frame in hub.taken.values() if frame["type"] == "approvalOutcome"]) == 1


@pytest.mark.parametrize(("action", "why"), [("deny", "not today"), ("expire", "expired")])
async def test_a_denied_or_expired_call_does_not_run(
    hub: HubPeer, open_wrapper: OpenWrapper, nursery: trio.Nursery, action: str, why: str
):
    async with open_wrapper() as wrapper:
        asking = Asking(wrapper, nursery)
        await hub.settle(await hub.message("approvalRequest"), action, reason="not today" if action == "deny" else None)
        answer = await asking()
        assert (answer.granted, answer.why, await answer.use()) == (False, why, False)


async def test_an_approval_of_other_arguments_opens_nothing(
    hub: HubPeer, open_wrapper: OpenWrapper, nursery: trio.Nursery
):
    async with open_wrapper() as wrapper:
        asking = Asking(wrapper, nursery)
        await hub.settle(await hub.message("approvalRequest"), "approve", argsHash="0" * 64)
        answer = await asking()
        assert not await answer.use()
        told = await hub.message("approvalOutcome")
    assert (told["outcome"], told["detail"]) == ("abandoned", "the decision was for other arguments")


async def test_the_first_decision_counts(hub: HubPeer, open_wrapper: OpenWrapper, nursery: trio.Nursery):
    async with open_wrapper() as wrapper:
        asking = Asking(wrapper, nursery)
        request = await hub.message("approvalRequest")
        await hub.settle(request, "deny")
        await hub.settle(request, "approve")
        await hub.acked(2)
        assert not await (await asking()).use()


async def test_a_request_made_while_the_hub_is_away_waits_and_keeps_its_time(
    hub: HubPeer, open_wrapper: OpenWrapper, nursery: trio.Nursery
):
    hub.refuse_handshakes = [(503, {})] * 3
    async with open_wrapper() as wrapper:
        asking = Asking(wrapper, nursery)
        request = await hub.message("approvalRequest")
        assert 86_000 < request["expiresInSeconds"] <= 86_400
        await hub.settle(request, "approve")
        assert await (await asking()).use()


async def test_a_request_the_hub_will_not_take_is_closed(
    hub: HubPeer, open_wrapper: OpenWrapper, nursery: trio.Nursery
):
    hub.refuse = lambda frame: {"code": "VALIDATION_ERROR", "message": "argsHash does not match", "temporary": False}
    async with open_wrapper() as wrapper:
        answer = await Asking(wrapper, nursery)()
        assert (answer.granted, answer.why) == (False, "VALIDATION_ERROR: argsHash does not match")
        assert wrapper.status()["safetyWrapper"]["owed"] == 0


async def test_a_call_that_cannot_be_shown_is_closed_without_asking(hub: HubPeer, open_wrapper: OpenWrapper):
    async with open_wrapper() as wrapper:
        for call in (
            ToolCall("it-admin", "shell", {"n": 2**60}, "a number beyond canonical JSON"),
            ToolCall("", "shell", {}, "no agent"),
            ToolCall("it-admin", "shell", {"text": "x" * 1_100_000}, "larger than a frame"),
        ):
            answer = await wrapper.gate.ask(call)
            assert (answer.granted, await answer.use()) == (False, False)
        with pytest.raises(NotAskable, match="there is no request"):
            await wrapper.approvals.decision("unknown")


async def test_an_unused_approval_survives_a_restart_and_a_used_one_does_not_open_again(
    hub: HubPeer, open_wrapper: OpenWrapper, nursery: trio.Nursery
):
    async with open_wrapper() as wrapper:
        Asking(wrapper, nursery, ToolCall("it-admin", "shell", {"n": 1}, "first", owner="me", reference="r1"))
        request = await hub.message("approvalRequest")
        nursery.cancel_scope.cancel()
    await hub.settle(request, "approve")
    async with open_wrapper() as wrapper:
        (row,) = await wrapper.approvals.unfinished("me")
        again = await wrapper.gate.submit(ToolCall("it-admin", "shell", {"n": 1}, "x", owner="me", reference="r1"))
        assert not isinstance(again, Pass)
        assert again.request_id == row.request_id == request["id"]
        answer = await wrapper.gate.answer(row)
        assert await answer.use()
    async with open_wrapper() as wrapper:
        (row,) = await wrapper.approvals.unfinished("me")
        assert row.state == "used"
        assert not await wrapper.approvals.use(row)
        await wrapper.approvals.report(row.request_id, ApprovalOutcome.FAILED, "interrupted, outcome unknown")
        assert (await hub.message("approvalOutcome"))["outcome"] == "failed"
    assert len([frame for frame in hub.taken.values() if frame["type"] == "approvalRequest"]) == 1


async def test_an_approval_nobody_asked_for_is_told_back(hub: HubPeer, open_wrapper: OpenWrapper):
    await hub.settle({"id": "unknown", "argsHash": "0"}, "approve")
    async with open_wrapper():
        told = await hub.message("approvalOutcome")
    assert (told["outcome"], told["detail"]) == ("abandoned", "the request is unknown here")


# --- configuration: what is asked for at all ---------------------------------------------------------------


def configuration(version: int, **changes: Any) -> dict[str, Any]:
    agent = {
        "id": "agcfg_1",
        "orderId": "ord_1",
        "agentId": "it-admin",
        "name": "IT Admin",
        "role": "it-admin",
        "soulMd": "",
        "toolsAllowed": [],
        "toolsDenied": ["db_drop"],
        "toolProfile": "coding",
        "autonomyLevel": 2,
        "externalCommsUnlocks": None,
        "isActive": True,
    }
    config: dict[str, Any] = {
        "configVersion": version,
        "agents": [agent],
        "toolTable": {"file_read": "green", "file_delete": "red", "docker_restart": "yellow"},
        "modelRouting": {},
        "heartbeatSeconds": 30,
        "aFieldOfTheFuture": {"n": 1},
    } | changes
    return config | {"configHash": hashlib.sha256(rfc8785.dumps(config)).hexdigest()}


async def offer(hub: HubPeer, config: dict[str, Any], **changes: Any) -> None:
    fields = {"configVersion": config["configVersion"], "configHash": config["configHash"], "config": config}
    await hub.promise("configOffered", **(fields | changes))


async def test_a_configuration_is_applied_reported_kept_and_obeyed_without_the_hub(
    hub: HubPeer, open_wrapper: OpenWrapper
):
    config = configuration(7)
    await offer(hub, config)
    async with open_wrapper():
        applied = await hub.message("configApplied")
        assert applied == applied | {"configVersion": 7, "configHash": config["configHash"], "ok": True, "error": None}
    hub.refuse_handshakes = [(503, {})] * 1000
    async with open_wrapper() as wrapper:
        read = await wrapper.gate.ask(ToolCall("it-admin", "file_read", {}, "reads"))
        drop = await wrapper.gate.ask(ToolCall("it-admin", "db_drop", {}, "drops"))
        restart = await wrapper.gate.ask(ToolCall("it-admin", "docker_restart", {}, "restarts"))
        unknown = await wrapper.gate.submit(ToolCall("it-admin", "launch", {}, "launches"))
        assert (read.granted, drop.granted, restart.granted) == (True, False, True)
        assert await read.use()
        assert not isinstance(unknown, Pass)
        assert unknown.command_class == CommandClass.RED
        assert wrapper.status()["safetyWrapper"]["configVersion"] == 7


async def test_a_configuration_that_is_not_what_was_announced_is_refused(hub: HubPeer, open_wrapper: OpenWrapper):
    good, bad = configuration(7), configuration(8)
    await offer(hub, good)
    await offer(hub, bad | {"heartbeatSeconds": 1})
    await offer(hub, bad, configHash="0" * 64)
    await offer(hub, configuration(6))
    await offer(hub, configuration(9), configVersion=10)
    await offer(hub, configuration(11, agents=[{"agentId": 7}]))
    await hub.promise("configOffered", configVersion=12, configHash="x", config="nonsense")
    async with open_wrapper() as wrapper:
        await hub.message("configApplied", 7)
        answers = [frame for frame in hub.taken.values() if frame["type"] == "configApplied"]
        assert wrapper.status()["safetyWrapper"]["configVersion"] == 7
    assert [frame["ok"] for frame in answers] == [True] + [False] * 6
    words = ["hashes to", "hashes to", "version 7 is in force", "it is 9", "cannot be read", "cannot be read"]
    for frame, word in zip(answers[1:], words, strict=True):
        assert word in frame["error"]


async def test_a_configuration_the_owner_cannot_apply_is_reported(hub: HubPeer, open_wrapper: OpenWrapper):
    async def applier(config: Any) -> None:
        if config.config_version == 2:
            raise RuntimeError("the gateway would not take it")

    await offer(hub, configuration(1))
    await offer(hub, configuration(2))
    async with open_wrapper(appliers=(applier,)) as wrapper:
        refused = await hub.message("configApplied", 2)
        assert wrapper.status()["safetyWrapper"]["configVersion"] == 1
    assert (refused["ok"], refused["error"]) == (
        False,
        "could not be applied: RuntimeError: the gateway would not take it",
    )


async def test_questions_are_answered(hub: HubPeer, open_wrapper: OpenWrapper):
    async with open_wrapper():
        await hub.connected()
        for kind in ("ping", "status", "dance"):
            await hub.say({"type": "query", "id": f"q-{kind}", "kind": kind, "params": {}, "deadlineMs": 2000})
        await hub.until(lambda: len([frame for frame in hub.frames if frame["type"] == "reply"]) == 3)
    replies = {frame["queryId"]: frame for frame in hub.frames if frame["type"] == "reply"}
    assert replies["q-ping"]["ok"]
    assert replies["q-status"]["data"]["safetyWrapper"]["connected"]
    assert (replies["q-dance"]["ok"], replies["q-dance"]["error"]) == (False, "this wrapper knows no question dance")
