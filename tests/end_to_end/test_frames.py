"""What breaks the protocol, and what does not: each ends in its close code, or in a refusal, and in a log line."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import trio
from websockets.exceptions import ConnectionClosed

from tests.end_to_end.scripted_wrapper import ScriptedWrapper, approval_request, hello
from tests.end_to_end.world import Tenant, World

KIB = 1024


async def ends(world: World, tenant: Tenant, wrapper: ScriptedWrapper, code: int, *, within_seconds: float = 5) -> str:
    """The socket closes with this code, and the log says so; returns the words."""
    ended, words = await wrapper.closed(within_seconds)
    assert ended == code, words
    await world.hub.until_logged("tenant.socket_closed", tenant=f"tenant/{tenant.order_id}", code=code)
    return words


@pytest.mark.slow
async def test_who_says_no_hello_is_closed_after_ten_seconds(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.dial() as wrapper:
        began = trio.current_time()
        words = await ends(world, tenant, wrapper, 4004, within_seconds=15)
        assert 9 <= trio.current_time() - began <= 13
    assert "hello" in words
    assert (await tenant.health())["presence"] == "offline"


async def test_anything_before_hello_breaks_the_protocol(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.dial() as wrapper:
        await wrapper.say({"type": "heartbeat", "status": "healthy"})
        assert "hello" in await ends(world, tenant, wrapper, 4006)


async def test_a_second_hello_breaks_the_protocol(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        await wrapper.say(hello(**tenant.journal))
        assert "second hello" in await ends(world, tenant, wrapper, 4006)


@pytest.mark.parametrize(("least", "most"), [(0, 0), (2, 3)], ids=["old", "new"])
async def test_no_common_version_of_the_protocol(world: World, least: int, most: int) -> None:
    tenant = await world.tenant()
    async with tenant.dial() as wrapper:
        await wrapper.say(hello(protocolMin=least, protocolMax=most, **tenant.journal))
        assert "protocol 1" in await ends(world, tenant, wrapper, 4002)
    assert tenant.marks() == (1, 1)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("not JSON", 4006),
        ("[]", 4006),
        ('"hello"', 4006),
        ('{"no": "type"}', 4006),
        ('{"type": 7}', 4006),
        ("[" * 10_000, 4006),
        ('{"type": "ack"}', 4006),
        ('{"type": "ack", "seq": -1}', 4006),
        ('{"type": "ack", "seq": 99}', 4006),
        (b"binary", 1003),
    ],
    ids=["text", "list", "string", "untyped", "number", "deep", "ack-empty", "ack-negative", "ack-beyond", "binary"],
)
async def test_what_no_wrapper_may_say(world: World, words: str | bytes, code: int) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        await wrapper.say(words)
        await ends(world, tenant, wrapper, code)
    assert tenant.marks() == (1, 1)


async def test_a_hello_that_claims_promises_never_made_breaks_the_protocol(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.dial() as wrapper:
        await wrapper.say(hello(**{**tenant.journal, "lastSeq": 2}))
        assert "lastSeq" in await ends(world, tenant, wrapper, 4006)
    assert tenant.marks() == (1, 1)


@pytest.mark.parametrize(
    "changes",
    [{"bootId": ""}, {"lastSeq": "one"}, {"capabilities": "all"}, {"protocolMin": None}, {"configVersion": 2**40}],
    ids=str,
)
async def test_a_bad_hello_breaks_the_protocol(world: World, changes: dict[str, Any]) -> None:
    tenant = await world.tenant()
    async with tenant.dial() as wrapper:
        await wrapper.say(hello(**changes))
        assert "hello" in await ends(world, tenant, wrapper, 4006)


async def test_an_unknown_type_is_ignored_and_counted(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        for _ in range(3):
            await wrapper.say({"type": "telepathy", "id": "1", "payload": [1]})
        await wrapper.ask()  # the session goes on
    lines = world.hub.logged("tenant.unknown_frame_ignored", tenant=f"tenant/{tenant.order_id}")
    assert [line["type"] for line in lines] == ["telepathy"]  # once a connection
    metrics = (await world.nobody.call("GET", "/metrics")).text
    counted = next(line for line in metrics.splitlines() if line.startswith("hub_tenant_frames_unknown "))
    assert float(counted.split()[1]) >= 3


async def test_frames_have_a_limit_which_hello_raises(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.dial() as wrapper:
        await wrapper.say(json.dumps(hello(padding="x" * 64 * KIB)))
        await ends(world, tenant, wrapper, 1009)
    async with tenant.connected() as wrapper:
        await wrapper.ask(humanReadable="x" * 150 * KIB)
        await wrapper.say({"type": "activity", "id": "big", "padding": "x" * (1024 * KIB + 1)})
        await ends(world, tenant, wrapper, 1009)


async def test_too_many_frames_at_once_are_too_fast(world: World) -> None:
    tenant = await world.tenant()
    other = await world.tenant()
    async with tenant.connected() as wrapper, other.connected() as calm:
        beat = json.dumps({"type": "heartbeat", "status": "healthy"})
        with contextlib.suppress(ConnectionClosed):  # it may end while we still talk
            for _ in range(3000):
                await wrapper.say(beat)
        assert "reconnect in 5 s" in await ends(world, tenant, wrapper, 4005)
        await calm.ask()  # nobody else feels it
    async with tenant.connected() as again:  # the session can be taken up
        await again.ask()


REFUSED = {
    "wrong hash": approval_request(argsHash="0" * 64),
    "hash of other arguments": approval_request(argsHash=approval_request(toolArgs={"path": "/"})["argsHash"]),
    "no hash": {name: value for name, value in approval_request().items() if name != "argsHash"},
    "NUL": approval_request(humanReadable="before\0after"),
    "unknown class": approval_request(commandClass="purple"),
    "for ever": approval_request(expiresInSeconds=10**9),
    "empty agent": approval_request(agentId=""),
    "no arguments": {name: value for name, value in approval_request().items() if name != "toolArgs"},
    "not canonical": approval_request(toolArgs={"n": 2**60}, argsHash="0" * 64),
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED.keys())
async def test_a_request_that_cannot_be_taken_is_refused_and_the_session_goes_on(
    world: World, request_: dict[str, Any]
) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        refused = await wrapper.verdict(request_)
        assert refused["type"] == "refused"
        assert refused["id"] == request_["id"]
        assert refused["code"] == "VALIDATION_ERROR"
        assert refused["temporary"] is False
        await wrapper.ask()
    assert world.hub.value("SELECT count(*) FROM command_approvals WHERE order_id = $1", tenant.order) == 1
    refusals = world.hub.logged("tenant.message_refused", order=tenant.order_id) + world.hub.logged(
        "tenant.bad_frame", tenant=f"tenant/{tenant.order_id}"
    )
    assert len(refusals) == 1


@pytest.mark.parametrize("command_id", ["cmd_00000000000000000000000000", "nonsense", "another tenant's"])
async def test_a_result_of_no_command_of_this_tenant_is_refused(world: World, command_id: str) -> None:
    tenant = await world.tenant()
    if command_id == "another tenant's":
        command_id = (await (await world.tenant()).command())["id"]
    async with tenant.connected() as wrapper:
        result = {"type": "commandResult", "id": "r", "commandId": command_id, "status": "succeeded"}
        for _ in range(2):  # the same verdict again
            refused = await wrapper.verdict(result)
            assert (refused["type"], refused["code"]) == ("refused", "NOT_FOUND")
    assert len(world.hub.logged("tenant.message_refused", order=tenant.order_id, code="NOT_FOUND")) == 2


async def test_a_message_sent_again_is_taken_once(world: World) -> None:
    tenant = await world.tenant()
    request = approval_request()
    async with tenant.connected() as wrapper:
        for _ in range(2):
            assert await wrapper.verdict(request) == {"type": "accepted", "ids": [request["id"]]}
    async with tenant.connected() as wrapper:
        assert await wrapper.verdict(request) == {"type": "accepted", "ids": [request["id"]]}
    assert world.hub.value("SELECT count(*) FROM command_approvals WHERE order_id = $1", tenant.order) == 1


async def test_many_messages_at_once_are_all_taken_or_told_to_come_again(world: World) -> None:
    tenant = await world.tenant()
    owed = {request["id"]: request for request in (approval_request() for _ in range(600))}
    temporary = 0
    with trio.fail_after(60):
        while owed:
            async with tenant.connected() as wrapper:
                try:
                    for request in owed.values():  # far more at once than the Hub takes in hand
                        await wrapper.say(request)
                    for _ in range(len(owed)):  # every one of them is answered, while the connection lasts
                        answer = await wrapper.hear("accepted", "refused")
                        if answer["type"] == "accepted":
                            for message_id in answer["ids"]:
                                del owed[message_id]
                        else:
                            temporary += 1
                            assert (answer["code"], answer["temporary"]) == ("OVERLOADED", True), answer
                except ConnectionClosed:
                    code, words = await wrapper.closed()
                    assert (code, "reconnect in 5 s" in words) == (4005, True)
                    await trio.sleep(5)
    assert temporary > 0
    assert world.hub.value("SELECT count(*) FROM command_approvals WHERE order_id = $1", tenant.order) == 600


async def test_who_floods_without_listening_keeps_nobody_else_waiting_and_is_welcome_once_calm(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    requests = [approval_request() for _ in range(600)]
    async with other.connected() as calm:
        for _ in range(15):
            async with tenant.dial() as wrapper:
                await wrapper.say(hello(**tenant.journal))
                with contextlib.suppress(ConnectionClosed):
                    for request in requests:  # without waiting for the welcome, beyond what the mailbox holds
                        await wrapper.say(request)
            await calm.ask()
    async with tenant.connected() as wrapper:
        await wrapper.ask()
