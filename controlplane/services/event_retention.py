"""Events are kept for a week: long enough for a timeline and for whoever comes back from a holiday weekend."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
import trio

from actors.runtime.ports import Clock
from controlplane.store.events import EventStore
from protocol.faults import Overloaded

log = structlog.get_logger()

KEPT: Final = timedelta(days=7)
EVERY_SECONDS: Final = 600.0


async def forget_old_events(store: EventStore, clock: Clock) -> None:
    """Forget, every ten minutes until cancelled, what is older than a week."""
    while True:
        try:
            while forgotten := await store.sweep(before=clock.now() - KEPT):
                log.info("events.forgotten", count=forgotten)
        except Overloaded as fault:
            log.warning("events.not_forgotten", reason=fault.message)
        await trio.sleep(EVERY_SECONDS)
