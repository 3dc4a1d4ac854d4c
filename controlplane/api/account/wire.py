"""The wire of next-auth 4: its CSRF cookie, its remembered callback URL, its redirects told as JSON.

Sources: next-auth 4.24, `core/lib/{csrf-token,callback-url,cookie}.ts`, `core/init.ts`, `next/index.ts`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from controlplane.api.call import Call
from controlplane.api.envelope import Raw, encode
from controlplane.api.guards import demand_same_origin, origin_allowed
from controlplane.api.guards_people import Visitor, session_cookie
from controlplane.api.hub import Hub
from controlplane.api.incoming import Incoming
from protocol.faults import UnsupportedMediaType
from protocol.words import UserType

BASE: Final = "/api/auth"

_LONGEST_URL: Final = 2_000
#: What stays as it is when a URL becomes a header: the reserved and unreserved characters of RFC 3986, and %.
_URL_LETTERS: Final = "%/:?#[]@!$&'()*+,;=~"


class Provider(StrEnum):
    """Who signs in: `credentials` is staff, as the specification has it."""

    CREDENTIALS = "credentials"
    CUSTOMER = "customer"

    @property
    def user_type(self) -> UserType:
        """The type of the accounts that sign in this way."""
        return UserType.STAFF if self is Provider.CREDENTIALS else UserType.CUSTOMER


class Wire:
    """One exchange with next-auth's client: what its cookies say, and those to send back.

    Args:
        call: the call being answered.
        callback_url: where the client wants to go afterwards, from its form, body or query.
        csrf_token: the token it sends in its form or body.
    """

    def __init__(self, call: Call[Visitor], *, callback_url: str | None = None, csrf_token: str | None = None) -> None:
        self._hub = call.hub
        self._response = call.response
        cookies = call.request.cookies
        secret = call.hub.csrf_secret
        held = _own_token(cookies.get(csrf_cookie(self._hub)), secret)
        #: The page asking is one that could read this Hub's own answers.
        self.verified = held is not None and csrf_token is not None and _equal(held, csrf_token)
        if held is None:
            held = call.hub.randomness.token(32).hex()
            self._set(csrf_cookie(self._hub), f"{held}|{_mark(held, secret)}")
        self.csrf_token = held
        remembered = cookies.get(_callback_cookie(self._hub))
        self.callback_url = allowed_callback(callback_url or remembered or "", self._hub)
        if self.callback_url != remembered:
            self._set(_callback_cookie(self._hub), self.callback_url)

    def remember_session(self, token: str, expires: datetime) -> None:
        """Give the browser its session cookie, or put off its end."""
        self._set(session_cookie(self._hub), token, expires=expires)

    def forget_session(self) -> None:
        """Take the session cookie back."""
        self._response.delete_cookie(session_cookie(self._hub), secure=self._hub.secure)

    def page(self, name: str, **query: str) -> str:
        """The absolute URL of one of the pages under `/api/auth`."""
        return f"{self._hub.public_url}{BASE}/{name}" + (f"?{urlencode(query)}" if query else "")

    def _set(self, name: str, value: str, expires: datetime | None = None) -> None:
        self._response.set_cookie(name, value, expires=expires, secure=self._hub.secure)


def redirect(url: str, *, as_json: bool, status: int = 200, headers: Mapping[str, str] | None = None) -> Raw:
    """Send the browser on; a script that asked with `json=true` is told the URL, and the status, instead."""
    if as_json:
        return Raw(body=encode({"url": url}), status=status, headers=headers or {})
    return Raw(body=b"", status=302, headers={"location": quote(url, safe=_URL_LETTERS), **(headers or {})})


def demand_json_of_our_own(call: Call[Visitor]) -> None:
    """Let JSON through that no foreign page can have sent.

    Raises:
        UnsupportedMediaType: a media type that a page may send anywhere without asking.
        Forbidden: the page is foreign.
    """
    if call.request.media_type != "application/json":
        raise UnsupportedMediaType("the body must be application/json, told by its Content-Type")
    demand_same_origin(call.request, call.hub)


def allowed_callback(url: str, hub: Hub) -> str:
    """An absolute URL on this Hub or an allowed origin; whatever leads elsewhere becomes the Hub's own address."""
    base = hub.public_url
    if not url or len(url) > _LONGEST_URL or any(letter < " " or letter == "\x7f" for letter in url):
        return base
    if url.startswith("/"):
        return f"{base}{url}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return base
    # Browsers read a backslash as a slash, and what stands before an @ is no host: neither has a place here.
    if "\\" in url or "@" in parts.netloc or not origin_allowed(f"{parts.scheme}://{parts.netloc}", hub):
        return base
    return url


def csrf_cookie(hub: Hub) -> str:
    """The name of the CSRF cookie."""
    return f"{'__Host-' if hub.secure else ''}next-auth.csrf-token"


def wants_json(incoming: Incoming, flag: str | None) -> bool:
    """Whether the caller reads `url` itself: it said `json=true`, or speaks JSON anyway."""
    return flag == "true" or incoming.media_type == "application/json"


def script_time(moment: datetime) -> str:
    """A time as JavaScript's `toISOString` writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: Any) -> Raw:
    """A JSON answer without an envelope."""
    return Raw(body=encode(value))


def _callback_cookie(hub: Hub) -> str:
    return f"{'__Secure-' if hub.secure else ''}next-auth.callback-url"


def _own_token(cookie: str | None, secret: bytes) -> str | None:
    """The token in a cookie that this Hub has made."""
    token, _, mark = (cookie or "").partition("|")
    return token if token and _equal(mark, _mark(token, secret)) else None


def _mark(token: str, secret: bytes) -> str:
    # An HMAC where next-auth has a bare hash of token and secret: the client never looks inside.
    return hmac.new(secret, token.encode(), hashlib.sha256).hexdigest()


def _equal(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())
