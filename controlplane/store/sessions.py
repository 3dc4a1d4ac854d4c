"""Sessions of people signed in: found by the hash of their token together with the account they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from outcome import Error, Outcome
from sqlalchemy import Connection, bindparam, case, delete, func, insert, or_, select, update

from actors.people import Author
from actors.runtime.ports import Clock, Ids
from controlplane.store import audit
from controlplane.store.account_rows import Account, owner_of, photo_path, tell
from controlplane.store.database import Database
from controlplane.store.fetching import Query
from controlplane.store.tables.accounts import sessions, staff, users
from controlplane.store.transaction import tell_after_commit
from protocol.ids import CustomerId, SessionId, StaffId, format_id
from protocol.words import AccountStatus, Role, UserType

log = structlog.get_logger()

#: The news (`tell_after_commit`) of whatever may end sessions or change what they may do: sign-outs, roles, statuses.
NEWS: Final = "sessions"


class NewSession(msgspec.Struct, frozen=True):
    """What makes a session.

    Args:
        account: the key of the member of staff or customer.
        token_hash: SHA-256 of the token.
        replaces: the hash of a token whose session ends with this one's beginning.
        user_agent: what the browser calls itself.
    """

    user_type: UserType
    account: UUID
    token_hash: bytes
    replaces: bytes | None
    user_agent: str | None


class Session(msgspec.Struct, frozen=True):
    """A live session and the account as it is now: a changed role or status counts at once.

    Args:
        account_id: `stf_…` or `cust_…`.
        role: of staff; None for customers.
        expires_at: when it ends unless it is used before, or at the latest.
    """

    id: SessionId
    key: UUID
    user_type: UserType
    account: UUID
    account_id: str
    email: str
    name: str
    image: str | None
    role: Role | None
    last_seen_at: datetime
    expires_at: datetime


class SessionStore:
    """The sessions in the database.

    Args:
        idle: how long one lives without being used.
        absolute: how long one lives at most.
    """

    def __init__(self, database: Database, *, clock: Clock, ids: Ids, idle: timedelta, absolute: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._idle = idle
        self._absolute = absolute
        self._being_extended: set[UUID] = set()

    async def start(self, author: Author, new: NewSession) -> Session | None:
        """Begin a session; None when the account is not, or no longer, active."""
        return await self._database.write(start_session, author, new, *self.terms())

    def terms(self) -> tuple[UUID, datetime, datetime, datetime]:
        """A new session's key, when it begins, when it ends unused, and when at the latest."""
        now = self._clock.now()
        return self._ids.uuid7(), now, now + self._idle, now + self._absolute

    async def find(self, token_hash: bytes) -> Session | None:
        """The live session of a token whose account is active, in one indexed query."""
        rows = await self._database.fetch(_TOKEN_QUERY, token_hash=token_hash, now=self._clock.now())
        return _session_of(rows[0]) if rows else None

    async def extend(self, session: Session) -> datetime:
        """Put off the end of a session that is in use; returns when it ends now."""
        now = self._clock.now()
        ends = await self._database.write(_extend, session.key, now, now + self._idle)
        return ends or session.expires_at

    async def live(self, keys: Sequence[UUID]) -> dict[UUID, Role | None]:
        """Which of these sessions are alive, each with its role as it is now (None: a customer's), in one query."""
        return await self._database.look(_live, list(keys), self._clock.now())

    def listen(self, listener: Callable[[], object]) -> None:
        """Have `listener()` called, on the trio thread, when sessions may have ended or changed by this process."""
        self._database.listen(NEWS, listener)

    def extend_soon(self, session: Session) -> None:
        """The same without waiting for it, once at a time: if it fails, the next use tries again."""
        if session.key in self._being_extended:
            return
        self._being_extended.add(session.key)
        now = self._clock.now()

        def done(result: Outcome[datetime | None]) -> None:
            self._being_extended.discard(session.key)
            if isinstance(result, Error):
                log.warning("session.not_extended", session=session.id, reason=str(result.error))

        self._database.submit(_extend, session.key, now, now + self._idle, done=done)

    async def end(self, author: Author, session: Session) -> bool:
        """Revoke a session; False when it had ended before."""
        return await self._database.write(_end, author, session.key, self._clock.now())

    async def sweep(self, *, limit: int = 1_000) -> int:
        """Delete sessions that ended a day ago or longer; returns how many, at most `limit`."""
        return await self._database.write(_sweep, self._clock.now() - timedelta(days=1), limit)


_IS_STAFF: Final = sessions.c.staff_id.is_not(None)
_STATUS: Final = case((_IS_STAFF, staff.c.status), else_=users.c.status)
_WITH_ACCOUNT: Final = (
    select(
        sessions.c.id,
        sessions.c.staff_id,
        sessions.c.user_id,
        sessions.c.last_seen_at,
        sessions.c.idle_expires_at,
        case((_IS_STAFF, staff.c.email), else_=users.c.email).label("email"),
        case((_IS_STAFF, staff.c.name), else_=users.c.name).label("name"),
        case((_IS_STAFF, staff.c.image), else_=users.c.image).label("image"),
        staff.c.role,
    )
    .select_from(
        sessions.outerjoin(staff, staff.c.id == sessions.c.staff_id).outerjoin(users, users.c.id == sessions.c.user_id)
    )
    .where(_STATUS == AccountStatus.ACTIVE, sessions.c.revoked_at.is_(None))
)

