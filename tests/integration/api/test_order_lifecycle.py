"""The way of an order over HTTP and in the database: its mode, its end, and what nobody may make of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from actors.order.lifecycle import may_follow
from controlplane.store.tables.orders import orders
from protocol.ids import parse_id
from protocol.tenant import CloseCode
from protocol.words import OrderStatus
from tests.integration.api.tenants import Town, data, open_town, refusal
from tests.people import People

S = OrderStatus
URL = "/api/v1/admin/orders"
STALE = {"If-Match": '"0123456789abcdef0123456789abcdef"'}


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    async with open_town(people) as opened:
        yield opened


def _place(connection: Connection, order: Any, status: OrderStatus, failed: OrderStatus | None) -> None:
    """Put an order somewhere, past the trigger."""
    connection.execute(text("ALTER TABLE orders DISABLE TRIGGER orders_may_move"))
    connection.execute(orders.update().where(orders.c.id == order).values(status=status, failed_step=failed))
    connection.execute(text("ALTER TABLE orders ENABLE TRIGGER orders_may_move"))


def _move(connection: Connection, order: Any, to: OrderStatus) -> tuple[str, str | None]:
    connection.execute(orders.update().where(orders.c.id == order).values(status=to))
    row = connection.execute(orders.select().where(orders.c.id == order)).one()
    return row.status, row.failed_step


async def test_the_database_holds_orders_to_the_actors_way(people: People):
    owner, customer = await people.owner(), await people.customer()
    made = await owner.post(URL, json={"userId": customer.id, "tier": "Build", "domain": "acme.letsbe.biz"})
    order = parse_id("ord", data(made, 201)["id"])
    failures = [step for step in S if step not in {S.FULFILLED, S.FAILED, S.CANCELLED}]
    places = [(status, None) for status in S if status is not S.FAILED] + [(S.FAILED, step) for step in failures]
    wrong = []
    for (now, failed), then in product(places, S):
        if then is now:
            continue
        allowed = may_follow(now, then, failed_step=failed)
        # A server that registers is more than a move: it runs.
        allowed = allowed or (then is S.FULFILLED and now is not S.CANCELLED)
        await people.database.overhaul(lambda c, now=now, failed=failed: _place(c, order, now, failed))
        try:
            moved = await people.database.write(_move, order, then)
        except IntegrityError as error:
            if allowed or "cannot become" not in str(error):
                wrong.append((now, failed, then, str(error)))
        else:
            if not allowed or moved != (then, now if then is S.FAILED else None):
                wrong.append((now, failed, then, moved))
    assert wrong == []


async def test_a_failed_order_has_a_step_and_no_other_has_one(people: People):
    owner, customer = await people.owner(), await people.customer()
    made = await owner.post(URL, json={"userId": customer.id, "tier": "Build", "domain": "acme.letsbe.biz"})
    order = parse_id("ord", data(made, 201)["id"])
    for status, failed in ((S.FAILED, None), (S.DNS_READY, S.DNS_READY), (S.FAILED, S.FULFILLED)):
        with pytest.raises(IntegrityError, match="ck_orders_failed"):
            await people.database.overhaul(lambda c, s=status, f=failed: _place(c, order, s, f))


async def test_the_mode_is_read_changed_and_told(town: Town):
    tenant = await town.tenant()
    url = f"{URL}/{tenant.order_id}/automation"
    answer = await town.owner.get(url)
    assert data(answer) == {"automationMode": "MANUAL", "status": "FULFILLED"}
    assert answer.headers["etag"] == (await town.owner.get(f"{URL}/{tenant.order_id}")).headers["etag"]
    changed = await town.owner.patch(
        url, json={"automationMode": "PAUSED"}, headers={"If-Match": answer.headers["etag"]}
    )
    assert data(changed) == {"automationMode": "PAUSED", "status": "FULFILLED"}
    late = await town.owner.patch(url, json={"automationMode": "AUTO"}, headers={"If-Match": answer.headers["etag"]})
    assert refusal(late, 409)["details"]["automationMode"] == "PAUSED"
    again = await town.owner.patch(
        url, json={"automationMode": "PAUSED"}, headers={"If-Match": changed.headers["etag"]}
    )
    assert data(again) == data(changed)
    assert await audited(town, "order.automation_changed") == 1


async def audited(town: Town, action: str) -> int:
    counted = text("SELECT count(*) FROM audit_entries WHERE action = :action")
    return int(await town.people.database.read(lambda c: c.execute(counted, {"action": action}).scalar_one()))


async def test_a_cancelled_order_lets_nobody_in_any_more(town: Town):
    tenant = await town.tenant()
    socket = await tenant.connect()
    token = await tenant.token()
    url = f"{URL}/{tenant.order_id}"
    refusal(await town.owner.post(f"{url}/cancel", headers=STALE), 409)
    assert socket.open
    cancelled = await town.owner.post(
        f"{url}/cancel", headers={"If-Match": (await town.owner.get(url)).headers["etag"]}
    )
    assert data(cancelled)["status"] == "CANCELLED"
    assert data(await town.owner.get(url)) == data(cancelled)
    assert (socket.open, socket.closed_with) == (False, CloseCode.KEY_REVOKED)
    assert (await tenant.call("POST", "heartbeat", {"status": "healthy"})).status_code == 401
    body = {"registrationToken": token, "instanceId": "machine"}
    assert (await town.nobody.post("/api/v1/tenant/register", json=body)).status_code == 401
    refusal(await town.owner.post(f"{url}/registration-token"), 409)
    refusal(await town.owner.post(f"{url}/cancel"), 409)
    refusal(await town.owner.patch(f"{url}/automation", json={"automationMode": "AUTO"}), 409)
    assert await audited(town, "order.cancelled") == 1
    assert await audited(town, "server.key_revoked") == 1
    # The domain is free again.
    domain = data(cancelled)["domain"]
    made = {"userId": tenant.customer.id, "tier": "Build", "domain": domain}
    assert data(await town.owner.post(URL, json=made), 201)["domain"] == domain


async def test_an_order_without_a_server_is_cancelled_and_one_that_is_not_there_is_not(town: Town):
    customer = await town.people.customer()
    made = await town.owner.post(URL, json={"userId": customer.id, "tier": "Lite", "domain": "new.letsbe.biz"})
    order = data(made, 201)["id"]
    assert data(await town.owner.post(f"{URL}/{order}/cancel"))["status"] == "CANCELLED"
    refusal(await town.owner.post(f"{URL}/ord_7zzzzzzzzzzzzzzzzzzzzzzzzz/cancel"), 404)


async def test_two_people_edit_one_order_and_the_second_is_told(town: Town):
    tenant = await town.tenant()
    url = f"{URL}/{tenant.order_id}"
    seen = {"If-Match": (await town.owner.get(url)).headers["etag"]}
    first = await town.owner.patch(url, json={"sshPort": 2222}, headers=seen)
    assert data(first)["sshPort"] == 2222
    second = await town.owner.patch(url, json={"sshPort": 4444}, headers=seen)
    told = refusal(second, 409)
    assert (told["code"], told["details"]["sshPort"]) == ("CONFLICT", 2222)
    assert data(await town.owner.get(url))["sshPort"] == 2222
    third = await town.owner.patch(url, json={"sshPort": 4444}, headers={"If-Match": first.headers["etag"]})
    assert data(third)["sshPort"] == 4444
    assert third.headers["etag"] == (await town.owner.get(url)).headers["etag"]
