"""Webhooks at the wrapper's port: proven or refused, taken once, journalled before the 2xx, in the order of numbers."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from protocol.canonical import canonical
from tests.end_to_end.hub_process import until
from tests.integration.wrapper.conftest import OpenWrapper
from tests.integration.wrapper.hub_peer import KEY, HubPeer, moment
from tests.integration.wrapper.test_wrapper_fallback import QUICK, call
from wrapper.commands import CommandCall, Executor
from wrapper.daemon import Wrapper
from wrapper.journal import promises
from wrapper.keyring import Secret
from wrapper.local_api import LocalApi

DIUN = {"diun_version": "4.28.0", "status": "update", "image": "docker.io/library/ghost:5", "digest": "sha256:12ab"}


def signed(event: str, raw: bytes, *, delivery: str | None = "dlv_1", key: str = KEY, at: float = 0) -> dict[str, str]:
    """The headers by hand; without a delivery's id, the specification's alone."""

    def signature(data: bytes) -> str:
        return hmac.new(key.encode(), data, hashlib.sha256).hexdigest()

    stamp = str(int(time.time() + at))
    headers = {"X-LetsBe-Signature": signature(raw), "X-LetsBe-Timestamp": stamp, "X-LetsBe-Event": event}
    if delivery is None:
        return headers
    v2 = signature(f"{delivery}.{stamp}.".encode() + raw)
    return {**headers, "X-LetsBe-Id": delivery, "X-LetsBe-Signature-V2": v2}


def command(seq: int | None = 1, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"commandId": f"cmd_{seq}", "type": "ACT", "payload": {"n": seq}}
    if seq is not None:
        place = {"seq": seq, "after": seq - 1, "resumedFrom": seq - 1}
        fields |= {**place, "issuedAt": moment(), "expiresAt": moment(600)}
    return {**fields, **changes}


class Acts:
    """An executor that counts its runs."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    async def __call__(self, command: CommandCall) -> str:
        self.runs.append(command.id)
        return "acted"


