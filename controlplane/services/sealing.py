"""Sealing of secrets at rest: what the database keeps and only the Hub's master key opens."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from controlplane.secret import Secret


class Unsealable(Exception):
    """None of the master keys opens a sealed value: it was sealed with a key that is gone, or was changed."""


class Sealer:
    """Seals with the newest master key and opens with any (Fernet specification: AES-128-CBC, HMAC-SHA256).

    Args:
        keys: Fernet keys, newest first; the first seals, all open.
    """

    def __init__(self, keys: Sequence[Secret]) -> None:
        if not keys:
            raise ValueError("a sealer needs at least one master key")
        self._newest = Fernet(keys[0].reveal())
        self._every = MultiFernet([Fernet(key.reveal()) for key in keys])

    def seal(self, value: bytes) -> bytes:
        """Encrypt and authenticate a value; the same value gives a different text each time."""
        return self._every.encrypt(value)

    def open(self, sealed: bytes) -> bytes:
        """The value that was sealed.

        Raises:
            Unsealable: no master key opens it.
        """
        try:
            return self._every.decrypt(sealed)
        except InvalidToken:
            raise _unsealable() from None

    def rotate(self, sealed: bytes) -> bytes:
        """The same value sealed with the newest key.

        Raises:
            Unsealable: no master key opens it.
        """
        try:
            return self._every.rotate(sealed)
        except InvalidToken:
            raise _unsealable() from None

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the newest key opens it, so that it needs no rotation."""
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True


def _unsealable() -> Unsealable:
    return Unsealable(
        "no master key opens this sealed value: put the key it was sealed with at the end of HUB_MASTER_KEY, "
        "or restore the state folder that belongs to this database"
    )
