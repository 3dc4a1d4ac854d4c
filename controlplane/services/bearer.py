"""Bearer tokens in the Authorization header, the only place a key may travel in."""

from __future__ import annotations

from typing import Final

from protocol.faults import Unauthorized

_SCHEME: Final = "bearer "


def bearer_of(authorization: str | None) -> str:
    """The token of an Authorization header (RFC 6750 section 2.1).

    Raises:
        Unauthorized: there is none.
    """
    if authorization is None or not authorization.lower().startswith(_SCHEME):
        raise Unauthorized("send the hub API key as `Authorization: Bearer hk_…`")
    return authorization[len(_SCHEME) :].strip()
