"""What a tenant's actor can be told and asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from actors.people import Author, Scope
from actors.ports import AgentsChanged, Link, Outcome, Registered, Taken
from actors.runtime.message import Message
from actors.tenant.changes import AgentChange
from protocol.ids import ServerId
from protocol.objects import CommandApproval, RemoteCommand
from protocol.tenant import FromTenant, Hello, Reply, TenantMessage
from protocol.words import ApprovalAction


@dataclass(frozen=True, slots=True)
class SettleApproval(Message[CommandApproval]):
    """A person decides an approval; the first decision wins.

    Raises:
        NotFound: no such approval within the scope.
        Conflict: it was settled before; `details` is the approval as it was settled.
    """

    approval_id: UUID
    action: ApprovalAction
    reason: str | None
    author: Author
    scope: Scope


@dataclass(frozen=True, slots=True)
class IssueCommand(Message[RemoteCommand]):
    """Queue a command for the wrapper, to be sent at once or when it is back, until it expires."""

    command_type: str
    payload: Any
    expires_in_seconds: int
    author: Author


@dataclass(frozen=True, slots=True)
class CancelCommand(Message[RemoteCommand]):
    """Withdraw a command that the wrapper has not acknowledged."""

    command_id: UUID
    author: Author


@dataclass(frozen=True, slots=True)
class ChangeAgents(Message[AgentsChanged]):
    """Deploy, update or remove an agent; the configuration that follows is offered at once."""

    change: AgentChange
    author: Author
    scope: Scope


@dataclass(frozen=True, slots=True)
class TakeMessage(Message[Taken]):
    """A wrapper's message that came over HTTP."""

    message: TenantMessage


@dataclass(frozen=True, slots=True)
class Register(Message[ServerId]):
    """Trade a registration token for a key; a socket that lives on the former key is closed."""

    registration: Registered
    author: Author


@dataclass(frozen=True, slots=True)
class RevokeKey(Message[None]):
    """The key counts no more, and its socket closes."""

    author: Author


@dataclass(frozen=True, slots=True)
class EndSession(Message[None]):
    """The key counts no more already; the session that lives on it ends.

    Args:
        reason: told to the wrapper.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class AskWrapper(Message[None]):
    """Put a live question to the wrapper. Answered as soon as the question is on its way.

    Args:
        question_id: by which its reply is known, and by which it can be dropped.
        deadline_ms: how long the asker waits; told to the wrapper.
        done: called once, with the wrapper's reply, or with None when its session ended first; must not wait.

    Raises:
        TenantOffline: no wrapper is connected, or one that takes no questions.
        Overloaded: as many questions as one wrapper may have wait for it already.
    """

    question_id: str
    kind: str
    params: dict[str, Any]
    deadline_ms: int
    done: Callable[[Reply | None], object]


@dataclass(frozen=True, slots=True)
class DropQuestion:
    """Nobody waits for this answer any more."""

    question_id: str


@dataclass(frozen=True, slots=True)
class Attach:
    """A wrapper said hello on a new socket; `key_prefix` is the public part of the key it was admitted with."""

    link: Link
    hello: Hello
    key_prefix: str


@dataclass(frozen=True, slots=True)
class FrameArrived:
    """A frame after hello."""

    link: Link
    frame: FromTenant


@dataclass(frozen=True, slots=True)
class Detached:
    """The socket has closed."""

    link: Link
    code: int


@dataclass(frozen=True, slots=True)
class MessageTaken:
    """The book has committed, or refused, a wrapper's message."""

    link: Link
    message_id: str
    outcome: Outcome[Taken]


@dataclass(frozen=True, slots=True)
class SomethingDue:
    """An approval or a command reaches the end of its time."""

    at: datetime


@dataclass(frozen=True, slots=True)
class PromisesDue:
    """Time to send again what could not be loaded from the book."""

    epoch: int


@dataclass(frozen=True, slots=True)
class PresenceDue:
    """Time to see whether the wrapper still lives."""

    epoch: int


@dataclass(frozen=True, slots=True)
class GoingAway:
    """This node ends: a wrapper on a socket is told to come back, elsewhere if it can."""

    reconnect_after_ms: int


@dataclass(frozen=True, slots=True)
class Wake(Message[None]):
    """A reason to be awake: something of this tenant falls due.

    Args:
        overdue: its time is over already, so an alarm was missed.
    """

    overdue: bool = False
