"""Who may open the tenant socket: wrong, revoked and missing keys, a key in the URL, a subprotocol nobody speaks."""

from __future__ import annotations

import pytest

from tests.end_to_end.scripted_wrapper import refusal
from tests.end_to_end.world import World

SAME_PREFIX = "the right prefix with a wrong secret"


def refused_lines(world: World, status: int, reason: str) -> int:
    return sum(reason in line["reason"] for line in world.hub.logged("socket.refused", status=status))


@pytest.mark.parametrize("key", [None, "", "nonsense", "hk_0123456789ab_0123", "rt_" + "0" * 64, SAME_PREFIX])
async def test_a_missing_or_wrong_key_is_refused_at_the_handshake(world: World, key: str | None) -> None:
    tenant = await world.tenant(settled_in=False)
    reason = "is not valid" if key else "send the hub API key"
    if key == SAME_PREFIX:
        key = tenant.key[:-1] + ("0" if tenant.key[-1] != "0" else "1")
    before = refused_lines(world, 401, reason)
    status, code, headers = await refusal(world.hub.socket_url, key)
    assert (status, code) == (401, "UNAUTHORIZED")
    assert headers["WWW-Authenticate"] == "Bearer"
    assert refused_lines(world, 401, reason) == before + 1
    # The same key opens nothing over HTTP either.
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = await world.nobody.call("GET", "/api/v1/tenant/config", headers=headers)
    assert answer.status_code == 401
    assert world.hub.value("SELECT key_first_used_at FROM server_connections WHERE order_id = $1", tenant.order) is None


async def test_a_revoked_key_closes_its_socket_at_once_and_opens_none(world: World) -> None:
    tenant = await world.tenant()
    async with tenant.connected() as wrapper:
        await world.staff.ok("DELETE", f"/api/v1/admin/servers/{tenant.server_id}/key")
        assert await wrapper.closed(within_seconds=1) == (4001, "the key was revoked")
    await world.hub.until_logged("tenant.socket_closed", tenant=f"tenant/{tenant.order_id}", code=4001)
    status, code, _ = await refusal(world.hub.socket_url, tenant.key)
    assert (status, code) == (401, "UNAUTHORIZED")
    assert refused_lines(world, 401, "was revoked")
    by_http = await world.tenant_caller(tenant).refused("POST", "/api/v1/tenant/heartbeat", {"status": "healthy"})
    assert by_http[:2] == (401, "UNAUTHORIZED")


async def test_promises_made_after_the_revocation_wait_for_the_next_key(world: World) -> None:
    tenant = await world.tenant()
    await world.staff.ok("DELETE", f"/api/v1/admin/servers/{tenant.server_id}/key")
    command = await tenant.command()
    answer = await world.register(await world.registration_token(tenant.order_id))
    assert answer.status_code == 201
    tenant.key = answer.json()["data"]["hubApiKey"]
    async with tenant.connected() as wrapper:
        assert (await wrapper.promise("command"))["id"] == command["id"]


@pytest.mark.parametrize("name", ["key", "token", "apiKey", "access_token", "x"])
async def test_a_key_in_the_url_is_refused_and_never_logged(world: World, name: str) -> None:
    tenant = await world.tenant()
    for header in (None, tenant.key):
        status, code, _ = await refusal(f"{world.hub.socket_url}?{name}={tenant.key}", header)
        assert (status, code) == (401, "UNAUTHORIZED")
    assert refused_lines(world, 401, "URL takes no query")
    answer = await world.nobody.call("GET", f"/api/v1/tenant/config?{name}={tenant.key}")
    assert answer.status_code == 401
    path = await world.nobody.call("GET", f"/api/v1/tenant/{tenant.key}")
    assert path.status_code == 404
    log = world.hub.log.read_text()
    assert tenant.key not in log
    assert tenant.key.split("_")[2] not in log


@pytest.mark.parametrize("subprotocol", [None, "letsbe.tenant.v2", "graphql-ws"])
async def test_no_common_subprotocol_is_refused_at_the_handshake(world: World, subprotocol: str | None) -> None:
    tenant = await world.tenant()
    status, code, _ = await refusal(world.hub.socket_url, tenant.key, subprotocol=subprotocol)
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert refused_lines(world, 400, "letsbe.tenant.v1")


async def test_a_registration_token_is_used_once(world: World) -> None:
    order_id = await world.order()
    token = await world.registration_token(order_id)
    first = await world.register(token)
    assert first.status_code == 201
    again = await world.register(token)
    assert again.status_code == 401
    assert again.json()["error"]["code"] == "UNAUTHORIZED"
    assert "used already" in again.json()["error"]["message"]
    await world.hub.until_logged("http.answered", route="/api/v1/tenant/register", status=401, code="UNAUTHORIZED")
    # The key that the first one got is as good as before.
    key = first.json()["data"]["hubApiKey"]
    answer = await world.nobody.call("GET", "/api/v1/tenant/config", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    assert token not in world.hub.log.read_text()


async def test_a_lost_answer_to_a_registration_locks_nobody_out_until_the_key_is_used(world: World) -> None:
    order_id = await world.order()
    token = await world.registration_token(order_id)
    keys = [(await world.register(token, instanceId="inst-1")).json()["data"]["hubApiKey"] for _ in range(2)]
    assert keys[0] != keys[1]
    status, _, _ = await refusal(world.hub.socket_url, keys[0])
    assert status == 401
    headers = {"Authorization": f"Bearer {keys[1]}"}
    assert (await world.nobody.call("GET", "/api/v1/tenant/config", headers=headers)).status_code == 200
    for instance in ("inst-1", "inst-2"):
        late = await world.register(token, instanceId=instance)
        assert late.status_code == 401, instance


async def test_a_new_registration_token_voids_the_last(world: World) -> None:
    order_id = await world.order()
    first, second = [await world.registration_token(order_id) for _ in range(2)]
    refused = await world.register(first)
    assert refused.status_code == 401
    assert "withdrawn" in refused.json()["error"]["message"]
    assert (await world.register(second)).status_code == 201
