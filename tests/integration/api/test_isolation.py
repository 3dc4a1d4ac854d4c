"""Two customers with a server each: no id, no list and no topic of the one opens anything to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import Connection

from controlplane.api.endpoint import Endpoint
from controlplane.api.watching import access_of
from controlplane.services.console_topics import CUSTOMER_ACCESS, CUSTOMER_TOPICS, PRESENCE, REACH, STAFF_TOPICS
from controlplane.services.console_viewers import Viewer
from controlplane.store import events
from controlplane.store.database import Database
from controlplane.store.event_kinds import KINDS
from protocol.console import Watch
from protocol.ids import parse_id
from protocol.words import Role
from tests.integration.api.route_table import EVERYBODY, allowed
from tests.integration.api.tenants import Tenancy, Town, data, open_town
from tests.integration.store.test_console_feed import Screen, running
from tests.people import PASSWORD, People

#: A body that each changing route takes, so that only the id in its path can be the reason of a refusal.
BODIES: dict[str, Any] = {
    "PATCH /api/v1/customer/agents/{agent_config_id}": {"name": "Renamed"},
    "PATCH /api/v1/customer/agents/{agent_config_id}/external-comms": {"unlocks": {}},
    "POST /api/v1/customer/approvals/{approval_id}": {"action": "deny"},
    "POST /api/v1/tenant/commands/{command_id}/result": {"status": "succeeded"},
}
#: What a customer's answers must never hold of another: planted in names, domains, words and arguments.
CANARY = "canary"


@dataclass
class Household:
    """A customer with one of everything that has an id."""

    tenancy: Tenancy
    browser: httpx.AsyncClient
    ids: dict[str, str]

    async def call(self, endpoint: Endpoint, ids: dict[str, str]) -> httpx.Response:
        """Call a route as this customer, or as their server, with somebody's ids."""
        path = endpoint.path
        for parameter in endpoint.path_parameters:
            assert parameter.name in ids, f"{endpoint.method} {path}: say in `household` what {parameter.name} is"
            path = path.replace(f"{{{parameter.name}}}", ids[parameter.name])
        body = BODIES.get(f"{endpoint.method} {endpoint.path}")
        if endpoint.takes_body:
            assert body is not None, f"{endpoint.method} {endpoint.path}: say in BODIES what it takes"
        options = {} if body is None else {"json": body}
        if allowed(endpoint.method, endpoint.path) == "T":
            return await self.tenancy.call(endpoint.method, path.removeprefix("/api/v1/tenant/"), **options)
        return await self.browser.request(endpoint.method, path, **options)


async def household(town: Town) -> Household:
    tenancy = await town.tenant()
    owner, order = town.owner, tenancy.order_id
    await owner.patch(f"/api/v1/admin/customers/{tenancy.customer.id}", json={"company": f"{CANARY} company"})
    made = await owner.post(
        f"/api/v1/admin/orders/{order}/agents", json={"role": "it-admin", "name": f"{CANARY} agent"}
    )
    agent = data(made, 201)["id"]
    approval = (await tenancy.ask(humanReadable=f"Delete {CANARY}", toolArgs={"path": CANARY}))["id"]
    server = await tenancy.server_id()
    command = {"type": "RESTART_SERVICE", "payload": {"service": "ghost"}}
    commanded = data(await owner.post(f"/api/v1/admin/servers/{server}/command", json=command), 201)["id"]
    hour = f"{town.people.clock.now():%Y-%m-%dT%H:00:00Z}"
    used = {"agentId": f"{CANARY}-agent", "model": f"{CANARY}/model", "bucketHour": hour, "tokensInput": 5}
    data(await tenancy.call("POST", "usage", {"buckets": [used]}))
    data(await tenancy.call("POST", "backup-status", {"status": "failed", "detail": f"{CANARY} disk"}))
    done = {"id": CANARY, "agentId": "it-admin", "kind": "mail", "summary": f"{CANARY} summary"}
    data(await tenancy.call("POST", "activity", done))
    browser = await tenancy.signed_in()
    other = await tenancy.signed_in()
    sessions = data(await other.get("/api/v1/auth/sessions"))
    [session] = [one["id"] for one in sessions if one["current"]]
    return Household(
        tenancy,
        browser,
        {
            "agent_config_id": agent,
            "approval_id": approval,
            "command_id": commanded,
            "conversation_id": "conversation-1",
            "session_id": session,
            "order_id": order,
            "server_id": server,
            "customer_id": tenancy.customer.id,
        },
    )


def own_routes(town: Town, *, with_ids: bool) -> list[Endpoint]:
    """The routes by which customers and servers see what is theirs."""
    return [
        endpoint
        for endpoint in town.people.app.endpoints
        if (who := allowed(endpoint.method, endpoint.path)) not in (None, EVERYBODY)
        and set(who or "") & set("CT")
        and bool(endpoint.path_parameters) == with_ids
    ]


