"""The link to the Hub: dials, speaks, and dials again when and as the last ending allows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog
import trio
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.trio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from protocol.tenant import FRAME_LIMIT_BYTES, SUBPROTOCOL, CloseCode, Welcome
from wrapper.conversation import CLOSE_SECONDS, Conversation, Parts
from wrapper.hub_address import HubAddress
from wrapper.keyring import Secret
from wrapper.ports import Clock
from wrapper.reconnect import Ending, Reconnect, retry_after_seconds

log = structlog.get_logger()

OPEN_SECONDS: Final = 20
#: Opens one socket to the Hub.
Dial = Callable[[HubAddress, Secret], AbstractAsyncContextManager[ClientConnection]]


class LinkState(msgspec.Struct, rename="camel"):
    """How the link is, for `/health`."""

    connected: bool = False
    since: datetime | None = None
    session_id: str | None = None
    last_ending: str | None = None
    connections: int = 0


def dial(address: HubAddress, key: Secret) -> AbstractAsyncContextManager[ClientConnection]:
    """A websockets client set up by PROTOCOL: key in the header, no compression, liveness is ours to watch."""
    # At debug level the library prints the handshake with its Authorization header: give it a logger nobody turns up.
    quiet = logging.Logger("safety-wrapper.socket", logging.ERROR)
    quiet.addHandler(logging.NullHandler())
    return connect(
        address.socket_url,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        additional_headers={"Authorization": f"Bearer {key.reveal()}"},
        proxy=None if address.loopback else True,
        open_timeout=OPEN_SECONDS,
        ping_interval=None,
        close_timeout=1,
        max_size=4 * FRAME_LIMIT_BYTES,  # taking more than the Hub may send harms nobody
        logger=quiet,
    )


class Link:
    """Keeps one socket to the Hub by the rules of PROTOCOL.

    Attributes:
        state: how it is now.
    """

    def __init__(
        self, address: HubAddress, key: Callable[[], Secret], parts: Parts, clock: Clock, *, dial: Dial = dial
    ) -> None:
        self._address = address
        self._key = key
        self._parts = parts
        self._clock = clock
        self._dial = dial
        self._reconnect = Reconnect(parts.randomness)
        self._conversation: Conversation | None = None
        self._closing = False
        self._closed = trio.Event()
        self.state = LinkState()

    def enqueued(self, message_ids: list[str]) -> None:
        """Messages have been journalled: send them as soon as there is a connection."""
        for message_id in message_ids:
            self._parts.session.enqueue(message_id)
        if self._conversation is not None:
            self._conversation.wake()

    async def run(self) -> None:
        """Keep the link, for ever."""
        while True:
            ending = await self._once()
            if self._closing:
                self._closed.set()
                await trio.sleep_forever()
            pause = self._reconnect.pause(ending)
            self.state = msgspec.structs.replace(
                self.state,
                connected=False,
                since=self._clock.now(),
                session_id=None,
                last_ending=_in_words(ending),
            )
            log.info("link.ended", ending=_in_words(ending), retry_in_seconds=round(pause, 1))
            await trio.sleep(pause)

    async def close(self) -> None:
        """Say goodbye, so that the Hub need not wait to notice; for a socket that is open, at most two seconds."""
        self._closing = True
        if self._conversation is not None:
            self._conversation.finish()
            with trio.move_on_after(2 * CLOSE_SECONDS, shield=True):
                await self._closed.wait()

    async def _once(self) -> Ending:
        try:
            async with self._dial(self._address, self._key()) as socket:
                if socket.subprotocol != SUBPROTOCOL:
                    return Ending(code=CloseCode.NO_COMMON_PROTOCOL, reason="the Hub did not choose our subprotocol")
                self._conversation = Conversation(socket, self._parts)
                try:
                    return await self._conversation.run(self._welcomed)
                finally:
                    self._conversation = None
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            given = retry_after_seconds(refusal.response.headers.get("Retry-After"))
            return Ending(status=status, reason=f"HTTP {status}", given_seconds=given or None)
        except (OSError, EOFError, WebSocketException, trio.BrokenResourceError) as error:
            return Ending(reason=f"{type(error).__name__}: {error}"[:300])

    def _welcomed(self, welcome: Welcome) -> None:
        self.state = LinkState(
            connected=True,
            since=self._clock.now(),
            session_id=welcome.session_id,
            connections=self.state.connections + 1,
        )
        log.info("link.welcomed", session=welcome.session_id, resumed_from=welcome.resumed_from)


def _in_words(ending: Ending) -> str:
    if ending.code is not None:
        return f"closed {ending.code} {ending.reason}".strip()
    return ending.reason


def status_of(link: Link | None) -> dict[str, Any]:
    """The link's state as plain values."""
    return {} if link is None else dict(msgspec.to_builtins(link.state))
