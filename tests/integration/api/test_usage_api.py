"""A customer's usage, summed up and line by line, and usage that comes in beside the tenants' door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.api.reporting import CLAUDE, DEEPSEEK, NOW, bucket, report, second_order, sunday
from tests.integration.api.tenants import Town, bad_fields, data, refusal
from tests.people import People

BILLING = "/api/v1/admin/billing/usage"


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    async with sunday(people) as opened:
        yield opened


def totals(shown: list[dict[str, Any]], name: str) -> dict[str, int]:
    return {one[name]: one["tokensTotal"] for one in shown}


# --- usage --------------------------------------------------------------------------------------------------


async def test_usage_is_told_by_agent_model_order_and_day(town: Town):
    maria = await town.tenant()
    second = await second_order(town, maria)
    yesterday = NOW.replace(minute=0) - timedelta(days=1)
    await report(
        maria,
        bucket(tokensOutput=20, tokensCacheRead=3, tokensCacheWrite=4, webSearchCount=2, webFetchCount=1, costCents=3),
        bucket(yesterday, agentId="it-admin", model=CLAUDE, tokensInput=1000, costCents=9),
    )
    await report(second, bucket(yesterday))
    browser = await maria.signed_in()
    shown = data(await browser.get("/api/v1/customer/usage"))
    assert (shown["period"], shown["from"], shown["to"], shown["orderId"]) == ("day", "2037-02-14", "2037-03-15", None)
    assert shown["total"] == {
        "tokensInput": 1200,
        "tokensOutput": 20,
        "tokensCacheRead": 3,
        "tokensCacheWrite": 4,
        "tokensTotal": 1227,
        "webSearchCount": 2,
        "webFetchCount": 1,
        "costCents": 12,
    }
    assert list(totals(shown["byAgent"], "agentId").items()) == [("it-admin", 1000), ("marketing", 227)]
    assert {(one["model"], one["premium"]) for one in shown["byModel"]} == {(DEEPSEEK, False), (CLAUDE, True)}
    assert totals(shown["byOrder"], "domain") == {f"{maria.customer.id[5:]}.test": 1127, "second.test": 100}
    assert len(shown["series"]) == 30
    *_, last_but_one, last = shown["series"]
    assert (last["from"], last["to"], last["tokensTotal"]) == ("2037-03-15", "2037-03-15", 127)
    assert last_but_one["tokensByAgent"] == {"it-admin": 1000, "marketing": 100}
    assert last_but_one["tokensByModel"] == {CLAUDE: 1000, DEEPSEEK: 100}
    assert sum(point["tokensTotal"] for point in shown["series"]) == 1227
    one = data(await browser.get("/api/v1/customer/usage", params={"orderId": second.order_id}))
    assert (one["orderId"], one["total"]["tokensTotal"]) == (second.order_id, 100)


async def test_weeks_and_months_are_whole(town: Town):
    maria = await town.tenant()
    for day in (1, 8, 9, 15):
        await report(maria, bucket(datetime(2037, 3, day, 12, tzinfo=UTC), tokensInput=10**day % 7 + day))
    await report(maria, bucket(datetime(2037, 2, 28, 23, tzinfo=UTC), tokensInput=5))
    browser = await maria.signed_in()
    url = "/api/v1/customer/usage"
    weeks = data(await browser.get(url, params={"period": "week", "from": "2037-03-05"}))
    assert [(one["from"], one["to"]) for one in weeks["series"]] == [
        ("2037-03-02", "2037-03-08"),
        ("2037-03-09", "2037-03-15"),
    ]
    assert (weeks["from"], weeks["to"]) == ("2037-03-02", "2037-03-15")
    months = data(await browser.get(url, params={"period": "month"}))
    assert len(months["series"]) == 12
    march, february = months["series"][-1], months["series"][-2]
    assert (february["from"], february["to"], february["tokensTotal"]) == ("2037-02-01", "2037-02-28", 5)
    assert (march["from"], march["to"]) == ("2037-03-01", "2037-03-31")
    days = data(await browser.get(url, params={"from": "2037-03-01"}))
    assert sum(one["tokensTotal"] for one in days["series"]) == march["tokensTotal"] > 0


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"from": "2037-03-16"}, ["from"]),
        ({"from": "2037-03-02", "to": "2037-03-01"}, ["from"]),
        ({"from": "2019-12-31", "to": "2040-01-01"}, ["from", "to"]),
        ({"from": "2020-01-01"}, ["from"]),
        ({"from": "yesterday", "period": "year"}, ["period", "from"]),
    ],
)
async def test_days_that_make_no_sense_are_named(town: Town, query: dict[str, str], fields: list[str]):
    browser = await (await town.tenant()).signed_in()
    assert bad_fields(await browser.get("/api/v1/customer/usage", params=query)) == fields


async def test_anothers_order_is_not_there(town: Town):
    maria, mallory = await town.tenant(), await town.tenant()
    browser = await mallory.signed_in()
    for path in ("usage", "usage/breakdown", "backups"):
        answer = await browser.get(f"/api/v1/customer/{path}", params={"orderId": maria.order_id})
        refusal(answer, 404)
        refusal(await browser.get(f"/api/v1/customer/{path}", params={"orderId": "nothing"}), 404)


async def test_the_breakdown_tells_days_and_hours(town: Town):
    maria = await town.tenant()
    hour = NOW.replace(minute=0)
    await report(maria, bucket(hour), bucket(hour - timedelta(hours=1), agentId="it-admin", model=CLAUDE))
    await report(maria, bucket(hour, revision=2, tokensInput=70))
    browser = await maria.signed_in()
    url = "/api/v1/customer/usage/breakdown"
    answer = await browser.get(url, params={"by": "hour"})
    newest, before = data(answer)
    assert answer.json()["meta"] == {"page": 1, "pageSize": 25, "total": 2}
    assert newest == newest | {
        "orderId": maria.order_id,
        "agentId": "marketing",
        "model": DEEPSEEK,
        "premium": False,
        "from": "2037-03-15T14:00:00Z",
        "to": "2037-03-15T15:00:00Z",
        "tokensInput": 70,
        "tokensTotal": 70,
        "revision": 2,
        "reportedAt": "2037-03-15T14:30:00Z",
    }
    assert (before["agentId"], before["premium"]) == ("it-admin", True)
    days = data(await browser.get(url))
    assert [(one["agentId"], one["from"], one["to"], one["revision"]) for one in days] == [
        ("it-admin", "2037-03-15T00:00:00Z", "2037-03-16T00:00:00Z", None),
        ("marketing", "2037-03-15T00:00:00Z", "2037-03-16T00:00:00Z", None),
    ]
    for query in ({"agentId": "marketing"}, {"model": DEEPSEEK}, {"by": "hour", "agentId": "marketing"}):
        assert [one["agentId"] for one in data(await browser.get(url, params=query))] == ["marketing"]
    assert data(await browser.get(url, params={"to": "2037-03-14"})) == []
    assert bad_fields(await browser.get(url, params={"from": "2036-12-13"})) == ["from"]
    page = await browser.get(url, params={"page": 2, "pageSize": 1})
    assert [one["agentId"] for one in data(page)] == ["marketing"]


# --- usage beside the tenants' door -------------------------------------------------------------------------


async def test_a_key_reports_for_its_own_order_and_staff_for_any(town: Town):
    maria, other = await town.tenant(), await town.tenancy()
    key = {"Authorization": f"Bearer {maria.key}"}
    body = {"id": "report-1", "buckets": [bucket()]}
    for _ in range(3):
        assert data(await town.nobody.post(BILLING, json=body, headers=key)) == {"id": "report-1", "accepted": True}
    own = body | {"id": "report-2", "orderId": maria.order_id}
    data(await town.nobody.post(BILLING, json=own, headers=key))
    refusal(await town.nobody.post(BILLING, json=body | {"orderId": other.order_id}, headers=key), 404)
    browser = await maria.signed_in()
    assert data(await browser.get("/api/v1/customer/usage"))["total"]["tokensTotal"] == 100
    # Staff, for an order whose server never registered.
    assert bad_fields(await town.owner.post(BILLING, json=body)) == ["orderId"]
    for _ in range(2):
        data(await town.owner.post(BILLING, json=body | {"orderId": other.order_id}))
    refusal(await town.owner.post(BILLING, json=body | {"orderId": f"ord_{'0' * 26}"}), 404)
    stranger = await other.signed_in()
    assert data(await stranger.get("/api/v1/customer/usage"))["total"]["tokensTotal"] == 100
    assert [entry[:2] for entry in await town.audit("usage.%")] == [("usage.ingested", "staff")]


async def test_every_bad_bucket_is_named_and_nothing_is_taken(town: Town):
    maria = await town.tenant()
    bad = bucket(bucketHour="2037-03-15T14:10:00Z"), bucket(tokensInput=-1)
    body = {"orderId": maria.order_id, "buckets": [bucket(), *bad]}
    assert bad_fields(await town.owner.post(BILLING, json=body)) == ["buckets.2.tokensInput"]
    body["buckets"] = [bucket(), bad[0], bucket(agentId="")]
    fields = ["buckets.1.bucketHour", "buckets.2.agentId"]
    assert bad_fields(await town.owner.post(BILLING, json=body)) == fields
    key = {"Authorization": f"Bearer {maria.key}"}
    del body["orderId"]
    assert bad_fields(await town.nobody.post(BILLING, json=body, headers=key)) == fields
    browser = await maria.signed_in()
    assert data(await browser.get("/api/v1/customer/usage"))["total"]["tokensTotal"] == 0
