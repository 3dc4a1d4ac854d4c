"""Presence for the consoles: how each server is now, told when it changes and at most four times a second."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
import trio

from actors.runtime.ports import Clock
from controlplane.services.console_topics import PRESENCE, channels
from controlplane.services.console_viewers import Viewers
from controlplane.store.presence import PresenceStore
from controlplane.store.servers import ServerStore
from protocol.console import PresenceChanged
from protocol.faults import Overloaded
from protocol.tenant import encode

log = structlog.get_logger()

#: At most one telling of a server in so long.
SPACING_SECONDS: Final = 0.25
#: How often it is asked who was heard of.
LISTEN_SECONDS: Final = 1.0
#: How late a heartbeat's time may become visible: it is taken at arrival and committed later.
COMMITTED_WITHIN: Final = timedelta(seconds=5)
#: Servers read at once.
BATCH: Final = 200


class PresenceFeed:
    """Tells the consoles of this node how servers are.

    Args:
        frame: makes a WebSocket frame from its payload.
    """

    def __init__(
        self, servers: ServerStore, store: PresenceStore, clock: Clock, *, frame: Callable[[bytes], bytes]
    ) -> None:
        self._servers = servers
        self._store = store
        self._clock = clock
        self._make_frame = frame
        self._viewers: Viewers | None = None
        self._changed: dict[UUID, None] = {}
        self._told_at: dict[UUID, float] = {}
        self._something = trio.Event()

    def mark(self, order_id: UUID) -> None:
        """Something happened to this order's server."""
        if self._viewers is not None and self._viewers.any_in(PRESENCE):
            self._changed[order_id] = None
            self._something.set()

    async def run(self, viewers: Viewers) -> None:
        """Tell these viewers, until cancelled."""
        self._viewers = viewers
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell, viewers)
            nursery.start_soon(self._listen, viewers)

    async def _tell(self, viewers: Viewers) -> None:
        while True:
            with trio.move_on_at(self._next_due()):
                await self._something.wait()
            self._something = trio.Event()
            now = trio.current_time()
            self._told_at = {order: at for order, at in self._told_at.items() if at > now - SPACING_SECONDS}
            due = [order for order in self._changed if order not in self._told_at][:BATCH]
            try:
                await self._tell_of(viewers, due)
            except Overloaded as fault:
                log.warning("console.presence_waits", reason=fault.message)
                self._changed |= dict.fromkeys(due)
                await trio.sleep(LISTEN_SECONDS)

    def _next_due(self) -> float:
        """When something that has changed may be told; what comes new may be told at once."""
        told = (self._told_at.get(order) for order in self._changed)
        return min((-math.inf if at is None else at + SPACING_SECONDS for at in told), default=math.inf)

    async def _tell_of(self, viewers: Viewers, due: list[UUID]) -> None:
        if not due:
            return
        for order in due:
            del self._changed[order]
        now = self._clock.now()
        servers = await self._servers.of_orders(due, now=now)
        told_at = trio.current_time()
        self._told_at |= dict.fromkeys(due, told_at)
        for order_id, customer_id, server in servers:
            for channel in channels(PRESENCE, order_id, customer_id):
                listeners = viewers.of(channel)
                if listeners:
                    frame = self._make_frame(encode(PresenceChanged(channel[1], now, server)))
                    for viewer in listeners:
                        viewer.receiver.send_frame(frame)

    async def _listen(self, viewers: Viewers) -> None:
        heard: dict[UUID, datetime] = {}
        looked_at = self._clock.now()
        while True:
            await trio.sleep(LISTEN_SECONDS)
            now = self._clock.now()
            if not viewers.any_in(PRESENCE):
                looked_at = now
                continue
            try:
                latest = await self._store.heard(since=now - COMMITTED_WITHIN)
                silent = await self._store.fallen_silent(after=looked_at, until=now)
            except Overloaded as fault:
                log.warning("console.presence_waits", reason=fault.message)
                continue
            for order_id, at in latest.items():
                if heard.get(order_id) != at:
                    self.mark(order_id)
            for order_id in silent:
                self.mark(order_id)
            heard, looked_at = latest, now
