"""The walk among records: customers, orders, servers, agents, approvals, settings, the public (4.2 to 5, 7, 9)."""

from __future__ import annotations

import uuid

from protocol.ids import parse_id
from tests.contract.examples import example
from tests.end_to_end.contract.walk import CRON_SECRET, PASSWORD, Step, Walk

MARIA = "maria@acme.example"
ORDER = "/api/v1/admin/orders/{order}"
#: Of the specification's usage bucket.
DAY = {"from": "2026-03-15", "to": "2026-03-15"}


async def customers(walk: Walk) -> None:
    body = {"email": MARIA, "name": "Maria Weber", "company": "Acme Marketing GmbH", "password": PASSWORD}
    walk.ids["maria"] = (await walk.do("POST /api/v1/admin/customers", "staff", json=body))["id"]
    path = "/api/v1/admin/customers/{maria}"
    await walk.do(f"PATCH /api/v1/admin/customers/{{id}} | {path}", "staff", json={"company": "Acme GmbH"})
    signed_in = await walk.sign_in("customer", MARIA)
    token = next(cookie.value for cookie in signed_in.cookies.jar if "session-token" in cookie.name)
    assert token is not None
    walk.caller("maria", token)
    # A subscription is sold elsewhere; a founding member is made by staff.
    walk.hub.sql(
        "INSERT INTO subscriptions (id, user_id, plan, tier, token_base, stripe_customer_id, created_at, updated_at)"
        " VALUES ($1, $2, 'PRO', 'Build', 7500000, 'cus_walk', now(), now())",
        uuid.uuid4(),
        parse_id("cust", walk.ids["maria"]),
    )
    founder = await walk.caller("staff").post(f"/api/v1/admin/customers/{walk.ids['maria']}/founding-member")
    assert founder.status_code == 201, founder.text


async def orders(walk: Walk) -> None:
    body = {
        "userId": walk.ids["maria"],
        "tier": "Build",
        "domain": "acme.letsbe.example",
        "tools": example("4.3_order")["tools"],
        "serverIp": "203.0.113.7",
    }
    for name in ("order", "second"):
        made = await walk.do("POST /api/v1/admin/orders", "staff", json=body | {"domain": f"{name}.letsbe.example"})
        walk.ids[name] = made["id"]
    await walk.do(f"PATCH /api/v1/admin/orders/{{id}} | {ORDER}", "staff", json={"sshPort": 22022})
    row = f"/api/v1/admin/orders/{{id}}/automation | {ORDER}/automation"
    mode = await walk.do(f"GET {row}", "staff")
    changed = await walk.do(f"PATCH {row}", "staff", json={"automationMode": "PAUSED"})
    assert changed != mode
    await walk.do(f"PATCH {row}", "staff", json={"automationMode": "MANUAL"})


async def agents(walk: Walk) -> None:
    assert await walk.do("GET /api/v1/admin/agents/templates", "staff")
    row = f"/api/v1/admin/orders/{{id}}/agents | {ORDER}/agents"
    for role in ("it-admin", "sales"):
        await walk.do(f"POST {row}", "staff", json={"role": role})
    one = f"/api/v1/admin/orders/{{id}}/agents/{{agentId}} | {ORDER}/agents"
    await walk.do(
        f"PATCH {one}/it-admin", "staff", json={"soulMd": "# IT Admin\n\n## Identity\nCareful.", "autonomyLevel": 3}
    )
    await walk.do(f"DELETE {one}/sales", "staff")
    listed = await walk.do(f"GET {row}", "staff")
    assert [agent["agentId"] for agent in listed] == ["it-admin"]
    mine = await walk.do("GET /api/v1/customer/agents", "maria")
    [walk.ids["agent"]] = [agent["id"] for agent in mine]


async def approvals(walk: Walk) -> None:
    """Three that the wrapper asked for wait."""
    staffs = await walk.do("GET /api/v1/admin/approvals", "staff")
    customers = await walk.do("GET /api/v1/customer/approvals", "maria")
    assert len(staffs) == len(customers) == 3
    walk.ids["first"], walk.ids["other"] = staffs[0]["id"], staffs[1]["id"]
    one = "/api/v1/admin/approvals/{id} | /api/v1/admin/approvals/{first}"
    await walk.do(f"GET {one}", "staff")
    await walk.do(f"POST {one}", "staff", json=example("4.9_decision"))
    row = "POST /api/v1/customer/approvals/{id} | /api/v1/customer/approvals/{other}"
    assert (await walk.do(row, "maria", json={"action": "deny"}))["status"] == "DENIED"


async def customers_and_orders_in_the_end(walk: Walk) -> None:
    """Read once everything is there."""
    await walk.do("GET /api/v1/admin/customers", "staff", params={"page": 1, "pageSize": 25, "search": "acme"})
    await walk.do("GET /api/v1/admin/customers/{id} | /api/v1/admin/customers/{maria}", "staff")
    query = {"status": "FULFILLED", "tier": "Build", "search": "acme"}
    await walk.do("GET /api/v1/admin/orders", "staff", params=query)
    await walk.do(f"GET /api/v1/admin/orders/{{id}} | {ORDER}", "staff")


