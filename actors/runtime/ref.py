"""References: an actor's address, good whether the actor is awake, asleep or being rebuilt."""

from __future__ import annotations

from typing import Protocol, TypeVar

import trio

from actors.runtime.errors import ActorError, AskTimeout
from actors.runtime.message import Asked, Message

R = TypeVar("R")


class Post(Protocol):
    """Whoever carries messages to the actors of one kind."""

    @property
    def name(self) -> str: ...

    def deliver(self, actor_id: str, entry: object, control: bool) -> bool:
        """Take the entry into the actor's mailbox (waking it); False: not taken, counted as a dead letter."""
        ...

    def has_room(self, actor_id: str) -> bool:
        """Whether the actor's control lane would take one more."""
        ...

    def refusal(self, actor_id: str) -> ActorError:
        """Why an entry is not being taken right now."""
        ...

    def withdraw(self, actor_id: str, asked: Asked, *, expired: bool) -> None:
        """Take back an ask that has not begun."""
        ...


class Ref:
    """An actor's address. Equal when kind and id are equal; cheap to make, so nobody needs to keep one."""

    __slots__ = ("_post", "actor_id")

    def __init__(self, post: Post, actor_id: str) -> None:
        self._post = post
        self.actor_id = actor_id

    @property
    def kind(self) -> str:
        return self._post.name

    @property
    def path(self) -> str:
        return f"{self._post.name}/{self.actor_id}"

    def tell(self, message: object, *, control: bool = False) -> bool:
        """Leave a message and go on. Synchronous, from the trio thread.

        Returns False when it is not taken (mailbox full, actor cooling down, system stopping): a dead letter then.
        """
        return self._post.deliver(self.actor_id, message, control)

    @property
    def has_room(self) -> bool:
        """Whether the control lane would take one more."""
        return self._post.has_room(self.actor_id)

    async def ask(self, message: Message[R], *, timeout_seconds: float = 10.0, control: bool = False) -> R:
        """Leave a message and wait for its answer.

        A cancelled or expired ask that has not begun is never begun; one that has begun runs to its end.

        Raises: the handler's refusal; AskTimeout; MailboxFull; ActorCrashed; Stopped.
        """
        asked = Asked(message, timeout_seconds)
        if not self._post.deliver(self.actor_id, asked, control):
            raise self._post.refusal(self.actor_id)

        def give_up(_: object) -> trio.lowlevel.Abort:
            asked.task = None
            if not asked.begun:
                self._post.withdraw(self.actor_id, asked, expired=trio.current_time() >= asked.deadline)
            return trio.lowlevel.Abort.SUCCEEDED

        with trio.CancelScope(deadline=asked.deadline) as scope:
            asked.task = trio.lowlevel.current_task()
            answer: R = await trio.lowlevel.wait_task_rescheduled(give_up)
            return answer
        assert scope.cancelled_caught
        raise AskTimeout(self.path, timeout_seconds, begun=asked.begun)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other._post is self._post and other.actor_id == self.actor_id

    def __hash__(self) -> int:
        return hash((id(self._post), self.actor_id))

    def __repr__(self) -> str:
        return f"Ref({self.path!r})"
