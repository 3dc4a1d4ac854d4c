"""One port for everything: what the front door does with requests, upgrades, and whatever else arrives."""

from __future__ import annotations

import httpx
import trio
from websockets.trio.client import connect


async def test_one_port_serves_sockets_and_http(door):
    async with httpx.AsyncClient(base_url=door.url) as client:
        answer = await client.get("/hello")
    assert answer.text == "hello"
    async with connect(door.socket_url, compression=None) as socket:
        await socket.send("héllo")
        assert await socket.recv() == "héllo"
