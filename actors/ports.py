"""What the actors need from outside: the tenant's book, the order's book, and a link to a wrapper."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

from actors.people import Author, Scope
from actors.tenant.changes import AgentChange
from protocol.ids import CommandId, ServerId
from protocol.objects import AgentConfig, CommandApproval, HeartbeatBody, Order, RemoteCommand
from protocol.tenant import Hello, TenantMessage
from protocol.words import ApprovalAction, AutomationMode, OrderStatus

T_co = TypeVar("T_co", covariant=True)


class Link(Protocol):
    """One open socket to a wrapper; every method is synchronous and never waits."""

    frame_limit: int
    last_received_at: float
    """When the last byte came, on trio's clock."""

    @property
    def open(self) -> bool: ...

    def send_text(self, data: bytes) -> bool:
        """Queue one text frame; False when the socket is no longer open."""

    def close(self, code: int, reason: str = "") -> None: ...


class Outcome(Protocol[T_co]):
    """What became of something handed to the book without waiting."""

    def unwrap(self) -> T_co:
        """The value, or the exception raised here."""


class Delivery(msgspec.Struct):
    """One promise as it travels: `frame` is the whole text frame, that of a `void` once withdrawn."""

    seq: int
    kind: str
    frame: bytes
    reference: UUID | None = None


class TenantState(msgspec.Struct):
    """What a tenant's actor loads when it wakes."""

    registered: bool
    issued_seq: int
    acked_seq: int
    revoked: bool
    next_due: datetime | None


class Attached(msgspec.Struct):
    """A wrapper's session as the book has taken it."""

    epoch: int
    issued_seq: int
    acked_seq: int
    config_version: int


class Settled(msgspec.Struct):
    """An approval with its end, and the promise that tells the wrapper."""

    approval: CommandApproval
    delivery: Delivery | None


class Issued(msgspec.Struct):
    """A command and the promise that carries it."""

    command: RemoteCommand
    delivery: Delivery


class AgentsChanged(msgspec.Struct):
    """An agent after its change, and the configuration offer that follows from it."""

    agent: AgentConfig
    config_version: int
    delivery: Delivery | None


class Expired(msgspec.Struct):
    """What time has ended: the promises that tell of expired approvals, and the commands whose promises are void."""

    deliveries: list[Delivery]
    commands: list[CommandId]
    next_due: datetime | None


class Registered(msgspec.Struct):
    """A wrapper that comes with a registration token, and the key it shall have."""

    token: str
    instance_id: str | None
    wrapper_url: str | None
    key_prefix: str
    key_hash: bytes
    sealed_key: bytes


class Progress(msgspec.Struct):
    """How far a tenant's promises have come; merged by the highest."""

    order_id: UUID
    sent_seq: int
    acked_seq: int
    at: datetime


class Beat(msgspec.Struct):
    """The latest heartbeat of a tenant."""

    order_id: UUID
    at: datetime
    body: HeartbeatBody
    carrier: str


class Incoming(msgspec.Struct):
    """A wrapper's message on its way into the book."""

    order_id: UUID
    message: TenantMessage
    at: datetime


class Taken(msgspec.Struct):
    """The book's verdict on a message; `code` None means accepted. `approval` is set for approval requests.

    Args:
        owner: the customer whose the approval is.
    """

    message_id: str
    code: str | None = None
    reason: str = ""
    temporary: bool = False
    approval: CommandApproval | None = None
    owner: UUID | None = None
    repeated: bool = False


class TenantBook(Protocol):
    """A tenant's durable side. Each awaited method is one committed transaction."""

    async def load(self, order_id: UUID) -> TenantState: ...

    async def attach(
        self,
        order_id: UUID,
        hello: Hello,
        *,
        key_prefix: str,
        session_id: str,
        at: datetime,
        rival_epoch: int | None = None,
    ) -> Attached:
        """Take the session by compare-and-set on the epoch, and offer the configuration if the wrapper's is old.

        Args:
            key_prefix: of the key that the connection was admitted with.
            rival_epoch: the session this one replaces, where another wrapper seems to live on it with the same key:
                staff read of that in the audit log.

        Raises:
            Unauthorized: that key was revoked or replaced meanwhile.
            Conflict: the wrapper claims promises that were never made.
        """

    async def deliveries(self, order_id: UUID, *, after: int, limit: int, limit_bytes: int) -> list[Delivery]: ...

    async def settle(
        self,
        order_id: UUID,
        approval_id: UUID,
        *,
        action: ApprovalAction,
        reason: str | None,
        author: Author,
        scope: Scope,
        at: datetime,
    ) -> Settled: ...

    async def expire(self, order_id: UUID, *, at: datetime) -> Expired: ...

    async def issue_command(
        self,
        order_id: UUID,
        *,
        command_type: str,
        payload: Any,
        expires_at: datetime,
        author: Author,
        at: datetime,
    ) -> Issued: ...

    async def cancel_command(
        self, order_id: UUID, command_id: UUID, *, author: Author, at: datetime
    ) -> RemoteCommand: ...

    async def reject(self, order_id: UUID, seqs: list[int], *, reason: str, at: datetime) -> None:
        """Withdraw promises the wrapper cannot take; their commands become REJECTED."""

    async def change_agents(
        self, order_id: UUID, change: AgentChange, *, author: Author, scope: Scope, at: datetime
    ) -> AgentsChanged: ...

    async def register(self, order_id: UUID, registration: Registered, *, author: Author, at: datetime) -> ServerId:
        """Trade a registration token for a key.

        Raises:
            Unauthorized: the token is unknown, expired, withdrawn or used.
        """

    async def revoke_key(self, order_id: UUID, *, author: Author, at: datetime) -> None: ...

    async def take_now(self, incoming: Incoming) -> Taken:
        """As `take`, for one who waits."""

    def detach(self, order_id: UUID, epoch: int) -> None: ...

    def progress(self, progress: Progress) -> None: ...

    def beat(self, beat: Beat) -> None: ...

    def take(self, incoming: Incoming, done: Callable[[Outcome[Taken]], object]) -> None:
        """Group-committed; `done` is called once, after the commit.

        Raises:
            Overloaded: too much is waiting.
        """


class OrderBook(Protocol):
    """An order's durable side. Each method is one committed transaction."""

    async def load(self, order_id: UUID) -> Order:
        """Raises NotFound."""

    async def change_automation(
        self,
        order_id: UUID,
        mode: AutomationMode,
        *,
        author: Author,
        version: str | None,
        scope: Scope,
        at: datetime,
    ) -> Order:
        """Raises NotFound outside the scope, Conflict when the order is cancelled or not of that version any more."""

    async def cancel(self, order_id: UUID, *, author: Author, version: str | None, scope: Scope, at: datetime) -> Order:
        """End the order, its registration tokens and its server's key.

        Raises NotFound outside the scope, Conflict when the order is cancelled or not of that version any more.
        """

    async def move(
        self, order_id: UUID, expected: OrderStatus, to: OrderStatus, *, author: Author, at: datetime
    ) -> Order:
        """Raises Conflict when the order is no longer `expected`."""
