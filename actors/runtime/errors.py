"""What asking an actor may raise besides the actor's own answer."""

from __future__ import annotations


class ActorError(Exception):
    """The message got no answer for a reason of the runtime.

    Let through by a handler it is an answer to whoever asked that handler, never a crash: an actor is not rebuilt
    because another one is busy.
    """

    def __init__(self, path: str, sentence: str) -> None:
        super().__init__(sentence)
        self.path = path


class AskTimeout(ActorError):
    """No answer within the asker's time. `begun` tells whether the handler had started: then its effect is unknown."""

    def __init__(self, path: str, timeout_seconds: float, *, begun: bool) -> None:
        how = "was still at work" if begun else "had not begun"
        super().__init__(path, f"{path} {how} after {timeout_seconds:g} s")
        self.timeout_seconds = timeout_seconds
        self.begun = begun


class MailboxFull(ActorError):
    """The message was not taken: as many as the mailbox may hold are waiting already."""

    def __init__(self, path: str) -> None:
        super().__init__(path, f"the mailbox of {path} is full")


class ActorCrashed(ActorError):
    """The actor crashed on this very message, or crashed too often and rests until its cool-down is over."""

    def __init__(self, path: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(path, f"{path} crashed")
        self.retry_after_seconds = retry_after_seconds


class Stopped(ActorError):
    """The actor, or the whole system, stopped before the message was handled to its end."""

    def __init__(self, path: str) -> None:
        super().__init__(path, f"{path} has stopped")


class HandlerOverran(Exception):
    """A handler (or `started`) took longer than its kind allows and was cancelled: a crash."""

    def __init__(self, path: str, limit_seconds: float) -> None:
        super().__init__(f"{path} took longer than {limit_seconds:g} s")


class ChildFailed(Exception):
    """A child task of the actor ended with an exception (its cause); parent and child are rebuilt together."""

    def __init__(self, path: str, child: str) -> None:
        super().__init__(f"child task {child!r} of {path} failed")
