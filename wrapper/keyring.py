"""The hub API key, encrypted at rest: Fernet under a master key from the environment or from a 0600 file."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from wrapper.state_folder import StateFolder, StateFolderUnusable

_MASTER_FILE: Final = "master.key"
_KEY_FILE: Final = "hub-key.sealed"


class Secret:
    """Text that must not be printed by accident."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "•••"

    __str__ = __repr__


class _Sealed(msgspec.Struct):
    key: str
    token_digest: str


class Keyring:
    """Keeps one hub API key.

    Args:
        folder: where the sealed key lies, and the master key unless it is given.
        master_key: a Fernet key (32 bytes, urlsafe base64); None makes and keeps one in the folder.

    Raises:
        StateFolderUnusable: the master key is not one, or does not open what is there.
    """

    def __init__(self, folder: StateFolder, master_key: Secret | None = None) -> None:
        self._folder = folder
        text = master_key.reveal().encode() if master_key else folder.read(_MASTER_FILE)
        if text is None:
            text = Fernet.generate_key()
            folder.write(_MASTER_FILE, text)
        try:
            self._box = Fernet(text.strip())
        except ValueError as error:
            raise StateFolderUnusable(
                "the master key is not a Fernet key (32 bytes in urlsafe base64, 44 letters)"
            ) from error
        self._sealed = self._load()

    def _load(self) -> _Sealed | None:
        content = self._folder.read(_KEY_FILE)
        if content is None:
            return None
        try:
            return msgspec.json.decode(self._box.decrypt(content), type=_Sealed)
        except (InvalidToken, msgspec.MsgspecError) as error:
            raise StateFolderUnusable(
                f"{_KEY_FILE} in {self._folder.path} was not sealed with this master key; give the former one in "
                "SAFETY_WRAPPER_MASTER_KEY, or remove the file and register again with a new registration token"
            ) from error

    @property
    def hub_key(self) -> Secret | None:
        """The key, once there is one."""
        return Secret(self._sealed.key) if self._sealed else None

    def keep(self, hub_key: Secret, *, token: Secret) -> None:
        """Seal a new key; it is on the disk when this returns. Which token bought it is remembered by its hash."""
        sealed = _Sealed(key=hub_key.reveal(), token_digest=_digest(token))
        self._folder.write(_KEY_FILE, self._box.encrypt(msgspec.json.encode(sealed)))
        self._sealed = sealed

    def spent(self, token: Secret) -> bool:
        """Whether the key at hand was bought with this registration token."""
        return self._sealed is not None and self._sealed.token_digest == _digest(token)


def _digest(token: Secret) -> str:
    return hashlib.sha256(token.reveal().encode()).hexdigest()
