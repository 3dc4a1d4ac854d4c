"""The nursery of the actors' tasks: awaited handlers and children; none of them for an idle actor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio


class Tasks:
    """Started from synchronous code, cancelled all at once when the system stops."""

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None
        self._ended = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._ended.set()

    def start(self, task: Callable[..., Awaitable[object]], *args: object, name: str | None = None) -> None:
        if self._nursery is None:
            raise RuntimeError("the actor system is not open")
        self._nursery.start_soon(task, *args, name=name)

    async def cancel_all(self) -> None:
        """Cancel every task and wait until the last has ended."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
        await self._ended.wait()

    def __len__(self) -> int:
        return len(self._nursery.child_tasks) if self._nursery is not None else 0
