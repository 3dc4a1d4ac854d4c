"""A secret in memory: text that shows itself only where it is asked to."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, NoReturn

MASK: Final = "•••"


class Secret:
    """A password, key or token that prints as •••, compares in constant time and refuses to be encoded.

    Args:
        value: the secret text itself.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one place which hands it on."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(MASK, format_spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    # A hash would put the text's equality into timing-dependent dictionaries.
    __hash__ = None  # type: ignore[assignment]

    # Unchangeable, so its copy is itself; this lets dataclasses.replace and deepcopy pass over it.
    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not pickled: reveal() it where it must leave the process")


def hash_of(token: str) -> bytes:
    """What is kept of a token or key: SHA-256, enough for what carries 256 bits of randomness."""
    return hashlib.sha256(token.encode()).digest()
