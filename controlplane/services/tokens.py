"""Tokens of 256 bits that only their holder knows; what each is for stands before it, so that none opens two doors."""

from __future__ import annotations

import base64
import re
from typing import Final

from actors.runtime.ports import Randomness

TOKEN_BYTES: Final = 32
#: What stands before the tokens of each kind; a session's has nothing, as browsers' cookies always had.
SESSION: Final = ""
PENDING: Final = "p2fa_"
PASSWORD: Final = "pwd_"  # noqa: S105 - what stands before a token, not one
INVITATION: Final = "invite_"

_LETTERS: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def new_token(randomness: Randomness, kind: str = SESSION) -> str:
    """A fresh token."""
    return kind + base64.urlsafe_b64encode(randomness.token(TOKEN_BYTES)).rstrip(b"=").decode()


def is_token(text: str, kind: str = SESSION) -> bool:
    """Whether a text has the form of such a token: what has not costs no query."""
    return text.startswith(kind) and _LETTERS.fullmatch(text[len(kind) :]) is not None
