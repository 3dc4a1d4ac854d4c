"""Wakes tenants that have something due: all at the Hub's start, and whoever was missed by a slow sweep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from actors.root import tenant_of
from actors.runtime.system import ActorSystem
from actors.tenant.messages import Wake
from protocol.faults import Overloaded
from protocol.ids import OrderId

log = structlog.get_logger()

SWEEP_SECONDS: Final = 60.0


async def wake(system: ActorSystem, find: Callable[[], Awaitable[list[OrderId]]], *, overdue: bool = False) -> None:
    """Wake the tenants found; their alarms do the rest, unless those were missed (`overdue`)."""
    for order_id in await find():
        tenant_of(system, order_id).tell(Wake(overdue))


async def sweep(system: ActorSystem, find_overdue: Callable[[], Awaitable[list[OrderId]]]) -> None:
    """Wake again and again whoever has something overdue, until cancelled.

    An alarm is lost with a tenant that crashed too often and rests, or could not be woken while the database was away.
    """
    while True:
        await trio.sleep(SWEEP_SECONDS)
        try:
            await wake(system, find_overdue, overdue=True)
        except Overloaded as fault:
            log.warning("tenants.sweep_waits", reason=fault.message)
