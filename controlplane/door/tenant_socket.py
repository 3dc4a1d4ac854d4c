"""The tenant socket: who may connect, and the way of each frame to its tenant's actor."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog
import trio

from actors.runtime.ports import Clock
from actors.runtime.ref import Ref
from actors.tenant.messages import Attach, Detached, FrameArrived
from controlplane.door.sockets.connection import Connection
from controlplane.door.sockets.handshake import Admission, Upgrade
from controlplane.door.sockets.limits import Limits
from controlplane.services.bearer import bearer_of
from controlplane.store.servers import ServerStore
from protocol.faults import Unauthorized
from protocol.ids import OrderId, format_id
from protocol.tenant import (
    FRAME_LIMIT_BEFORE_HELLO_BYTES,
    HELLO_WITHIN_SECONDS,
    SUBPROTOCOL,
    BadFrame,
    CloseCode,
    Hello,
    NotAFrame,
    Refused,
    UnknownType,
    encode,
    from_tenant,
)

log = structlog.get_logger()

_LIMITS: Final = Limits(
    frame_bytes=FRAME_LIMIT_BEFORE_HELLO_BYTES,
    output_bytes=2 * 1024 * 1024,
    frames_per_second=200,
    burst_frames=1000,
)

#: Cut close reasons may have lost the closing mark.
_QUOTED: Final = re.compile(r"(?<!\w)'.*(?:'|$)", re.DOTALL)

#: Endings that staff may want to look into.
_FAULTS: Final = frozenset(
    {
        1003,
        1007,
        CloseCode.TOO_BIG,
        CloseCode.REPLACED,
        CloseCode.KEY_REVOKED,
        CloseCode.NO_COMMON_PROTOCOL,
        CloseCode.SLOW_CONSUMER,
        CloseCode.SILENT,
        CloseCode.TOO_FAST,
        CloseCode.BROKE_PROTOCOL,
    }
)


def unquoted(problem: str) -> str:
    """A problem's words for the log, without the values they quote: what a wrapper says stays out of it."""
    return _QUOTED.sub("'…'", problem)


class TenantSocket:
    """The route of `GET /api/v1/tenant/socket`.

    Args:
        tenant: the actor's address by order id.
        hello_within_seconds: a connection that has not said hello by then is closed with 4004.
    """

    def __init__(
        self,
        servers: ServerStore,
        tenant: Callable[[OrderId], Ref],
        clock: Clock,
        *,
        hello_within_seconds: float = HELLO_WITHIN_SECONDS,
    ) -> None:
        self._servers = servers
        self._tenant = tenant
        self._clock = clock
        self._hello_within_seconds = hello_within_seconds
        self._silent: deque[tuple[float, Connection, Wrapper]] = deque()
        self._newcomer = trio.Event()
        self.unknown_frames = 0
        self.bad_frames = 0

    async def admit(self, upgrade: Upgrade) -> Admission:
        """Admit a wrapper by the key in its Authorization header.

        Raises:
            Unauthorized: no key, a key in the URL, one that is not ours, or a revoked one.
        """
        if upgrade.query:
            raise Unauthorized("the socket's URL takes no query; send the hub API key as `Authorization: Bearer hk_…`")
        key = bearer_of(upgrade.headers.get("authorization"))
        holder = await self._servers.holder(key, at=self._clock.now())
        wrapper = Wrapper(self, self._tenant(OrderId(format_id("ord", holder.order_id))), holder.key_prefix)
        return Admission(SUBPROTOCOL, wrapper, _LIMITS, on_open=wrapper.opened)

    def expects_hello(self, connection: Connection, wrapper: Wrapper) -> None:
        """Close the connection unless it says hello in time."""
        self._silent.append((trio.current_time() + self._hello_within_seconds, connection, wrapper))
        self._newcomer.set()

    async def run(self) -> None:
        """Watch over the hellos, until cancelled: one task for all connections."""
        while True:
            if not self._silent:
                self._newcomer = trio.Event()
                await self._newcomer.wait()
            deadline, connection, wrapper = self._silent.popleft()
            if not wrapper.greeted and connection.open:
                await trio.sleep_until(deadline)
                if not wrapper.greeted:
                    connection.close(CloseCode.SILENT, f"no hello within {self._hello_within_seconds:g} s")


class Wrapper:
    """What one connection says, handed on to its tenant."""

    __slots__ = ("_key_prefix", "_knows_unknown", "_ref", "_route", "greeted")

    def __init__(self, route: TenantSocket, ref: Ref, key_prefix: str) -> None:
        self._route = route
        self._ref = ref
        self._key_prefix = key_prefix
        self._knows_unknown = False
        self.greeted = False

    def opened(self, connection: Connection) -> None:
        """The handshake is answered."""
        self._route.expects_hello(connection, self)

    def on_text(self, connection: Connection, data: bytes) -> None:
        """A frame: hello first, anything else to the session it began."""
        try:
            frame = from_tenant.decode(data)
        except UnknownType as unknown:
            self._unknown(unknown)
            return
        except BadFrame as bad:
            self._bad(connection, bad)
            return
        except NotAFrame as broken:
            connection.close(CloseCode.BROKE_PROTOCOL, f"not a frame: {broken}")
            return
        if self.greeted:
            taken = self._ref.tell(FrameArrived(connection, frame))
        elif isinstance(frame, Hello):
            self.greeted = True
            taken = self._ref.tell(Attach(connection, frame, self._key_prefix), control=True)
        else:
            connection.close(CloseCode.BROKE_PROTOCOL, "the first frame must be hello")
            return
        if not taken:
            connection.close(CloseCode.TOO_FAST, "the tenant has too much to do; reconnect in 5 s")

    def on_close(self, connection: Connection, code: int, reason: str) -> None:
        """The connection is gone."""
        tell = log.warning if code in _FAULTS else log.info
        tell("tenant.socket_closed", tenant=self._ref.path, code=code, reason=unquoted(reason), greeted=self.greeted)
        if self.greeted:
            self._ref.tell(Detached(connection, code), control=True)

    def _unknown(self, unknown: UnknownType) -> None:
        self._route.unknown_frames += 1
        if not self._knows_unknown:  # a newer wrapper may say it all day: told once a connection
            self._knows_unknown = True
            log.info("tenant.unknown_frame_ignored", tenant=self._ref.path, type=unknown.frame_type)

    def _bad(self, connection: Connection, bad: BadFrame) -> None:
        self._route.bad_frames += 1
        log.warning("tenant.bad_frame", tenant=self._ref.path, type=bad.frame_type, problem=unquoted(str(bad)))
        if bad.message_id is not None and self.greeted:
            connection.send_text(encode(Refused(bad.message_id[:64], "VALIDATION_ERROR", str(bad))))
        elif not self.greeted or bad.frame_type in ("hello", "ack"):
            connection.close(CloseCode.BROKE_PROTOCOL, f"bad {bad.frame_type}: {bad}")