async def test_anothers_ids_are_not_there(people: People):
    async with open_town(people) as town:
        maria, mallory = await household(town), await household(town)
        routes = own_routes(town, with_ids=True)
        assert len(routes) >= 10
        leaks = []
        for endpoint in routes:
            answer = await mallory.call(endpoint, maria.ids)
            if answer.status_code != 404 or CANARY in answer.text:
                leaks.append(f"{endpoint.method} {endpoint.path}: {answer.status_code} {answer.text[:200]}")
        assert leaks == []
        # The same calls by the owner find something: it was the ids that were refused, and nothing was changed.
        for endpoint in routes:
            answer = await maria.call(endpoint, maria.ids)
            assert answer.status_code in {200, 409, 503}, f"{endpoint.method} {endpoint.path}: {answer.text}"


async def test_ids_in_bodies_open_nothing_either(people: People):
    async with open_town(people) as town:
        maria, mallory = await household(town), await household(town)
        outcome = {
            "id": "0195a0f5-3b7e-7d21-8a52-1c9a5b6f7e02",
            "approvalId": maria.ids["approval_id"],
            "outcome": "executed",
        }
        answer = await mallory.tenancy.call("POST", "approval-outcome", outcome)
        assert answer.status_code == 404, answer.text


async def test_no_list_holds_what_is_anothers(people: People):
    async with open_town(people) as town:
        maria = await household(town)
        body = {"email": "mallory@evil.test", "name": "Mallory", "password": PASSWORD}
        data(await town.owner.post("/api/v1/admin/customers", json=body), 201)
        mallory = await people.signed_in("customer", "mallory@evil.test")
        stranger = await town.tenant()
        looked = [endpoint for endpoint in own_routes(town, with_ids=False) if endpoint.method == "GET"]
        assert len(looked) >= 6
        found, told = "", set()
        for endpoint in looked:
            if allowed("GET", endpoint.path) == "T":
                answer = await stranger.call("GET", endpoint.path.removeprefix("/api/v1/tenant/"))
                found += (await maria.tenancy.call("GET", endpoint.path.removeprefix("/api/v1/tenant/"))).text
            else:
                answer = await mallory.get(endpoint.path)
                hers = (await maria.browser.get(endpoint.path)).text
                found += hers
                told |= {endpoint.path} if CANARY in hers else set()
            assert answer.status_code == 200, f"{endpoint.path}: {answer.text}"
            for secret in (CANARY, *maria.ids.values()):
                assert secret not in answer.text, endpoint.path
        assert CANARY in found, "their owner is shown them"
        pages = ("dashboard", "usage", "usage/breakdown", "backups", "agents", "approvals")
        assert {f"/api/v1/customer/{page}" for page in pages} <= told


@pytest.mark.parametrize("room", sorted(REACH.keys() - {PRESENCE}))
async def test_no_topic_tells_what_is_anothers(people: People, database: Database, room: str):
    """Every topic there is, staff's and orders' too, watched by a stranger while something happens to Maria."""
    async with open_town(people) as town:
        maria, mallory = await town.tenancy(), await town.tenancy()
        topics = sorted({*CUSTOMER_TOPICS, *STAFF_TOPICS, f"order:{maria.order_id}"})
        order_id = parse_id("ord", maria.order_id)

        def happen(connection: Connection) -> None:
            kind = next(kind for kind in KINDS if kind.startswith(f"{room}."))
            told = msgspec.defstruct(KINDS[kind].data, [("account_id", str)])(CANARY)
            owner = parse_id("cust", maria.customer.id)
            about_order = REACH[room].customer not in (None, "account") or REACH[room].staff in ("fleet", "orders")
            order = order_id if about_order else None
            events.emit(connection, kind, at=None, data=told, order_id=order, customer_id=owner)

        async with running(database) as (feed, _):
            hers, his, staffs = Screen(), Screen(), Screen()
            for screen, tenancy in ((hers, maria), (his, mallory)):
                owner = parse_id("cust", tenancy.customer.id)
                feed.ask(Viewer(screen, owner=owner, access=CUSTOMER_ACCESS), Watch(topics))
            feed.ask(Viewer(staffs, owner=None, access=access_of(Role.OWNER)), Watch(topics))
            start = feed.cursor
            await database.write(happen)
            witness = hers if REACH[room].customer is not None else staffs
            await witness.until("event")
            # Told all at once, so that what the witness has heard, the stranger would have heard as well.
            assert his.of("event") == []
            assert {frame["topic"] for frame in his.of("refused")} == set(topics) - CUSTOMER_TOPICS
            again = Screen()
            owner = parse_id("cust", mallory.customer.id)
            feed.ask(Viewer(again, owner=owner, access=CUSTOMER_ACCESS), Watch(topics, since=start))
            await again.until("watching")
            assert again.of("event") == [], "nor is it told to one who comes back"
