"""A nursery for what a resource runs in the background, invisible to exceptions of the resource's users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_household() -> AsyncIterator[trio.Nursery]:
    """Open a nursery whose body's lone exception comes out as it went in, not wrapped in an ExceptionGroup.

    A nursery may wrap what its body raises, which would make `async with Database.open(…)` change the type of every
    exception that passes through it.
    """
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            lone = group.exceptions[0]
            raise lone from lone.__cause__
        raise
