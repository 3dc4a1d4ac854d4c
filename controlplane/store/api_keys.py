"""Keys of outside callers, such as the public web site: made, listed, revoked, and found by their public prefix."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, text

from actors.people import Author
from actors.runtime.ports import Clock, Ids, Randomness
from controlplane.secret import hash_of
from controlplane.store import audit, events
from controlplane.store.database import Database
from controlplane.store.keys import key_of, missing
from protocol.faults import Unauthorized, ValidationError
from protocol.ids import ApiKeyId, format_id

_BEGINNING: Final = "ak"
_PREFIX_BYTES: Final = 6
#: How exactly it is known when a key was last used.
NOTED_EVERY: Final = timedelta(minutes=1)

_COLUMNS: Final = "id, name, prefix, may_order, created_by, created_at, expires_at, last_used_at, revoked_at"
_MAKE = text("""
    INSERT INTO api_keys (id, name, prefix, key_hash, may_order, created_by, created_at, expires_at)
    VALUES (CAST(:id AS uuid), CAST(:name AS text), CAST(:prefix AS text), CAST(:hash AS bytea),
            CAST(:may_order AS boolean),
            CAST(:by AS text), CAST(:at AS timestamptz), CAST(:expires_at AS timestamptz))""")
_LIST = text(f"""
    SELECT {_COLUMNS} FROM api_keys ORDER BY created_at DESC, id DESC
    LIMIT CAST(:limit AS bigint) OFFSET CAST(:offset AS bigint)""")
_COUNT = text("SELECT count(*) FROM api_keys")
_GET = text(f"SELECT {_COLUMNS} FROM api_keys WHERE id = CAST(:id AS uuid)")
_REVOKE = text("""
    UPDATE api_keys SET revoked_at = CAST(:at AS timestamptz)
    WHERE id = CAST(:id AS uuid) AND revoked_at IS NULL""")
_FIND = text(f"SELECT {_COLUMNS}, key_hash FROM api_keys WHERE prefix = CAST(:prefix AS text)")
_USED = text("""
    UPDATE api_keys SET last_used_at = CAST(:at AS timestamptz)
    WHERE id = CAST(:id AS uuid)
      AND (last_used_at IS NULL OR last_used_at <= CAST(:noted_before AS timestamptz))""")


class ApiKey(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A key of an outside caller, without its secret part.

    Args:
        may_order: its holder creates orders, and customers with them; without it they only read how far one is.
    """

    id: ApiKeyId
    name: str
    prefix: str
    may_order: bool
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewApiKey(ApiKey, frozen=True, rename="camel", kw_only=True):
    """A key as it is shown once."""

    key: str


class ApiKeyStore:
    """The keys in the database: of the key itself only a hash is kept."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids, randomness: Randomness) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._randomness = randomness

    async def create(
        self, author: Author, name: str, expires_at: datetime | None, *, may_order: bool = False
    ) -> NewApiKey:
        """Make a key of 256 random bits behind a public prefix.

        Raises:
            ValidationError: it would have expired already.
        """
        now = self._clock.now()
        if expires_at is not None and expires_at <= now:
            raise ValidationError.of("expiresAt", "must be in the future")
        prefix = f"{_BEGINNING}_{self._randomness.token(_PREFIX_BYTES).hex()}"
        key = f"{prefix}_{self._randomness.token(32).hex()}"
        made = ApiKey(
            id=ApiKeyId(format_id("key", self._ids.uuid7())),
            name=name,
            prefix=prefix,
            may_order=may_order,
            created_by=author.name,
            created_at=now,
            expires_at=expires_at,
            last_used_at=None,
            revoked_at=None,
        )
        await self._database.write(_create, author, made, hash_of(key))
        return NewApiKey(**msgspec.structs.asdict(made), key=key)

    async def list(self, *, offset: int, limit: int) -> tuple[Sequence[ApiKey], int]:
        """A portion of the keys, newest first, and how many there are in all."""
        return await self._database.read(_list, offset, limit)

    async def revoke(self, author: Author, key_id: ApiKeyId) -> ApiKey:
        """End a key at once; one that was revoked stays as it is.

        Raises:
            NotFound: there is no such key.
        """
        return await self._database.write(_revoke, author, key_id, self._clock.now())

    async def holder(self, key: str) -> ApiKey:
        """Whose key this is; that it was used is noted, to the minute.

        Raises:
            Unauthorized: it is unknown, revoked or expired.
        """
        prefix, _, secret = key.rpartition("_")
        refusal = Unauthorized("the API key is unknown, revoked or expired")
        if not secret or not prefix.startswith(f"{_BEGINNING}_") or len(key) > 200:
            raise refusal
        now = self._clock.now()
        row = await self._database.look(_find, prefix)
        if row is None or not hmac.compare_digest(row.key_hash, hash_of(key)):
            raise refusal
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
            raise refusal
        if row.last_used_at is None or row.last_used_at <= now - NOTED_EVERY:
            await self._database.write(_note_use, row.id, now)
        return _key_of(row)


def _create(connection: Connection, author: Author, made: ApiKey, key_hash: bytes) -> None:
    values = {
        "id": key_of("key", made.id),
        "name": made.name,
        "prefix": made.prefix,
        "hash": key_hash,
        "may_order": made.may_order,
        "by": made.created_by,
        "at": made.created_at,
        "expires_at": made.expires_at,
    }
    connection.execute(_MAKE, values)
    audit.record(connection, author, "api_key.created", made.id, at=made.created_at, after=made)
    events.emit(connection, "key.created", at=made.created_at, data=made)


def _list(connection: Connection, offset: int, limit: int) -> tuple[Sequence[ApiKey], int]:
    total = connection.execute(_COUNT).scalar_one()
    return [_key_of(row) for row in connection.execute(_LIST, {"offset": offset, "limit": limit})], total


def _revoke(connection: Connection, author: Author, key_id: ApiKeyId, now: datetime) -> ApiKey:
    key = key_of("key", key_id)
    ended = connection.execute(_REVOKE, {"id": key, "at": now}).rowcount
    row = connection.execute(_GET, {"id": key}).one_or_none()
    if row is None:
        raise missing("key", key_id)
    after = _key_of(row)
    if ended:
        held, ended_at = {"name": after.name, "revokedAt": None}, {"revokedAt": now}
        audit.record(connection, author, "api_key.revoked", key_id, at=now, before=held, after=ended_at)
        events.emit(connection, "key.revoked", at=now, data=after)
    return after


def _find(connection: Connection, prefix: str) -> Row[Any] | None:
    return connection.execute(_FIND, {"prefix": prefix}).one_or_none()


def _note_use(connection: Connection, key: Any, now: datetime) -> None:
    connection.execute(_USED, {"id": key, "at": now, "noted_before": now - NOTED_EVERY})


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=ApiKeyId(format_id("key", row.id)),
        name=row.name,
        prefix=row.prefix,
        may_order=row.may_order,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
