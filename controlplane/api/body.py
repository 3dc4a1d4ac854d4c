"""Reading a request's body within its limits, and getting rid of one that nobody read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import trio

from controlplane.api.incoming import Incoming
from protocol.faults import PayloadTooLarge, ValidationError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_BODILESS_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ARRIVES_WITHIN_SECONDS: Final = 20.0
_DISCARDED_BYTES: Final = 1024 * 1024
_DISCARDED_WITHIN_SECONDS: Final = 5.0


class BodyReader:
    """The body of one request.

    Attributes:
        finished: everything was received, or there is no body.
    """

    __slots__ = ("_declared_bytes", "_receive", "disconnected", "finished")

    def __init__(self, receive: Receive, incoming: Incoming) -> None:
        self._receive = receive
        self._declared_bytes: int | None = None
        headers = incoming.headers
        length = headers.get("content-length")
        if length is not None and length.isascii() and length.isdigit():
            self._declared_bytes = int(length[:20])
        self.disconnected = False
        # Only where the method promises none is a body left unasked for: ASGI does not demand a Content-Length.
        announced = length is not None or "transfer-encoding" in headers
        self.finished = self._declared_bytes == 0 or (incoming.method in _BODILESS_METHODS and not announced)

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body.

        Raises:
            PayloadTooLarge: it is larger than `limit_bytes`, by its Content-Length or by what came.
            ValidationError: it did not arrive in time, or broke off.
        """
        if self.finished:
            return b""
        if self._declared_bytes is not None and self._declared_bytes > limit_bytes:
            raise self._too_large(limit_bytes)
        chunks: list[bytes] = []
        size_bytes = 0
        with trio.move_on_after(_ARRIVES_WITHIN_SECONDS) as within:
            while not self.finished:
                chunk = await self._next()
                size_bytes += len(chunk)
                if size_bytes > limit_bytes:
                    raise self._too_large(limit_bytes)
                chunks.append(chunk)
        if within.cancelled_caught:
            raise ValidationError.of("body", f"did not arrive within {_ARRIVES_WITHIN_SECONDS:g} s")
        if self.disconnected:
            raise ValidationError.of("body", "broke off before its end")
        return b"".join(chunks)

    async def discard(self) -> bool:
        """Read on without keeping anything, within bounds, and tell whether that was all of it.

        A server that closes on unread bytes resets the connection, and the client may lose the answer it was just
        sent (RFC 9112 section 9.6).
        """
        left = _DISCARDED_BYTES
        with trio.move_on_after(_DISCARDED_WITHIN_SECONDS):
            while not self.finished and left > 0:
                left -= len(await self._next())
        return self.finished

    async def discard_for_ever(self) -> None:
        """Take whatever still comes until cancelled: Hypercorn's reader would otherwise wait on a full queue."""
        while not self.disconnected:
            await self._next()

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            self.disconnected = self.finished = True
            return b""
        if not message.get("more_body", False):
            self.finished = True
        body: bytes = message.get("body", b"")
        return body

    @staticmethod
    def _too_large(limit_bytes: int) -> PayloadTooLarge:
        return PayloadTooLarge(f"the body is larger than {limit_bytes} bytes")
