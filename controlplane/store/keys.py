"""From the text id outside to the UUID inside: one that cannot be an id is one that does not exist."""

from __future__ import annotations

from uuid import UUID

from protocol.faults import NotFound
from protocol.ids import parse_id

_NOUNS = {
    "cust": "customer",
    "ord": "order",
    "srv": "server",
    "agcfg": "agent",
    "appr": "approval",
    "cmd": "command",
    "stf": "staff member",
    "sess": "session",
    "inv": "invitation",
    "sub": "subscription",
    "key": "API key",
}


def key_of(prefix: str, text: str) -> UUID:
    """The UUID of a text id.

    Raises:
        NotFound: it is not an id of that kind.
    """
    try:
        return parse_id(prefix, text)
    except ValueError:
        raise missing(prefix, text) from None


def missing(prefix: str, text: str) -> NotFound:
    """The refusal for a thing that does not exist, or is not the caller's to know of."""
    return NotFound(f"there is no {_NOUNS[prefix]} {text[:60]}")
