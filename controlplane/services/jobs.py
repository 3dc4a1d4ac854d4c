"""The jobs of a Hub by name and schedule (specification section 9), and the expiry of what no timer expired."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
import trio

from actors.root import tenant_of
from actors.runtime.errors import ActorCrashed, AskTimeout, MailboxFull, Stopped
from actors.runtime.system import ActorSystem
from actors.tenant.messages import Wake
from controlplane.services.upkeep import Daily, Hourly, Job, Sweep
from protocol.ids import OrderId

log = structlog.get_logger()

APPROVAL_EXPIRY: Final = "approval-expiry"
STATS_CLEANUP: Final = "stats-cleanup"
#: Everything else that need not be kept.
FORGETTING: Final = "forgetting"

#: Tenants that expire at a time.
AT_ONCE: Final = 16


def standing_jobs(*, expiry: Sweep, statistics: Mapping[str, Sweep], forgetting: Mapping[str, Sweep]) -> list[Job]:
    """The jobs that every Hub runs."""
    return [
        Job(APPROVAL_EXPIRY, Hourly(), {"approvals": expiry}),
        Job(STATS_CLEANUP, Daily(3), statistics),
        Job(FORGETTING, Hourly(), forgetting),
    ]


class Expiry:
    """Expires pending approvals whose time is over, by their tenants' actors: an expiry is pushed like a decision.

    Args:
        overdue: the orders with something whose time is over.
        count: how many pending approvals that are.
    """

    def __init__(
        self,
        system: ActorSystem,
        overdue: Callable[[], Awaitable[list[OrderId]]],
        count: Callable[[], Awaitable[int]],
    ) -> None:
        self._system = system
        self._overdue = overdue
        self._count = count

    async def sweep(self) -> int:
        """Expire; returns how many expired."""
        before = await self._count()
        orders = await self._overdue()
        limiter = trio.CapacityLimiter(AT_ONCE)
        async with trio.open_nursery() as nursery:
            for order_id in orders:
                await limiter.acquire_on_behalf_of(order_id)
                nursery.start_soon(self._expire, order_id, limiter)
        return max(0, before - await self._count()) if orders else 0

    async def _expire(self, order_id: OrderId, limiter: trio.CapacityLimiter) -> None:
        try:
            await tenant_of(self._system, order_id).ask(Wake(overdue=True))
        except (AskTimeout, MailboxFull, ActorCrashed, Stopped) as failure:
            # Its own timer, the next sweep or the next run does it.
            log.warning("upkeep.tenant_not_expired", order=order_id, reason=str(failure))
        finally:
            limiter.release_on_behalf_of(order_id)
