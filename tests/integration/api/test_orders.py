"""Orders over HTTP, as staff see them."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from controlplane.store.tables.accounts import audit_entries, staff, subscriptions
from controlplane.store.tables.orders import orders
from tests.people import EVERYTHING, People

URL = "/api/v1/admin/orders"


def body(customer, **given):
    return {"userId": customer.id, "tier": "Build", "domain": "acme.letsbe.biz", **given}


async def actions(people: People) -> list[str]:
    statement = select(audit_entries.c.action).order_by(audit_entries.c.position)
    found = await people.database.read(lambda connection: connection.execute(statement).scalars().all())
    return [action for action in found if action.startswith(("order", "subscription"))]


async def test_an_order_is_created_read_and_listed_in_the_specifications_shape(people):
    owner, customer = await people.owner(), await people.customer()
    answer = await owner.post(
        URL,
        json=body(
            customer,
            domain="Acme.LetsBe.biz",
            tools=["nextcloud", "ghost", "nextcloud"],
            serverIp="2001:DB8:0::1",
            sshPort=22,
        ),
    )
    assert answer.status_code == 201
    created = answer.json()["data"]
    assert created["id"].startswith("ord_")
    assert created == {
        "id": created["id"],
        "userId": customer.id,
        "status": "PAYMENT_CONFIRMED",
        "tier": "Build",
        "domain": "acme.letsbe.biz",
        "tools": ["nextcloud", "ghost"],
        "serverIp": "2001:db8::1",
        "sshPort": 22,
        "automationMode": "MANUAL",
        "dashboardUrl": "https://acme.letsbe.biz",
        "portainerUrl": "https://portainer.acme.letsbe.biz",
        "createdAt": f"{people.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "fulfilledAt": None,
        "failedStep": None,
    }
    assert (await owner.get(f"{URL}/{created['id']}")).json()["data"] == created
    listed = (await owner.get(URL)).json()
    assert (listed["data"], listed["meta"]["total"]) == ([created], 1)


async def test_the_first_order_begins_the_subscription_and_later_ones_leave_it(people):
    owner, customer = await people.owner(), await people.customer()
    await owner.post(URL, json=body(customer, tier="Lite"))
    await owner.post(URL, json=body(customer, tier="Scale", domain="second.letsbe.biz"))
    read = await people.customers.get(EVERYTHING, customer.id)
    assert read.subscription is not None
    assert (read.subscription.plan, read.subscription.tier) == ("STARTER", "Lite")
    assert (read.subscription.token_limit, read.subscription.tokens_used) == (2_500_000, 0)
    assert [order.domain for order in read.orders] == ["second.letsbe.biz", "acme.letsbe.biz"]
    assert await actions(people) == ["order.created", "subscription.created", "order.created"]


async def test_a_domain_is_one_orders_until_it_is_cancelled(people):
    owner, customer = await people.owner(), await people.customer()
    await owner.post(URL, json=body(customer))
    taken = await owner.post(URL, json=body(await people.customer(), domain="ACME.letsbe.biz"))
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "CONFLICT")
    assert "acme.letsbe.biz" in taken.json()["error"]["message"]
    subscribed = await people.database.read(lambda connection: connection.execute(select(subscriptions)).all())
    assert len(subscribed) == 1  # the refused order has begun none
    cancel = update(orders).values(status="CANCELLED")
    await people.database.write(lambda connection: connection.execute(cancel))
    assert (await owner.post(URL, json=body(customer))).status_code == 201


@pytest.mark.parametrize("stranger", ["cust_7zzzzzzzzzzzzzzzzzzzzzzzzz", "nonsense", ""])
async def test_an_unknown_customer_is_a_bad_field(people, stranger):
    owner, customer = await people.owner(), await people.customer()
    answer = await owner.post(URL, json=body(customer, userId=stranger))
    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.json()["error"]["details"]] == ["userId"]


@pytest.mark.parametrize(
    "domain",
    [
        "localhost",
        "acme",
        "-acme.letsbe.biz",
        "acme-.letsbe.biz",
        "acme..biz",
        "acme.letsbe.biz.",
        "acme.letsbe.b1z/",
        "acme.letsbe.123",
        "acme.letsbe.biz\n",
        "ac me.biz",
        "https://acme.biz",
        "ä.biz",
        f"{'a' * 64}.biz",
        "a." * 121 + "bi",
        "",
    ],
)
async def test_what_is_no_host_name_is_refused(people, domain):
    owner, customer = await people.owner(), await people.customer()
    answer = await owner.post(URL, json=body(customer, domain=domain))
    assert answer.status_code == 400, domain
    assert {problem["field"] for problem in answer.json()["error"]["details"]} == {"domain"}


async def test_every_bad_field_is_named(people):
    owner = await people.owner()
    bad = {
        "tier": "Huge",
        "domain": "x",
        "tools": ["Bad Tool", "ok"],
        "serverIp": "x",
        "sshPort": 0,
        "status": "FULFILLED",
    }
    answer = await owner.post(URL, json=bad)
    fields = {problem["field"] for problem in answer.json()["error"]["details"]}
    assert fields == {"userId", "tier", "domain", "tools.0", "serverIp", "sshPort", "status"}
    customer = await people.customer()
    answer = await owner.post(URL, json=body(customer, serverIp="1.2.3.999"))
    assert answer.json()["error"]["details"][0]["field"] == "serverIp"


async def test_lists_are_narrowed_by_status_tier_and_search(people):
    owner = await people.owner()
    acme = await people.customer(company="Acme Marketing GmbH")
    other = await people.customer("li@other.org", company="Other")
    for customer, tier, domain in (
        (acme, "Build", "shop.letsbe.biz"),
        (acme, "Lite", "blog.letsbe.biz"),
        (other, "Build", "acme-fans.letsbe.biz"),
        (other, "Scale", "plain.letsbe.biz"),
    ):
        people.clock.advance(seconds=1)
        given = body(customer, tier=tier, domain=domain, serverIp="88.99.1.2" if tier == "Scale" else None)
        assert (await owner.post(URL, json=given)).status_code == 201
    fulfilled = update(orders).where(orders.c.tier == "Build").values(status="FULFILLED")
    await people.database.write(lambda connection: connection.execute(fulfilled))

    async def found(**query: str) -> list[str]:
        answer = (await owner.get(URL, params=query)).json()
        assert answer["meta"]["total"] == len(answer["data"])
        return [order["domain"].partition(".")[0] for order in answer["data"]]

    assert await found() == ["plain", "acme-fans", "blog", "shop"]
    assert await found(status="FULFILLED") == ["acme-fans", "shop"]
    assert await found(tier="Lite") == ["blog"]
    assert await found(search="acme") == ["acme-fans", "blog", "shop"]
    assert await found(search="acme", status="FULFILLED", tier="Build") == ["acme-fans", "shop"]
    assert await found(search="88.99") == ["plain"]
    assert await found(search="nothing") == []
    answer = await owner.get(URL, params={"status": "DONE", "tier": "build"})
    assert {problem["field"] for problem in answer.json()["error"]["details"]} == {"status", "tier"}


async def test_server_details_change_and_leave_one_entry(people):
    owner, customer = await people.owner(), await people.customer()
    order = (await owner.post(URL, json=body(customer, tools=["ghost"]))).json()["data"]
    url = f"{URL}/{order['id']}"
    changed = (await owner.patch(url, json={"serverIp": "88.99.1.2", "sshPort": 2222})).json()["data"]
    assert changed == {**order, "serverIp": "88.99.1.2", "sshPort": 2222}
    assert (await owner.patch(url, json={})).json()["data"] == changed
    assert (await owner.patch(url, json={"serverIp": None})).json()["data"]["serverIp"] is None
    for bad in ({"status": "FULFILLED"}, {"userId": customer.id}, {"sshPort": None}, {"automationMode": "AUTO"}):
        answer = await owner.patch(url, json=bad)
        assert answer.json()["error"]["details"][0]["field"] == next(iter(bad))
    assert await actions(people) == ["order.created", "subscription.created", "order.changed", "order.changed"]


async def test_orders_that_are_not_there(people):
    owner, customer = await people.owner(), await people.customer()
    for stranger in ("ord_7zzzzzzzzzzzzzzzzzzzzzzzzz", customer.id, "x"):
        assert (await owner.get(f"{URL}/{stranger}")).json()["error"]["code"] == "NOT_FOUND"


async def test_support_sees_orders_and_changes_none(people):
    owner, customer = await people.owner(), await people.customer()
    order = (await owner.post(URL, json=body(customer))).json()["data"]
    await people.database.write(lambda connection: connection.execute(update(staff).values(role="SUPPORT")))
    assert (await owner.get(URL)).status_code == 200
    assert (await owner.post(URL, json=body(customer))).status_code == 403
    assert (await owner.patch(f"{URL}/{order['id']}", json={})).status_code == 403
