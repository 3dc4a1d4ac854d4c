"""The Hub's HTTP API as a wrapper without a socket uses it: one request, and what the answer means."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final, cast

import httpx
import msgspec
import trio

from protocol.faults import FAULTS, InternalError, Unauthorized
from wrapper.hub_address import HubAddress
from wrapper.keyring import Secret
from wrapper.reconnect import retry_after_seconds

PREFIX: Final = "/api/v1/tenant"
TIMEOUT_SECONDS: Final = 30.0
#: No answer of the Hub's is larger: a page of promises, or a whole configuration.
ANSWER_LIMIT_BYTES: Final = 8 * 1024 * 1024


class HubAway(Exception):
    """No answer of the Hub's came, or one that says: not now. Trying again may help.

    Attributes:
        given_seconds: the wait that was asked for; 0 where none was.
    """

    def __init__(self, reason: str, given_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.given_seconds = given_seconds


class KeyRefused(Exception):
    """The Hub does not take the key any more."""


class HubFailed(Exception):
    """The Hub has a bug with this very request."""


class HubRefused(Exception):
    """The Hub will never take this; the words are `CODE: message`."""


class _Error(msgspec.Struct):
    code: str
    message: str = ""


class Envelope(msgspec.Struct):
    """What every answer of the Hub's is in: by it a proxy's page is told from a word of the Hub."""

    success: bool
    data: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    error: _Error | None = None


def envelope_of(body: bytes | bytearray | None) -> Envelope | None:
    """The Hub's word, or None where these are somebody else's."""
    try:
        envelope = msgspec.json.decode(body or b"", type=Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return envelope if envelope.success or envelope.error is not None else None


class _Body(httpx.AsyncByteStream):
    """Bytes to send. httpx's own stream is a generator, and complains where a request is cancelled in the middle."""

    def __init__(self, content: bytes) -> None:
        self._left = [content] if content else []

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class HubClient:
    """Asks the Hub over one kept-alive connection. Redirects are not followed: they could carry the key elsewhere."""

    def __init__(self, address: HubAddress, key: Secret) -> None:
        self._base = address.url + PREFIX
        self._headers = {"Authorization": f"Bearer {key.reveal()}", "Accept": "application/json"}
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            trust_env=not address.loopback,
            limits=httpx.Limits(max_connections=4, max_keepalive_connections=2),
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """One request.

        Args:
            path: below `/api/v1/tenant`.
            body: JSON.

        Returns:
            The answer's `data`, as JSON.

        Raises:
            HubAway: no answer, not the Hub's, or not now.
            KeyRefused: the key counts no more.
            HubFailed: the Hub has a bug with this request.
            HubRefused: it will never be taken.
        """
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = self._client.build_request(method, self._base + path, content=body, headers=headers)
        request.stream = _Body(body or b"")
        try:
            with trio.fail_after(TIMEOUT_SECONDS):
                answer = await self._client.send(request, stream=True)
                async with aclosing(answer):
                    content = await _whole(answer)
        except (httpx.HTTPError, trio.TooSlowError) as error:
            raise HubAway(f"{type(error).__name__}: {error}"[:300]) from error
        return _data(answer, envelope_of(content))


async def _whole(answer: httpx.Response) -> bytes:
    content = bytearray()
    async with aclosing(cast(AsyncGenerator[bytes], answer.aiter_bytes())) as parts:
        async for part in parts:
            content += part
            if len(content) > ANSWER_LIMIT_BYTES:
                raise HubAway(f"an answer of more than {ANSWER_LIMIT_BYTES} bytes")
    return bytes(content)


def _data(answer: httpx.Response, envelope: Envelope | None) -> bytes:
    given = retry_after_seconds(answer.headers.get("Retry-After"))
    if envelope is None:
        raise HubAway(f"HTTP {answer.status_code}, which is not the Hub's", given)
    error = envelope.error
    if answer.is_success and error is None:
        return bytes(envelope.data)
    words = f"HTTP {answer.status_code}" if error is None else f"{error.code}: {error.message}"
    code = "" if error is None else error.code
    if code == Unauthorized.code:
        raise KeyRefused(words)
    if code == InternalError.code:
        raise HubFailed(words)
    if code not in FAULTS or answer.status_code == 429 or answer.status_code >= 500:
        raise HubAway(words, given)
    raise HubRefused(words)


def decoded(data: bytes, wanted: Any) -> Any:
    """An answer's data as a Struct.

    Raises:
        HubAway: it is not one.
    """
    try:
        return msgspec.json.decode(data, type=wanted)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise HubAway(f"the answer makes no sense: {error}") from error
