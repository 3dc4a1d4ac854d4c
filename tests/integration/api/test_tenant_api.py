"""The wrapper's side over HTTP: registering, asking, polling, reporting; every bad thing it may say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from protocol.canonical import args_hash
from tests.integration.api.tenants import WISH, Town, bad_fields, data, open_town, refusal
from tests.people import People

HOUR = "2026-03-15T13:00:00Z"


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    async with open_town(people) as town:
        yield town


# --- keys ----------------------------------------------------------------------------------------------------


async def test_a_token_is_traded_for_a_key_once(town: Town) -> None:
    tenancy = await town.tenancy()
    body = {"registrationToken": await tenancy.token(), "aNewerField": 1}
    key = data(await town.nobody.post("/api/v1/tenant/register", json=body), 201)["hubApiKey"]
    assert key.startswith("hk_")
    refusal(await town.nobody.post("/api/v1/tenant/register", json=body), 401)
    tenancy.key = key
    assert data(await tenancy.call("GET", "config"))["configVersion"] >= 0
    [registered] = await town.audit("server.registered")
    assert registered[1:] == ("tenant", "127.0.0.1")


async def test_a_new_token_voids_the_last(town: Town) -> None:
    tenancy = await town.tenancy()
    first = await tenancy.token()
    await tenancy.token()
    refusal(await town.nobody.post("/api/v1/tenant/register", json={"registrationToken": first}), 401)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "registrationToken"),
        ({"registrationToken": ""}, "registrationToken"),
        ({"registrationToken": "a\0b"}, "registrationToken"),
        ({"registrationToken": "t", "instanceId": "i\0"}, "instanceId"),
        ({"registrationToken": "t", "safetyWrapperUrl": "ftp://x"}, "safetyWrapperUrl"),
    ],
)
async def test_a_bad_registration_names_its_field(town: Town, body: dict[str, Any], field: str) -> None:
    assert bad_fields(await town.nobody.post("/api/v1/tenant/register", json=body)) == [field]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer hk_", "Bearer nonsense", "Basic aGs6eA==", "Bearer hk_abcdef012345_00"]
)
async def test_without_a_good_key_nothing_is_answered(town: Town, header: str) -> None:
    for method, path in (("GET", "config"), ("POST", "heartbeat"), ("POST", "usage")):
        answer = await town.nobody.request(
            method, f"/api/v1/tenant/{path}", headers={"Authorization": header} if header else {}
        )
        assert refusal(answer, 401)["code"] == "UNAUTHORIZED"


async def test_a_revoked_key_ends_at_once(town: Town) -> None:
    tenant = await town.tenant()
    socket = await tenant.connect()
    server = await tenant.server_id()
    assert data(await town.owner.delete(f"/api/v1/admin/servers/{server}/key"))["keyRevokedAt"] is not None
    assert socket.closed_with == 4001
    refusal(await tenant.call("POST", "heartbeat", {"status": "healthy"}), 401)
    assert [entry[:2] for entry in await town.audit("server.key_revoked")] == [("server.key_revoked", "staff")]
    data(await town.owner.delete(f"/api/v1/admin/servers/{server}/key"))
    assert len(await town.audit("server.key_revoked")) == 1, "revoked already: nothing changed"
    await tenant.register()
    data(await tenant.call("POST", "heartbeat", {"status": "healthy"}))


# --- approvals -----------------------------------------------------------------------------------------------


async def test_an_approval_is_asked_for_polled_and_decided(town: Town) -> None:
    tenant = await town.tenant()
    asked = await tenant.ask(id="req-1", expiresInSeconds=600)
    assert (asked["status"], asked["requestId"], asked["impact"]) == ("PENDING", "req-1", "47 files")
    assert asked["argsHash"] == args_hash("file_delete", {"path": "/srv/old"})
    again = await tenant.call("POST", "approval-request", WISH | {"id": "req-1"})
    assert data(again, 200) == asked
    path = f"approval-response/{asked['id']}"
    assert data(await tenant.call("GET", path)) == {
        "id": asked["id"],
        "requestId": "req-1",
        "status": "PENDING",
        "action": None,
        "reason": None,
        "respondedBy": None,
        "settledAt": None,
    }
    customer = await tenant.signed_in()
    data(await customer.post(f"/api/v1/customer/approvals/{asked['id']}", json={"action": "deny", "reason": "no"}))
    told = data(await tenant.call("GET", path))
    assert (told["status"], told["action"], told["reason"]) == ("DENIED", "deny", "no")
    assert told["respondedBy"] == "Maria Weber"
    beat = data(await tenant.call("POST", "heartbeat", {"status": "healthy", "newField": {}}))
    assert [(one["id"], one["action"]) for one in beat["pendingApprovals"]] == [(asked["id"], "deny")]


async def test_the_arguments_come_back_byte_for_byte(town: Town) -> None:
    tenant = await town.tenant()
    raw = b'{"b": 1.50,   "a":[1e2, "\\u00e4\\/"]}'
    body = b'{"agentId":"a","commandClass":"red","toolName":"t","humanReadable":"x","toolArgs":' + raw + b"}"
    answer = await tenant.call("POST", "approval-request", content=body, headers={"Content-Type": "application/json"})
    asked = data(answer, 201)
    assert raw in answer.content
    customer = await tenant.signed_in()
    assert raw in (await customer.get(f"/api/v1/customer/approvals/{asked['id']}")).content


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"argsHash": "0" * 64}, "argsHash"),
        ({"toolArgs": {"n": 2**60}}, "toolArgs"),
        ({"commandClass": "purple"}, "commandClass"),
        ({"toolName": ""}, "toolName"),
        ({"id": "has space"}, "id"),
        ({"expiresInSeconds": 0}, "expiresInSeconds"),
        ({"expiresInSeconds": 2**63}, "expiresInSeconds"),
        ({"humanReadable": "a\0b"}, "humanReadable"),
        ({"toolArgs": {"a": "\0"}}, "toolArgs.a"),
        ({"impact": "x" * 2001}, "impact"),
    ],
)
async def test_a_bad_request_names_its_field(town: Town, values: dict[str, Any], field: str) -> None:
    tenant = await town.tenant()
    assert bad_fields(await tenant.call("POST", "approval-request", WISH | values)) == [field]


@pytest.mark.parametrize(
    "arguments",
    [b'{"a":1,"a":2}', b"1e400", b'"\\ud800"', b"[" * 3000 + b"]" * 3000],
    ids=["twice", "infinite", "surrogate", "deep"],
)
async def test_arguments_without_a_canonical_form_are_refused(town: Town, arguments: bytes) -> None:
    tenant = await town.tenant()
    body = b'{"agentId":"a","commandClass":"red","toolName":"t","humanReadable":"x","toolArgs":' + arguments + b"}"
    answer = await tenant.call("POST", "approval-request", content=body, headers={"Content-Type": "application/json"})
    assert refusal(answer, 400)["code"] == "VALIDATION_ERROR"


async def test_an_id_that_was_another_messages_is_a_conflict(town: Town) -> None:
    tenant = await town.tenant()
    data(await tenant.call("POST", "backup-status", {"id": "m1", "status": "success"}))
    assert refusal(await tenant.call("POST", "approval-request", WISH | {"id": "m1"}), 409)["code"] == "CONFLICT"
    await tenant.ask(id="m2")
    report = {"id": "m2", "buckets": [{"agentId": "a", "model": "m", "bucketHour": HOUR}]}
    refusal(await tenant.call("POST", "usage", report), 409)


async def test_another_tenants_approval_does_not_exist(town: Town) -> None:
    mine, theirs = await town.tenant(), await town.tenant()
    asked = await theirs.ask()
    for name in (asked["id"], "appr_nonsense", "appr_01hzzzzzzzzzzzzzzzzzzzzzzz", mine.order_id):
        assert refusal(await mine.call("GET", f"approval-response/{name}"), 404)["code"] == "NOT_FOUND"


# --- heartbeats, results, reports ----------------------------------------------------------------------------


async def test_commands_wait_for_the_heartbeat_and_end_with_their_result(town: Town) -> None:
    tenant = await town.tenant()
    server = await tenant.server_id()
    data(await tenant.call("POST", "heartbeat", {"status": "healthy"}))
    body = {"type": "RESTART_SERVICE", "payload": {"service": "nextcloud"}}
    command = data(await town.owner.post(f"/api/v1/admin/servers/{server}/command", json=body), 201)
    beat = data(await tenant.call("POST", "heartbeat", {"status": "healthy"}))
    [pending] = beat["pendingCommands"]
    assert (pending["id"], pending["type"], pending["payload"]) == (command["id"], *body.values())
    path = f"commands/{command['id']}/result"
    receipt = data(await tenant.call("POST", path, {"status": "succeeded", "output": "done"}))
    assert receipt["accepted"] is True
    told = data(await town.owner.get(f"/api/v1/admin/servers/{server}/commands/{command['id']}"))
    assert (told["status"], told["output"]) == ("SUCCEEDED", "done")
    theirs = await town.tenant()
    refusal(await theirs.call("POST", path, {"status": "failed"}), 404)
    refusal(await tenant.call("POST", "commands/cmd_nonsense/result", {"status": "failed"}), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "ok", "ackSeq": 99}, "ackSeq"),
        ({"status": "ok", "ackSeq": 2**63}, "ackSeq"),
        ({"status": "ok", "configVersion": 2**64}, "configVersion"),
        ({"status": "ok", "safetyWrapperVersion": "1\0"}, "safetyWrapperVersion"),
        ({"status": "ok", "agents": {"a\0": {"status": "x"}}}, "agents.a�"),
        ({"status": "ok", "resources": {"cpuPercent": "much"}}, "resources.cpuPercent"),
        ({}, "status"),
    ],
)
async def test_a_bad_heartbeat_names_its_field(town: Town, body: dict[str, Any], field: str) -> None:
    tenant = await town.tenant()
    assert bad_fields(await tenant.call("POST", "heartbeat", body)) == [field]


async def test_every_bad_bucket_is_named(town: Town) -> None:
    tenant = await town.tenant()
    good = {"agentId": "a", "model": "m", "bucketHour": HOUR, "tokensInput": 5}
    bad = [
        good | {"bucketHour": "2026-03-15T13:30:00Z"},
        good | {"revision": 2**31},
        good | {"tokensInput": 2**63 - 1},
        good | {"model": ""},
        good | {"bucketHour": "0001-01-01T00:00:00+14:00"},
    ]
    answer = await tenant.call("POST", "usage", {"buckets": [good, *bad]})
    assert bad_fields(answer) == [
        "buckets.1.bucketHour",
        "buckets.2.revision",
        "buckets.3.tokensInput",
        "buckets.4.model",
        "buckets.5.bucketHour",
    ]
    town.people.clock.advance(seconds=1)
    answer = await tenant.call("POST", "usage", {"buckets": [good]})
    assert data(answer)["accepted"] is True


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-03-15T13:00:00", 5])
async def test_times_far_out_or_without_a_zone_are_refused(town: Town, moment: object) -> None:
    tenant = await town.tenant()
    body = {"status": "success", "startedAt": moment}
    assert bad_fields(await tenant.call("POST", "backup-status", body)) == ["startedAt"]


async def test_the_tenants_own_configuration(town: Town) -> None:
    tenant = await town.tenant()
    config = data(await tenant.call("GET", "config"))
    assert config["heartbeatSeconds"] == 30
    assert len(config["configHash"]) == 64


async def test_too_large_a_body(town: Town) -> None:
    tenant = await town.tenant()
    answer = await tenant.call("POST", "approval-request", WISH | {"toolArgs": {"x": "y" * 3_000_000}})
    assert refusal(answer, 413)["code"] == "PAYLOAD_TOO_LARGE"


async def test_the_database_away_is_a_503_with_a_time(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = await town.tenant()
    asked = await tenant.ask()
    database = town.people.database
    database._open = False
    answers: list[httpx.Response] = [
        await tenant.call("POST", "heartbeat", {"status": "healthy"}),
        await tenant.call("POST", "approval-request", WISH),
        await tenant.call("GET", f"approval-response/{asked['id']}"),
    ]
    database._open = True
    for answer in answers:
        assert refusal(answer, 503)["code"] == "OVERLOADED"
        assert int(answer.headers["Retry-After"]) >= 1
