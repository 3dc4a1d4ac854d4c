"""The manners of every PATCH route: unknown fields and wrong types are named, each of them, and nothing changes."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
from sqlalchemy import Connection, text

from controlplane.api.endpoint import Endpoint
from controlplane.store.tables import metadata
from protocol.words import Role
from tests.integration.api.route_table import allowed
from tests.integration.api.tenants import Town, data, open_town, refusal
from tests.people import People

UNKNOWN = "nonsense"
#: What no field of any body takes.
WRONG = {"wrong": [None]}
#: Two people may edit what these change: they tell the version they read. Who edits their own alone does not.
MEANT_FOR_A_VERSION = {
    "/api/v1/profile",
    "/api/v1/admin/customers/{customer_id}",
    "/api/v1/admin/orders/{order_id}",
    "/api/v1/admin/orders/{order_id}/automation",
    "/api/v1/admin/orders/{order_id}/agents/{agent_id}",
    "/api/v1/admin/settings",
    "/api/v1/admin/staff/{staff_id}",
    "/api/v1/customer/agents/{agent_config_id}",
    "/api/v1/customer/agents/{agent_config_id}/external-comms",
    "/api/v1/customer/settings",
}


def _everything(connection: Connection) -> dict[str, Any]:
    """What is in every table but what asking itself writes: sessions and their times."""
    return {
        name: connection.execute(
            text(f"SELECT count(*), md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t")
        ).one()
        for name in metadata.tables
        if name != "sessions"
    }


class Walk:
    """A Hub with one of everything that a PATCH route changes, and who may change it."""

    def __init__(self, town: Town, customer: httpx.AsyncClient, ids: dict[str, str]) -> None:
        self.town = town
        self.customer = customer
        self.ids = ids

    @property
    def routes(self) -> list[Endpoint]:
        return [endpoint for endpoint in self.town.people.app.endpoints if endpoint.method == "PATCH"]

    def url(self, endpoint: Endpoint) -> str:
        path = endpoint.path
        for parameter in endpoint.path_parameters:
            assert parameter.name in self.ids, f"PATCH {path}: say in `walk` what {parameter.name} is"
            path = path.replace(f"{{{parameter.name}}}", self.ids[parameter.name])
        return path

    async def call(self, endpoint: Endpoint, body: Any, **headers: str) -> httpx.Response:
        browser = self.customer if allowed("PATCH", endpoint.path) == "C" else self.town.owner
        return await browser.patch(self.url(endpoint), json=body, headers=headers)


async def walk(town: Town) -> Walk:
    tenancy = await town.tenant()
    made = await town.owner.post(f"/api/v1/admin/orders/{tenancy.order_id}/agents", json={"role": "it-admin"})
    agent = data(made, 201)
    await town.people.member(Role.SUPPORT, "sam@letsbe.biz")
    members = data(await town.owner.get("/api/v1/admin/staff"))
    ids = {
        "customer_id": tenancy.customer.id,
        "order_id": tenancy.order_id,
        "agent_id": agent["agentId"],
        "agent_config_id": agent["id"],
        "staff_id": next(member["id"] for member in members if member["role"] == Role.SUPPORT),
    }
    return Walk(town, await tenancy.signed_in(), ids)


def fields_of(endpoint: Endpoint) -> list[str]:
    """The names of a body's fields as they are sent; none where any name may be."""
    try:
        return list(msgspec.structs.fields(endpoint.body) and endpoint.body.__struct_encode_fields__)
    except TypeError:
        return []


async def test_unknown_fields_and_wrong_types_are_all_named_and_nothing_changes(people: People):
    async with open_town(people) as town:
        walked = await walk(town)
        assert len(walked.routes) >= 9
        before = await people.database.read(_everything)
        wrong = []
        for endpoint in walked.routes:
            fields = fields_of(endpoint)
            told = refusal(await walked.call(endpoint, {UNKNOWN: 1, **dict.fromkeys(fields, WRONG)}), 400)
            wanted = {UNKNOWN, *fields}
            named = {problem["field"] for problem in told["details"]}
            missed = {field for field in wanted if not any(f"{name}.".startswith(f"{field}.") for name in named)}
            if told["code"] != "VALIDATION_ERROR" or missed or (len(named) < len(wanted)):
                wrong.append((endpoint.path, told))
        assert wrong == []
        assert await people.database.read(_everything) == before


async def test_what_is_no_object_is_refused_everywhere(people: People):
    async with open_town(people) as town:
        walked = await walk(town)
        before = await people.database.read(_everything)
        for endpoint in walked.routes:
            for body in ([], "text", 7, None):
                assert (await walked.call(endpoint, body)).status_code == 400, (endpoint.path, body)
        assert await people.database.read(_everything) == before


#: A body that each route takes.
GOOD: dict[str, Any] = {
    "/api/v1/admin/orders/{order_id}/automation": {"automationMode": "PAUSED"},
    "/api/v1/admin/orders/{order_id}": {"sshPort": 2222},
    "/api/v1/admin/settings": {"hub.tokensLite": 1_000_000},
    "/api/v1/admin/staff/{staff_id}": {"role": "MANAGER"},
    "/api/v1/customer/agents/{agent_config_id}/external-comms": {"unlocks": {"email_send": True}},
    "/api/v1/customer/settings": {"locale": "de-DE"},
}


async def test_a_stale_version_changes_nothing_and_the_fresh_one_does(people: People):
    async with open_town(people) as town:
        walked = await walk(town)
        assert {endpoint.path for endpoint in walked.routes} - MEANT_FOR_A_VERSION == set()
        stale = '"0123456789abcdef0123456789abcdef"'
        for endpoint in walked.routes:
            body = GOOD.get(endpoint.path, {"name": "Somebody Else"})
            before = await people.database.read(_everything)
            told = await walked.call(endpoint, body, **{"If-Match": stale})
            assert refusal(told, 409)["code"] == "CONFLICT", endpoint.path
            told = await walked.call(endpoint, body, **{"If-Match": "no tag"})
            assert [problem["field"] for problem in refusal(told, 400)["details"]] == ["If-Match"], endpoint.path
            assert await people.database.read(_everything) == before, endpoint.path
            once = await walked.call(endpoint, body)
            tag = once.headers.get("etag")
            assert (once.status_code, tag is not None) == (200, True), (endpoint.path, once.text)
            again = await walked.call(endpoint, body, **{"If-Match": str(tag)})
            assert again.status_code == 200, (endpoint.path, again.text)
