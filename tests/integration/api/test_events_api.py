"""What happened to an order, read backwards over HTTP; its configuration, offered beside applied."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from controlplane.store import events
from protocol.ids import format_id, parse_id
from protocol.tenant import Ack, ConfigApplied
from protocol.words import Role
from tests.end_to_end.hub_process import until
from tests.integration.api.tenants import Tenancy, Town, bad_fields, data, open_town, refusal
from tests.people import People

ORDERS = "/api/v1/admin/orders"


class UsageTold(msgspec.Struct):
    number: int


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    async with open_town(people) as town:
        yield town


async def _backwards(town: Town, tenant: Tenancy, limit: int) -> tuple[list[Any], int]:
    """All events of an order, page by page, and how many pages that took."""
    found: list[Any] = []
    cursor, pages = None, 0
    while True:
        query = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
        answer = await town.owner.get(f"{ORDERS}/{tenant.order_id}/events", params=query)
        found += data(answer)
        pages += 1
        cursor = answer.json()["meta"]["nextCursor"]
        assert answer.json()["meta"]["limit"] == limit
        if cursor is None:
            return found, pages


async def test_events_are_read_backwards_page_by_page_without_a_hole(town: Town) -> None:
    tenant, other = await town.tenant(), await town.tenant()
    asked = [(await tenant.ask(id=f"wish-{number}"))["id"] for number in range(7)]
    await other.ask(id="of-somebody-else")
    whole, once = await _backwards(town, tenant, 100)
    assert once == 1
    requested = [one["data"]["id"] for one in whole if one["kind"] == "approval.requested"]
    assert requested == list(reversed(asked))
    assert {one["data"].get("orderId", tenant.order_id) for one in whole if one["kind"] != "order.created"} == {
        tenant.order_id
    }
    portions, pages = await _backwards(town, tenant, 3)
    assert portions == whole
    assert pages == -(-len(whole) // 3)
    assert len({one["cursor"] for one in whole}) == len(whole)


async def test_the_whole_fleet_s_events_are_read_backwards_too(town: Town) -> None:
    tenant, other = await town.tenant(), await town.tenant()
    asked = [(await one.ask())["id"] for one in (tenant, other)]
    path = "/api/v1/admin/events"
    first = await town.owner.get(f"{path}?limit=2")
    assert [one["data"]["id"] for one in data(first)] == list(reversed(asked))
    rest = await town.owner.get(path, params={"limit": "100", "cursor": first.json()["meta"]["nextCursor"]})
    whole = data(await town.owner.get(f"{path}?limit=100"))
    assert data(first) + data(rest) == whole
    assert (await (await tenant.signed_in()).get(path)).status_code in (401, 403)


async def test_what_a_role_may_not_watch_is_left_out_of_its_pages(town: Town) -> None:
    tenant = await town.tenant()

    def report(connection: Any) -> None:
        for number in range(4):
            told = events.NewEvent("usage.reported", UsageTold(number), None, parse_id("ord", tenant.order_id))
            events.emit_all(connection, [told])

    await tenant.ask()
    await town.people.database.write(report)
    path = f"{ORDERS}/{tenant.order_id}/events?limit=2"
    assert [one["kind"] for one in data(await town.owner.get(path))] == ["usage.reported"] * 2
    await town.people.database.write(
        lambda connection: connection.execute(text("UPDATE staff SET role = :role"), {"role": Role.SUPPORT})
    )
    support = await town.people.signed_in("credentials", "owner@letsbe.biz")
    kinds = [one["kind"] for one in data(await support.get(path))]
    assert kinds[0] == "approval.requested"
    assert "usage.reported" not in kinds


async def test_strange_cursors_and_strange_orders_are_refused(town: Town) -> None:
    tenant = await town.tenant()
    for cursor in ("", "x", "1-2", "ff-1-1", "0-0-" + "f" * 20, "0-1-1; DROP"):
        answer = await town.owner.get(f"{ORDERS}/{tenant.order_id}/events", params={"cursor": cursor})
        assert bad_fields(answer) == ["cursor"]
    nobody = format_id("ord", parse_id("ord", "ord_" + "0" * 26))
    for path in ("events", "configuration"):
        assert refusal(await town.owner.get(f"{ORDERS}/{nobody}/{path}"), 404)["code"] == "NOT_FOUND"
        customer = await tenant.signed_in()
        assert (await customer.get(f"{ORDERS}/{tenant.order_id}/{path}")).status_code in (401, 403)


async def test_the_pages_go_by_an_index(town: Town) -> None:
    tenant = await town.tenant()

    def fill_and_explain(connection: Any) -> dict[str, str]:
        connection.exec_driver_sql(
            "INSERT INTO events (at, kind, order_id, data) SELECT now(), 'command.queued', gen_random_uuid(), '{}'"
            " FROM generate_series(1, 20000)"
        )
        connection.exec_driver_sql("ANALYZE events")
        values = {
            "order_id": parse_id("ord", tenant.order_id),
            "xid": events.LARGEST,
            "id": events.LARGEST,
            "rooms": ["command"],
            "limit": 25,
        }
        plans = {}
        for of, statement in events._PAST.items():
            named = {name: value for name, value in values.items() if f":{name}" in statement.text}
            plans[of] = "\n".join(row[0] for row in connection.execute(text(f"EXPLAIN {statement.text}"), named))
        return plans

    plans = await town.people.database.write(fill_and_explain)
    assert "Index Scan Backward using ix_events_order" in plans["order"]
    assert "Index Scan Backward using ix_events_position" in plans["all"]
    assert not [plan for plan in plans.values() if "Sort" in plan]


async def test_a_configuration_is_read_as_offered_and_as_applied(town: Town) -> None:
    tenant = await town.tenant()
    path = f"{ORDERS}/{tenant.order_id}/configuration"
    assert data(await town.owner.get(path)) == {"offered": None, "applied": None, "appliedVersion": 0, "error": None}
    await town.owner.post(f"{ORDERS}/{tenant.order_id}/agents", json={"role": "it-admin"})
    socket = await tenant.connect()
    read = data(await town.owner.get(path))
    assert read["applied"] is None
    first = read["offered"]["config"]
    await tenant.say(socket, ConfigApplied("m-1", first["configVersion"], first["configHash"], True))

    async def applied() -> bool:
        return data(await town.owner.get(path))["applied"] is not None

    await until(applied, what="the wrapper's answer in the book")
    changed = await town.owner.patch(f"{ORDERS}/{tenant.order_id}/agents/it-admin", json={"autonomyLevel": 1})
    assert data(changed)["autonomyLevel"] == 1
    read = data(await town.owner.get(path))
    assert read["applied"]["config"] == first
    assert read["appliedVersion"] == first["configVersion"]
    assert read["offered"]["config"]["configVersion"] == first["configVersion"] + 1
    assert [one["autonomyLevel"] for one in read["offered"]["config"]["agents"]] == [1]


async def test_a_decision_whose_acknowledgement_was_lost_counts_as_delivered_by_the_next_hello(town: Town) -> None:
    tenant = await town.tenant()
    socket = await tenant.connect()
    path = f"/api/v1/admin/approvals/{(await tenant.ask())['id']}"
    data(await town.owner.post(path, json={"action": "approve"}))
    await tenant.connect(last_seq=socket.frames[-1].seq, config_version=1)
    assert data(await town.owner.get(path))["acknowledgedAt"] is not None


@pytest.mark.parametrize("action", ["approve", "deny"])
async def test_a_decision_tells_when_the_wrapper_was_sent_it_and_had_it(town: Town, action: str) -> None:
    tenant = await town.tenant()
    socket = await tenant.connect()
    approval = (await tenant.ask())["id"]
    other = (await tenant.ask(id="not-decided"))["id"]
    path = f"/api/v1/admin/approvals/{approval}"
    decided = data(await town.owner.post(path, json={"action": action}))
    assert (decided["sentAt"], decided["acknowledgedAt"]) == (None, None)
    town.people.clock.advance(seconds=2)
    await tenant.say(socket, Ack(socket.frames[-1].seq))

    async def known() -> bool:
        return data(await town.owner.get(path))["acknowledgedAt"] is not None

    await until(known, what="the acknowledgement in the book")
    read = data(await town.owner.get(path))
    assert decided["settledAt"] < read["acknowledgedAt"]
    assert read["sentAt"] <= read["acknowledgedAt"]
    told = [one for one in (await _backwards(town, tenant, 100))[0] if one["kind"] == "approval.delivered"]
    times = {name: read[name] for name in ("sentAt", "acknowledgedAt")}
    assert [one["data"] for one in told] == [{"id": approval, "orderId": tenant.order_id} | times]
    await tenant.say(socket, Ack(socket.frames[-1].seq))  # twice tells nothing new
    again = [one for one in (await _backwards(town, tenant, 100))[0] if one["kind"] == "approval.delivered"]
    assert again == told
    [listed] = data(await town.owner.get("/api/v1/admin/approvals?pageSize=100"))
    assert (listed["id"], listed["sentAt"], listed["acknowledgedAt"]) == (other, None, None)
    customer = await tenant.signed_in()
    status = decided["status"]
    [own] = data(await customer.get(f"/api/v1/customer/approvals?status={status}"))
    assert own == read
