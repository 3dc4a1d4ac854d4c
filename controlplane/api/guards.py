"""Who may pass: the base of all guards, the one that lets everybody in, and the check against forged requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, TypeVar
from urllib.parse import urlsplit

from actors.people import Author
from controlplane.api.call import Caller
from controlplane.api.hub import Hub
from controlplane.api.incoming import Incoming
from controlplane.api.limits import PUBLIC
from protocol.faults import Fault, Forbidden

C_co = TypeVar("C_co", bound=Caller, covariant=True)

#: The security schemes of the OpenAPI document that guards may name.
SECURITY_SCHEMES: Final[Mapping[str, Mapping[str, str]]] = {
    "sessionCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "next-auth.session-token",
        "description": "Set by signing in; on https its name is `__Secure-next-auth.session-token`. "
        "Writes with it need an Origin of this Hub.",
    },
    "sessionToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The same session token as a Bearer token; it wins over the cookie.",
    },
    "hubApiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "hk_<prefix>_<secret>",
        "description": "A tenant's key, given once at registration.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "ak_<prefix>_<secret>",
        "description": "A key of an outside caller, made by staff and shown once.",
    },
    "cronSecret": {"type": "http", "scheme": "bearer", "description": "The Hub's cron secret."},
}


class Guard(ABC, Generic[C_co]):
    """Decides who passes, and as whom.

    Attributes:
        admits: the caller type; checked against the handler's `Call[…]` at import.
        rate: the name of the limit its callers are counted under, where the router names none.
        openapi_security: alternatives, each a map from a scheme of `SECURITY_SCHEMES` to scopes; empty: none needed.
        refuses: the faults it may raise.
    """

    admits: ClassVar[type]
    rate: ClassVar[str] = PUBLIC
    openapi_security: ClassVar[Sequence[Mapping[str, list[str]]]] = ()
    refuses: ClassVar[Sequence[type[Fault]]] = ()

    @abstractmethod
    async def admit(self, incoming: Incoming, hub: Hub) -> C_co:
        """Let the caller in.

        Raises:
            Unauthorized: nobody knows who calls.
            Forbidden: the caller is known, but may not.
        """


@dataclass(frozen=True, slots=True)
class Anyone:
    """A caller nobody asked for a name."""

    address: str

    @property
    def kind(self) -> str:
        return "public"

    @property
    def rate_key(self) -> str:
        return self.address

    @property
    def author(self) -> Author:
        return Author(type="system", id=None, name="anonymous", address=self.address)


class Public(Guard[Anyone]):
    """Everybody passes; counted by address."""

    admits = Anyone

    async def admit(self, incoming: Incoming, hub: Hub) -> Anyone:  # noqa: ARG002 - the guards' common shape
        return Anyone(incoming.remote_address)


_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def demand_same_origin(incoming: Incoming, hub: Hub) -> None:
    """Refuse a write that a foreign page has a browser send with its user's cookies.

    For cookie-authenticated calls only: a Bearer token is never sent by a browser on its own. An `Origin` must be
    this Hub's or an allowed one. Without one, `Sec-Fetch-Site` must say that no foreign page is behind the request.
    A request with neither comes from no browser of this decade, so no user's cookies are abused
    (https://words.filippo.io/csrf/).

    Raises:
        Forbidden: the request comes from a foreign page.
    """
    if incoming.method in _SAFE_METHODS:
        return
    origin = incoming.headers.get("origin")
    if origin is not None:
        if origin_allowed(origin, hub):
            return
        raise Forbidden("this Hub does not take requests from pages of that origin")
    if incoming.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        raise Forbidden("this Hub does not take requests from pages of another origin")


def origin_allowed(origin: str, hub: Hub) -> bool:
    """Is this web origin (RFC 6454) this Hub's own or one it was told to trust?"""
    if origin == "null":
        return False
    wanted = _normal_origin(origin)
    return wanted is not None and any(
        _normal_origin(allowed) == wanted for allowed in (hub.public_url, *hub.allowed_origins)
    )


def _normal_origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    default = {"http": 80, "https": 443}.get(parts.scheme)
    if default is None or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port if port is not None else default