async def settings(walk: Walk) -> None:
    shown = await walk.do("GET /api/v1/admin/settings", "staff")
    names = ["docker", "dockerhub", "gitea", "hub", "provisioning", "netcup", "email", "notifications", "storage"]
    assert set(names) <= shown.keys()
    assert sum(len(shown[name]) for name in names) >= 50
    [one] = [one for one in shown["hub"] if one["name"] == "hub.tokensBuild"]
    await walk.do("PATCH /api/v1/admin/settings", "staff", json={one["name"]: one["value"]})
    assert (await walk.do("POST /api/v1/admin/settings/test-email", "staff", json={}))["sent"] is True


async def public(walk: Walk) -> None:
    places = await walk.do("GET /api/v1/public/founding-members/count", "nobody")
    assert places["total"] - places["taken"] == places["remaining"]
    made = await walk.caller("staff").post("/api/v1/admin/api-keys", json={"name": "Website", "mayOrder": True})
    assert made.status_code == 201, made.text
    walk.caller("website", made.json()["data"]["key"])
    shown = await walk.do("GET /api/v1/public/orders/{id} | /api/v1/public/orders/{order}", "website")
    assert shown["id"] == walk.ids["order"]
    wish = {
        "reference": "cs_walk_1",
        "email": "nora@bakery.example",
        "name": "Nora Nilsen",
        "tier": "Lite",
        "domain": "bakery.letsbe.example",
    }
    placed = await walk.do("POST /api/v1/public/orders", "website", json=wish)
    again = await walk.caller("website").post("/api/v1/public/orders", json=wish)
    assert (again.status_code, again.json()["data"]) == (200, placed)


async def cron(walk: Walk) -> None:
    walk.caller("clock", CRON_SECRET)
    for job in ("approval-expiry", "stats-cleanup"):
        await walk.do(f"POST /api/v1/cron/{job}", "clock")


async def customer(walk: Walk) -> None:
    shown = await walk.do("GET /api/v1/customer/dashboard", "maria")
    assert {one["orderId"] for one in shown["servers"]} == {walk.ids["order"], walk.ids["second"]}
    assert [one["id"] for one in shown["agents"]] == [walk.ids["agent"]]


async def own_agents(walk: Walk) -> None:
    one = "/api/v1/customer/agents/{id} | /api/v1/customer/agents/{agent}"
    await walk.do(f"GET {one}", "maria")
    await walk.do(f"PATCH {one}", "maria", json={"autonomyLevel": 2})
    row = "PATCH /api/v1/customer/agents/{id}/external-comms | /api/v1/customer/agents/{agent}/external-comms"
    await walk.do(row, "maria", json={"unlocks": {}})


async def activity(walk: Walk) -> None:
    await walk.do("GET /api/v1/customer/agents/{id}/activity | /api/v1/customer/agents/{agent}/activity", "maria")


async def conversations(walk: Walk) -> None:
    row = "GET /api/v1/customer/agents/{id}/conversations | /api/v1/customer/agents/{agent}/conversations"
    assert [one["title"] for one in await walk.do(row, "maria")] == ["Invoices"]


async def usage(walk: Walk) -> None:
    shown = await walk.do("GET /api/v1/customer/usage", "maria", params=DAY | {"period": "week"})
    assert (shown["total"]["tokensInput"], shown["total"]["costCents"]) == (45_000, 3)


async def usage_breakdown(walk: Walk) -> None:
    # By day: its hours may be forgotten by now.
    [line] = await walk.do("GET /api/v1/customer/usage/breakdown", "maria", params=DAY)
    bucket = example("4.10_usage_bucket")
    assert line["from"][:10] == bucket.pop("bucketHour")[:10]
    assert line == line | bucket


async def tools(walk: Walk) -> None:
    assert await walk.do("GET /api/v1/customer/tools", "maria")


async def billing(walk: Walk) -> None:
    shown = await walk.do("GET /api/v1/customer/billing", "maria")
    assert (shown["period"]["status"], shown["period"]["tokenLimit"]) == ("OPEN", 15_000_000)


async def billing_history(walk: Walk) -> None:
    periods = await walk.do("GET /api/v1/customer/billing/history", "maria")
    assert "2026-03-01T00:00:00Z" in {one["start"] for one in periods}


async def backups(walk: Walk) -> None:
    [backup] = await walk.do("GET /api/v1/customer/backups", "maria")
    assert (backup["status"], backup["sizeBytes"]) == ("success", 4_200_000_000)


async def preferences(walk: Walk) -> None:
    body = {"timezone": "Europe/Berlin", "locale": "de-DE"}
    assert (await walk.do("PATCH /api/v1/customer/settings", "maria", json=body))["locale"] == "de-DE"


FIRST: list[Step] = [customers, orders, agents]
LAST: list[Step] = [
    approvals,
    customers_and_orders_in_the_end,
    settings,
    public,
    cron,
    customer,
    own_agents,
    activity,
    conversations,
    usage,
    usage_breakdown,
    tools,
    billing,
    billing_history,
    backups,
    preferences,
]
