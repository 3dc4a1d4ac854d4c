"""The envelope around every answer (specification section 2.2), straight to bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from controlplane.api.paging import CursorListing, Listing

_encoder: Final = msgspec.json.Encoder(order=None)
encode: Final = _encoder.encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """An answer without an envelope, from endpoints declared with `envelope=False`.

    Args:
        headers: besides Content-Type; one that the mount sends on every answer is sent as given here instead.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An answer that is sent while it is made, from endpoints declared with `envelope=False` and their `media_types`.

    Args:
        chunks: the body in pieces. It is closed when all were sent, and as soon as the client is gone; where it
            raises, the answer is left unfinished, which a client can tell.
        headers: as of `Raw`.
    """

    chunks: AsyncGenerator[bytes]
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


def success(answer: Any) -> bytes:
    """`{"success": true, "data": …, "meta": …}`; lists put their array in `data` and their place in `meta`."""
    if isinstance(answer, Listing):
        meta = encode({"page": answer.page, "pageSize": answer.page_size, "total": answer.total})
        return b'{"success":true,"data":%b,"meta":%b}' % (encode(answer.items), meta)
    if isinstance(answer, CursorListing):
        meta = encode({"limit": answer.limit, "nextCursor": answer.next_cursor})
        return b'{"success":true,"data":%b,"meta":%b}' % (encode(answer.items), meta)
    return b'{"success":true,"data":%b}' % encode(answer)


def failure(code: str, message: str, details: Any = None) -> bytes:
    """`{"success": false, "error": {"code", "message", "details"}}`; no details are an empty list."""
    return b'{"success":false,"error":{"code":%b,"message":%b,"details":%b}}' % (
        encode(code),
        encode(message),
        b"[]" if details is None else encode(details),
    )
