"""Orders from outside: placed once for each reference of a key, and nobody's account is touched by one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
from sqlalchemy import func, select, text, update

from controlplane.api.limits import standard_limits
from controlplane.store.database import Database
from controlplane.store.orders import OrderQuery
from controlplane.store.tables.accounts import audit_entries, users
from controlplane.store.tables.events import events
from controlplane.store.tables.orders import orders, outside_orders
from protocol.words import AccountStatus
from tests.integration.api.tenants import bad_fields, data, refusal
from tests.people import EVERYTHING, PASSWORD, TESTER, People

ORDERS = "/api/v1/public/orders"
WISH = {
    "reference": "cs_live_a1",
    "email": "Nora@Bakery.example",
    "name": "Nora Nilsen",
    "company": "Bakery AS",
    "tier": "Build",
    "domain": "Bakery.LetsBe.example",
}


class Shop:
    """An outside caller with a key of its own."""

    def __init__(self, people: People, key: Any) -> None:
        self.key = key
        self.browser = people.browser()
        self.headers = {"Authorization": f"Bearer {key.key}"}

    async def place(self, **given: Any) -> httpx.Response:
        body = {name: value for name, value in {**WISH, **given}.items() if value is not ...}
        return await self.browser.post(ORDERS, json=body, headers=self.headers)


async def shop(people: People, name: str = "Shop", *, may_order: bool = True) -> Shop:
    return Shop(people, await people.hub.api_keys.create(TESTER, name, None, may_order=may_order))


async def counted(people: People, table: Any) -> int:
    statement = select(func.count()).select_from(table)
    return int(await people.database.read(lambda connection: connection.execute(statement).scalar_one()))


async def only_order(people: People) -> Any:
    [found], _ = await people.orders.list(EVERYTHING, OrderQuery(), offset=0, limit=10)
    return found


async def test_an_order_from_outside_makes_its_customer_subscription_and_link(people: People):
    website = await shop(people)
    answer = await website.place(tools=["ghost", "nextcloud", "ghost"])
    placed = data(answer, 201)
    assert placed == {
        "id": placed["id"],
        "status": "PAYMENT_CONFIRMED",
        "tier": "Build",
        "domain": "bakery.letsbe.example",
        "dashboardUrl": None,
        "createdAt": f"{people.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "fulfilledAt": None,
    }
    assert data(await website.browser.get(f"{ORDERS}/{placed['id']}", headers=website.headers)) == placed
    order = await people.orders.get(EVERYTHING, placed["id"])
    assert (order.automation_mode, order.tools, order.server_ip) == ("AUTO", ["ghost", "nextcloud"], None)
    customer = await people.customers.get(EVERYTHING, order.user_id)
    assert (customer.email, customer.name, customer.company, customer.status) == (
        "Nora@Bakery.example",
        "Nora Nilsen",
        "Bakery AS",
        "ACTIVE",
    )
    assert customer.subscription is not None
    assert (customer.subscription.plan, customer.subscription.token_limit) == ("PRO", 7_500_000)
    [mail] = await people.posted("first_password")
    assert mail.recipient == "Nora@Bakery.example"
    body = {"token": mail.token, "password": PASSWORD}
    data(await people.browser().post("/api/v1/auth/password/reset", json=body))
    await people.signed_in("customer", "nora@bakery.example")


async def test_all_of_it_is_in_the_audit_log_and_told_in_the_key_s_name(people: People):
    website = await shop(people)
    placed = data(await website.place(), 201)
    written = select(audit_entries).where(audit_entries.c.author_id == website.key.id)
    entries = await people.database.read(
        lambda connection: connection.execute(written.order_by(audit_entries.c.position)).mappings().all()
    )
    assert [entry["action"] for entry in entries] == [
        "customer.created",
        "password.link_sent",
        "order.created",
        "subscription.created",
    ]
    assert {(entry["author_type"], entry["author_name"]) for entry in entries} == {("system", "Shop")}
    assert all(entry["request_id"] for entry in entries)
    assert entries[2]["target"] == placed["id"]
    assert '"reference":"cs_live_a1"' in entries[2]["after"]
    assert '"token' not in entries[1]["after"]
    told = select(events.c.kind).order_by(events.c.id)
    kinds = await people.database.read(lambda connection: connection.execute(told).scalars().all())
    assert [kind for kind in kinds if kind != "key.created"] == ["customer.created", "order.created"]


async def test_the_same_reference_is_the_same_order_and_another_body_is_refused(people: People):
    website = await shop(people)
    first = data(await website.place(), 201)
    assert data(await website.place()) == first
    assert data(await website.place(domain="BAKERY.letsbe.example")) == first  # the same, spelt otherwise
    for other in (
        {"email": "other@bakery.example"},
        {"name": "Nora"},
        {"company": None},
        {"tier": "Lite"},
        {"domain": "cake.letsbe.example"},
        {"tools": []},
    ):
        told = refusal(await website.place(**other), 409)
        assert (told["code"], "cs_live_a1" in told["message"]) == ("CONFLICT", True), other
        assert not any(word in str(told) for word in (first["id"], "Nora", "bakery"))
    assert (await counted(people, orders), await counted(people, users)) == (1, 1)
    assert len(await people.posted()) == 1
    # It is told as it stands by now.
    fulfil = text("UPDATE orders SET status = 'FULFILLED', fulfilled_at = now()")
    await people.database.write(lambda connection: connection.execute(fulfil))
    assert data(await website.place())["status"] == "FULFILLED"


async def test_staff_find_an_order_by_its_reference(people: People):
    website, partner = await shop(people), await shop(people, "Partner")
    await website.place()
    await website.place(reference="cs_live_a2", domain="second.letsbe.example")
    await partner.place(domain="third.letsbe.example")
    owner = await people.owner()
    looked: list[tuple[str, set[str]]] = [
        ("cs_live_a1", {"bakery", "third"}),
        (" cs_live_a2 ", {"second"}),
        ("cs_live_a9", set()),
        ("--", set()),
    ]
    for search, found in looked:
        listed = data(await owner.get("/api/v1/admin/orders", params={"search": search}))
        assert {one["domain"].split(".")[0] for one in listed} == found, search


async def test_a_reference_is_a_key_s_own(people: People):
    website, partner = await shop(people), await shop(people, "Partner")
    first = data(await website.place(), 201)
    second = data(await partner.place(domain="cake.letsbe.example"), 201)
    assert first["id"] != second["id"]
    assert (await counted(people, orders), await counted(people, users)) == (2, 1)


async def test_a_domain_that_is_taken_leaves_nothing_behind(people: People):
    website = await shop(people)
    data(await website.place(), 201)
    before = [await counted(people, table) for table in (users, audit_entries, events, outside_orders)]
    told = refusal(await website.place(reference="cs_live_b2", email="new@other.example"), 409)
    assert (told["code"], told["message"]) == (
        "CONFLICT",
        "the domain bakery.letsbe.example belongs to another order",
    )
    assert [await counted(people, table) for table in (users, audit_entries, events, outside_orders)] == before
    assert len(await people.posted()) == 1
    data(await website.place(reference="cs_live_b2", email="new@other.example", domain="new.letsbe.example"), 201)


@pytest.mark.parametrize(
    ("status", "mode"),
    [(AccountStatus.ACTIVE, "AUTO"), (AccountStatus.SUSPENDED, "PAUSED"), (AccountStatus.DEACTIVATED, "PAUSED")],
)
async def test_a_customer_who_is_there_is_left_as_they_are(people: People, status: AccountStatus, mode: str):
    website = await shop(people)
    maria = await people.customer("maria@acme.example")
    change = update(users).values(status=status)
    await people.database.write(lambda connection: connection.execute(change))
    read = select(users.c.email, users.c.name, users.c.company, users.c.status, users.c.password_hash)
    row = await people.database.read(lambda connection: tuple(connection.execute(read).one()))
    answer = await website.place(email="MARIA@acme.example", name="Mallory", company="Mallory Ltd")
    strangers = await website.place(reference="cs_2", email="new@acme.example", domain="new.letsbe.example")
    # Neither the answer's shape nor its status tells whether there was an account, or how it is.
    assert answer.status_code == strangers.status_code == 201
    assert data(answer, 201).keys() == data(strangers, 201).keys()
    assert {**data(strangers, 201), "id": "", "domain": ""} == {**data(answer, 201), "id": "", "domain": ""}
    order = await people.orders.get(EVERYTHING, data(answer, 201)["id"])
    assert (order.user_id, order.automation_mode) == (maria.id, mode)
    mine = read.where(func.lower(users.c.email) == "maria@acme.example")
    assert await people.database.read(lambda connection: tuple(connection.execute(mine).one())) == row
    assert [mail.recipient for mail in await people.posted()] == ["new@acme.example"]


async def test_every_bad_field_is_named(people: People):
    website = await shop(people)
    empty = await website.browser.post(ORDERS, json={}, headers=website.headers)
    assert set(bad_fields(empty)) == {"reference", "email", "name", "tier", "domain"}
    bad = await website.place(
        reference="two words",
        email="nora",
        name=" ",
        company="",
        tier="PRO",
        domain="no_host",
        tools=["UPPER"],
        serverIp="203.0.113.7",
    )
    wanted = {"reference", "email", "name", "company", "tier", "domain", "tools.0", "serverIp"}
    assert set(bad_fields(bad)) == wanted
    for reference in ("", "a" * 256, "é", "line\n", "\0"):
        assert set(bad_fields(await website.place(reference=reference))) == {"reference"}, reference
    assert await counted(people, orders) == 0


async def test_a_key_that_reads_creates_nothing(people: People):
    reader = await shop(people, "Progress page", may_order=False)
    assert refusal(await reader.place(), 403)["code"] == "FORBIDDEN"
    website = await shop(people)
    await people.hub.api_keys.revoke(TESTER, website.key.id)
    assert refusal(await website.place(), 401)["code"] == "UNAUTHORIZED"
    assert (await counted(people, orders), await counted(people, users)) == (0, 0)


async def test_staff_say_whether_a_key_may_order(people: People):
    owner = await people.owner()
    keys = "/api/v1/admin/api-keys"
    reads = data(await owner.post(keys, json={"name": "Progress page"}), 201)
    places = data(await owner.post(keys, json={"name": "Shop", "mayOrder": True}), 201)
    assert (reads["mayOrder"], places["mayOrder"]) == (False, True)
    assert {one["name"]: one["mayOrder"] for one in data(await owner.get(keys))} == {
        "Progress page": False,
        "Shop": True,
    }


async def test_a_key_has_a_limit_of_its_own_on_orders(database: Database):
    people = People(database, limits=standard_limits(100_000))
    website = await shop(people)
    for _ in range(60):
        assert (await website.place()).status_code in {200, 201}
    limited = await website.place()
    assert refusal(limited, 429)["code"] == "RATE_LIMITED"
    assert int(limited.headers["retry-after"]) >= 1
    path = f"{ORDERS}/{(await only_order(people)).id}"
    data(await website.browser.get(path, headers=website.headers))  # reading goes on


async def test_of_fifty_at_once_one_makes_the_order(people: People):
    website = await shop(people)
    answers: list[httpx.Response] = []

    async def place() -> None:
        answers.append(await website.place())

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(place)
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1
    assert [await counted(people, table) for table in (orders, users, outside_orders)] == [1, 1, 1]
    assert len(await people.posted()) == 1


async def test_of_fifty_orders_for_one_new_customer_each_has_the_same(people: People):
    website = await shop(people)
    answers: list[httpx.Response] = []

    async def place(number: int) -> None:
        answers.append(await website.place(reference=f"cs_{number}", domain=f"shop{number}.letsbe.example"))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(place, number)
    assert {answer.status_code for answer in answers} == {201}
    assert [await counted(people, table) for table in (orders, users, outside_orders)] == [50, 1, 50]
    assert len(await people.posted()) == 1
