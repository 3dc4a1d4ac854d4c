"""The public API: keys of outside callers, an order's progress, and the places of founding members."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import trio
from sqlalchemy import text

from tests.integration.api.tenants import bad_fields, data, open_town, refusal
from tests.people import TESTER, People

KEYS = "/api/v1/admin/api-keys"
COUNT = "/api/v1/public/founding-members/count"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def order_of(people: People, owner: httpx.AsyncClient) -> Any:
    customer = await people.customer()
    body = {"userId": customer.id, "tier": "Build", "domain": "acme.letsbe.biz", "serverIp": "88.99.12.34"}
    return data(await owner.post("/api/v1/admin/orders", json=body), 201)


async def test_a_key_is_shown_once_and_kept_as_a_hash(people: People):
    owner = await people.owner()
    made = data(await owner.post(KEYS, json={"name": " Website "}), 201)
    key = made.pop("key")
    assert key.startswith(f"{made['prefix']}_")
    assert len(key) > 64
    assert (made["name"], made["createdBy"], made["lastUsedAt"], made["revokedAt"]) == (
        "Website",
        "Olga Owner",
        None,
        None,
    )
    listed = await owner.get(KEYS)
    assert data(listed) == [made]
    assert listed.json()["meta"] == {"page": 1, "pageSize": 25, "total": 1}
    assert key not in listed.text
    everything = """
        SELECT string_agg(t, ' ') FROM (SELECT CAST(k AS text) AS t FROM api_keys k UNION ALL
            SELECT CAST(a AS text) FROM audit_entries a UNION ALL SELECT CAST(e AS text) FROM events e) AS written"""
    written = await people.database.read(lambda connection: connection.execute(text(everything)).scalar_one())
    assert "key.created" in written
    assert "api_key.created" in written
    assert key.rpartition("_")[2] not in written


async def test_an_order_s_progress_is_read_by_key_and_tells_nothing_else(people: People):
    owner = await people.owner()
    order = await order_of(people, owner)
    key = data(await owner.post(KEYS, json={"name": "Website"}), 201)["key"]
    nobody = people.browser()
    path = f"/api/v1/public/orders/{order['id']}"
    assert data(await nobody.get(path, headers=bearer(key))) == {
        "id": order["id"],
        "status": "PAYMENT_CONFIRMED",
        "tier": "Build",
        "domain": "acme.letsbe.biz",
        "dashboardUrl": None,
        "createdAt": order["createdAt"],
        "fulfilledAt": None,
    }
    [used] = data(await owner.get(KEYS))
    assert used["lastUsedAt"] is not None
    fulfil = text("UPDATE orders SET status = 'FULFILLED', fulfilled_at = now()")
    await people.database.write(lambda connection: connection.execute(fulfil))
    done = data(await nobody.get(path, headers=bearer(key)))
    assert (done["status"], done["dashboardUrl"]) == ("FULFILLED", "https://acme.letsbe.biz")
    missing = f"/api/v1/public/orders/ord_{'0' * 26}"
    assert refusal(await nobody.get(missing, headers=bearer(key)), 404)["code"] == "NOT_FOUND"


async def test_no_wrong_revoked_or_expired_key_opens_anything(people: People):
    owner = await people.owner()
    order = await order_of(people, owner)
    path = f"/api/v1/public/orders/{order['id']}"
    soon = (people.clock.now() + timedelta(hours=1)).isoformat()
    revoked, expiring = [
        data(await owner.post(KEYS, json=body), 201)
        for body in ({"name": "revoked"}, {"name": "expiring", "expiresAt": soon})
    ]
    nobody = people.browser()
    for key in (revoked["key"], expiring["key"]):
        data(await nobody.get(path, headers=bearer(key)))
    ended = data(await owner.delete(f"{KEYS}/{revoked['id']}"))
    assert ended["revokedAt"] is not None
    assert data(await owner.delete(f"{KEYS}/{revoked['id']}")) == ended
    people.clock.advance(hours=1)
    session = owner.cookies["next-auth.session-token"]
    other_secret = f"{expiring['prefix']}_{'0' * 64}"
    for wrong in (revoked["key"], expiring["key"], other_secret, expiring["prefix"], "", "ak__", "ak_é", session):
        headers = {"Authorization": f"Bearer {wrong}".encode()}
        assert refusal(await nobody.get(path, headers=headers), 401)["code"] == "UNAUTHORIZED"
    assert refusal(await nobody.get(path, params={"key": revoked["key"]}), 401)
    assert refusal(await owner.delete(f"{KEYS}/key_{'0' * 26}"), 404)
    over = (people.clock.now() - timedelta(seconds=1)).isoformat()
    assert bad_fields(await owner.post(KEYS, json={"name": "late", "expiresAt": over})) == ["expiresAt"]


async def test_a_key_opens_nothing_but_the_public_api(people: People):
    async with open_town(people) as town:
        key = data(await town.owner.post(KEYS, json={"name": "Website"}), 201)["key"]
        for path in ("/api/v1/admin/orders", "/api/v1/customer/agents", "/api/v1/tenant/config", "/api/v1/profile"):
            assert (await town.nobody.get(path, headers=bearer(key))).status_code == 401


async def test_places_of_founding_members_are_counted_and_given_by_the_lowest_number(people: People):
    owner = await people.owner()
    nobody = people.browser()
    assert data(await nobody.get(COUNT)) == {"total": 100, "taken": 0, "remaining": 100}
    data(await owner.patch("/api/v1/admin/settings", json={"hub.foundingMemberPlaces": 2}))
    customers = [await people.customer() for _ in range(3)]
    paths = [f"/api/v1/admin/customers/{customer.id}/founding-member" for customer in customers]
    first = data(await owner.post(paths[0]), 201)["foundingMember"]
    assert (first["number"], first["tokenMultiplier"]) == (1, 2)
    assert refusal(await owner.post(paths[0]), 409)["message"] == "this customer is founding member 1 already"
    data(await owner.post(paths[1]), 201)
    assert "2 places" in refusal(await owner.post(paths[2]), 409)["message"]
    assert data(await nobody.get(COUNT)) == {"total": 2, "taken": 2, "remaining": 0}
    listed = data(await owner.get("/api/v1/admin/founding-members"))
    assert [(one["number"], one["customerId"]) for one in listed] == [(1, customers[0].id), (2, customers[1].id)]
    leave = text("DELETE FROM founding_members WHERE number = 1")
    await people.database.write(lambda connection: connection.execute(leave))
    assert data(await owner.post(paths[2]), 201)["foundingMember"]["number"] == 1
    assert refusal(await owner.post(f"/api/v1/admin/customers/cust_{'0' * 26}/founding-member"), 404)


async def test_of_many_at_once_each_gets_a_number_of_its_own(people: People):
    customers = [await people.customer() for _ in range(6)]
    numbers: list[int] = []

    async def join(customer: Any) -> None:
        made = await people.hub.founding_members.add(TESTER, customer.id)
        assert made.founding_member is not None
        numbers.append(made.founding_member.number)

    async with trio.open_nursery() as nursery:
        for customer in customers:
            nursery.start_soon(join, customer)
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]


async def test_a_founding_members_limit_is_multiplied(people: People):
    owner = await people.owner()
    order = await order_of(people, owner)
    customer = f"/api/v1/admin/customers/{order['userId']}"
    data(await owner.post(f"{customer}/founding-member"), 201)
    assert data(await owner.get(customer))["subscription"]["tokenLimit"] == 15_000_000
