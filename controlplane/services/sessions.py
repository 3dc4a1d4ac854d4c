"""Sessions: tokens of 256 bits that only their holder knows, found by hash, put off while they are used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from actors.people import Author
from actors.runtime.ports import Clock, Randomness
from controlplane.secret import hash_of
from controlplane.services.tokens import is_token, new_token
from controlplane.store.sessions import NewSession, Session, SessionStore
from protocol.faults import Unauthorized
from protocol.words import Role, UserType

#: How often, at most, the use of a session is written down.
NOTED_EVERY: Final = timedelta(minutes=1)
_LONGEST_USER_AGENT: Final = 300


class Started(msgspec.Struct, frozen=True):
    """A session that has just begun; the token is shown this once."""

    token: str
    session: Session


class SessionService:
    """Begins, finds, puts off and ends sessions."""

    def __init__(self, store: SessionStore, *, clock: Clock, randomness: Randomness) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness

    async def start(
        self,
        author: Author,
        user_type: UserType,
        account: UUID,
        *,
        replaces: str | None = None,
        user_agent: str | None = None,
    ) -> Started:
        """Begin a session under a fresh token.

        Args:
            replaces: the token the same browser held until now; its session ends.

        Raises:
            Unauthorized: the account is no longer active.
        """
        token, new = self.prepare(user_type, account, replaces=replaces, user_agent=user_agent)
        session = await self._store.start(author, new)
        if session is None:
            raise Unauthorized("this account is not active")
        return Started(token, session)

    def prepare(
        self, user_type: UserType, account: UUID, *, replaces: str | None = None, user_agent: str | None = None
    ) -> tuple[str, NewSession]:
        """A fresh token, and what makes the session of it. Arguments as of `start`."""
        token = new_token(self._randomness)
        return token, NewSession(
            user_type=user_type,
            account=account,
            token_hash=hash_of(token),
            replaces=hash_of(replaces) if replaces and is_token(replaces) else None,
            user_agent=user_agent.replace("\0", "")[:_LONGEST_USER_AGENT] if user_agent else None,
        )

    async def find(self, token: str) -> Session | None:
        """The live session of a token; its use is noted, at most once a minute and without waiting for it."""
        session = await self.look(token)
        if session is not None and self._is_due(session):
            self._store.extend_soon(session)
        return session

    async def look(self, token: str) -> Session | None:
        """The live session of a token, without a note of its use."""
        # What is no token of ours costs no query.
        return await self._store.find(hash_of(token)) if is_token(token) else None

    async def live(self, keys: Sequence[UUID]) -> dict[UUID, Role | None]:
        """Which of these sessions are alive, each with its role as it is now (None: a customer's)."""
        return await self._store.live(keys)

    def listen(self, listener: Callable[[], object]) -> None:
        """Have `listener()` called when sessions may have ended or changed; a hint, from this process only."""
        self._store.listen(listener)

    async def renew(self, session: Session) -> datetime:
        """Put off a session's end, at most once a minute; returns when it ends now, to show to a browser."""
        return await self._store.extend(session) if self._is_due(session) else session.expires_at

    async def end(self, author: Author, token: str) -> Session | None:
        """Revoke a token's session; returns it, or None when there was none."""
        session = await self.look(token)
        if session is None or not await self._store.end(author, session):
            return None
        return session

    def _is_due(self, session: Session) -> bool:
        return self._clock.now() - session.last_seen_at >= NOTED_EVERY
