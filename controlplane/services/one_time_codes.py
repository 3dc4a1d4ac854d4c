"""Time-based one-time codes and backup codes: pure functions of secrets, texts and times."""

from __future__ import annotations

import base64
import hmac
import io
import re
from datetime import datetime
from typing import Final

import pyotp
import segno

from actors.runtime.ports import Randomness
from controlplane.secret import Secret, hash_of

#: RFC 6238 section 5.2: the interval all apps know.
STEP_SECONDS: Final = 30
#: How many steps a clock may be off either way.
DRIFT_STEPS: Final = 1
#: RFC 4226 section 4, R6: the length of HMAC-SHA-1.
SECRET_BYTES: Final = 20
BACKUP_CODES: Final = 10

_CODE: Final = re.compile(r"[0-9]{6}")
#: Crockford's base32 in lower case: no letter that is taken for a digit.
_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_MISREAD: Final = str.maketrans("oil", "011")
#: 80 bits, so that a bare hash of it keeps it.
_BACKUP_LENGTH: Final = 16
_BACKUP: Final = re.compile(f"[{_LETTERS}]{{{_BACKUP_LENGTH}}}")


def new_secret(randomness: Randomness) -> Secret:
    """A secret, in base32 as apps read it."""
    return Secret(base64.b32encode(randomness.token(SECRET_BYTES)).decode())


def step_of(moment: datetime) -> int:
    """The time step of a moment."""
    return int(moment.timestamp()) // STEP_SECONDS


def matching_step(secret: Secret, code: str, now: datetime) -> int | None:
    """The time step a code belongs to, at most one before or after this one; None: to none of them.

    The caller must take each step once (RFC 6238 section 5.2).
    """
    if not _CODE.fullmatch(code):
        return None
    totp = pyotp.TOTP(secret.reveal(), interval=STEP_SECONDS)
    around = range(step_of(now) - DRIFT_STEPS, step_of(now) + DRIFT_STEPS + 1)
    # Every step is tried, so that the time tells nothing.
    matching = [step for step in around if hmac.compare_digest(totp.generate_otp(step), code)]
    return max(matching, default=None)


def otpauth_uri(secret: Secret, *, account: str, issuer: str) -> str:
    """The URI that apps enrol by (https://github.com/google/google-authenticator/wiki/Key-Uri-Format)."""
    return pyotp.TOTP(secret.reveal(), interval=STEP_SECONDS).provisioning_uri(name=account, issuer_name=issuer)


def qr_svg(text: str) -> str:
    """A text as a QR code: an SVG document with its quiet zone, dark on light, without size or script."""
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", scale=1, border=4, dark="#000", light="#fff", xmldecl=False, svgns=True, omitsize=True
    )
    return drawn.getvalue().decode().strip()


def new_backup_codes(randomness: Randomness) -> list[str]:
    """Fresh backup codes, as they are shown: four groups of four."""
    codes = []
    for _ in range(BACKUP_CODES):
        drawn = int.from_bytes(randomness.token(_BACKUP_LENGTH * 5 // 8), "big")
        letters = "".join(_LETTERS[drawn >> shift & 31] for shift in range(_BACKUP_LENGTH * 5 - 5, -1, -5))
        codes.append("-".join(letters[start : start + 4] for start in range(0, _BACKUP_LENGTH, 4)))
    return codes


def backup_hash(code: str) -> bytes | None:
    """What is kept of a backup code, however it was typed; None: it cannot be one."""
    plain = re.sub(r"[\s-]", "", code).lower().translate(_MISREAD)
    return hash_of(plain) if _BACKUP.fullmatch(plain) else None