class Port:
    """The wrapper's port, as the Hub or anybody else calls it."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=30)

    async def post(self, event: str, body: Any, headers: dict[str, str] | None = None, **sign: Any) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        chosen = signed(event, raw, **sign) if headers is None else headers
        return await self._client.post(f"/webhooks/{event}", content=raw, headers=chosen)


@asynccontextmanager
async def listening(wrapper: Wrapper) -> AsyncIterator[Port]:
    api = LocalApi()
    wrapper.webhooks.add_to(api)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(api.serve, "127.0.0.1", 0)
        yield Port(f"http://127.0.0.1:{port}")
        nursery.cancel_scope.cancel()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def last_seq(wrapper: Wrapper) -> int:
    return await wrapper.link._parts.journal.run(promises.last_seq)


async def test_a_command_is_journalled_before_the_2xx_run_and_reported(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
):
    hub.blocked, hub.elsewhere = "502", 100
    acts = Acts()
    async with open_wrapper(pace=QUICK, executors={"ACT": Executor(acts)}) as wrapper, listening(wrapper) as port:
        answer = await port.post("command", command(1))
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as journal:
            assert journal.execute("SELECT seq, kind FROM promises").fetchall() == [(1, "command")]
        assert (answer.status_code, answer.json()["data"]) == (200, {"taken": True, "lastSeq": 1})
        assert (await hub.result("cmd_1"))["output"] == "acted"
    assert acts.runs == ["cmd_1"]


@pytest.mark.parametrize(
    "tampered",
    [
        {},
        {"key": "hk_another"},
        {"at": -301},
        {"at": 302},
        {"delivery": None},
    ],
    ids=["nothing", "key", "old", "new", "v1"],
)
async def test_what_is_not_proven_is_refused_and_leaves_nothing(
    hub: HubPeer, open_wrapper: OpenWrapper, tampered: dict[str, Any]
):
    async with open_wrapper() as wrapper, listening(wrapper) as port:
        headers = {} if not tampered else None
        answer = await port.post("command", command(1), headers, **tampered)
        assert code(answer) == (401, "UNAUTHORIZED")
        good = signed("command", raw := json.dumps(command(1)).encode())
        for name, value in (
            ("X-LetsBe-Id", "dlv_2"),
            ("X-LetsBe-Timestamp", str(int(good["X-LetsBe-Timestamp"]) + 1)),
            ("X-LetsBe-Signature-V2", "0" * 64),
            ("X-LetsBe-Signature-V2", "\xe4" * 64),
        ):
            changed = {**good, name: value.encode("latin-1")}  # type: ignore[dict-item]
            assert code(await port.post("command", raw, changed)) == (401, "UNAUTHORIZED")
        assert code(await port.post("command", raw + b" ", good)) == (401, "UNAUTHORIZED")
        assert await last_seq(wrapper) == 0
        assert wrapper.webhooks.refused == 6


async def test_what_is_proven_and_bad_is_refused_by_field(hub: HubPeer, open_wrapper: OpenWrapper):
    async with open_wrapper() as wrapper, listening(wrapper) as port:
        for event, body in (
            ("command", b"{"),
            ("command", {"seq": 1, "commandId": "cmd_1"}),
            ("command", command(1, issuedAt=None)),
            ("approval-response", {"seq": 1, "approvalId": "appr_1", "action": "approve"}),
            ("config-update", {"seq": 1, "configVersion": 1}),
            ("config-update", command(1)),
        ):
            assert code(await port.post(event, body)) == (400, "VALIDATION_ERROR"), (event, body)
        misdirected = json.dumps(command(1)).encode()
        answer = await port.post("command", misdirected, signed("config-update", misdirected))
        assert code(answer) == (400, "VALIDATION_ERROR")
        assert code(await port.post("command", b"x" * (1024 * 1024 + 1))) == (413, "PAYLOAD_TOO_LARGE")
        assert await last_seq(wrapper) == 0


async def test_a_replay_is_answered_and_does_nothing_across_restarts(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
):
    hub.blocked, hub.elsewhere = "502", 100
    acts = Acts()
    raw = json.dumps(command(1)).encode()
    headers = signed("command", raw, delivery="dlv_7")
    unnumbered = json.dumps(command(None, commandId="cmd_free")).encode()
    free_headers = signed("command", unnumbered, delivery="dlv_8")
    for restart in range(2):
        async with open_wrapper(executors={"ACT": Executor(acts)}) as wrapper, listening(wrapper) as port:
            for repeat in range(2):
                first = restart == repeat == 0
                assert (await port.post("command", raw, headers)).json()["data"] == {"taken": first, "lastSeq": 1}
                answer = await port.post("command", unnumbered, free_headers)
                assert answer.json()["data"]["taken"] is first
            await until(lambda: len(acts.runs) == 2, what="both runs")
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as journal:
        assert journal.execute("SELECT id FROM webhooks ORDER BY id").fetchall() == [("dlv_7",), ("dlv_8",)]
        journal.execute("UPDATE webhooks SET expires_at = 1")
    async with open_wrapper(executors={"ACT": Executor(acts)}) as wrapper, listening(wrapper) as port:
        await port.post("command", command(2), delivery="dlv_9")
        await until(lambda: len(acts.runs) == 3, what="the third run")
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as journal:
        assert journal.execute("SELECT id FROM webhooks").fetchall() == [("dlv_9",)]  # what expired is forgotten
    assert sorted(acts.runs) == ["cmd_1", "cmd_2", "cmd_free"]


async def test_gaps_are_told_voids_passed_and_a_lost_journal_goes_on(hub: HubPeer, open_wrapper: OpenWrapper):
    hub.blocked, hub.elsewhere = "502", 100
    async with open_wrapper() as wrapper, listening(wrapper) as port:
        gap = await port.post("command", command(3, after=2, resumedFrom=0), delivery="dlv_3")
        assert code(gap) == (409, "CONFLICT")
        assert gap.json()["error"]["details"] == {"lastSeq": 0}
        assert (await port.post("command", command(1), delivery="dlv_1")).is_success
        passing = await port.post("command", command(4, after=1, resumedFrom=1), delivery="dlv_4")  # 2 and 3 withdrawn
        assert passing.json()["data"] == {"taken": True, "lastSeq": 4}
        late = await port.post("command", command(3, after=2, resumedFrom=1), delivery="dlv_3")
        assert late.json()["data"] == {"taken": False, "lastSeq": 4}
        lost = await port.post("command", command(9, after=8, resumedFrom=8), delivery="dlv_9")
        assert lost.json()["data"] == {"taken": True, "lastSeq": 9}


async def test_an_approval_and_a_configuration_by_webhook(hub: HubPeer, open_wrapper: OpenWrapper):
    hub.blocked, hub.elsewhere = "502", 100
    async with open_wrapper() as wrapper, listening(wrapper) as port, trio.open_nursery() as nursery:
        passes: list[Any] = []

        async def ask() -> None:
            passes.append(await wrapper.gate.ask(call()))

        nursery.start_soon(ask)
        request = await hub.until(lambda: next((body for _, path, body in hub.http if "approval-req" in path), None))
        decision = {
            "seq": 1,
            "approvalId": "appr_1",
            "action": "approve",
            "respondedBy": "Maria",
            "requestId": request["id"],
            "argsHash": request["argsHash"],
            "settledAt": moment(),
        }
        assert (await port.post("approval-response", decision, delivery="dlv_1")).is_success
        await until(lambda: passes, what="the decision")
        assert passes[0].granted
        config: dict[str, Any] = {
            "configVersion": 1,
            "agents": [],
            "toolTable": {},
            "modelRouting": {},
            "heartbeatSeconds": 30,
        }
        digest = hashlib.sha256(canonical(config)).hexdigest()
        offer = {"configVersion": 1, "changedFields": ["agents"], "configHash": digest}
        place = {"seq": 2, "after": 1, "resumedFrom": 1}
        body = {**offer, **place, "config": {**config, "configHash": digest}}
        assert (await port.post("config-update", body, delivery="dlv_2")).is_success
        await until(lambda: wrapper.configuration.current, what="the configuration")
        assert wrapper.configuration.current is not None
        assert wrapper.configuration.current.config_hash == digest


async def test_a_hub_that_knows_the_specification_only(hub: HubPeer, open_wrapper: OpenWrapper):
    hub.blocked, hub.elsewhere = "502", 100
    acts = Acts()
    async with (
        open_wrapper(pace=QUICK, accept_v1=True, executors={"ACT": Executor(acts)}) as wrapper,
        listening(wrapper) as port,
        trio.open_nursery() as nursery,
    ):
        free = {"commandId": "cmd_free", "type": "ACT", "payload": {}}
        for _ in range(2):
            assert (await port.post("command", free, delivery=None)).is_success
        await until(lambda: acts.runs, what="the run")
        passes: list[Any] = []

        async def ask() -> None:
            passes.append(await wrapper.gate.ask(call()))

        nursery.start_soon(ask)
        request = await hub.until(lambda: next((body for _, path, body in hub.http if "approval-req" in path), None))
        await hub.until(lambda: wrapper.link._parts.session.owed == 0)
        unknown = {"approvalId": "appr_unknown", "action": "approve", "respondedBy": "Maria"}
        assert code(await port.post("approval-response", unknown, delivery=None)) == (404, "NOT_FOUND")
        decision = {"approvalId": f"appr_{request['id']}", "action": "approve", "respondedBy": "Maria"}
        for _ in range(2):
            assert (await port.post("approval-response", decision, delivery=None)).is_success
        await until(lambda: passes, what="the decision")
        assert passes[0].granted
        pulls = sum(path == "/config" for _, path, _ in hub.http)
        hub.config = {"configVersion": 0}
        notice = {"configVersion": 8, "changedFields": ["agents"]}
        assert (await port.post("config-update", notice, delivery=None)).is_success
        await hub.until(lambda: sum(path == "/config" for _, path, _ in hub.http) > pulls)
    assert acts.runs == ["cmd_free"]


async def test_diun_tells_of_an_image_under_its_own_secret(hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path):
    hub.blocked, hub.elsewhere = "502", 100
    async with open_wrapper(diun_token=Secret("diun-secret")) as wrapper, listening(wrapper) as port:
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "diun-secret"}):
            assert code(await port.post("diun", DIUN, header)) == (401, "UNAUTHORIZED")
        key = {"Authorization": "Bearer diun-secret"}
        assert code(await port.post("diun", {"image": "x"}, key)) == (400, "VALIDATION_ERROR")
        assert (await port.post("diun", {**DIUN, "created": "0001-01-01T00:00:00Z"}, key)).is_success
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as journal:
            assert journal.execute("SELECT kind FROM messages").fetchall() == [("imageUpdate",)]
        told = await hub.message("imageUpdate")
        assert (told["image"], told["status"], told["digest"]) == (DIUN["image"], "update", DIUN["digest"])
    async with open_wrapper(tmp_path / "other.sqlite") as wrapper, listening(wrapper) as port:
        assert code(await port.post("diun", DIUN, key)) == (403, "FORBIDDEN")


async def test_the_outer_port_answers_webhooks_and_nothing_else(hub: HubPeer, open_wrapper: OpenWrapper):
    async with open_wrapper() as wrapper, listening(wrapper) as port:
        for path in ("/health", "/gate", "/"):
            assert (await port._client.get(path)).status_code == 404
        assert (await port._client.get("/webhooks/command")).status_code == 405


async def test_the_socket_and_webhooks_bring_the_same_promise_once(hub: HubPeer, open_wrapper: OpenWrapper):
    acts = Acts()
    async with open_wrapper(executors={"ACT": Executor(acts)}) as wrapper, listening(wrapper) as port:
        await hub.connected()
        hub.push = False
        body = command(1)
        await hub.command("ACT", command_id="cmd_1")
        assert (await port.post("command", body)).is_success
        await hub.result("cmd_1")
        hub.push = True
        assert hub.acknowledged == 0  # the socket has not brought it yet, so nothing is acknowledged there
        await hub.say(hub.promises[1])
        await hub.acked(1)
        await hub.result(await hub.command("ACT", command_id="cmd_2"))
        await hub.acked(2)
    assert acts.runs == ["cmd_1", "cmd_2"]
    assert len(hub.hellos) == 1
