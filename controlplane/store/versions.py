"""The version of an object as it is shown: whoever changes what they read names it, and a stale one changes nothing."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from protocol.faults import Conflict


def version_of(shown: Any) -> str:
    """Changes whenever the object does."""
    return hashlib.sha256(msgspec.json.encode(shown, order="sorted")).hexdigest()[:32]


def demand_version(shown: Any, expected: str | None, what: str, *, of: Any = None) -> None:
    """Refuse a change of what is no longer as its author saw it.

    Args:
        expected: the version they saw; None: they did not say.
        what: the object, for the refusal.
        of: the part of it whose version counts; None: the whole.

    Raises:
        Conflict: it has changed since; `details` holds it as it is.
    """
    if expected is not None and expected != version_of(shown if of is None else of):
        raise Conflict(f"{what} was changed meanwhile; read it again", details=msgspec.to_builtins(shown))
