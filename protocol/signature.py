"""Signing and verifying what the Hub pushes over HTTP: the X-LetsBe-* headers (specification section 8.2).

`X-LetsBe-Signature` is the specification's: hex HMAC-SHA256 of the body under the tenant's hub API key. It
does not bind time or identity, so a captured request could be played again for ever; `X-LetsBe-Signature-V2`
is the HMAC over `id.timestamp.body` and is what a wrapper demands. `accept_v1` is for a Hub that knows the
specification only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

SIGNATURE_HEADER: Final = "X-LetsBe-Signature"
SIGNATURE_V2_HEADER: Final = "X-LetsBe-Signature-V2"
TIMESTAMP_HEADER: Final = "X-LetsBe-Timestamp"
EVENT_HEADER: Final = "X-LetsBe-Event"
ID_HEADER: Final = "X-LetsBe-Id"

#: How far the sender's clock may be from ours, either way.
TOLERANCE_SECONDS: Final = 300

_ID = re.compile(r"[A-Za-z0-9_:-]{1,128}")
_TIMESTAMP = re.compile(r"[0-9]{1,15}")


class BadSignature(ValueError):
    """The request is not proven to come from the Hub, or not for the first time. The words are safe to
    log.
    """


class Signed(msgspec.Struct, frozen=True):
    """What a verified request says about itself; `message_id` is None where only V1 was sent."""

    event: str
    timestamp: int
    message_id: str | None


class ReplayStore(Protocol):
    """Remembers ids for as long as a signature could be taken for fresh."""

    def first_sight(self, message_id: str, *, expires_at: int) -> bool:
        """Remember the id until `expires_at` (Unix seconds); False when it is remembered already. Atomic."""
        ...


class MemoryReplayStore:
    """Ids remembered in this process.

    Args:
        limit: when this many unexpired ids are remembered, further ones are refused: full must not mean
        forgetful.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._expiry: dict[str, int] = {}

    def forget_expired(self, now: int) -> None:
        """Drop ids whose signatures are too old to pass anyway."""
        self._expiry = {key: expiry for key, expiry in self._expiry.items() if expiry >= now}

    def first_sight(self, message_id: str, *, expires_at: int) -> bool:
        if message_id in self._expiry:
            return False
        if len(self._expiry) >= self._limit:
            # The window of one signature on both sides: what expired before `now` is below this mark.
            self.forget_expired(expires_at - 2 * TOLERANCE_SECONDS)
            if len(self._expiry) >= self._limit:
                raise BadSignature("too many requests within the replay window")
        self._expiry[message_id] = expires_at
        return True


def _hmac(key: str, *parts: bytes) -> str:
    return hmac.new(key.encode(), b".".join(parts), hashlib.sha256).hexdigest()


def sign(*, key: str, body: bytes, event: str, message_id: str, timestamp: int) -> dict[str, str]:
    """The headers of one delivery; a retry keeps `message_id` and takes a fresh `timestamp`.

    Args:
        key: the tenant's hub API key.
        body: the exact bytes to be sent.
        event: such as `approval-response`.
        message_id: 1 to 128 of letters, digits, `_ : -` (no dot); the same for every retry of a delivery.
        timestamp: Unix seconds.

    Raises:
        ValueError: the id or the event cannot travel in a header.
    """
    if not _ID.fullmatch(message_id) or not _ID.fullmatch(event):
        raise ValueError("id and event must be 1 to 128 of letters, digits and _:-")
    moment = str(timestamp)
    return {
        SIGNATURE_HEADER: _hmac(key, body),
        TIMESTAMP_HEADER: moment,
        EVENT_HEADER: event,
        ID_HEADER: message_id,
        # Neither id nor timestamp can hold a dot, so the signed bytes have one reading only.
        SIGNATURE_V2_HEADER: _hmac(key, message_id.encode(), moment.encode(), body),
    }


def verify(
    headers: Mapping[str, str],
    body: bytes,
    *,
    keys: tuple[str, ...],
    now: int,
    replays: ReplayStore,
    accept_v1: bool = False,
) -> Signed:
    """Prove that a request comes from the Hub, is fresh, and is seen for the first time.

    Args:
        headers: the request's headers, names in any case.
        body: the raw bytes, before any decoding.
        keys: hub API keys that may have signed it (more than one while a key is being replaced).
        now: Unix seconds.
        replays: remembers the ids of requests that passed.
        accept_v1: take a request that carries V1 alone. Without an id nothing but the timestamp's window, which V1 does
            not even sign, stands against a replay; the receiver must then be idempotent by its payload.

    Raises:
        BadSignature: it is not proven.
    """
    given = {name.lower(): value for name, value in headers.items()}
    moment = given.get(TIMESTAMP_HEADER.lower(), "")
    if not _TIMESTAMP.fullmatch(moment):
        raise BadSignature("no timestamp")
    timestamp = int(moment)
    if abs(now - timestamp) > TOLERANCE_SECONDS:
        raise BadSignature("the timestamp is too old or too new")
    event = given.get(EVENT_HEADER.lower(), "")
    message_id = given.get(ID_HEADER.lower())
    v2 = given.get(SIGNATURE_V2_HEADER.lower())
    if v2 is None:
        if not accept_v1:
            raise BadSignature("no V2 signature")
        _compare(given.get(SIGNATURE_HEADER.lower(), ""), [_hmac(key, body) for key in keys])
        return Signed(event=event, timestamp=timestamp, message_id=None)
    if message_id is None or not _ID.fullmatch(message_id):
        raise BadSignature("no id")
    _compare(v2, [_hmac(key, message_id.encode(), moment.encode(), body) for key in keys])
    if not replays.first_sight(message_id, expires_at=timestamp + TOLERANCE_SECONDS):
        raise BadSignature("this id was taken already")
    return Signed(event=event, timestamp=timestamp, message_id=message_id)


def _compare(given: str, expected: list[str]) -> None:
    """Constant time, whichever key matches."""
    matched = False
    for candidate in expected:
        matched |= hmac.compare_digest(given.lower().encode(), candidate.encode())
    if not matched:
        raise BadSignature("the signature does not match")
