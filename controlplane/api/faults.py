"""From what was raised to what the caller reads: one place turns exceptions into answers."""

from __future__ import annotations

import math
from typing import Final

from actors.runtime.errors import ActorError, AskTimeout, MailboxFull, Stopped
from controlplane.api.envelope import failure
from protocol.faults import Fault, InternalError, Overloaded, RateLimited, Unauthorized

#: When an actor is busy, this is when asking again makes sense.
_BUSY_RETRY_SECONDS: Final = 1.0


def fault_of(error: BaseException) -> Fault | None:
    """The fault that tells a caller of this exception, or None when it is a bug that must be logged.

    A group that holds nothing but one fault (a handler's nursery wraps what its child raised) counts as that fault.
    """
    if isinstance(error, Fault):
        return None if isinstance(error, InternalError) else error
    if isinstance(error, ActorError):
        return _fault_of_actor(error)
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return fault_of(error.exceptions[0])
    return None


def _fault_of_actor(error: ActorError) -> Fault | None:
    if isinstance(error, MailboxFull):
        return Overloaded(
            "too much is waiting there already; nothing was changed", retry_after_seconds=_BUSY_RETRY_SECONDS
        )
    if isinstance(error, AskTimeout):
        words = "the outcome is unknown" if error.begun else "nothing was changed"
        return Overloaded(f"no answer came in time; {words}", retry_after_seconds=_BUSY_RETRY_SECONDS)
    if isinstance(error, Stopped):
        return Overloaded("this part of the Hub is stopping; try again", retry_after_seconds=_BUSY_RETRY_SECONDS)
    return None  # a crash


def answer_fault(fault: Fault) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of a fault's answer."""
    headers: list[tuple[bytes, bytes]] = []
    if fault.retry_after_seconds is not None:
        headers.append((b"retry-after", str(retry_after(fault.retry_after_seconds)).encode()))
    if isinstance(fault, Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    return fault.status, headers, failure(fault.code, fault.message, fault.details)


def answer_bug(request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of INTERNAL_ERROR: a request id and nothing else."""
    return 500, [], failure(InternalError.code, internal_message(request_id))


def internal_message(request_id: str) -> str:
    """What a caller reads of a bug."""
    return f"Something went wrong on our side. Quote request id {request_id} to support."


def retry_after(seconds: float) -> int:
    """Whole seconds after which trying again is surely early enough (RFC 9110 section 10.2.3)."""
    return max(1, math.ceil(seconds - 1e-6))


def implied_faults(*, limited: bool) -> tuple[type[Fault], ...]:
    """Faults that any endpoint may answer with."""
    return (RateLimited, InternalError, Overloaded) if limited else (InternalError, Overloaded)
