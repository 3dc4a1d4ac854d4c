"""What is over is forgotten: ended sessions, links nobody followed, old events, promises and message ids."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
import trio

from protocol.faults import Overloaded

log = structlog.get_logger()

EVERY_SECONDS: Final = 3600.0

#: Forgets a bounded number of things; returns how many.
Sweep = Callable[[], Awaitable[int]]


async def forget_what_is_over(sweeps: Mapping[str, Sweep]) -> None:
    """Forget at the start and every hour, until cancelled; a database that is away is asked again an hour later.

    Args:
        sweeps: by the name of what they forget, for the log.
    """
    while True:
        for name, sweep in sweeps.items():
            try:
                while forgotten := await sweep():
                    log.info("upkeep.forgotten", what=name, count=forgotten)
            except Overloaded as fault:
                log.warning("upkeep.not_forgotten", what=name, reason=fault.message)
        await trio.sleep(EVERY_SECONDS)
