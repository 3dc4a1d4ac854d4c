"""The request as guards and handlers see it: free of any framework."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from controlplane.services.bearer import token_in

_SANE_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_USER_AGENT: Final = 200
_EMPTY: Final[Mapping[str, str]] = {}


class Incoming:
    """One request.

    Args:
        method: upper case.
        path: decoded, without the query string.
        query_string: raw bytes after the question mark.
        raw_headers: as received; the same name twice is joined with a comma (RFC 9110 section 5.3).
        remote_address: the peer, or whom a trusted proxy names.
        scheme: `http` or `https`, as this process was spoken to.
        http_version: `1.1`, `2` …
    """

    __slots__ = (
        "_cookies",
        "body",
        "headers",
        "http_version",
        "method",
        "path",
        "query_string",
        "remote_address",
        "request_id",
        "scheme",
    )

    def __init__(
        self,
        *,
        method: str,
        path: str,
        query_string: bytes = b"",
        raw_headers: Iterable[tuple[bytes, bytes]] = (),
        remote_address: str = "",
        scheme: str = "http",
        http_version: str = "1.1",
    ) -> None:
        headers: dict[str, str] = {}
        for raw_name, raw_value in raw_headers:
            name = raw_name.decode("latin-1").lower()
            value = raw_value.decode("latin-1")
            if name in headers:
                value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
            headers[name] = value
        self.method = method
        self.path = path
        self.query_string = query_string
        #: Names in lower case.
        self.headers: dict[str, str] = headers
        self.remote_address = remote_address
        self.scheme = scheme
        self.http_version = http_version
        self.request_id = ""
        self.body = b""
        self._cookies: Mapping[str, str] | None = None

    @property
    def cookies(self) -> Mapping[str, str]:
        """Cookies by name, percent-decoded as NextAuth writes them; of two with one name the first counts."""
        if self._cookies is None:
            header = self.headers.get("cookie")
            self._cookies = read_cookies(header) if header else _EMPTY
        return self._cookies

    @property
    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer …` (RFC 6750 section 2.1)."""
        return token_in(self.headers.get("authorization")) or None

    @property
    def media_type(self) -> str:
        """Content-Type in lower case without its parameters; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def user_agent(self) -> str | None:
        """The program the caller says it is, cut to a length and to what can be printed."""
        text = self.headers.get("user-agent")
        if text is None:
            return None
        return "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_USER_AGENT]) or None

    @property
    def sane_request_id(self) -> str | None:
        """The X-Request-Id the caller sent, when it is short and plain enough to be logged and sent back."""
        text = self.headers.get("x-request-id")
        return text if text is not None and _SANE_REQUEST_ID.fullmatch(text) else None

    def forwarded_for(self, hops: int) -> str:
        """The caller's address when `hops` trusted proxies stand before this process, each adding its peer."""
        if hops <= 0:
            return self.remote_address
        named = [part.strip() for part in self.headers.get("x-forwarded-for", "").split(",") if part.strip()]
        return named[-hops] if len(named) >= hops else self.remote_address

    def __repr__(self) -> str:
        # Neither headers nor query string: both may carry secrets.
        return f"<Incoming {self.method} {self.path} {self.request_id}>"


def read_cookies(header: str) -> dict[str, str]:
    """Read a Cookie header (RFC 6265 section 5.4): the first of two with one name counts."""
    cookies: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not name or name in cookies:
            continue
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        cookies[name] = unquote(value) if "%" in value else value
    return cookies


def scope_to_incoming(scope: Mapping[str, Any]) -> Incoming:
    """Read an ASGI HTTP scope (ASGI 3, HTTP 2.1)."""
    client = scope.get("client")
    return Incoming(
        method=scope["method"],
        path=scope["path"],
        query_string=scope["query_string"],
        raw_headers=scope["headers"],
        remote_address=client[0] if client else "",
        scheme=scope["scheme"],
        http_version=scope["http_version"],
    )
