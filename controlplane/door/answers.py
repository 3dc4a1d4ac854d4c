"""HTTP answers that the door gives by itself, as bytes: refusals in the contract's error envelope."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

_json = msgspec.json.Encoder()

SECURITY_HEADERS: tuple[tuple[str, str], ...] = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Strict-Transport-Security", "max-age=31536000"),
    ("X-Content-Type-Options", "nosniff"),
)


def error_body(code: str, message: str, details: Any = None) -> bytes:
    """The specification's error envelope (section 11) as JSON bytes."""
    error = {"code": code, "message": message, "details": [] if details is None else details}
    return _json.encode({"success": False, "error": error})


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    details: Any = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A whole HTTP/1.1 response which refuses and announces that the connection closes.

    Args:
        status: HTTP status.
        code: error code of the contract.
        message: the words the caller should read.
        details: more for a program; an empty list when there is none.
        headers: further headers, such as Retry-After; names and values are the door's own, never a client's.
    """
    body = error_body(code, message, details)
    lines = [f"HTTP/1.1 {status} {_phrase(status)}"]
    lines += [f"{name}: {value}" for name, value in SECURITY_HEADERS]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"
