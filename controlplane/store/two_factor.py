"""Second factors: enrolled, used once a time step, with spare codes; and sign-ins that wait for a code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, delete, func, insert, or_, select, update

from actors.people import Author
from actors.runtime.ports import Clock, Ids
from controlplane.store import audit, mail
from controlplane.store.account_rows import Account, Holder, holder, owner_of, tell
from controlplane.store.credentials import Write
from controlplane.store.database import Database
from controlplane.store.factor_resets import reset_factor
from controlplane.store.session_endings import end_all
from controlplane.store.sessions import NEWS, NewSession, Session, SessionStore, start_session
from controlplane.store.tables.accounts import sessions
from controlplane.store.tables.credentials import backup_codes, pending_2fa_sessions, second_factors
from controlplane.store.transaction import tell_after_commit
from protocol.faults import Conflict, Unauthorized
from protocol.words import AccountStatus

#: How many codes may be tried with one pending token, on all nodes together.
TRIES: Final = 5

#: A time step whose code was given, or the hash of a backup code.
Proof = int | bytes


class Factor(msgspec.Struct, frozen=True):
    """An account's second factor.

    Args:
        confirmed_at: None: it was shown, and guards nothing yet.
        codes_left: backup codes that were not used.
    """

    id: UUID
    account: Account
    secret_sealed: bytes
    confirmed_at: datetime | None
    codes_left: int


class Confirmation(msgspec.Struct, frozen=True):
    """What turns a second factor on.

    Args:
        step: the time step of the code that was given.
        code_hashes: SHA-256 of the backup codes.
        session: the one that asks; all others end.
        token_hash: that session's new token, where it gets one.
        write: the mail that tells of it.
    """

    step: int
    code_hashes: Sequence[bytes]
    session: UUID
    token_hash: bytes | None
    write: Write


class TwoFactorStore:
    """The second factors in the database."""

    def __init__(self, database: Database, sessions: SessionStore, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._sessions = sessions
        self._clock = clock
        self._ids = ids

    async def factor(self, account: Account) -> Factor | None:
        """The account's second factor, confirmed or not."""
        return await self._database.read(_factor, account)

    async def offer(self, author: Author, account: Account, secret_sealed: bytes) -> Holder:
        """Keep a fresh secret, in place of one that was never confirmed; returns who it is for.

        Raises:
            Conflict: the account has a confirmed one.
        """
        return await self._database.write(_offer, author, account, secret_sealed, self._ids.uuid7(), self._clock.now())

    async def confirm(self, author: Author, factor: Factor, how: Confirmation) -> None:
        """Turn a second factor on; sessions that were begun without it end.

        Raises:
            Conflict: it was confirmed, or set up anew, meanwhile.
        """
        keys = [self._ids.uuid7() for _ in how.code_hashes]
        await self._database.write(_confirm, author, factor, how, keys, self._clock.now())

    async def check(self, author: Author, factor: Factor, proof: Proof) -> bool:
        """Use a code up; False: it was used before, or is none of theirs."""
        return await self._database.write(_check, author, factor, proof, self._clock.now())

    async def disable(self, author: Author, factor: Factor, proof: Proof | None, *, write: Write) -> bool:
        """Turn a second factor off; False: the proof was used before, or is none. None: another proof was given."""
        return await self._database.write(_disable, author, factor, proof, write, self._clock.now())

    async def reset(self, author: Author, account: Account, *, write: Write) -> None:
        """Take it off somebody else's account; as `reset_factor`."""
        await self._database.write(reset_factor, author, account, write, self._clock.now())

    async def renew_codes(
        self, author: Author, factor: Factor, proof: Proof | None, code_hashes: Sequence[bytes]
    ) -> bool:
        """Put fresh backup codes in place of the former; False as of `disable`."""
        keys = [self._ids.uuid7() for _ in code_hashes]
        return await self._database.write(_renew, author, factor, proof, code_hashes, keys, self._clock.now())

    async def secrets_after(self, last: UUID | None, *, limit: int = 500) -> Sequence[tuple[UUID, bytes]]:
        """Keys and sealed secrets in the order of their keys, after `last`."""
        return await self._database.read(_secrets_after, last, limit)

    async def reseal(self, factor: UUID, former: bytes, anew: bytes) -> bool:
        """Put a secret sealed anew in place of the former; False: it was changed meanwhile."""
        return await self._database.write(_reseal, factor, former, anew)

    # --- signing in -------------------------------------------------------------------------------------

    async def wait_for_code(self, account: Account, token_hash: bytes, *, lives: timedelta) -> None:
        """Keep a sign-in whose password was right."""
        now = self._clock.now()
        await self._database.write(_wait, account, token_hash, self._ids.uuid7(), now, now + lives)

    async def attempt(self, token_hash: bytes) -> Factor:
        """The factor whose code a pending sign-in awaits; counts one try.

        Raises:
            Unauthorized: the token is unknown, over, or was tried too often.
        """
        return await self._database.write(_attempt, token_hash, self._clock.now())

    async def complete(
        self, author: Author, factor: Factor, token_hash: bytes, proof: Proof, new: NewSession
    ) -> Session:
        """End a pending sign-in with a session; token and code are used up with it.

        Raises:
            Unauthorized: token or code was used up, or the account is no longer active.
        """
        key, now, idle_until, until = self._sessions.terms()
        return await self._database.write(
            _complete, author, factor, token_hash, proof, new, key, now, idle_until, until
        )

    async def sweep(self, *, limit: int = 1_000) -> int:
        """Delete pending sign-ins that are over; returns how many, at most `limit`."""
        return await self._database.write(_sweep, self._clock.now(), limit)


