"""Messages: the base of typed asks, the note of an actor's end, and the envelope of an ask under way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

import trio
from outcome import Error, Value

R = TypeVar("R")


class Message(Generic[R]):
    """Base of messages that are asked; `R` is the type of the answer.

    `@dataclass(frozen=True, slots=True) class SettleApproval(Message[Approval]): ...`
    """

    __slots__ = ()


class EndReason(StrEnum):
    """Why an actor ended. Going to sleep and being restarted are no ends."""

    STOPPED = "stopped"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Terminated:
    """Death watch: the watched actor ended. Comes in the control lane.

    Parameters: `path` of the one that ended ("tenant/ord_…"), `reason` for it.
    """

    path: str
    reason: EndReason


class Asked:
    """An ask in a mailbox or under way. `task` is the asker while it waits; without one the answer is dropped."""

    __slots__ = ("begun", "deadline", "message", "task", "timeout_seconds")

    def __init__(self, message: object, timeout_seconds: float) -> None:
        self.message = message
        self.timeout_seconds = timeout_seconds
        self.deadline = trio.current_time() + timeout_seconds
        self.begun = False
        self.task: trio.lowlevel.Task | None = None

    def answer(self, value: Any) -> None:
        task = self.task
        if task is not None:
            self.task = None
            trio.lowlevel.reschedule(task, Value(value))

    def fail(self, error: BaseException) -> None:
        task = self.task
        if task is not None:
            self.task = None
            trio.lowlevel.reschedule(task, Error(error))
