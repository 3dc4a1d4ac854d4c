"""An answer on its way out: status, headers and body, and what is sent with every one of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

import trio

from controlplane.api.body import BodyReader
from controlplane.api.endpoint import Endpoint
from controlplane.api.envelope import Raw, Stream
from controlplane.api.incoming import Incoming

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_JSON: Final = b"application/json"


class Standing:
    """Headers every answer carries.

    Args:
        secure: people reach the Hub over https, so that HSTS (RFC 6797) holds.
    """

    def __init__(self, *, secure: bool) -> None:
        headers: Headers = [
            (b"cache-control", b"no-store"),
            (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]
        if secure:
            headers.append((b"strict-transport-security", b"max-age=63072000; includeSubDomains"))
        self.headers = tuple(headers)

    def besides(self, given: Headers) -> Headers:
        """Those that an answer does not set itself."""
        names = {name for name, _ in given}
        return [header for header in self.headers if header[0] not in names]


class Answer:
    """One answer; starts as a 200 without a body."""

    __slots__ = (
        "body",
        "chunks",
        "code",
        "content_type",
        "endpoint",
        "headers",
        "kind",
        "raw",
        "route",
        "status",
        "who",
    )

    def __init__(self) -> None:
        self.status = 200
        self.content_type = _JSON
        self.headers: Headers = []
        self.body = b""
        #: The error code of a refusal, for the log.
        self.code: str | None = None
        self.endpoint: Endpoint | None = None
        #: The route's template, for the log: never the caller's own path.
        self.route = "(none)"
        #: The caller's kind and author id, for the log.
        self.kind: str | None = None
        self.who: str | None = None
        self.raw = False
        #: What is sent instead of `body`, as it is made.
        self.chunks: AsyncGenerator[bytes] | None = None

    def take(self, raw: Raw | Stream) -> None:
        """Become an answer that a handler made by hand."""
        self.content_type = raw.content_type.encode("latin-1")
        self.headers += [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in raw.headers.items()
        ]
        self.raw = bool(raw.headers)
        if isinstance(raw, Stream):
            self.chunks = raw.chunks
        else:
            self.status, self.body = raw.status, raw.body

    async def send(self, send: Send, body: BodyReader, incoming: Incoming, standing: Standing) -> None:
        """Send everything; an unread request body is discarded between the answer and its end."""
        headers: Headers = [(b"content-type", self.content_type), (b"x-request-id", incoming.request_id.encode())]
        if self.chunks is None:
            headers.append((b"content-length", b"%d" % len(self.body)))
        if self.headers:
            headers += self.headers
        if self.raw:
            headers += standing.besides(headers)
        else:
            headers += standing.headers
        payload = b"" if incoming.method == "HEAD" else self.body
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        await send(start)
        if self.chunks is not None:
            await self._send_chunks(self.chunks, send, body, wanted=incoming.method != "HEAD")
            return
        if body.finished:
            await send({"type": "http.response.body", "body": payload, "more_body": False})
            return
        await send({"type": "http.response.body", "body": payload, "more_body": True})
        if await body.discard():
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(body.discard_for_ever)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            nursery.cancel_scope.cancel()

    @staticmethod
    async def _send_chunks(chunks: AsyncGenerator[bytes], send: Send, body: BodyReader, *, wanted: bool) -> None:
        """Send what is made, until it ends or the client is gone; nobody makes what nobody hears."""
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                await body.discard_for_ever()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            async with aclosing(chunks):
                if wanted:
                    async for chunk in chunks:
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            nursery.cancel_scope.cancel()
