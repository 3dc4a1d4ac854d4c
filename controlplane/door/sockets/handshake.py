"""The handshake as a route sees it: an upgrade request comes in, an admission or a refusal goes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from controlplane.door.sockets.connection import Connection, SocketHandler
from controlplane.door.sockets.limits import Limits
from controlplane.door.sockets.profile import BinaryReceiver
from protocol.faults import Fault


class UpgradeHeaders:
    """Request headers, read without regard to case. A repeated header is joined by commas (RFC 9110 section 5.2)."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Mapping[str, str] | list[tuple[str, str]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
            key = name.lower()
            before = self._values.get(key)
            self._values[key] = value if before is None else f"{before}, {value}"

    def get(self, name: str, default: str | None = None) -> str | None:
        """The header's value."""
        return self._values.get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A well-formed WebSocket upgrade request which nobody has decided on yet.

    `path` and `query` are raw (not percent-decoded); `subprotocols` in the client's order of preference.
    """

    path: str
    query: str
    headers: UpgradeHeaders
    remote_address: str
    subprotocols: list[str]


@dataclass(frozen=True, slots=True)
class Admission:
    """The route's yes.

    Args:
        subprotocol: must be among those the client offers, else the handshake ends with 400; None: none is spoken.
        handler: who is told what arrives.
        limits: what the connection may do; share one object among all admissions.
        on_open: called with the connection as soon as it can send, before anything it received is handed over.
        on_binary: who is told binary messages; without it they close with 1003.
    """

    subprotocol: str | None
    handler: SocketHandler
    limits: Limits = field(default_factory=Limits)
    on_open: Callable[[Connection], None] | None = None
    on_binary: BinaryReceiver | None = None


class Refused(Exception):
    """The route's no, in HTTP's words. A `Fault` says the same where one exists for it.

    Args:
        status: HTTP status.
        code: error code of the contract.
        message: the words the caller should read.
        headers: further headers. A 401 gets a WWW-Authenticate header if there is none.
        details: more for a program.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        details: Any = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.details = details

    @classmethod
    def of(cls, fault: Fault) -> Refused:
        """A fault, said at the handshake."""
        headers = {}
        if fault.retry_after_seconds is not None:
            headers["Retry-After"] = str(max(1, math.ceil(fault.retry_after_seconds)))
        return cls(fault.status, fault.code, fault.message, headers, details=fault.details)


class SocketRoute(Protocol):
    """Decides who may connect. `admit` may wait: it has a deadline, and is cancelled when the client goes."""

    async def admit(self, upgrade: Upgrade) -> Admission:
        """Admit, or raise `Refused` or a `Fault`."""