def _factor(connection: Connection, account: Account) -> Factor | None:
    left = (
        select(func.count())
        .where(backup_codes.c.factor_id == second_factors.c.id, backup_codes.c.used_at.is_(None))
        .scalar_subquery()
    )
    row = connection.execute(
        select(second_factors, left.label("left")).where(account.owns(second_factors))
    ).one_or_none()
    if row is None:
        return None
    return Factor(row.id, account, bytes(row.secret_sealed), row.confirmed_at, row.left)


def _active(connection: Connection, account: Account) -> Holder:
    owner = holder(connection, account, lock=True)
    if owner is None or owner.status is not AccountStatus.ACTIVE:
        raise Unauthorized("this account is not active")
    return owner


def _offer(
    connection: Connection, author: Author, account: Account, secret_sealed: bytes, key: UUID, now: datetime
) -> Holder:
    owner = _active(connection, account)
    connection.execute(
        delete(second_factors).where(account.owns(second_factors), second_factors.c.confirmed_at.is_(None))
    )
    if _factor(connection, account) is not None:
        raise Conflict("two-factor authentication is on already; turn it off before setting it up anew")
    connection.execute(
        insert(second_factors).values(id=key, secret_sealed=secret_sealed, created_at=now, **account.columns)
    )
    _note(connection, author, account, now, "offered", {"state": "off"}, {"state": "offered"})
    return owner


def _confirm(
    connection: Connection, author: Author, factor: Factor, how: Confirmation, keys: Sequence[UUID], now: datetime
) -> None:
    account = factor.account
    owner = _active(connection, account)
    confirmed = connection.execute(
        update(second_factors)
        .where(second_factors.c.id == factor.id, second_factors.c.confirmed_at.is_(None))
        .values(confirmed_at=now, last_step=how.step)
    )
    if confirmed.rowcount == 0:
        raise Conflict("two-factor authentication was confirmed or set up anew meanwhile")
    _insert_codes(connection, factor, how.code_hashes, keys)
    connection.execute(delete(pending_2fa_sessions).where(account.owns(pending_2fa_sessions)))
    if how.token_hash is not None:
        connection.execute(update(sessions).where(sessions.c.id == how.session).values(token_hash=how.token_hash))
    tell_after_commit(connection, NEWS)
    _note(
        connection,
        author,
        account,
        now,
        "enabled",
        {"state": "offered"},
        {"state": "on", "codesLeft": len(how.code_hashes)},
    )
    end_all(connection, author, account, now=now, keep=how.session)
    mail.enqueue(connection, how.write(owner))
    tell(connection, account, "twoFactorEnabled", at=now)


def _insert_codes(connection: Connection, factor: Factor, hashes: Sequence[bytes], keys: Sequence[UUID]) -> None:
    connection.execute(
        insert(backup_codes),
        [{"id": key, "factor_id": factor.id, "code_hash": code} for key, code in zip(keys, hashes, strict=True)],
    )


def _note(
    connection: Connection, author: Author, account: Account, now: datetime, what: str, before: object, after: object
) -> None:
    owner, action = account.customer, f"two_factor.{what}"
    audit.record(connection, author, action, account.id, at=now, before=before, after=after, customer_id=owner)


def _codes_left(connection: Connection, factor: Factor) -> int:
    unused = select(func.count()).where(backup_codes.c.factor_id == factor.id, backup_codes.c.used_at.is_(None))
    return int(connection.execute(unused).scalar_one())


def _use(connection: Connection, author: Author, factor: Factor, proof: Proof, now: datetime) -> bool:
    """Use a code up: of any number at once, one succeeds."""
    account = factor.account
    if isinstance(proof, int):
        column = second_factors.c.last_step
        used = connection.execute(
            update(second_factors)
            .where(second_factors.c.id == factor.id, or_(column.is_(None), column < proof))
            .values(last_step=proof)
        )
        return used.rowcount == 1
    used = connection.execute(
        update(backup_codes)
        .where(
            backup_codes.c.factor_id == factor.id,
            backup_codes.c.code_hash == proof,
            backup_codes.c.used_at.is_(None),
        )
        .values(used_at=now)
    )
    if used.rowcount == 0:
        return False
    left = _codes_left(connection, factor)
    _note(connection, author, account, now, "backup_code_used", {"codesLeft": left + 1}, {"codesLeft": left})
    tell(connection, account, "backupCodeUsed", at=now)
    return True


