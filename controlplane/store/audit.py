"""Who changed what: one append-only row a change, written inside the change's own transaction."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, insert

from actors.people import Author
from controlplane.store.tables.accounts import audit_entries
from controlplane.store.transaction import tell_after_commit
from protocol.ids import parse_id, uuid7

__all__ = ["NEWS", "REDACTED", "Author", "difference", "record", "redacted"]

#: What listeners of `Database.listen` are told by.
NEWS: Final = "audit"

#: What stands in place of a secret.
REDACTED: Final = "•••"

_WORDS: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_SECRET_WORDS: Final = frozenset(
    {
        "password",
        "passphrase",
        "secret",
        "secrets",
        "credential",
        "credentials",
        "authorization",
        "cookie",
        "totp",
    }
)
_SECRET_LAST_WORDS: Final = frozenset({"token", "key", "codes"})


def record(
    connection: Connection,
    author: Author,
    action: str,
    target: str,
    *,
    at: datetime,
    before: object = None,
    after: object = None,
    customer_id: UUID | None = None,
    order_id: UUID | None = None,
) -> None:
    """Write the audit entry of a change into the transaction that makes it.

    Args:
        action: a fact, as `order.created`.
        target: the text id of what changed.
        before: the state before as a Struct or plain value; fields with a secret's name are redacted.
        after: the state after.
        customer_id: the customer whose things changed.
        order_id: the order it belongs to; of a target that is an order, that one.
    """
    connection.execute(
        insert(audit_entries),
        [
            {
                "id": uuid7(int(at.timestamp() * 1000), secrets.token_bytes(10)),
                "at": at,
                "author_type": author.type,
                "author_id": author.id,
                "author_name": author.name,
                "address": author.address,
                "request_id": author.request_id,
                "action": action,
                "target": target,
                "before": _written(before),
                "after": _written(after),
                "customer_id": customer_id,
                "order_id": order_id or _order_of(target),
                "user_agent": author.user_agent,
            }
        ],
    )
    tell_after_commit(connection, NEWS)


def redacted(value: Any) -> Any:
    """A plain JSON value without the values of fields whose name says that they are secret."""
    if isinstance(value, dict):
        return {
            name: REDACTED if inner is not None and _is_secret(str(name)) else redacted(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [redacted(inner) for inner in value]
    return value


def difference(before: Any, after: Any, fields: Iterable[str] | None = None) -> tuple[Any, Any]:
    """The fields of two Structs of one type that differ, as two plain values for `record`."""
    old, new = _plain(before), _plain(after)
    names = [name for name in (fields or new) if old.get(name) != new.get(name)]
    return {name: old.get(name) for name in names}, {name: new.get(name) for name in names}


def _order_of(target: str) -> UUID | None:
    return parse_id("ord", target) if target.startswith("ord_") else None


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value, enc_hook=_open, str_keys=True)


def _open(value: object) -> Any:
    # JSON inside, such as a command's payload: opened, so that what is secret in there is found too.
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else str(value)


def _written(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(redacted(_plain(value))).decode()


def _is_secret(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words:
        return False
    if not _SECRET_WORDS.isdisjoint(words) or words[-1] in _SECRET_LAST_WORDS:
        return True
    return words[-1] == "hash" and not _SECRET_LAST_WORDS.isdisjoint(words)
