"""Bearer tokens in the Authorization header, the only place a key may travel in."""

from __future__ import annotations

from typing import Final

from protocol.faults import Unauthorized

_SCHEME: Final = "bearer "


def token_in(authorization: str | None) -> str | None:
    """The token of an Authorization header (RFC 6750 section 2.1); None where the scheme is not Bearer."""
    if authorization is None or not authorization.lower().startswith(_SCHEME):
        return None
    return authorization[len(_SCHEME) :].strip()


def bearer_of(authorization: str | None) -> str:
    """The token of an Authorization header that must hold one.

    Raises:
        Unauthorized: there is none.
    """
    token = token_in(authorization)
    if token is None:
        raise Unauthorized("send the hub API key as `Authorization: Bearer hk_…`")
    return token