def _check(connection: Connection, author: Author, factor: Factor, proof: Proof, now: datetime) -> bool:
    _active(connection, factor.account)
    return _use(connection, author, factor, proof, now)


def _proven(connection: Connection, author: Author, factor: Factor, proof: Proof | None, now: datetime) -> bool:
    return proof is None or _use(connection, author, factor, proof, now)


def _disable(
    connection: Connection, author: Author, factor: Factor, proof: Proof | None, write: Write, now: datetime
) -> bool:
    account = factor.account
    owner = _active(connection, account)
    if not _proven(connection, author, factor, proof, now):
        return False
    gone = connection.execute(delete(second_factors).where(second_factors.c.id == factor.id))
    if gone.rowcount == 0:
        return False
    connection.execute(delete(pending_2fa_sessions).where(account.owns(pending_2fa_sessions)))
    _note(connection, author, account, now, "disabled", {"state": "on"}, {"state": "off"})
    mail.enqueue(connection, write(owner))
    tell(connection, account, "twoFactorDisabled", at=now)
    return True


def _renew(
    connection: Connection,
    author: Author,
    factor: Factor,
    proof: Proof | None,
    hashes: Sequence[bytes],
    keys: Sequence[UUID],
    now: datetime,
) -> bool:
    account = factor.account
    _active(connection, account)
    if not _proven(connection, author, factor, proof, now):
        return False
    left = _codes_left(connection, factor)
    connection.execute(delete(backup_codes).where(backup_codes.c.factor_id == factor.id))
    _insert_codes(connection, factor, hashes, keys)
    _note(connection, author, account, now, "backup_codes_made", {"codesLeft": left}, {"codesLeft": len(hashes)})
    tell(connection, account, "backupCodesMade", at=now)
    return True


def _secrets_after(connection: Connection, last: UUID | None, limit: int) -> Sequence[tuple[UUID, bytes]]:
    statement = select(second_factors.c.id, second_factors.c.secret_sealed).order_by(second_factors.c.id).limit(limit)
    if last is not None:
        statement = statement.where(second_factors.c.id > last)
    return [(row.id, bytes(row.secret_sealed)) for row in connection.execute(statement)]


def _reseal(connection: Connection, factor: UUID, former: bytes, anew: bytes) -> bool:
    changed = connection.execute(
        update(second_factors)
        .where(second_factors.c.id == factor, second_factors.c.secret_sealed == former)
        .values(secret_sealed=anew)
    )
    return changed.rowcount == 1


def _wait(
    connection: Connection, account: Account, token_hash: bytes, key: UUID, now: datetime, until: datetime
) -> None:
    connection.execute(
        insert(pending_2fa_sessions).values(
            id=key, token_hash=token_hash, created_at=now, expires_at=until, **account.columns
        )
    )


def _attempt(connection: Connection, token_hash: bytes, now: datetime) -> Factor:
    row = connection.execute(
        update(pending_2fa_sessions)
        .where(
            pending_2fa_sessions.c.token_hash == token_hash,
            pending_2fa_sessions.c.expires_at > now,
            pending_2fa_sessions.c.attempts < TRIES,
        )
        .values(attempts=pending_2fa_sessions.c.attempts + 1)
        .returning(pending_2fa_sessions.c.staff_id, pending_2fa_sessions.c.user_id)
    ).one_or_none()
    factor = None if row is None else _factor(connection, owner_of(row))
    if factor is None or factor.confirmed_at is None:
        raise _over()
    return factor


def _complete(
    connection: Connection,
    author: Author,
    factor: Factor,
    token_hash: bytes,
    proof: Proof,
    new: NewSession,
    key: UUID,
    now: datetime,
    idle_until: datetime,
    until: datetime,
) -> Session:
    owner = _active(connection, factor.account)
    author = owner.author(author)
    taken = connection.execute(delete(pending_2fa_sessions).where(pending_2fa_sessions.c.token_hash == token_hash))
    if taken.rowcount == 0:
        raise _over()
    if not _use(connection, author, factor, proof, now):
        raise Unauthorized("the code is wrong or was used already")
    session = start_session(connection, author, new, key, now, idle_until, until)
    if session is None:
        raise _over()
    return session


def _sweep(connection: Connection, now: datetime, limit: int) -> int:
    over = (
        select(pending_2fa_sessions.c.id)
        .where(pending_2fa_sessions.c.expires_at < now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(delete(pending_2fa_sessions).where(pending_2fa_sessions.c.id.in_(over))).rowcount


def _over() -> Unauthorized:
    return Unauthorized("this sign-in is over; begin again with address and password")
