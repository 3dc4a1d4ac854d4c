"""Passwords of staff and customers: found for a sign-in, changed, and chosen anew by a one-time link."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Connection, delete, exists, func, insert, select, update

from actors.people import Author
from actors.runtime.ports import Clock, Ids
from controlplane.store import audit, mail
from controlplane.store.account_rows import Account, Holder, holder, owner_of, tell
from controlplane.store.database import Database
from controlplane.store.session_endings import end_all
from controlplane.store.tables.accounts import staff, users
from controlplane.store.tables.credentials import password_links, pending_2fa_sessions, second_factors
from protocol.faults import Conflict, NotFound, Unauthorized
from protocol.words import AccountStatus, UserType

#: Writes the mail about an account's holder; called inside the transaction, perhaps more than once.
Write = Callable[[Holder], mail.Mail]


class Credentials(msgspec.Struct, frozen=True):
    """What a sign-in is checked against.

    Args:
        second_factor: a code is wanted besides the password.
    """

    account: Account
    name: str
    status: AccountStatus
    password_hash: str | None
    second_factor: bool


class NewLink(msgspec.Struct, frozen=True):
    """What makes a one-time link.

    Args:
        token_hash: SHA-256 of the token.
        lives: how long.
        write: the mail that carries it.
    """

    token_hash: bytes
    lives: timedelta
    write: Write


class CredentialStore:
    """The passwords in the database."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def find(self, user_type: UserType, email: str) -> Credentials | None:
        """What signs in with this address, whatever its letters' case."""
        return await self._database.read(_find, user_type, email)

    async def holder(self, account: Account) -> Holder:
        """Who holds an account.

        Raises:
            Unauthorized: it is gone or no longer active.
        """
        return await self._database.read(_active, account)

    async def change(self, author: Author, known: Holder, password_hash: str, *, keep: UUID, write: Write) -> int:
        """Put a new password in the place of the one `known` tells of; sessions but `keep`, links and half-done
        sign-ins end with it. Returns how many sessions ended.

        Raises:
            Conflict: it was changed meanwhile.
        """
        return await self._database.write(_change, author, known, password_hash, keep, write, self._clock.now())

    async def offer_link(self, author: Author, user_type: UserType, email: str, new: NewLink) -> bool:
        """Mail a link by which the holder of this address, if there is an active one, chooses a password."""
        return await self._database.write(_offer, author, user_type, email, new, self._ids.uuid7(), self._clock.now())

    async def link_holder(self, token_hash: bytes) -> Holder:
        """Whose link this is.

        Raises:
            NotFound: it is unknown, used or over, or its account is not active.
        """
        return await self._database.read(_link_holder, token_hash, self._clock.now())

    async def use_link(
        self, author: Author, account: Account, token_hash: bytes, password_hash: str, *, write: Write
    ) -> None:
        """Choose a password by a link, once; every session of the account ends.

        Raises:
            NotFound: as of `link_holder`.
        """
        await self._database.write(_use, author, account, token_hash, password_hash, write, self._clock.now())

    async def sweep(self, *, limit: int = 1_000) -> int:
        """Delete links that are over; returns how many, at most `limit`."""
        return await self._database.write(_sweep, self._clock.now(), limit)


def link_for(connection: Connection, author: Author, owner: Holder, new: NewLink, key: UUID, now: datetime) -> None:
    """Write a link and its mail into the transaction that wants them."""
    account = owner.account
    connection.execute(
        insert(password_links).values(
            id=key, token_hash=new.token_hash, created_at=now, expires_at=now + new.lives, **account.columns
        )
    )
    mail.enqueue(connection, new.write(owner))
    sent = {"email": owner.email, "expiresAt": now + new.lives}
    audit.record(connection, author, "password.link_sent", account.id, at=now, after=sent, customer_id=account.customer)


def forget_proofs(connection: Connection, account: Account) -> None:
    """Void every link and half-done sign-in of an account: what they stood on has changed."""
    connection.execute(delete(password_links).where(account.owns(password_links)))
    connection.execute(delete(pending_2fa_sessions).where(account.owns(pending_2fa_sessions)))


