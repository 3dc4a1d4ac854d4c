"""One connection to an OpenClaw gateway: its WebSocket protocol, version 3 (docs/gateway/protocol.md of OpenClaw)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import trio
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.trio.client import ClientConnection, connect

from wrapper.hub_address import BadAddress, is_loopback
from wrapper.keyring import Secret

PROTOCOL: Final = 3
OPEN_SECONDS: Final = 20
ANSWER_SECONDS: Final = 15.0
#: The greeting carries a snapshot of the whole gateway.
LIMIT_BYTES: Final = 32 * 1024 * 1024
SILENT_TICKS: Final = 3
SCOPES: Final = ["operator.read", "operator.approvals"]


class GatewayLost(Exception):
    """The connection is gone, or could not be made; whether the last request was heard is unknown."""


class GatewayRefused(Exception):
    """The gateway answered a request with an error."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code
        self.words = words


class GatewayAddress:
    """Where the gateway is.

    Raises:
        BadAddress: not ws:// or wss://, or unencrypted to another machine.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.username or parts.query:
            raise BadAddress("the gateway's address must be ws://host:port or wss://host:port")
        self.loopback = is_loopback(parts.hostname)
        if parts.scheme == "ws" and not self.loopback:
            raise BadAddress("the gateway's token would travel unencrypted: use wss:// to another machine")
        self.url = url


class _Frame(msgspec.Struct):
    type: str
    id: str = ""
    event: str = ""
    ok: bool = False
    payload: msgspec.Raw = msgspec.Raw(b"null")  # an optional Raw would take nothing but null
    error: dict[str, Any] | None = None


class _Policy(msgspec.Struct, rename="camel"):
    tick_interval_ms: int = 30_000


class _Server(msgspec.Struct):
    version: str = "unknown"


class HelloOk(msgspec.Struct):
    """What of the gateway's greeting matters here."""

    protocol: int
    server: _Server = msgspec.field(default_factory=_Server)
    policy: _Policy = msgspec.field(default_factory=_Policy)


#: Called with an event's name and payload; must not wait.
OnEvent = Callable[[str, bytes], None]
_decoder = msgspec.json.Decoder(_Frame)


class Gateway:
    """An open, greeted connection.

    Attributes:
        hello: the greeting.
    """

    def __init__(self, socket: ClientConnection, on_event: OnEvent) -> None:
        self._socket = socket
        self._on_event = on_event
        self._answers: dict[str, trio.MemorySendChannel[_Frame]] = {}
        self._count = 0
        self._lost = trio.Event()
        self.hello = HelloOk(protocol=PROTOCOL)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, address: GatewayAddress, token: Secret | None, version: str, on_event: OnEvent
    ) -> AsyncIterator[Gateway]:
        """Connect and greet.

        Raises:
            GatewayLost: it cannot be reached, or went away.
            GatewayRefused: it does not let us in.
        """
        quiet = logging.Logger("safety-wrapper.gateway", logging.ERROR)
        quiet.addHandler(logging.NullHandler())
        try:
            async with connect(
                address.url,
                compression=None,
                proxy=None if address.loopback else True,
                open_timeout=OPEN_SECONDS,
                close_timeout=1,
                max_size=LIMIT_BYTES,
                logger=quiet,
            ) as socket:
                gateway = cls(socket, on_event)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(gateway._read)
                    await gateway._greet(token, version)
                    nursery.start_soon(gateway._watch)
                    yield gateway
                    nursery.cancel_scope.cancel()
        except (OSError, EOFError, WebSocketException, trio.BrokenResourceError) as error:
            raise GatewayLost(f"{type(error).__name__}: {error}"[:300]) from error

    async def lost(self) -> None:
        """Wait until the connection is gone."""
        await self._lost.wait()

    async def request(self, method: str, params: dict[str, Any]) -> bytes:
        """Ask, and wait for the answer's payload.

        Raises:
            GatewayRefused: the answer is an error.
            GatewayLost: none came; whether the request was heard is unknown.
        """
        self._count += 1
        request_id = str(self._count)
        give, take = trio.open_memory_channel[_Frame](1)
        self._answers[request_id] = give
        frame = {"type": "req", "id": request_id, "method": method, "params": params}
        try:
            with trio.fail_after(ANSWER_SECONDS):
                await self._socket.send(msgspec.json.encode(frame), text=True)
                answer = await take.receive()
        except (ConnectionClosed, trio.EndOfChannel) as error:
            raise GatewayLost(self._farewell()) from error
        except trio.TooSlowError as error:
            # A send that was cut off may have left half a frame: nothing may follow it.
            await trio.aclose_forcefully(self._socket.stream)
            raise GatewayLost("the gateway did not answer") from error
        finally:
            self._answers.pop(request_id, None)
        if not answer.ok:
            fault = answer.error or {}
            raise GatewayRefused(str(fault.get("code", "UNKNOWN")), str(fault.get("message", "")))
        return bytes(answer.payload)

    def _farewell(self) -> str:
        """Why the connection is gone, in the gateway's words where it gave any."""
        code, reason = self._socket.close_code, self._socket.close_reason
        return f"the gateway closed the connection: {code} {reason or ''}".strip() if code else "the gateway went away"

    async def _greet(self, token: Secret | None, version: str) -> None:
        params: dict[str, Any] = {
            "minProtocol": PROTOCOL,
            "maxProtocol": PROTOCOL,
            "client": {
                "id": "gateway-client",
                "displayName": "LetsBe Safety Wrapper",
                "version": version,
                "platform": "linux",
                "mode": "backend",
            },
            "role": "operator",
            "scopes": SCOPES,
        }
        if token is not None:
            params["auth"] = {"token": token.reveal()}
        try:
            self.hello = msgspec.json.decode(await self.request("connect", params), type=HelloOk)
        except msgspec.MsgspecError as error:
            raise GatewayRefused("PROTOCOL", f"not a greeting: {error}") from error

    async def _read(self) -> None:
        try:
            while True:
                frame = _decoder.decode(await self._socket.recv(decode=False))
                if frame.type == "event":
                    self._on_event(frame.event, bytes(frame.payload))
                elif frame.type == "res" and (waiting := self._answers.get(frame.id)) is not None:
                    waiting.send_nowait(frame)
        except (ConnectionClosed, msgspec.MsgspecError, RecursionError, trio.WouldBlock):
            await trio.aclose_forcefully(self._socket.stream)
        finally:
            self._lost.set()
            for waiting in list(self._answers.values()):
                waiting.close()

    async def _watch(self) -> None:
        """The library's own pings end a dead connection; whether the gateway behind a live one hangs, we ask."""
        while True:
            await trio.sleep(SILENT_TICKS * self.hello.policy.tick_interval_ms / 1000)
            try:
                await self.request("health", {})
            except GatewayRefused:
                continue  # it lives
            except GatewayLost:
                return
