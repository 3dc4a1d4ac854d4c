"""The app's own start and end, by ASGI's lifespan protocol: it runs as long as the door is open."""

from __future__ import annotations

import structlog
import trio

from controlplane.door.asgi import App, Message

log = structlog.get_logger()


class AppNotStarted(RuntimeError):
    """The app said that its start failed, or did not finish it in time."""


class Lifespan:
    """Runs an app's lifespan. An app that knows none is let be.

    Args:
        app: any ASGI 3 application.
        limit_seconds: for its start and for its end, each.
    """

    def __init__(self, app: App, *, limit_seconds: float) -> None:
        self._app = app
        self._limit_seconds = limit_seconds
        self._send, self._receive = trio.open_memory_channel[Message](2)
        self._started = trio.Event()
        self._stopped = trio.Event()
        self._failure: str | None = None

    async def run(self, *, task_status: trio.TaskStatus[Lifespan] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the app, report, and stay until `stop`.

        Raises:
            AppNotStarted: see there.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._call)
            self._send.send_nowait({"type": "lifespan.startup"})
            with trio.move_on_after(self._limit_seconds) as limit:
                await self._started.wait()
            if limit.cancelled_caught:
                self._failure = f"not within {self._limit_seconds} s"
            if self._failure is None:
                task_status.started(self)
                await self._stopped.wait()
            nursery.cancel_scope.cancel()
        if self._failure is not None:
            raise AppNotStarted(f"the app did not start: {self._failure}")

    async def stop(self) -> None:
        """Let the app end; a failure or a passed limit is logged."""
        with trio.move_on_after(self._limit_seconds) as limit:
            self._send.send_nowait({"type": "lifespan.shutdown"})
            await self._stopped.wait()
        if limit.cancelled_caught:
            log.warning("http.app_end_cut", limit_seconds=self._limit_seconds)
        self._stopped.set()

    async def _call(self) -> None:
        try:
            scope = {"type": "lifespan", "asgi": {"spec_version": "2.0", "version": "3.0"}, "state": {}}
            await self._app(scope, self._receive.receive, self._answer)
        except Exception:
            if self._started.is_set():
                log.exception("http.app_lifespan_failed")
            else:  # the specification's way of saying that it knows no lifespan
                log.debug("http.app_without_lifespan")
        if not self._started.is_set():
            self._started.set()
            while (await self._receive.receive())["type"] != "lifespan.shutdown":
                pass
        self._stopped.set()

    async def _answer(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.failed":
            self._failure = str(message.get("message", ""))
        if kind == "lifespan.shutdown.failed":
            log.error("http.app_end_failed", message=message.get("message"))
        if kind.startswith("lifespan.startup."):
            self._started.set()
        else:
            self._stopped.set()
        await trio.lowlevel.checkpoint()
