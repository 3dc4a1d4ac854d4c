"""The audit log's chain as pure functions: what of an entry is sealed, the digest of a link, signatures and anchors."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from controlplane.secret import Secret

#: The columns that are sealed, in this order: all of an entry.
SEALED_COLUMNS: Final = (
    "id",
    "position",
    "xid",
    "at",
    "author_type",
    "author_id",
    "author_name",
    "address",
    "user_agent",
    "request_id",
    "action",
    "target",
    "order_id",
    "customer_id",
    "before",
    "after",
)
#: The digest before the first entry.
GENESIS: Final = bytes(32)
#: At most this many entries lie between two signatures.
MOST_UNSIGNED: Final = 500

_encode: Final = msgspec.json.Encoder().encode
_VERSION: Final = 1
_GROUP: Final = 16
# In groups: what a log line masks as a secret are long runs of letters and digits.
_ANCHOR: Final = re.compile(
    r"\baa1\.(\d{1,19})\.(\d{1,12})\.([0-9a-f]{16})((?:\.[0-9a-f]{16}){4})((?:\.[0-9a-f]{16}){4})\b"
)


class Entry(NamedTuple):
    """One audit entry as it is sealed; the fields of `SEALED_COLUMNS`."""

    id: UUID
    position: int
    xid: int
    at: datetime
    author_type: str
    author_id: str | None
    author_name: str
    address: str | None
    user_agent: str | None
    request_id: str | None
    action: str
    target: str
    order_id: UUID | None
    customer_id: UUID | None
    before: str | None
    after: str | None


class Signature(NamedTuple):
    """A signature, and the name of the key that made it."""

    key_id: str
    value: bytes


class Anchor(NamedTuple):
    """What the chain was at a moment, kept outside the database.

    Args:
        number: how many entries it had.
        digest: of the last of them.
        at: when, to the second.
        signature: over these three.
    """

    number: int
    digest: bytes
    at: datetime
    signature: Signature

    def text(self) -> str:
        """As a log line and the state folder hold it."""
        parts = ["aa1", str(self.number), str(int(self.at.timestamp())), self.signature.key_id]
        for value in (self.digest.hex(), self.signature.value.hex()):
            parts += [value[start : start + _GROUP] for start in range(0, len(value), _GROUP)]
        return ".".join(parts)


def link(previous: bytes, entry: Entry) -> bytes:
    """The digest of a chain that ended with `previous`, with one more entry (SHA-256, 32 bytes)."""
    content = _encode((_VERSION, *entry._replace(at=entry.at.astimezone(UTC))))
    return hashlib.sha256(previous + hashlib.sha256(content).digest()).digest()


def anchors_in(text: str) -> Iterator[Anchor]:
    """Every anchor in some text, such as a log's."""
    for number, at, key_id, digest, signature in _ANCHOR.findall(text):
        yield Anchor(
            int(number),
            bytes.fromhex(digest.replace(".", "")),
            datetime.fromtimestamp(int(at), UTC),
            Signature(key_id, bytes.fromhex(signature.replace(".", ""))),
        )


class Signer:
    """Signs what the chain has come to, with keys that are not in the database.

    Args:
        master_keys: newest first; the newest signs, all verify.
    """

    def __init__(self, master_keys: Sequence[Secret]) -> None:
        if not master_keys:
            raise ValueError("a signer needs at least one master key")
        keys = [hashlib.sha256(b"audit " + key.reveal().encode()).digest() for key in master_keys]
        self._keys = {hashlib.sha256(b"audit key " + key).hexdigest()[:_GROUP]: key for key in keys}
        self._newest = next(iter(self._keys))

    @property
    def newest(self) -> str:
        """The name of the key that signs."""
        return self._newest

    def seal(self, number: int, digest: bytes) -> Signature:
        """Sign the last seal of a batch."""
        return self._sign(_seal_text(number, digest))

    def check_seal(self, number: int, digest: bytes, signature: Signature) -> bool | None:
        """Whether a batch's signature is right; None: its key is not among ours."""
        return self._check(_seal_text(number, digest), signature)

    def head(self, number: int, digest: bytes, xid: int, position: int, signed_at: datetime) -> Signature:
        """Sign the head."""
        return self._sign(_head_text(number, digest, xid, position, signed_at))

    def check_head(
        self, number: int, digest: bytes, xid: int, position: int, signed_at: datetime, signature: Signature
    ) -> bool | None:
        """Whether the head's signature is right; None: its key is not among ours."""
        return self._check(_head_text(number, digest, xid, position, signed_at), signature)

    def anchor(self, number: int, digest: bytes, at: datetime) -> Anchor:
        """Make an anchor."""
        at = at.astimezone(UTC).replace(microsecond=0)
        return Anchor(number, digest, at, self._sign(_anchor_text(number, digest, at)))

    def check_anchor(self, anchor: Anchor) -> bool | None:
        """Whether an anchor is ours; None: its key is not among ours."""
        return self._check(_anchor_text(anchor.number, anchor.digest, anchor.at), anchor.signature)

    def _sign(self, text: bytes) -> Signature:
        return Signature(self._newest, hmac.digest(self._keys[self._newest], text, "sha256"))

    def _check(self, text: bytes, signature: Signature) -> bool | None:
        key = self._keys.get(signature.key_id)
        return None if key is None else hmac.compare_digest(hmac.digest(key, text, "sha256"), signature.value)


def _seal_text(number: int, digest: bytes) -> bytes:
    return _encode(("seal", number, digest.hex()))


def _head_text(number: int, digest: bytes, xid: int, position: int, signed_at: datetime) -> bytes:
    return _encode(("head", number, digest.hex(), xid, position, signed_at.astimezone(UTC)))


def _anchor_text(number: int, digest: bytes, at: datetime) -> bytes:
    return _encode(("anchor", number, digest.hex(), int(at.timestamp())))