_BY_TOKEN: Final = _WITH_ACCOUNT.where(
    sessions.c.token_hash == bindparam("token_hash"), sessions.c.idle_expires_at > bindparam("now")
)
#: What every request of a person asks.
_TOKEN_QUERY: Final = Query(_BY_TOKEN)


def _find(connection: Connection, token_hash: bytes, now: datetime) -> Session | None:
    row = connection.execute(_BY_TOKEN, {"token_hash": token_hash, "now": now}).one_or_none()
    return None if row is None else _session_of(row)


def _live(connection: Connection, keys: list[UUID], now: datetime) -> dict[UUID, Role | None]:
    rows = connection.execute(_WITH_ACCOUNT.where(sessions.c.id == func.any(keys), sessions.c.idle_expires_at > now))
    return {row.id: None if row.staff_id is None else Role(row.role) for row in rows}


def _session_of(row: Sequence[Any]) -> Session:
    key, staff_id, user_id, last_seen_at, expires_at, email, name, image, role = row
    account: UUID = user_id if staff_id is None else staff_id
    return Session(
        id=SessionId(format_id("sess", key)),
        key=key,
        user_type=UserType.CUSTOMER if staff_id is None else UserType.STAFF,
        account=account,
        account_id=CustomerId(format_id("cust", account)) if staff_id is None else StaffId(format_id("stf", account)),
        email=email,
        name=name,
        image=photo_path(image),
        role=None if staff_id is None else Role(role),
        last_seen_at=last_seen_at,
        expires_at=expires_at,
    )


def start_session(
    connection: Connection,
    author: Author,
    new: NewSession,
    key: UUID,
    now: datetime,
    idle_until: datetime,
    until: datetime,
) -> Session | None:
    """Begin a session in the transaction of what proves who it is for; None: the account is not active."""
    is_staff = new.user_type is UserType.STAFF
    connection.execute(
        insert(sessions).values(
            id=key,
            token_hash=new.token_hash,
            staff_id=new.account if is_staff else None,
            user_id=None if is_staff else new.account,
            address=author.address,
            user_agent=new.user_agent,
            created_at=now,
            last_seen_at=now,
            idle_expires_at=min(idle_until, until),
            expires_at=until,
        )
    )
    session = _find(connection, new.token_hash, now)
    if session is None:
        connection.execute(delete(sessions).where(sessions.c.id == key))
        return None
    if new.replaces is not None:
        replaced = select(sessions.c.id).where(sessions.c.token_hash == new.replaces)
        former = connection.execute(replaced).scalar_one_or_none()
        if former is not None:
            _end(connection, author, former, now)
    customer = None if is_staff else new.account
    begun = {"expiresAt": until}
    audit.record(connection, author, "session.started", session.id, at=now, after=begun, customer_id=customer)
    tell(connection, Account(new.user_type, new.account), "signedIn", at=now, detail=session.id)
    return session


def _extend(connection: Connection, key: UUID, now: datetime, idle_until: datetime) -> datetime | None:
    # GREATEST: of two nodes' clocks the later one counts, and nothing moves backwards.
    ends: datetime | None = connection.execute(
        update(sessions)
        .where(sessions.c.id == key, sessions.c.revoked_at.is_(None), sessions.c.idle_expires_at > now)
        .values(
            last_seen_at=func.greatest(sessions.c.last_seen_at, now),
            idle_expires_at=func.least(func.greatest(sessions.c.idle_expires_at, idle_until), sessions.c.expires_at),
        )
        .returning(sessions.c.idle_expires_at)
    ).scalar_one_or_none()
    return ends


def _end(connection: Connection, author: Author, key: UUID, now: datetime) -> bool:
    ended = connection.execute(
        update(sessions)
        .where(sessions.c.id == key, sessions.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(sessions.c.user_id, sessions.c.staff_id, sessions.c.created_at, sessions.c.address)
    ).one_or_none()
    if ended is None:
        return False
    tell_after_commit(connection, NEWS)
    session_id = format_id("sess", key)
    open_ = {"startedAt": ended.created_at, "address": ended.address}
    audit.record(connection, author, "session.ended", session_id, at=now, before=open_, customer_id=ended.user_id)
    tell(connection, owner_of(ended), "signedOut", at=now, detail=session_id)
    return True


def _sweep(connection: Connection, before: datetime, limit: int) -> int:
    over = (
        select(sessions.c.id)
        .where(or_(sessions.c.idle_expires_at < before, sessions.c.revoked_at < before))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(delete(sessions).where(sessions.c.id.in_(over))).rowcount
