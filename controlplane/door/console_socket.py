"""The console sockets: which browsers may connect, what they say, and when their session ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from actors.runtime.ports import Clock
from controlplane.door.sockets.connection import Connection
from controlplane.door.sockets.handshake import Admission, Upgrade
from controlplane.door.sockets.limits import KIB, MIB, Limits
from controlplane.services.bearer import bearer_of
from controlplane.services.console_feed import Feed
from controlplane.services.console_topics import CUSTOMER_ACCESS, Access
from controlplane.services.console_viewers import Viewer
from controlplane.services.sessions import SessionService
from controlplane.store.sessions import Session
from protocol.console import SUBPROTOCOL, CloseCode, SessionChanged, Welcome, from_console
from protocol.faults import Forbidden, Overloaded, RateLimited, Unauthorized
from protocol.tenant import BadFrame, NotAFrame, UnknownType, encode
from protocol.words import Role, UserType

log = structlog.get_logger()

_LIMITS: Final = Limits(frame_bytes=4 * KIB, output_bytes=8 * MIB, frames_per_second=20, burst_frames=40)

#: How often it is asked whether the sessions of open consoles still live.
CHECK_SECONDS: Final = 0.5
#: Open consoles of one session: tabs, not a flood.
CONSOLES_A_SESSION: Final = 30


@dataclass(frozen=True, slots=True)
class Doorkeeping:
    """What the API knows and the door asks.

    Args:
        origin_allowed: whether pages of this web origin may connect.
        cookies: reads a Cookie header.
        session_cookie: the name of the session's cookie.
        access_of: what a role may watch.
        heartbeat_seconds: the interval that wrappers are told.
    """

    origin_allowed: Callable[[str], bool]
    cookies: Callable[[str], Mapping[str, str]]
    session_cookie: str
    access_of: Callable[[Role], Access]
    heartbeat_seconds: int


class Consoles:
    """The open consoles of this node."""

    def __init__(self, feed: Feed, sessions: SessionService, clock: Clock, keeping: Doorkeeping) -> None:
        self.feed = feed
        self.clock = clock
        self.keeping = keeping
        self._sessions = sessions
        self._open: dict[Console, None] = {}
        self._by_session: Counter[str] = Counter()
        self._something = trio.Event()
        self.unknown_frames = 0

    def __len__(self) -> int:
        return len(self._open)

    def route(self, audience: UserType) -> ConsoleSocket:
        """The socket of one kind of people."""
        return ConsoleSocket(self, audience)

    async def session_of(self, upgrade: Upgrade) -> Session:
        """The session behind a handshake.

        Raises:
            Unauthorized: there is none, or its token is in the URL.
            Forbidden: the page's origin may not.
            RateLimited: it has too many consoles open already.
        """
        if upgrade.query:
            raise Unauthorized("the socket's URL takes no query; sign in, the session's cookie is enough")
        origin = upgrade.headers.get("origin")
        if origin is None or not self.keeping.origin_allowed(origin):
            raise Forbidden("this Hub does not take consoles of pages of that origin")
        session = await self._sessions.find(self._token(upgrade))
        if session is None:
            raise Unauthorized("the session is unknown, revoked or over; sign in again")
        if self._by_session[session.id] >= CONSOLES_A_SESSION:
            raise RateLimited(f"this session has {CONSOLES_A_SESSION} consoles open already", retry_after_seconds=10)
        return session

    def _token(self, upgrade: Upgrade) -> str:
        authorization = upgrade.headers.get("authorization")
        if authorization is not None:
            return bearer_of(authorization)
        token = self.keeping.cookies(upgrade.headers.get("cookie") or "").get(self.keeping.session_cookie)
        if token is None:
            raise Unauthorized("sign in first: a session cookie or a Bearer token is needed")
        return token

    def opened(self, console: Console) -> None:
        self._open[console] = None
        self._by_session[console.session.id] += 1

    def closed(self, console: Console) -> None:
        if console in self._open:
            del self._open[console]
            self._by_session -= Counter([console.session.id])

    async def run(self) -> None:
        """Watch over the sessions of open consoles, until cancelled: one query for all, soon after every hint."""
        self._sessions.listen(self._look_now)
        while True:
            with trio.move_on_after(CHECK_SECONDS):
                await self._something.wait()
            self._something = trio.Event()
            try:
                await self._check()
            except Overloaded as fault:
                log.warning("console.sessions_not_checked", reason=fault.message)
                await trio.sleep(CHECK_SECONDS)

    def _look_now(self) -> None:
        self._something.set()

    async def _check(self) -> None:
        consoles = tuple(self._open)
        if not consoles:
            return
        live = await self._sessions.live(list({console.session.key for console in consoles}))
        for console in consoles:
            if console.session.key not in live:
                console.end()
            else:
                console.now_in(live[console.session.key])


class ConsoleSocket:
    """The route of `GET /api/v1/admin/socket` or `/api/v1/customer/socket`."""

    def __init__(self, consoles: Consoles, audience: UserType) -> None:
        self._consoles = consoles
        self._audience = audience

    async def admit(self, upgrade: Upgrade) -> Admission:
        """Admit a browser by its session and the origin of its page.

        Raises:
            Unauthorized: as `Consoles.session_of`.
            Forbidden: a foreign origin, or the other kind of account.
            RateLimited: too many consoles of one session.
        """
        session = await self._consoles.session_of(upgrade)
        if session.user_type is not self._audience:
            raise Forbidden(f"this socket is for {'staff' if self._audience is UserType.STAFF else 'customers'} only")
        console = Console(self._consoles, session)
        return Admission(SUBPROTOCOL, console, _LIMITS, on_open=console.opened)


class Console:
    """One open console."""

    __slots__ = ("_connection", "_consoles", "_role", "_viewer", "session")

    def __init__(self, consoles: Consoles, session: Session) -> None:
        self._consoles = consoles
        self.session = session
        self._role = session.role
        self._connection: Connection | None = None
        self._viewer: Viewer | None = None

    def opened(self, connection: Connection) -> None:
        """The handshake is answered."""
        keeping = self._consoles.keeping
        self._connection = connection
        if self._role is None:
            self._viewer = Viewer(connection, owner=self.session.account, access=CUSTOMER_ACCESS)
        else:
            self._viewer = Viewer(connection, owner=None, access=keeping.access_of(self._role))
        self._consoles.opened(self)
        welcome = Welcome(self._consoles.clock.now(), keeping.heartbeat_seconds, self.session.expires_at)
        connection.send_text(encode(welcome))
        log.info("console.opened", session=self.session.id, account=self.session.account_id)

    def on_text(self, connection: Connection, data: bytes) -> None:
        """What the console wants to watch."""
        if self._viewer is None:
            return
        try:
            request = from_console.decode(data)
        except UnknownType:
            self._consoles.unknown_frames += 1
            return
        except (NotAFrame, BadFrame) as broken:
            connection.close(CloseCode.BROKE_PROTOCOL, f"not a frame of this socket: {broken}")
            return
        self._consoles.feed.ask(self._viewer, request)

    def on_close(self, connection: Connection, code: int, reason: str) -> None:  # noqa: ARG002 - SocketHandler's shape
        """The connection is gone."""
        self._consoles.closed(self)
        if self._viewer is not None:
            self._consoles.feed.forget(self._viewer)
        log.info("console.closed", session=self.session.id, code=code, reason=reason)

    def end(self) -> None:
        """The session is over."""
        if self._connection is not None:
            self._connection.close(CloseCode.SESSION_ENDED, "the session has ended; sign in again")

    def now_in(self, role: Role | None) -> None:
        """The session's role is this now."""
        if role is None or role is self._role or self._viewer is None or self._connection is None:
            return
        self._role = role
        self._connection.send_text(encode(SessionChanged(role)))
        self._consoles.feed.reauthorize(self._viewer, self._consoles.keeping.access_of(role))
        log.info("console.role_changed", session=self.session.id, role=role)
