"""The base of all actors."""

from __future__ import annotations

from actors.runtime.context import Context


class Actor:
    """Someone who lives: has its own memory, which it may lose, and handles one message at a time.

    What must not be lost is in its book; `started()` loads it, after sleep, after a crash, after a restart of the
    process alike. The runtime sets `context` before `started()`.
    """

    __slots__ = ("context",)

    context: Context

    async def started(self) -> None:
        """Load what is needed. An error counts as a crash; a refusal is the answer to whoever is waiting."""

    def receive(self, message: object) -> object:
        """Handle one message.

        A plain value is the answer, given without any task; an awaitable (so also an `async def receive`) is awaited
        in a task of its own while further messages wait. Raising a refusal (one of the exception types the system was
        opened with, or an ActorError) is an answer, anything else a crash: the message is not handled again.
        """
        raise NotImplementedError(f"{type(self).__name__} handles no messages")

    async def stopped(self) -> None:
        """Say goodbye: before sleep and at the end, but not after a crash, so nothing may rest on it."""

    def crashed(self) -> None:
        """Let go of what outsiders hold of this incarnation (a link, say), at once and without waiting.

        Called when it has crashed, before the next one is made. Its memory may be in any state: do little. An error
        raised here is logged and changes nothing.
        """

    def asleep_allowed(self) -> bool:
        """Whether nothing is live and nothing is due, so that the actor may be put to sleep.

        Pending timers and children at work keep it awake by themselves.
        """
        return True

    def explain(self) -> dict[str, object]:
        """What else to show of its state; redacted like everything `explain` shows."""
        return {}
