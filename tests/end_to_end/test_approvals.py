"""Decisions that come twice, too late, from the wrong person, or all at once: one winner, and the losers told who."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from tests.end_to_end.hub_process import until
from tests.end_to_end.scripted_wrapper import ScriptedWrapper, approval_request
from tests.end_to_end.world import Tenant, World


async def pending(tenant: Tenant, wrapper: ScriptedWrapper, **changes: Any) -> dict[str, Any]:
    return await tenant.approval_of(await wrapper.ask(**changes))


def audit_of(world: World, approval_id: str) -> list[str]:
    rows = world.hub.sql("SELECT action FROM audit_entries WHERE target = $1 ORDER BY position", approval_id)
    return [row[0] for row in rows]


@pytest.mark.parametrize(("first", "second"), [("approve", "deny"), ("deny", "approve"), ("approve", "approve")])
async def test_the_second_decision_is_told_who_was_first(world: World, first: str, second: str) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        approval = await pending(tenant, wrapper)
        assert (await world.staff.decide(approval["id"], first)).status_code == 200
        late = await world.customer.decide(approval["id"], second)
        assert late.status_code == 409
        error = late.json()["error"]
        assert error["code"] == "CONFLICT"
        assert "Olga Owner" in error["message"]
        assert error["details"]["status"] == ("APPROVED" if first == "approve" else "DENIED")
        assert error["details"]["decidedBy"]["name"] == "Olga Owner"
        assert (await wrapper.promise())["action"] == first
        assert await wrapper.hears_nothing_before(approval_request(), "accepted") == []
    route = "/api/v1/customer/approvals/{approval_id}"
    await world.hub.until_logged("http.answered", route=route, status=409, code="CONFLICT")
    assert len(audit_of(world, approval["id"])) == 1


async def test_a_decision_after_expiry_changes_nothing(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        approval = await pending(tenant, wrapper, expiresInSeconds=1)
        expired = await wrapper.promise("approvalSettled")
        assert (expired["action"], expired["approvalId"]) == ("expire", approval["id"])
        assert expired["respondedBy"] is None
        late = await world.customer.decide(approval["id"], "approve")
        assert late.status_code == 409
        error = late.json()["error"]
        assert "expired" in error["message"]
        assert error["details"]["status"] == "EXPIRED"
        assert await wrapper.hears_nothing_before(approval_request(), "accepted") == []
    assert audit_of(world, approval["id"]) == ["approval.expired"]
    await world.hub.until_logged("approval.expired", approval=approval["id"])


async def test_an_approval_of_another_customer_is_not_there(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        approval = await pending(tenant, wrapper)
        for action in ("approve", "deny"):
            answer = await world.stranger.decide(approval["id"], action)
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "NOT_FOUND"
        absent = await world.stranger.decide("appr_00000000000000000000000000", "approve")
        there = await world.stranger.decide(approval["id"], "approve")
        words = [answer.json()["error"]["message"] for answer in (absent, there)]
        assert words[0].replace("appr_00000000000000000000000000", approval["id"]) == words[1]
        read = await world.stranger.refused("GET", f"/api/v1/customer/approvals/{approval['id']}")
        assert read[:2] == (404, "NOT_FOUND")
        assert await world.stranger.ok("GET", "/api/v1/customer/approvals") == []
        assert (await world.nobody.decide(approval["id"], "approve")).status_code == 401
        assert await wrapper.hears_nothing_before(approval_request(), "accepted") == []
    assert (await tenant.approval_of({"id": approval["requestId"]}))["status"] == "PENDING"
    route = "/api/v1/customer/approvals/{approval_id}"
    await world.hub.until_logged("http.answered", route=route, status=404, code="NOT_FOUND", method="POST")


@pytest.mark.slow
async def test_of_a_decision_a_denial_and_the_clock_at_once_one_wins(world: World) -> None:
    races = 200
    tenant = await world.tenant()
    verdicts: list[tuple[str, str, list[Any]]] = []

    async def decide(caller: Any, approval: dict[str, Any], action: str, answers: list[Any]) -> None:
        answers.append(await caller.decide(approval["id"], action))

    async def race(approval: dict[str, Any], at: float) -> None:
        answers: list[Any] = []
        await trio.sleep_until(at)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(decide, world.customer, approval, "approve", answers)
            nursery.start_soon(decide, world.staff, approval, "deny", answers)
        verdicts.append((approval["id"], approval["requestId"], answers))

    settled: dict[str, str] = {}
    async with tenant.connected() as wrapper:
        for lot in range(0, races, 100):
            asked = [approval_request(expiresInSeconds=6) for _ in range(100)]
            for request in asked:
                await wrapper.say(request)
            accepted: set[str] = set()
            while len(accepted) < 100:
                accepted |= set((await wrapper.hear("accepted"))["ids"])
            found = await world.customer.ok("GET", f"/api/v1/customer/approvals?orderId={tenant.order_id}&pageSize=100")
            async with trio.open_nursery() as nursery:
                assert {approval["requestId"] for approval in found} == accepted
                for number, approval in enumerate(found):
                    # From well before the expiry, since a busy machine needs its time, to well after it.
                    expires_in = datetime.fromisoformat(approval["expiresAt"]) - datetime.now(UTC)
                    offset = (number - 75) * 0.02
                    nursery.start_soon(race, approval, trio.current_time() + expires_in.total_seconds() + offset)
            while len(settled) < lot + 100:
                frame = await wrapper.promise("approvalSettled")
                assert frame["approvalId"] not in settled, "told twice"
                settled[frame["approvalId"]] = frame["action"]
                await wrapper.ack()  # the Hub sends so many without, and no more
        assert await wrapper.hears_nothing_before(approval_request(), "accepted") == []
    assert len(verdicts) == races
    rows = world.hub.sql(
        "SELECT a.request_id, a.status, count(d.seq) FROM command_approvals a"
        " LEFT JOIN deliveries d ON d.reference = a.id"
        " WHERE a.order_id = $1 AND a.status <> 'PENDING' GROUP BY a.id",
        tenant.order,
    )
    book = {row[0]: row[1] for row in rows}
    audit = Counter(row[0] for row in world.hub.sql("SELECT target FROM audit_entries WHERE action LIKE 'approval.%'"))
    assert all(row[2] == 1 for row in rows)
    winners = {"approve": 0, "deny": 0, "expire": 0}
    for approval_id, request_id, answers in verdicts:
        action = settled[approval_id]
        winners[action] += 1
        assert book[request_id] == {"approve": "APPROVED", "deny": "DENIED", "expire": "EXPIRED"}[action]
        assert audit[approval_id] == 1
        won = [answer.json()["data"]["status"] for answer in answers if answer.status_code == 200]
        lost = [answer.json()["error"] for answer in answers if answer.status_code == 409]
        assert len(won) + len(lost) == 2, [answer.text for answer in answers]
        assert won == ([] if action == "expire" else [book[request_id]])
        for error in lost:
            if action == "expire":
                assert "expired" in error["message"]
            else:
                assert error["details"]["status"] == book[request_id]
                assert error["details"]["decidedBy"]["name"] in error["message"]
    assert all(winners.values()), winners


async def test_an_expiry_comes_although_nobody_is_connected_and_waits_as_a_promise(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        request = await wrapper.ask(expiresInSeconds=1)
    await until(lambda: len(tenant.promises("approvalSettled")) == 1)
    async with tenant.connected() as wrapper:
        frame = await wrapper.promise()
        assert (frame["type"], frame["action"], frame["requestId"]) == ("approvalSettled", "expire", request["id"])
