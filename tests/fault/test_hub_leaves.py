"""SIGTERM: who waits is answered, sockets are told to come back, and nobody who stalls keeps the Hub."""

from __future__ import annotations

import time

import trio

from tests.end_to_end.scripted_wrapper import approval_request, refusal
from tests.end_to_end.world import World

EXIT_SECONDS = 10


def upgrade(key: str) -> bytes:
    return (
        "GET /api/v1/tenant/socket HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: letsbe.tenant.v1\r\nAuthorization: Bearer {key}\r\n\r\n"
    ).encode()


async def test_it_ends_in_order_within_ten_seconds_although_peers_are_stuck(own_world: World) -> None:
    world, hub = own_world, own_world.hub
    tenant, stuck_tenant = await world.tenant(), await world.tenant()
    async with (
        tenant.connected() as wrapper,
        await trio.open_tcp_stream("127.0.0.1", hub.port) as never_reads,
        await trio.open_tcp_stream("127.0.0.1", hub.port) as stalls,
    ):
        await never_reads.send_all(upgrade(stuck_tenant.key))
        assert (await never_reads.receive_some()).startswith(b"HTTP/1.1 101")
        await stalls.send_all(b"POST /api/v1/setup HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\n{")
        request = approval_request()
        await wrapper.say(request)
        assert (await wrapper.hear("accepted"))["ids"] == [request["id"]]

        began = time.monotonic()
        hub.terminate()
        await hub.until_logged("hub.stopping", signal="SIGTERM")
        ready = await world.nobody.call("GET", "/readyz")
        assert ready.status_code == 503, ready.text
        assert (await wrapper.hear("drain"))["reconnectAfterMs"] > 0
        assert (await refusal(hub.socket_url, tenant.key))[:2] == (503, "OVERLOADED")
        code, _ = await wrapper.closed()
        assert code == 1012
        assert await trio.to_thread.run_sync(hub.wait) == 0
        assert time.monotonic() - began < EXIT_SECONDS
    assert hub.logged("tenant.socket_closed", tenant=f"tenant/{tenant.order_id}", code=1012)
    assert hub.logged("postgres.stopped", exit_status=0)
    assert hub.bugs() == []

    hub.start()
    assert (await tenant.approval_of(request))["status"] == "PENDING"
