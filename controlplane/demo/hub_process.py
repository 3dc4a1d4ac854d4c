"""The demo's Hub: a process of `hub serve`, and what it says while it starts."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from controlplane.demo.failure import DemoFailed
from controlplane.demo.family import Child, Family, Program
from controlplane.demo.home import Home
from controlplane.settings import Settings, process_environment

#: PostgreSQL may have a crash to recover from.
HUB_SECONDS: Final = 150.0
_LOOK_SECONDS: Final = 0.125
_TOKEN_SECONDS: Final = 1.0

# SIGINT, because a Hub that has not begun to handle signals then still unwinds and ends its database. A second signal
# has it drop what is under way.
_ENDINGS: Final = ((signal.SIGINT, 4.0), (signal.SIGTERM, 3.0))

_READY_LINE: Final = "LetsBe Hub is ready on "
_TOKEN_LINE: Final = re.compile(r"setupToken to POST /api/v1/setup: (\S+)")
#: Event of the Hub's log → what it means to somebody who waits.
_PROGRESS: Final = {
    "postgres.made": "a new database has been made",
    "postgres.ready": "PostgreSQL runs",
    "schema.migrated": "the schema is up to date",
}


class HubProcess:
    """Starts the Hub and hears what it says."""

    def __init__(self, settings: Settings, home: Home, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._home = home
        self._say = say
        self._ready = trio.Event()
        self._token_told = trio.Event()

    async def start(self, family: Family, address: str) -> Child:
        """Start it and wait until it takes requests.

        Args:
            address: by which this machine reaches it.

        Raises:
            DemoFailed: it does not come up in time.
        """
        log = self._home.log("hub")
        child = family.start(
            Program(
                name="the Hub",
                words=(sys.executable, "-m", "controlplane", "serve", "--bind", self._settings.bind),
                log=log,
                environment=process_environment(smtp_url=self._mail_route()),
                endings=_ENDINGS,
                on_line=self._hear,
            )
        )
        with trio.move_on_after(HUB_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell_progress, log)
                await self._ready.wait()
                nursery.cancel_scope.cancel()
        if not self._ready.is_set():
            raise DemoFailed(f"the Hub was not ready after {HUB_SECONDS:.0f} s; its log is {log}")
        self._say(f"the Hub takes requests on {address}")
        if not self._settings.loopback_only:
            # A Hub that others can reach says its setup token once, in the line after.
            with trio.move_on_after(_TOKEN_SECONDS):
                await self._token_told.wait()
        return child

    def _mail_route(self) -> str | None:
        """Mail goes into the demo's folder, unless the settings send it somewhere."""
        return self._home.mail.as_uri() if self._settings.smtp_url is None else None

    def _hear(self, line: str) -> None:
        if found := _TOKEN_LINE.search(line):
            self._home.keep_setup_token(found[1])
            self._token_told.set()
        elif line.startswith(_READY_LINE):
            if self._ready.is_set():
                self._say("the Hub takes requests again")
            self._ready.set()

    async def _tell_progress(self, log: Path) -> None:
        awaited = dict(_PROGRESS)
        text = ""
        with log.open(encoding="utf-8", errors="replace") as file:
            while awaited:
                text += file.read()
                for event in [event for event in awaited if event in text]:
                    self._say(awaited.pop(event))
                await trio.sleep(_LOOK_SECONDS)
