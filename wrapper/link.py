"""The link to the Hub: dials, speaks, and dials again when and as the last ending allows; HTTP carries in between where
sockets are blocked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
import structlog
import trio
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.trio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from protocol.tenant import FRAME_LIMIT_BYTES, SUBPROTOCOL, CloseCode, Welcome
from wrapper.conversation import CLOSE_SECONDS, Conversation, Parts
from wrapper.fallback import Fallback, Pace
from wrapper.fallback_client import HubClient, envelope_of
from wrapper.hub_address import HubAddress
from wrapper.keyring import Secret
from wrapper.ports import Clock
from wrapper.reconnect import Blockage, Ending, Reconnect, retry_after_seconds

log = structlog.get_logger()

OPEN_SECONDS: Final = 20
#: Tries in a row that end without a word of the Hub's before HTTP carries too.
BLOCKED_AFTER: Final = 3
#: Opens one socket to the Hub.
Dial = Callable[[HubAddress, Secret], AbstractAsyncContextManager[ClientConnection]]


class LinkState(msgspec.Struct, rename="camel"):
    """How the link is, for `/health`.

    Args:
        carrier: by what the Hub is reached; None: it is not.
        last_ending: how the last socket, or the last try at one, ended; over HTTP, what went wrong last.
    """

    connected: bool = False
    carrier: Literal["socket", "http"] | None = None
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
    """Keeps one socket to the Hub by the rules of PROTOCOL, and falls back to HTTP while none comes about.

    Args:
        pace: how often the Hub is asked over HTTP.

    Attributes:
        state: how it is now.
    """

    def __init__(
        self,
        address: HubAddress,
        key: Callable[[], Secret],
        parts: Parts,
        clock: Clock,
        *,
        dial: Dial = dial,
        pace: Pace | None = None,
    ) -> None:
        self._address = address
        self._key = key
        self._parts = parts
        self._clock = clock
        self._dial = dial
        self._reconnect = Reconnect(parts.randomness)
        self._blockage = Blockage(BLOCKED_AFTER)
        self._conversation: Conversation | None = None
        self._fallback = Fallback(
            lambda: HubClient(address, key()),
            parts,
            pace=pace or Pace(),
            on_change=self._http_changed,
            on_returned=self._wake,
        )
        self._closing = False
        self._closed = trio.Event()
        self.state = LinkState()

    def enqueued(self, message_ids: list[str]) -> None:
        """Messages have been journalled: send them as soon as there is a connection."""
        for message_id in message_ids:
            self._parts.session.enqueue(message_id)
        self._wake()
        self._fallback.wake()

    def _wake(self) -> None:
        if self._conversation is not None:
            self._conversation.wake()

    def pull_configuration(self) -> None:
        """There is another configuration, and it was not said which: over HTTP it can be asked for."""
        self._fallback.pull()

    async def run(self) -> None:
        """Keep the link, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fallback.run)
            while True:
                ending = await self._once()
                if self._closing:
                    self._closed.set()
                    await trio.sleep_forever()
                pause = self._reconnect.pause(ending)
                self._ended(ending)
                log.info("link.ended", ending=_in_words(ending), retry_in_seconds=round(pause, 1))
                await trio.sleep(pause)

    def _ended(self, ending: Ending) -> None:
        words = _in_words(ending)
        if self.state.carrier == "http":
            self.state = msgspec.structs.replace(self.state, last_ending=words)
        else:
            self.state = msgspec.structs.replace(
                self.state, connected=False, carrier=None, since=self._clock.now(), session_id=None, last_ending=words
            )
        if self._blockage.ended(ending) and not self._fallback.carrying:
            log.warning("link.blocked", ending=words, carrier="http")
            self._fallback.begin()

    def _http_changed(self, reached: bool, words: str) -> None:
        """HTTP has begun to reach the Hub, or ceased to."""
        if self._conversation is not None and self._conversation.welcome is not None:
            return
        if reached != self.state.connected:
            self.state = msgspec.structs.replace(
                self.state,
                connected=reached,
                carrier="http" if reached else None,
                since=self._clock.now(),
                last_ending=words or self.state.last_ending,
            )

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
                    self._fallback.wake()
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            given = retry_after_seconds(refusal.response.headers.get("Retry-After"))
            verdict = envelope_of(refusal.response.body) is not None
            return Ending(status=status, reason=f"HTTP {status}", given_seconds=given or None, verdict=verdict)
        except (OSError, EOFError, WebSocketException, trio.BrokenResourceError) as error:
            unreachable = isinstance(error, OSError) and not isinstance(error, TimeoutError)
            return Ending(reason=f"{type(error).__name__}: {error}"[:300], unreachable=unreachable)

    def _welcomed(self, welcome: Welcome) -> None:
        self._fallback.end()
        self.state = LinkState(
            connected=True,
            carrier="socket",
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