def _find(connection: Connection, user_type: UserType, email: str) -> Credentials | None:
    table, owner = (
        (staff, second_factors.c.staff_id) if user_type is UserType.STAFF else (users, second_factors.c.user_id)
    )
    factor = exists().where(owner == table.c.id, second_factors.c.confirmed_at.is_not(None))
    row = connection.execute(
        select(table.c.id, table.c.name, table.c.status, table.c.password_hash, factor.label("factor")).where(
            func.lower(table.c.email) == func.lower(email)
        )
    ).one_or_none()
    if row is None:
        return None
    account = Account(user_type, row.id)
    return Credentials(account, row.name, AccountStatus(row.status), row.password_hash, row.factor)


def _active(connection: Connection, account: Account, *, lock: bool = False) -> Holder:
    found = holder(connection, account, lock=lock)
    if found is None or found.status is not AccountStatus.ACTIVE:
        raise Unauthorized("this account is not active")
    return found


def _change(
    connection: Connection, author: Author, known: Holder, password_hash: str, keep: UUID, write: Write, now: datetime
) -> int:
    owner = _active(connection, known.account, lock=True)
    if owner.password_hash != known.password_hash:
        raise Conflict("the password was changed meanwhile")
    return _set(connection, author, owner, password_hash, write, now, keep=keep)


def _set(
    connection: Connection,
    author: Author,
    owner: Holder,
    password_hash: str,
    write: Write,
    now: datetime,
    *,
    keep: UUID | None = None,
) -> int:
    account, table = owner.account, owner.account.table
    connection.execute(
        update(table).where(table.c.id == account.key).values(password_hash=password_hash, updated_at=now)
    )
    forget_proofs(connection, account)
    was = None if owner.password_hash is None else audit.REDACTED
    audit.record(
        connection,
        author,
        "password.changed",
        account.id,
        at=now,
        before={"password": was},
        after={"password": audit.REDACTED},
        customer_id=account.customer,
    )
    ended = end_all(connection, author, account, now=now, keep=keep)
    mail.enqueue(connection, write(owner))
    tell(connection, account, "passwordChanged", at=now)
    return ended


def _offer(
    connection: Connection,
    author: Author,
    user_type: UserType,
    email: str,
    new: NewLink,
    key: UUID,
    now: datetime,
) -> bool:
    known = _find(connection, user_type, email)
    owner = None if known is None else holder(connection, known.account, lock=True)
    if owner is None or owner.status is not AccountStatus.ACTIVE:
        return False
    link_for(connection, author, owner, new, key, now)
    return True


def _link_holder(connection: Connection, token_hash: bytes, now: datetime) -> Holder:
    row = connection.execute(
        select(password_links.c.staff_id, password_links.c.user_id).where(
            password_links.c.token_hash == token_hash, password_links.c.expires_at > now
        )
    ).one_or_none()
    owner = None if row is None else holder(connection, owner_of(row))
    if owner is None or owner.status is not AccountStatus.ACTIVE:
        raise _no_link()
    return owner


def _use(
    connection: Connection,
    author: Author,
    account: Account,
    token_hash: bytes,
    password_hash: str,
    write: Write,
    now: datetime,
) -> None:
    # The account first: whoever changes a password locks it before its links.
    owner = holder(connection, account, lock=True)
    used = connection.execute(
        delete(password_links).where(
            account.owns(password_links), password_links.c.token_hash == token_hash, password_links.c.expires_at > now
        )
    )
    if owner is None or owner.status is not AccountStatus.ACTIVE or used.rowcount == 0:
        raise _no_link()
    _set(connection, owner.author(author), owner, password_hash, write, now)


def _sweep(connection: Connection, now: datetime, limit: int) -> int:
    over = (
        select(password_links.c.id)
        .where(password_links.c.expires_at < now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(delete(password_links).where(password_links.c.id.in_(over))).rowcount


def _no_link() -> NotFound:
    return NotFound("this link is unknown, was used already or is too old; ask for another one")
