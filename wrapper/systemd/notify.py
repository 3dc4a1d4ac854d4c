"""What the wrapper tells the service manager: ready, alive, stopping (sd_notify(3)). Without systemd, nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

log = structlog.get_logger()

#: Alive is said this often within the time after which systemd would restart the service.
BEATS: Final = 3
#: Without a watchdog the state is told this often.
STATUS_SECONDS: Final = 60.0


class ServiceManager:
    """Speaks to systemd.

    Args:
        address: NOTIFY_SOCKET: a path, or `@name` in the abstract namespace; None or empty: nobody listens.
        watchdog_seconds: after this long without a word systemd restarts the service; None: never.
    """

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        self._address = ("\0" + address[1:] if address.startswith("@") else address) if address else None
        self._interval = STATUS_SECONDS if watchdog_seconds is None else watchdog_seconds / BEATS
        self._watched = watchdog_seconds is not None
        self._complained = False

    @classmethod
    def of(cls, address: str | None, watchdog_usec: int | None, watchdog_pid: int | None) -> ServiceManager:
        """From the variables that systemd sets (sd_watchdog_enabled(3)).

        Args:
            watchdog_usec: in microseconds.
            watchdog_pid: whose watchdog it is; that of another process is none of ours.
        """
        ours = watchdog_pid is None or watchdog_pid == os.getpid()
        return cls(address, watchdog_usec / 1e6 if watchdog_usec and ours else None)

    def ready(self) -> None:
        """The port listens; what is left takes as long as the Hub takes."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """The process ends."""
        self._tell("STOPPING=1\nSTATUS=stopping")

    async def run(self, alive: Callable[[], Awaitable[str]]) -> None:
        """Say again and again that this process is alive, for ever, if it is.

        Args:
            alive: proves it, and says in a line how things are; while it does not return, nothing is said.
        """
        if self._address is None:
            return
        while True:
            status = await alive()
            beat = "WATCHDOG=1\n" if self._watched else ""
            self._tell(f"{beat}STATUS={status.splitlines()[0] if status else ''}")
            await trio.sleep(self._interval)

    def _tell(self, state: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            ) as sender:
                sender.sendto(state.encode(), self._address)
        except OSError as error:
            if not self._complained:
                log.warning("systemd.not_told", reason=str(error))
            self._complained = True
