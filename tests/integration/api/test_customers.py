"""Customers over HTTP, as staff see them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event, insert, select, update

from controlplane.store import customers as customer_rows
from controlplane.store.tables.accounts import audit_entries, founding_members, staff, subscriptions
from controlplane.store.usage_buckets import take_usage
from protocol.ids import parse_id
from protocol.objects import UsageBucket
from tests.people import EVERYTHING, PASSWORD, People

URL = "/api/v1/admin/customers"
MARIA = {"email": "maria@acme.com", "name": "Maria Weber", "company": "Acme Marketing GmbH"}


async def entries(people: People) -> list:
    def look(connection):
        statement = select(audit_entries).order_by(audit_entries.c.position)
        return connection.execute(statement.where(audit_entries.c.author_type == "staff")).mappings().all()

    return [entry for entry in await people.database.read(look) if not entry["action"].startswith("session.")]


async def test_a_customer_is_created_read_and_listed_in_the_specifications_shape(people):
    owner = await people.owner()
    answer = await owner.post(URL, json=MARIA)
    assert answer.status_code == 201
    created = answer.json()["data"]
    assert created["id"].startswith("cust_")
    assert created == {
        "id": created["id"],
        "email": "maria@acme.com",
        "name": "Maria Weber",
        "company": "Acme Marketing GmbH",
        "status": "ACTIVE",
        "subscription": None,
        "orders": [],
        "foundingMember": None,
        "createdAt": f"{people.clock.now():%Y-%m-%dT%H:%M:%SZ}",
    }
    assert (await owner.get(f"{URL}/{created['id']}")).json()["data"] == created
    listed = (await owner.get(URL)).json()
    assert listed["data"] == [created]
    assert listed["meta"] == {"page": 1, "pageSize": 25, "total": 1}


async def test_a_customer_with_everything(people):
    owner = await people.owner()
    customer = (await owner.post(URL, json=MARIA)).json()["data"]
    order = {"userId": customer["id"], "tier": "Build", "domain": "acme.letsbe.biz"}
    order = (await owner.post("/api/v1/admin/orders", json=order)).json()["data"]
    until = people.clock.now() + timedelta(days=365)

    def found(connection):
        connection.execute(
            insert(founding_members).values(
                id=people.hub.ids.uuid7(),
                user_id=parse_id("cust", customer["id"]),
                number=42,
                token_multiplier=2,
                expires_at=until,
                created_at=people.clock.now(),
            )
        )
        connection.execute(update(subscriptions).values(stripe_customer_id="cus_x"))
        hour = people.clock.now().replace(minute=0, second=0)
        used = UsageBucket("marketing", "deepseek/deepseek-v3.2", hour, tokens_input=8_000_000, tokens_output=234_000)
        take_usage(connection, parse_id("ord", order["id"]), [used], at=people.clock.now(), ids=people.hub.ids)

    await people.database.write(found)
    read = (await owner.get(f"{URL}/{customer['id']}")).json()["data"]
    assert read["subscription"] == {
        "plan": "PRO",
        "tier": "Build",
        "tokenLimit": 15_000_000,
        "tokensUsed": 8_234_000,
        "stripeCustomerId": "cus_x",
        "status": "ACTIVE",
    }
    assert read["foundingMember"] == {
        "number": 42,
        "tokenMultiplier": 2,
        "expiresAt": f"{until:%Y-%m-%dT%H:%M:%SZ}",
    }
    assert read["orders"] == [order]
    people.clock.moment = until
    late = await people.signed_in("credentials", "owner@letsbe.biz")
    token = {"authorization": f"Bearer {late.cookies['next-auth.session-token']}"}
    read = (await people.browser().get(f"{URL}/{customer['id']}", headers=token)).json()["data"]
    assert read["subscription"]["tokenLimit"] == 7_500_000


async def test_an_address_is_one_customers_whatever_its_case(people):
    owner = await people.owner()
    await owner.post(URL, json=MARIA)
    answer = await owner.post(URL, json={**MARIA, "email": "MARIA@acme.com"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")
    assert "MARIA@acme.com" in answer.json()["error"]["message"]
    other = (await owner.post(URL, json={**MARIA, "email": "other@acme.com"})).json()["data"]
    answer = await owner.patch(f"{URL}/{other['id']}", json={"email": "Maria@ACME.com"})
    assert answer.status_code == 409
    own = await owner.patch(f"{URL}/{other['id']}", json={"email": "Other@acme.com"})
    assert own.json()["data"]["email"] == "Other@acme.com"


async def test_search_finds_by_the_beginnings_of_words(people):
    owner = await people.owner()
    for email, name, company in (
        ("maria@acme.com", "Maria Weber", "Acme Marketing GmbH"),
        ("jürgen@uebersee.de", "Jürgen O'Neill-Öztürk", "Übersee & Söhne"),
        ("li@example.org", "Li Wei 李伟", None),
    ):
        body = {"email": email, "name": name, "company": company}
        assert (await owner.post(URL, json=body)).status_code == 201

    async def found(search: str) -> list[str]:
        answer = (await owner.get(URL, params={"search": search})).json()
        assert answer["meta"]["total"] == len(answer["data"])
        return [customer["email"][:2] for customer in answer["data"]]

    assert await found("acme") == ["ma"]
    assert await found("AC mar") == ["ma"]
    assert await found("maria@acme.com") == ["ma"]
    assert await found("gmb") == ["ma"]
    assert await found("jürg") == ["jü"]
    assert await found("o'neill") == ["jü"]
    assert await found("söhne, jür") == ["jü"]
    assert await found("李") == ["li"]
    assert await found("arketing") == []
    assert await found("acme li") == []
    assert await found("' | ! & ( <-> :* \\") == []
    assert len(await found("  ")) == 3
    assert await found("'acme':*") == ["ma"]


async def test_pages_are_stable_and_bounded(people):
    owner = await people.owner()
    for number in range(7):
        people.clock.advance(seconds=number % 2)  # some are of one moment
        await people.customer(f"c{number}@acme.com")
    whole = (await owner.get(URL)).json()["data"]
    pages = [(await owner.get(URL, params={"page": page, "pageSize": 3})).json() for page in (1, 2, 3, 4)]
    assert [customer for page in pages for customer in page["data"]] == whole
    assert [customer["email"][1] for customer in whole] == list("6543210")
    assert pages[2]["meta"] == {"page": 3, "pageSize": 3, "total": 7}
    for bad in ({"pageSize": 101}, {"page": 0}, {"pageSize": 0}, {"page": "x"}, {"unknown": 1}):
        answer = await owner.get(URL, params=bad)
        assert answer.json()["error"]["details"][0]["field"] == next(iter(bad))


async def test_a_page_costs_the_same_five_queries_whatever_is_on_it(people):
    owner = await people.owner()
    for number in range(5):
        customer = await people.customer()
        for name in "ab":
            order = {"userId": customer.id, "tier": "Lite", "domain": f"{name}{number}.letsbe.biz"}
            assert (await owner.post("/api/v1/admin/orders", json=order)).status_code == 201
    statements: list[str] = []

    def look(connection):
        event.listen(connection, "before_cursor_execute", lambda *given: statements.append(given[2]))
        return customer_rows._list(connection, EVERYTHING, None, None, 0, 100, people.clock.now())

    found, total = await people.database.read(look)
    assert total == 5
    assert [len(customer.orders) for customer in found] == [2] * 5
    assert len(statements) == 5


async def test_what_is_absent_stays_and_null_clears_the_company(people):
    owner = await people.owner()
    customer = (await owner.post(URL, json=MARIA)).json()["data"]
    url = f"{URL}/{customer['id']}"
    changed = (await owner.patch(url, json={"name": "Maria Huber"})).json()["data"]
    assert changed == {**customer, "name": "Maria Huber"}
    changed = (await owner.patch(url, json={"company": None})).json()["data"]
    assert changed == {**customer, "name": "Maria Huber", "company": None}
    for bad in ({"name": None}, {"email": "x"}, {"status": "GONE"}, {"id": "cust_x"}, {"passwordHash": "x"}):
        answer = await owner.patch(url, json=bad)
        assert answer.json()["error"]["details"][0]["field"] == next(iter(bad))


async def test_a_suspended_customer_is_signed_out_at_once(people):
    owner = await people.owner()
    customer = await people.customer("maria@acme.com")
    browser = await people.signed_in("customer", "maria@acme.com")
    await owner.patch(f"{URL}/{customer.id}", json={"status": "SUSPENDED"})
    assert (await browser.get("/api/auth/session")).json() == {}


async def test_every_change_has_one_entry_by_its_author(people):
    owner = await people.owner()
    headers = {"x-request-id": "the-request"}
    customer = (await owner.post(URL, json={**MARIA, "password": PASSWORD}, headers=headers)).json()["data"]
    url = f"{URL}/{customer['id']}"
    await owner.patch(url, json={"name": "Maria Huber"})
    await owner.patch(url, json={"name": "Maria Huber"})  # changes nothing
    await owner.post(URL, json=MARIA)  # refused
    written = await entries(people)
    assert [entry["action"] for entry in written] == ["customer.created", "customer.changed"]
    created, changed = written
    assert created["author_name"] == "Olga Owner"
    assert created["author_id"].startswith("stf_")
    assert created["request_id"] == "the-request"
    assert created["address"] == "127.0.0.1"
    assert created["target"] == customer["id"]
    assert created["customer_id"] == parse_id("cust", customer["id"])
    assert PASSWORD not in str(written)
    assert "argon2" not in str(written)
    assert (changed["before"], changed["after"]) == ('{"name":"Maria Weber"}', '{"name":"Maria Huber"}')


async def test_ids_that_name_nothing_are_not_found(people):
    owner = await people.owner()
    customer = await people.customer()
    for stranger in ("cust_7zzzzzzzzzzzzzzzzzzzzzzzzz", "nonsense", customer.id.replace("cust", "ord"), "cust_"):
        for answer in (await owner.get(f"{URL}/{stranger}"), await owner.patch(f"{URL}/{stranger}", json={})):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [("OWNER", 200, 201), ("ADMIN", 200, 201), ("MANAGER", 200, 201), ("SUPPORT", 200, 403)],
)
async def test_who_may(people, role, reads, writes):
    owner = await people.owner()
    await people.database.write(lambda connection: connection.execute(update(staff).values(role=role)))
    assert (await owner.get(URL)).status_code == reads
    assert (await owner.post(URL, json=MARIA)).status_code == writes
    assert (await people.browser().get(URL)).status_code == 401


async def test_a_customer_can_sign_in_with_the_password_staff_gave(people):
    owner = await people.owner()
    await owner.post(URL, json={**MARIA, "password": PASSWORD})
    browser = await people.signed_in("customer", "maria@acme.com")
    user = (await browser.get("/api/auth/session")).json()["user"]
    assert user["id"].startswith("cust_")
    assert "role" not in user
    weak = await owner.post(URL, json={**MARIA, "email": "b@acme.com", "password": "acme marketing gmbh 1"})
    assert weak.json()["error"]["details"][0]["field"] == "password"
