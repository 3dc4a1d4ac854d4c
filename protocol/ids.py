"""Typed ids: a prefix and a lower-case Crockford base32 UUIDv7, as in TypeID; databases store the UUID."""

from __future__ import annotations

from typing import Final, NewType
from uuid import UUID

CustomerId = NewType("CustomerId", str)
OrderId = NewType("OrderId", str)
ServerId = NewType("ServerId", str)
AgentConfigId = NewType("AgentConfigId", str)
ApprovalId = NewType("ApprovalId", str)
CommandId = NewType("CommandId", str)
StaffId = NewType("StaffId", str)
SessionId = NewType("SessionId", str)
InvitationId = NewType("InvitationId", str)
SubscriptionId = NewType("SubscriptionId", str)
ApiKeyId = NewType("ApiKeyId", str)
AuditEntryId = NewType("AuditEntryId", str)
BillingPeriodId = NewType("BillingPeriodId", str)
BackupId = NewType("BackupId", str)
ActivityId = NewType("ActivityId", str)
RequestId = NewType("RequestId", str)

#: The prefix of each id type, by the name of its type.
PREFIXES: Final[dict[str, str]] = {
    "CustomerId": "cust",
    "OrderId": "ord",
    "ServerId": "srv",
    "AgentConfigId": "agcfg",
    "ApprovalId": "appr",
    "CommandId": "cmd",
    "StaffId": "stf",
    "SessionId": "sess",
    "InvitationId": "inv",
    "SubscriptionId": "sub",
    "ApiKeyId": "key",
    "AuditEntryId": "aud",
    "BillingPeriodId": "bill",
    "BackupId": "bkp",
    "ActivityId": "act",
}

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
#: From our letters to the digits of Python's base 32; any other letter becomes one that is no digit.
_DIGITS: Final = dict.fromkeys(range(128), "!") | dict(
    zip(map(ord, _ALPHABET), "0123456789abcdefghijklmnopqrstuv", strict=True)
)
_LENGTH: Final = 26
_SHIFTS: Final = tuple(range(120, -1, -10))  # of the thirteen pairs of letters


def uuid7(unix_ms: int, random: bytes) -> UUID:
    """Make a UUID version 7 (RFC 9562 section 5.7).

    Args:
        unix_ms: milliseconds since the Unix epoch, 48 bits.
        random: 10 bytes of randomness; 74 of their bits are used.
    """
    value = (unix_ms & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(random[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def format_id(prefix: str, value: UUID) -> str:
    """Write an id as `prefix_` and 26 base32 letters."""
    number = value.int
    pairs = [_PAIRS[number >> shift & 1023] for shift in _SHIFTS]
    return f"{prefix}_{''.join(pairs)}"


def parse_id(prefix: str, text: str) -> UUID:
    """Read what `format_id` wrote.

    Raises:
        ValueError: the prefix is another's, or the rest is not a canonical 26-letter UUID.
    """
    head, _, letters = text.rpartition("_")
    if head == prefix and len(letters) == _LENGTH and letters.isascii() and letters[0] in "01234567":
        digits = letters.translate(_DIGITS)
        if "!" not in digits:
            return UUID(int=int(digits, 32))
    raise ValueError(f"not an id of the form {prefix}_…")
