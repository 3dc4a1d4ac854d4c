"""The wrapper's connection ends while the Hub is still talking: it is left behind, and the Hub is dialled again."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import trio
from websockets.exceptions import ConnectionClosed

from tests.end_to_end.hub_process import until
from tests.integration.wrapper.conftest import OpenWrapper, hub, open_wrapper
from tests.integration.wrapper.hub_peer import HubPeer

__all__ = ["hub", "open_wrapper"]  # fixtures


async def test_a_connection_that_ends_with_more_queued_than_read_does_not_hold_the_link(
    hub: HubPeer, open_wrapper: OpenWrapper, tmp_path: Path
) -> None:
    hub.heartbeat_seconds = 1

    async def talk_on() -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await hub.say({"type": "telepathy", "padding": "x" * 1000})

    async with open_wrapper() as wrapper, trio.open_nursery() as nursery:
        await hub.connected()
        conversation = wrapper.link._conversation
        assert conversation is not None
        with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as disk:
            disk.execute("BEGIN IMMEDIATE")  # a disk so slow that nothing is read any more
            await hub.promise("void")
            nursery.start_soon(talk_on)
            # Through all this it hears no pong, and gives the connection up.
            await until(lambda: conversation._ending is not None)
            disk.execute("ROLLBACK")
        await hub.connected(times=2)
        await hub.acked(1)
        nursery.cancel_scope.cancel()
