"""The gate at which the reader of an HTTP connection waits for the answer before it looks at the next request."""

from __future__ import annotations

import trio


class ConnectionEnded(Exception):
    """There will be no next request: the connection ends with this answer."""


class ReadGate:
    """Takes the place of Hypercorn's event, which loses the end of the connection.

    The reader finds a request behind the current one, shuts the gate, and waits for the answer to open it. If the
    connection ends meanwhile, because the client is gone when the answer is written or because the answer is the
    last, nobody opens the gate any more, and the connection would stay for ever. Here the end opens it for good.
    """

    def __init__(self) -> None:
        self._event = trio.Event()
        self._ended = False

    async def clear(self) -> None:
        """Shut it."""
        if not self._ended:
            self._event = trio.Event()

    async def wait(self) -> None:
        """Wait until it is open.

        Raises:
            ConnectionEnded: see there.
        """
        await self._event.wait()
        if self._ended:
            raise ConnectionEnded

    async def set(self) -> None:
        """Open it for the next request."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether it is open."""
        return self._event.is_set()

    def end(self) -> None:
        """There is no next request."""
        self._ended = True
        self._event.set()
