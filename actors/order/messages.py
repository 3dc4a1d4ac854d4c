"""What an order's actor can be asked."""

from __future__ import annotations

from dataclasses import dataclass

from actors.people import Author
from actors.runtime.message import Message
from protocol.objects import Order
from protocol.words import AutomationMode, OrderStatus


@dataclass(frozen=True, slots=True)
class ChangeAutomation(Message[Order]):
    """Let the order move by itself, step by step, or not at all."""

    mode: AutomationMode
    author: Author


@dataclass(frozen=True, slots=True)
class MoveOrder(Message[Order]):
    """Bring the order to another status.

    Raises:
        Conflict: no way leads there from where the order stands.
    """

    to: OrderStatus
    author: Author
