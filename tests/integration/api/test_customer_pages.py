"""A customer's billing, backups, activity and overview: what was reported, as it is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol.ids import parse_id
from tests.integration.api.reporting import CLAUDE, NOW, bucket, report, said, second_order, sunday
from tests.integration.api.tenants import Town, bad_fields, data
from tests.people import PASSWORD, People


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    async with sunday(people) as opened:
        yield opened


# --- billing ------------------------------------------------------------------------------------------------


async def test_billing_of_the_period_that_runs(town: Town):
    maria = await town.tenant()
    await report(
        maria,
        bucket(tokensInput=9_000_000),
        bucket(model=CLAUDE, tokensInput=500, costCents=77),
        bucket(datetime(2037, 2, 28, 23, tzinfo=UTC), tokensInput=1),
    )
    browser = await maria.signed_in()
    shown = data(await browser.get("/api/v1/customer/billing"))
    assert shown["period"] == {
        "id": None,
        "status": "OPEN",
        "start": "2037-03-01T00:00:00Z",
        "end": "2037-04-01T00:00:00Z",
        "tokenLimit": 7_500_000,
        "tokensUsed": 9_000_000,
        "tokensRemaining": 0,
        "overageTokens": 1_500_000,
        "overageCents": 225,
        "premiumTokens": 500,
        "premiumCents": 77,
        "invoiceId": None,
    }
    assert shown["subscription"]["tokensUsed"] == 9_000_000
    prices = (shown["currency"], shown["priceCents"], shown["overageCentsPerMillion"], shown["foundingMember"])
    assert prices == ("EUR", 7_900, 150, None)
    # Whoever changes settings changes what is shown.
    chosen = {"hub.premiumModels": [], "hub.overageCentsPerMillion": 100, "hub.priceBuildCents": 5_000}
    data(await town.owner.patch("/api/v1/admin/settings", json=chosen))
    data(await town.owner.post(f"/api/v1/admin/customers/{maria.customer.id}/founding-member"), 201)
    shown = data(await browser.get("/api/v1/customer/billing"))
    assert (shown["priceCents"], shown["foundingMember"]["tokenMultiplier"]) == (5_000, 2)
    period = shown["period"]
    assert (period["tokenLimit"], period["tokensUsed"], period["overageCents"]) == (15_000_000, 9_000_500, 0)
    assert (period["tokensRemaining"], period["premiumTokens"], period["premiumCents"]) == (5_999_500, 0, 0)


async def test_overage_is_to_the_nearest_cent(town: Town):
    maria = await town.tenant()
    await report(maria, bucket(tokensInput=7_500_000 + 9_999))  # 1.49985 cents
    browser = await maria.signed_in()
    assert data(await browser.get("/api/v1/customer/billing"))["period"]["overageCents"] == 1
    await report(maria, bucket(tokensInput=7_500_000 + 10_000, revision=1))  # 1.5 cents
    assert data(await browser.get("/api/v1/customer/billing"))["period"]["overageCents"] == 2


async def test_the_history_adds_up_months_that_nobody_billed_and_shows_bills_as_they_were(town: Town):
    maria = await town.tenant()
    await report(
        maria,
        bucket(datetime(2036, 12, 31, 23, tzinfo=UTC), tokensInput=12),
        bucket(datetime(2037, 2, 1, tzinfo=UTC), tokensInput=2),
        bucket(tokensInput=3),
    )
    browser = await maria.signed_in()
    url = "/api/v1/customer/billing/history"
    answer = await browser.get(url)
    assert answer.json()["meta"]["total"] == 4
    assert [(one["start"][:7], one["status"], one["tokensUsed"]) for one in data(answer)] == [
        ("2037-03", "OPEN", 3),
        ("2037-02", "UNBILLED", 2),
        ("2037-01", "UNBILLED", 0),
        ("2036-12", "UNBILLED", 12),
    ]
    await town.people.database.write(_bill, maria.customer.id)
    # Late usage does not change what was billed.
    await report(maria, bucket(datetime(2037, 2, 2, tzinfo=UTC), tokensInput=1000))
    history = data(await browser.get(url, params={"pageSize": 2}))
    assert [(one["status"], one["tokensUsed"], one["invoiceId"]) for one in history] == [
        ("OPEN", 3, None),
        ("INVOICED", 2, "in_1"),
    ]
    assert history[1]["id"].startswith("bill_")
    assert data(await browser.get(url, params={"pageSize": 2, "page": 2}))[1]["start"] == "2036-12-01T00:00:00Z"


def _bill(connection: Any, customer_id: str) -> None:
    customer = parse_id("cust", customer_id)
    connection.exec_driver_sql(
        """INSERT INTO billing_periods (id, user_id, subscription_id, starts_at, ends_at, token_limit, tokens_used,
            status, stripe_invoice_id, created_at, closed_at)
        SELECT gen_random_uuid(), user_id, id, '2037-02-01Z', '2037-03-01Z', 7500000, 2, 'INVOICED', 'in_1',
            now(), now()
        FROM subscriptions WHERE user_id = $1""",
        (customer,),
    )


async def test_a_recorded_period_that_runs_decides_what_is_counted(town: Town):
    maria = await town.tenant()
    await report(maria, bucket(datetime(2037, 3, 9, 23, tzinfo=UTC)), bucket(tokensInput=7))

    def begin(connection: Any) -> None:
        connection.exec_driver_sql(
            """INSERT INTO billing_periods (id, user_id, subscription_id, starts_at, ends_at, token_limit, created_at)
            SELECT gen_random_uuid(), user_id, id, '2037-03-10Z', '2037-04-10Z', 1234, now() FROM subscriptions"""
        )

    await town.people.database.write(begin)
    browser = await maria.signed_in()
    shown = data(await browser.get("/api/v1/customer/billing"))
    assert (shown["period"]["tokenLimit"], shown["period"]["tokensUsed"]) == (1234, 7)
    assert (shown["period"]["status"], shown["subscription"]["tokensUsed"]) == ("OPEN", 7)
    listed = data(await town.owner.get("/api/v1/admin/customers"))
    assert [one["subscription"]["tokensUsed"] for one in listed] == [7]


async def test_a_customer_without_an_order_has_empty_pages(town: Town):
    body = {"email": "new@acme.test", "name": "New", "password": PASSWORD}
    data(await town.owner.post("/api/v1/admin/customers", json=body), 201)
    browser = await town.people.signed_in("customer", "new@acme.test")
    billing = data(await browser.get("/api/v1/customer/billing"))
    assert (billing["subscription"], billing["priceCents"], billing["period"]["tokenLimit"]) == (None, None, None)
    assert len(data(await browser.get("/api/v1/customer/billing/history"))) == 1
    assert data(await browser.get("/api/v1/customer/usage"))["total"]["tokensTotal"] == 0
    assert data(await browser.get("/api/v1/customer/backups")) == []
    shown = data(await browser.get("/api/v1/customer/dashboard"))
    assert (shown["servers"], shown["agents"], shown["recentActivity"]) == ([], [], [])


# --- backups, activity, overview ----------------------------------------------------------------------------


async def test_backups_newest_first_and_a_running_one_while_it_runs(town: Town):
    maria = await town.tenant()
    browser = await maria.signed_in()
    url = "/api/v1/customer/backups"
    nightly = {"startedAt": "2037-03-15T02:15:00Z", "detail": "nightly"}
    data(await maria.call("POST", "backup-status", {"status": "running", **nightly}))
    assert [one["status"] for one in data(await browser.get(url))] == ["running"]
    town.people.clock.advance(seconds=1)
    done = {"status": "success", "finishedAt": "2037-03-15T02:20:00Z", "sizeBytes": 4_200_000_000, **nightly}
    data(await maria.call("POST", "backup-status", done))
    town.people.clock.advance(seconds=1)
    data(await maria.call("POST", "backup-status", {"status": "failed"}))
    answer = await browser.get(url)
    failed, success = data(answer)
    assert answer.json()["meta"]["total"] == 2
    assert success == {
        "id": success["id"],
        "orderId": maria.order_id,
        "domain": f"{maria.customer.id[5:]}.test",
        "status": "success",
        "startedAt": "2037-03-15T02:15:00Z",
        "finishedAt": "2037-03-15T02:20:00Z",
        "sizeBytes": 4_200_000_000,
        "detail": "nightly",
        "reportedAt": "2037-03-15T14:30:01Z",
    }
    assert (failed["status"], failed["startedAt"]) == ("failed", None)
    assert data(await browser.get(url, params={"status": "success"})) == [success]
    assert data(await browser.get(url, params={"orderId": maria.order_id, "pageSize": 1, "page": 2})) == [success]


async def test_an_agents_activity_is_paged_by_cursor(town: Town):
    maria = await town.tenant()
    made = await town.owner.post(f"/api/v1/admin/orders/{maria.order_id}/agents", json={"role": "secretary"})
    agent = data(made, 201)["id"]
    for number in range(5):
        at = NOW - timedelta(minutes=number // 2)  # two at each time
        body = {"id": f"a{number}", "agentId": "secretary", "kind": "mail", "summary": f"n{number}"}
        body |= {"at": said(at)} | ({"data": {"mails": 3}} if number == 0 else {})
        data(await maria.call("POST", "activity", body))
    data(await maria.call("POST", "activity", {"id": "x", "agentId": "sales", "kind": "call", "summary": "another's"}))
    browser = await maria.signed_in()
    url = f"/api/v1/customer/agents/{agent}/activity"
    seen: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        answer = await browser.get(url, params=query)
        seen += data(answer)
        if answer.json()["meta"]["nextCursor"] is None:
            break
        query["cursor"] = answer.json()["meta"]["nextCursor"]
    assert len(seen) == 5
    assert {one["summary"] for one in seen} == {f"n{number}" for number in range(5)}
    assert [one["at"] for one in seen] == sorted((one["at"] for one in seen), reverse=True)
    assert [one["data"] for one in seen if one["summary"] == "n0"] == [{"mails": 3}]
    for cursor in ("x", "9" * 400 + ".act_" + "0" * 26, "12.cust_" + "0" * 26):
        assert bad_fields(await browser.get(url, params={"cursor": cursor})) == ["cursor"]


async def test_the_overview_tells_of_everything(town: Town):
    maria = await town.tenant()
    await second_order(town, maria)
    never = {"userId": maria.customer.id, "tier": "Lite", "domain": "third.test"}
    third = data(await town.owner.post("/api/v1/admin/orders", json=never), 201)["id"]
    data(await town.owner.post(f"/api/v1/admin/orders/{third}/cancel", json={}))
    agents = f"/api/v1/admin/orders/{maria.order_id}/agents"
    agent = data(await town.owner.post(agents, json={"role": "secretary"}), 201)["id"]
    await maria.ask()
    data(await maria.call("POST", "backup-status", {"status": "success", "sizeBytes": 1}))
    for number in range(12):
        body = {"id": f"a{number}", "agentId": "secretary", "kind": "mail", "summary": f"n{number}"}
        body["at"] = said(NOW - timedelta(minutes=number))
        data(await maria.call("POST", "activity", body))
    await report(maria, bucket(), bucket(NOW.replace(minute=0) - timedelta(days=1), tokensInput=50))
    browser = await maria.signed_in()
    shown = data(await browser.get("/api/v1/customer/dashboard"))
    servers = {one["domain"]: one for one in shown["servers"]}
    assert len(servers) == 2
    mine = servers[f"{maria.customer.id[5:]}.test"]
    assert (mine["orderId"], mine["pendingApprovals"], mine["orderStatus"]) == (maria.order_id, 1, "FULFILLED")
    assert mine["serverId"].startswith("srv_")
    assert mine["lastBackup"]["status"] == "success"
    assert servers["second.test"]["lastBackup"] is None
    assert [(one["id"], one["agentId"]) for one in shown["agents"]] == [(agent, "secretary")]
    assert shown["pendingApprovals"] == 1
    assert shown["usage"] == {
        "tokenLimit": 7_500_000,
        "tokensUsed": 150,
        "periodStart": "2037-03-01T00:00:00Z",
        "periodEnd": "2037-04-01T00:00:00Z",
        "tokensToday": 100,
    }
    assert [one["summary"] for one in shown["recentActivity"]] == [f"n{number}" for number in range(10)]
