"""What a handler holds in its hand: who calls, what came in, what goes out, and the Hub behind it."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from typing import Generic, Literal, Protocol, TypeVar
from urllib.parse import quote

from msgspec.structs import replace

from actors.people import Author
from controlplane.api.hub import Hub
from controlplane.api.incoming import Incoming


class Caller(Protocol):
    """Who a guard let in."""

    @property
    def kind(self) -> str:
        """`staff`, `customer`, `tenant`, `public` …: for the log."""
        ...

    @property
    def rate_key(self) -> str:
        """What the rate limit counts by: a session id, a key prefix, an address."""
        ...

    @property
    def author(self) -> Author:
        """Who stands in the audit entry."""
        ...


C_co = TypeVar("C_co", bound=Caller, covariant=True)


class Outgoing:
    """Status, headers and cookies a handler may set on its answer."""

    __slots__ = ("headers", "status")

    def __init__(self) -> None:
        #: None: what the declaration says.
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []

    def set_header(self, name: str, value: str) -> None:
        """Set a header, in place of one set before."""
        key = name.lower().encode("latin-1")
        self.headers = [(other, held) for other, held in self.headers if other != key]
        self.add_header(name, value)

    def add_header(self, name: str, value: str) -> None:
        """Add a header beside those of the same name.

        Raises:
            ValueError: a line break or NUL in the name or value (RFC 9110 section 5.5).
        """
        if any(letter in "\r\n\0" for letter in name + value):
            raise ValueError(f"header {name!r} holds a line break or NUL")
        self.headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age_seconds: int | None = None,
        expires: datetime | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        http_only: bool = True,
        same_site: Literal["Strict", "Lax", "None"] = "Lax",
    ) -> None:
        """Set a cookie (RFC 6265 section 4.1); the value is percent-encoded, as NextAuth's are."""
        parts = [f"{name}={quote(value, safe='')}", f"Path={path}"]
        if domain is not None:
            parts.append(f"Domain={domain}")
        if max_age_seconds is not None:
            parts.append(f"Max-Age={max_age_seconds}")
        if expires is not None:
            parts.append(f"Expires={format_datetime(expires, usegmt=True)}")
        if secure:
            parts.append("Secure")
        if http_only:
            parts.append("HttpOnly")
        parts.append(f"SameSite={same_site}")
        self.add_header("Set-Cookie", "; ".join(parts))

    def delete_cookie(self, name: str, *, path: str = "/", domain: str | None = None, secure: bool = False) -> None:
        """Have the browser forget a cookie."""
        self.set_cookie(name, "", max_age_seconds=0, path=path, domain=domain, secure=secure)


class Call(Generic[C_co]):
    """One call of an endpoint.

    Attributes:
        caller: who the guard let in.
        hub: what the handler may touch.
        request: what came in.
        response: status, headers and cookies to send besides the answer.
    """

    __slots__ = ("caller", "hub", "request", "response")

    def __init__(self, caller: C_co, hub: Hub, request: Incoming, response: Outgoing) -> None:
        self.caller = caller
        self.hub = hub
        self.request = request
        self.response = response

    @property
    def author(self) -> Author:
        """The caller as the audit entry names it, with the address, program and id of this request."""
        return replace(
            self.caller.author,
            address=self.request.remote_address,
            request_id=self.request.request_id,
            user_agent=self.request.user_agent,
        )
