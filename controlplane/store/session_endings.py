"""Which sessions an account has, and how they end other than by signing out: one, the others, or all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select, update

from actors.people import Author
from actors.runtime.ports import Clock
from controlplane.store import audit
from controlplane.store.account_rows import Account, tell
from controlplane.store.database import Database
from controlplane.store.keys import key_of, missing
from controlplane.store.sessions import NEWS
from controlplane.store.tables.accounts import sessions
from controlplane.store.transaction import tell_after_commit
from protocol.ids import SessionId, format_id

#: How many sessions are listed, those used last first.
LISTED = 100


class OpenSession(msgspec.Struct, frozen=True, rename="camel"):
    """A session as its owner sees it.

    Args:
        current: the one that asks.
        expires_at: when it ends unless it is used before.
    """

    id: SessionId
    current: bool
    address: str | None
    user_agent: str | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


class SessionEndings:
    """The sessions of one account in the database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list(self, account: Account, *, current: str) -> Sequence[OpenSession]:
        """The account's live sessions; `current` is the id of the one that asks."""
        return await self._database.read(_list, account, current, self._clock.now())

    async def end(self, author: Author, account: Account, session_id: SessionId) -> None:
        """End one of the account's sessions.

        Raises:
            NotFound: it is not theirs, or over.
        """
        await self._database.write(_end, author, account, session_id, self._clock.now())

    async def end_others(self, author: Author, account: Account, *, keep: UUID) -> int:
        """End all of the account's sessions but one; returns how many."""
        return await self._database.write(_end_others, author, account, keep, self._clock.now())


def end_all(
    connection: Connection, author: Author, account: Account, *, now: datetime, keep: UUID | None = None
) -> int:
    """End an account's sessions, but for `keep`, in the transaction of what ends them; returns how many."""
    statement = update(sessions).where(account.owns(sessions), sessions.c.revoked_at.is_(None))
    if keep is not None:
        statement = statement.where(sessions.c.id != keep)
    ended = connection.execute(statement.values(revoked_at=now)).rowcount
    if ended:
        tell_after_commit(connection, NEWS)
        counted = {"ended": ended, "kept": None if keep is None else format_id("sess", keep)}
        audit.record(
            connection,
            author,
            "sessions.ended",
            account.id,
            at=now,
            before={"open": ended if keep is None else ended + 1},
            after=counted,
            customer_id=account.customer,
        )
        tell(connection, account, "signedOut", at=now)
    return ended


def _list(connection: Connection, account: Account, current: str, now: datetime) -> Sequence[OpenSession]:
    rows = connection.execute(
        select(sessions)
        .where(account.owns(sessions), sessions.c.revoked_at.is_(None), sessions.c.idle_expires_at > now)
        .order_by(sessions.c.last_seen_at.desc(), sessions.c.id)
        .limit(LISTED)
    )
    return [
        OpenSession(
            id=SessionId(session_id),
            current=session_id == current,
            address=row.address,
            user_agent=row.user_agent,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            expires_at=row.idle_expires_at,
        )
        for row in rows
        for session_id in [format_id("sess", row.id)]
    ]


def _end(connection: Connection, author: Author, account: Account, session_id: SessionId, now: datetime) -> None:
    ended = connection.execute(
        update(sessions)
        .where(
            sessions.c.id == key_of("sess", session_id),
            account.owns(sessions),
            sessions.c.revoked_at.is_(None),
            sessions.c.idle_expires_at > now,
        )
        .values(revoked_at=now)
        .returning(sessions.c.created_at, sessions.c.address)
    ).one_or_none()
    if ended is None:
        raise missing("sess", session_id)
    tell_after_commit(connection, NEWS)
    before = {"startedAt": ended.created_at, "address": ended.address}
    audit.record(connection, author, "session.ended", session_id, at=now, before=before, customer_id=account.customer)
    tell(connection, account, "signedOut", at=now, detail=session_id)


def _end_others(connection: Connection, author: Author, account: Account, keep: UUID, now: datetime) -> int:
    return end_all(connection, author, account, now=now, keep=keep)
