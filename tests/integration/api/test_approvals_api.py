"""People decide over HTTP: the list, one approval, the decision; who wins, who is told, who may not even know."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from protocol.tenant import ApprovalSettled
from tests.integration.api.tenants import Town, bad_fields, data, open_town, refusal
from tests.people import People

ADMIN = "/api/v1/admin/approvals"
MINE = "/api/v1/customer/approvals"


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    async with open_town(people) as town:
        yield town


async def test_a_customers_decision_is_pushed_in_the_same_breath(town: Town) -> None:
    tenant = await town.tenant()
    socket, customer = await tenant.connect(), await tenant.signed_in()
    asked = await tenant.ask()
    settled = data(await customer.post(f"{MINE}/{asked['id']}", json={"action": "approve"}))
    assert (settled["status"], settled["decidedBy"]["name"], settled["reason"]) == ("APPROVED", "Maria Weber", None)
    frame = socket.frames[-1]
    assert isinstance(frame, ApprovalSettled)
    assert (frame.approval_id, frame.action, frame.args_hash) == (asked["id"], "approve", asked["argsHash"])
    [entry] = await town.audit("approval.%")
    assert entry == ("approval.approved", "customer", "127.0.0.1")


async def test_the_loser_gets_a_conflict_with_the_winners_decision(town: Town) -> None:
    tenant = await town.tenant()
    customer, asked = await tenant.signed_in(), await tenant.ask()
    data(await town.owner.post(f"{ADMIN}/{asked['id']}", json={"action": "deny", "reason": "backup first"}))
    lost = refusal(await customer.post(f"{MINE}/{asked['id']}", json={"action": "approve"}), 409)
    assert lost["code"] == "CONFLICT"
    assert (lost["details"]["status"], lost["details"]["reason"]) == ("DENIED", "backup first")
    assert lost["details"]["decidedBy"]["name"] == "Olga Owner"
    assert "Olga Owner" in lost["message"]


async def test_of_twenty_at_once_one_wins(town: Town) -> None:
    tenant = await town.tenant()
    customer, asked = await tenant.signed_in(), await tenant.ask()
    statuses: list[int] = []

    async def decide(browser: httpx.AsyncClient, path: str, action: str) -> None:
        statuses.append((await browser.post(f"{path}/{asked['id']}", json={"action": action})).status_code)

    async with trio.open_nursery() as nursery:
        for turn in range(10):
            action = ("approve", "deny")[turn % 2]
            nursery.start_soon(decide, customer, MINE, action)
            nursery.start_soon(decide, town.owner, ADMIN, action)
    assert sorted(statuses) == [200, *[409] * 19]
    assert len(await town.audit("approval.%")) == 1


async def test_after_its_time_nobody_decides(town: Town) -> None:
    tenant = await town.tenant()
    customer, asked = await tenant.signed_in(), await tenant.ask(expiresInSeconds=60)
    town.people.clock.advance(seconds=60)
    late = refusal(await customer.post(f"{MINE}/{asked['id']}", json={"action": "approve"}), 409)
    assert late["details"]["status"] == "EXPIRED"
    assert "expired" in late["message"]
    assert [entry[:2] for entry in await town.audit("approval.%")] == [("approval.expired", "system")]


async def test_another_customers_approval_is_not_found(town: Town) -> None:
    mine, theirs = await town.tenant(), await town.tenant()
    me, asked = await mine.signed_in(), await theirs.ask()
    data(await (await theirs.signed_in()).get(f"{MINE}/{asked['id']}"))
    for answer in (
        await me.get(f"{MINE}/{asked['id']}"),
        await me.post(f"{MINE}/{asked['id']}", json={"action": "approve"}),
        await me.get(f"{MINE}/appr_nonsense"),
        await me.post(f"{MINE}/{mine.order_id}", json={"action": "deny"}),
    ):
        assert refusal(answer, 404)["code"] == "NOT_FOUND"
    assert data(await me.get(MINE)) == []
    assert data(await me.get(f"{MINE}?orderId={theirs.order_id}")) == []
    assert (await town.audit("approval.%")) == []


async def test_lists_are_of_pending_ones_unless_said_otherwise(town: Town) -> None:
    first, second = await town.tenant(), await town.tenant()
    waiting = []
    for _ in range(3):
        town.people.clock.advance(seconds=1)
        waiting.append((await first.ask())["id"])
    done = await second.ask()
    data(await town.owner.post(f"{ADMIN}/{done['id']}", json={"action": "approve"}))
    answer = await town.owner.get(f"{ADMIN}?pageSize=2")
    assert [one["id"] for one in data(answer)] == [waiting[2], waiting[1]]
    assert answer.json()["meta"] == {"page": 1, "pageSize": 2, "total": 3}
    assert [one["id"] for one in data(await town.owner.get(f"{ADMIN}?pageSize=2&page=2"))] == [waiting[0]]
    assert [one["id"] for one in data(await town.owner.get(f"{ADMIN}?status=APPROVED"))] == [done["id"]]
    assert data(await town.owner.get(f"{ADMIN}?orderId={second.order_id}")) == []
    assert data(await town.owner.get(f"{ADMIN}/{done['id']}"))["status"] == "APPROVED"


@pytest.mark.parametrize(
    ("query", "field"),
    [("status=MAYBE", "status"), ("orderId=nonsense", "orderId"), ("pageSize=101", "pageSize"), ("page=0", "page")],
)
async def test_a_bad_query_names_its_parameter(town: Town, query: str, field: str) -> None:
    assert bad_fields(await town.owner.get(f"{ADMIN}?{query}")) == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "action"),
        ({"action": "expire"}, "action"),
        ({"action": "deny", "reason": "x" * 2001}, "reason"),
        ({"action": "deny", "reason": "a\0b"}, "reason"),
        ({"action": "deny", "status": "APPROVED"}, "status"),
    ],
)
async def test_a_bad_decision_decides_nothing(town: Town, body: dict[str, str], field: str) -> None:
    tenant = await town.tenant()
    asked = await tenant.ask()
    assert bad_fields(await town.owner.post(f"{ADMIN}/{asked['id']}", json=body)) == [field]
    assert data(await town.owner.get(f"{ADMIN}/{asked['id']}"))["status"] == "PENDING"


async def test_a_lone_surrogate_in_a_reason_is_refused(town: Town) -> None:
    asked = await (await town.tenant()).ask()
    body = b'{"action":"deny","reason":"\\ud800"}'
    answer = await town.owner.post(f"{ADMIN}/{asked['id']}", content=body, headers={"Content-Type": "application/json"})
    assert refusal(answer, 400)["code"] == "VALIDATION_ERROR"


async def test_the_outcome_stands_in_the_approval(town: Town) -> None:
    tenant = await town.tenant()
    asked = await tenant.ask()
    keys = {"id", "orderId", "agentId", "commandClass", "toolName", "toolArgs", "humanReadable", "status"}
    keys |= {"requestedAt", "expiresAt", "requestId", "argsHash", "impact", "settledAt", "decidedBy", "reason"}
    assert set(asked) == keys | {"outcome", "outcomeDetail", "outcomeAt", "sentAt", "acknowledgedAt"}
