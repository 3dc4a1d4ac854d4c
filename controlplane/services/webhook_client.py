"""One webhook on its way: signed, sent to an address that was judged, answered within limits."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import httpx
import msgspec
import trio

from actors.runtime.ports import Clock
from controlplane.secret import Secret
from controlplane.services.webhook_address import Addresses
from protocol.signature import sign
from protocol.webhooks import PATH

#: From the connection to the last byte of the answer.
SECONDS: Final = 15.0
#: Of an answer, more is not read.
ANSWER_BYTES: Final = 16 * 1024
_LONGEST_WAIT_SECONDS: Final = 36_000.0


class NotDelivered(Exception):
    """No answer came; the words say why."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a wrapper answered.

    Args:
        retry_after_seconds: the wait that it asks for; 0 where it does not.
        last_seq: up to where its journal reaches, where it says so.
    """

    status: int
    retry_after_seconds: float
    last_seq: int | None


class _Data(msgspec.Struct, rename="camel"):
    last_seq: int | None = None


class _Error(msgspec.Struct):
    details: Any = None


class _Envelope(msgspec.Struct):
    data: _Data | None = None
    error: _Error | None = None


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


class WebhookClient:
    """Sends webhooks. Each goes over a connection of its own: tenants may share an address, never a connection.

    Args:
        tls: what certificates are checked by; the public authorities by default.
    """

    def __init__(self, addresses: Addresses, clock: Clock, *, tls: ssl.SSLContext | None = None) -> None:
        self._addresses = addresses
        self._clock = clock
        self._client = httpx.AsyncClient(
            verify=True if tls is None else tls,
            trust_env=False,
            follow_redirects=False,
            timeout=SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._client.aclose()

    async def send(
        self, base: str, *, event: str, body: bytes, key: Secret, message_id: str, turn: int = 0
    ) -> Answered:
        """Send one webhook.

        Args:
            base: the tenant's `safetyWrapperUrl`.
            key: the tenant's hub API key, which signs it.
            turn: the number of the try, so that each of a name's addresses is tried.

        Raises:
            AddressRefused: it may not go there.
            NotDelivered: nobody answered.
        """
        target = await self._addresses.target(base, PATH + event, turn=turn)
        signed = sign(
            key=key.reveal(),
            body=body,
            event=event,
            message_id=message_id,
            timestamp=int(self._clock.now().timestamp()),
        )
        headers = {
            **signed,
            "Host": target.authority,
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "LetsBe-Hub",
            "Connection": "close",
        }
        extensions = {"sni_hostname": target.hostname}
        request = self._client.build_request("POST", target.url, content=body, headers=headers, extensions=extensions)
        request.stream = _Body(body)
        try:
            with trio.fail_after(SECONDS):
                answer = await self._client.send(request, stream=True)
                async with aclosing(answer):
                    content = await _beginning(answer)
        except trio.TooSlowError as error:
            raise NotDelivered(f"no answer within {SECONDS:g} s") from error
        except httpx.HTTPError as error:
            raise NotDelivered(_in_words(error)) from error
        return Answered(answer.status_code, self._wait(answer.headers.get("Retry-After")), _last_seq(content))

    def _wait(self, header: str | None) -> float:
        """A Retry-After in seconds, or as a date (RFC 9110, 10.2.3)."""
        text = (header or "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), _LONGEST_WAIT_SECONDS)
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        if at.tzinfo is None:
            return 0.0
        return min(max((at - self._clock.now()).total_seconds(), 0.0), _LONGEST_WAIT_SECONDS)


def _in_words(error: httpx.HTTPError) -> str:
    """What went wrong: of a refused certificate httpx has no words of its own, but the error it came from has."""
    cause: BaseException | None = error
    while cause is not None and not str(cause):
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: {cause or 'nothing more is known'}"[:300]


async def _beginning(answer: httpx.Response) -> bytes:
    content = bytearray()
    async with aclosing(cast(AsyncGenerator[bytes], answer.aiter_raw())) as parts:
        async for part in parts:
            content += part
            if len(content) > ANSWER_BYTES:
                return b""
    return bytes(content)


def _last_seq(content: bytes) -> int | None:
    """The wrapper's mark, from what it took or from why it did not; None from one that knows no numbers."""
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if envelope.data is not None:
        return envelope.data.last_seq
    details = envelope.error.details if envelope.error is not None else None
    mark = details.get("lastSeq") if isinstance(details, dict) else None
    return mark if isinstance(mark, int) else None
