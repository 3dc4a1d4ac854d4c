"""Webhooks over HTTP: staff sees how they are, and sets them going again after their end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from protocol.ids import parse_id
from tests.integration.api.tenants import Tenancy, Town, data, open_town, refusal
from tests.people import People

URL = "https://t1.letsbe.example/hooks"


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    async with open_town(people) as town:
        yield town


class Hooked:
    """A server that takes webhooks, what its carrier's row says, and what the API says of it."""

    def __init__(self, town: Town, tenancy: Tenancy, server_id: str) -> None:
        self.town = town
        self.tenancy = tenancy
        self.server_id = server_id
        self.path = f"/api/v1/admin/servers/{server_id}/webhooks"

    @classmethod
    async def made(cls, town: Town, url: str | None = URL) -> Hooked:
        tenancy = await town.tenant()
        hooked = cls(town, tenancy, await tenancy.server_id())
        await hooked.run("UPDATE server_connections SET safety_wrapper_url = :url WHERE order_id = :order", url=url)
        return hooked

    async def run(self, statement: str, **values: Any) -> list[Any]:
        def work(connection: Connection) -> list[Any]:
            result = connection.execute(text(statement), {"order": parse_id("ord", self.tenancy.order_id), **values})
            return list(result.all()) if result.returns_rows else []

        return await self.town.people.database.write(work)

    async def carried(self, **columns: str) -> None:
        """Give it a carrier's row with these columns, in SQL."""
        await self.run(
            f"INSERT INTO webhook_carriers (order_id, key_prefix, {', '.join(columns)})"
            f" SELECT order_id, key_prefix, {', '.join(columns.values())} FROM server_connections"
            " WHERE order_id = :order"
        )

    async def command(self) -> None:
        answer = await self.town.owner.post(
            f"/api/v1/admin/servers/{self.server_id}/command", json={"type": "PING", "payload": {}}
        )
        data(answer, 201)

    async def seen(self) -> Any:
        return data(await self.town.owner.get(self.path))

    async def enable(self) -> Any:
        return data(await self.town.owner.post(f"{self.path}/enable"))

    async def events(self) -> list[Any]:
        statement = "SELECT data FROM events WHERE order_id = :order AND kind = 'server.webhooksEnabled'"
        return [row[0] for row in await self.run(statement)]


async def test_a_server_without_an_address_has_none(town: Town) -> None:
    server = await Hooked.made(town, None)
    assert await server.seen() == {
        "serverId": server.server_id,
        "orderId": server.tenancy.order_id,
        "state": "none",
        "url": None,
        "attempts": 0,
        "nextAttemptAt": None,
        "lastError": None,
        "deliveredAt": None,
        "disabledAt": None,
        "unacknowledged": 0,
    }
    lost = refusal(await town.owner.post(f"{server.path}/enable"), 409)
    assert "without a safetyWrapperUrl" in lost["message"]


ENDED = [
    ("disabled", {"disabled_at": "now()", "last_error": "'HTTP 410'"}),
    ("exhausted", {"exhausted_seq": "1", "last_error": "'HTTP 500'"}),
    ("failing", {"seq": "1", "attempts": "3", "next_attempt_at": "'2100-01-01Z'", "last_error": "'HTTP 500'"}),
]


@pytest.mark.parametrize(("state", "columns"), ENDED)
async def test_what_has_ended_is_seen_and_set_going_once(town: Town, state: str, columns: dict[str, str]) -> None:
    server = await Hooked.made(town)
    await server.command()
    await server.carried(**columns)
    seen = await server.seen()
    assert (seen["state"], seen["url"], seen["unacknowledged"]) == (state, URL, 1)
    assert seen["lastError"] == columns["last_error"].strip("'")
    assert (seen["disabledAt"] is not None) == (state == "disabled")
    assert (seen["nextAttemptAt"] is not None) == (state == "failing")
    after = await server.enable()
    assert (after["state"], after["attempts"], after["nextAttemptAt"], after["disabledAt"]) == ("ready", 0, None, None)
    assert after["lastError"] == seen["lastError"]  # why it had ended stays to be read
    assert await server.enable() == await server.seen() == after
    assert await town.audit("server.webhooks%") == [("server.webhooks_enabled", "staff", "127.0.0.1")]
    [told] = await server.events()
    assert server.server_id in told
    assert "enabled by Olga Owner" in told


@pytest.mark.parametrize(
    ("columns", "state"),
    [
        ({"delivered_at": "now()"}, "ready"),
        ({"claim": "gen_random_uuid()", "claimed_until": "'2100-01-01Z'", "attempts": "2"}, "pushing"),
    ],
)
async def test_where_they_go_well_nothing_is_changed(town: Town, columns: dict[str, str], state: str) -> None:
    server = await Hooked.made(town)
    await server.command()
    await server.carried(**columns)
    before = await server.run("SELECT * FROM webhook_carriers")
    assert (await server.enable())["state"] == state
    assert await server.run("SELECT * FROM webhook_carriers") == before
    assert await town.audit("server.webhooks%") == []
    assert await server.events() == []


async def test_something_newer_ends_the_silence_and_another_registration_everything(town: Town) -> None:
    server = await Hooked.made(town)
    await server.command()
    await server.carried(exhausted_seq="1")
    assert (await server.seen())["state"] == "exhausted"
    await server.command()
    assert (await server.seen())["state"] == "ready"
    await server.run("UPDATE webhook_carriers SET disabled_at = now(), key_prefix = 'former' WHERE order_id = :order")
    assert (await server.seen())["state"] == "ready"


async def test_what_an_address_holds_of_secrets_is_not_shown(town: Town) -> None:
    server = await Hooked.made(town, "https://user:pa@ss@t1.letsbe.example/hooks")
    assert (await server.seen())["url"] == "https://•••@t1.letsbe.example/hooks"


async def test_a_revoked_key_has_to_be_registered_anew(town: Town) -> None:
    server = await Hooked.made(town)
    data(await town.owner.delete(f"/api/v1/admin/servers/{server.server_id}/key"))
    lost = refusal(await town.owner.post(f"{server.path}/enable"), 409)
    assert "register anew" in lost["message"]


@pytest.mark.parametrize("name", ["srv_nonsense", "srv_01hzzzzzzzzzzzzzzzzzzzzzzz"])
async def test_a_server_nobody_has(town: Town, name: str) -> None:
    refusal(await town.owner.get(f"/api/v1/admin/servers/{name}/webhooks"), 404)
    refusal(await town.owner.post(f"/api/v1/admin/servers/{name}/webhooks/enable"), 404)


async def test_only_those_who_manage_servers_set_them_going(town: Town) -> None:
    server = await Hooked.made(town)
    await server.carried(disabled_at="now()")
    for role in ("MANAGER", "SUPPORT"):
        member = await town.people.member(role, f"{role.lower()}@letsbe.biz")
        assert data(await member.get(server.path))["state"] == "disabled"
        refusal(await member.post(f"{server.path}/enable"), 403)
    customer = await server.tenancy.signed_in()
    assert (await customer.get(server.path)).status_code in (401, 403)
    assert (await customer.post(f"{server.path}/enable")).status_code in (401, 403)
    assert (await server.seen())["state"] == "disabled"
    admin = await town.people.member("ADMIN", "admin@letsbe.biz")
    assert data(await admin.post(f"{server.path}/enable"))["state"] == "ready"
