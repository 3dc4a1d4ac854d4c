"""What an order's actor can be asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.people import Author, Scope
from actors.runtime.message import Message
from protocol.objects import Order
from protocol.words import AutomationMode, OrderStatus


@dataclass(frozen=True, slots=True)
class ChangeAutomation(Message[Order]):
    """Let the order move by itself, step by step, or not at all.

    Args:
        version: what the author saw (`store.versions`); None: they did not say.

    Raises:
        NotFound: it is not within the scope.
        Conflict: the order is cancelled, or was changed meanwhile.
    """

    mode: AutomationMode
    author: Author
    version: str | None = None
    scope: Scope = field(default_factory=Scope.everything)


@dataclass(frozen=True, slots=True)
class MoveOrder(Message[Order]):
    """Bring the order to another status.

    Raises:
        Conflict: no way leads there from where the order stands, or it is paused.
    """

    to: OrderStatus
    author: Author


@dataclass(frozen=True, slots=True)
class CancelOrder(Message[Order]):
    """End the order: its domain is free again, its registration tokens are void, its server's key counts no more.

    Whoever asks tells the tenant's actor, which ends the session that still lives.

    Args:
        version: what the author saw; None: they did not say.

    Raises:
        NotFound: it is not within the scope.
        Conflict: the order is cancelled, or was changed meanwhile.
    """

    author: Author
    version: str | None = None
    scope: Scope = field(default_factory=Scope.everything)
