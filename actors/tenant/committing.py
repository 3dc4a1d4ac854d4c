"""A wrapper's messages on their way into the book, and the answers that follow the commit."""

from __future__ import annotations

from typing import Final

import structlog

from actors.ports import Incoming, Outcome, Taken, TenantBook
from actors.runtime.ref import Ref
from actors.tenant.live import Live
from actors.tenant.messages import MessageTaken
from actors.tenant.requests import problem_of
from protocol.faults import Fault, Overloaded, ValidationError
from protocol.session import Verdict
from protocol.tenant import CloseCode

log = structlog.get_logger()

#: Messages of one wrapper that are being committed; wrappers keep half as many on the way, and the control lane twice.
IN_HAND: Final = 128


def commit(live: Live, incoming: Incoming, *, book: TenantBook, ref: Ref) -> None:
    """Give a message to the book, whose answer comes to `ref` as MessageTaken; or refuse it at once."""
    link, message = live.link, incoming.message
    if live.session.message(message.id) is Verdict.DUPLICATE:
        return

    def done(outcome: Outcome[Taken]) -> None:
        if not ref.tell(MessageTaken(link, message.id, outcome), control=True):
            # It would wait for its answer for ever; on the next connection it is sent again.
            link.close(CloseCode.TOO_FAST, "the tenant has too much to do; reconnect in 5 s")

    problem = problem_of(message)
    try:
        if problem is not None:
            raise ValidationError(details=[problem])
        if live.session.in_hand > IN_HAND:
            raise Overloaded("too many messages at once; send it again later")
        book.take(incoming, done)
    except (ValidationError, Overloaded) as fault:
        _refuse(live, message.id, fault, ref)


def answer(live: Live | None, message: MessageTaken, *, ref: Ref) -> Taken | None:
    """Tell the wrapper what became of its message; returns what the book has taken, if it has.

    Args:
        live: the session now; another one than the message came on is told nothing, it will be asked again there.
    """
    if live is not None and live.link is not message.link:
        live = None
    try:
        taken = message.outcome.unwrap()
    except Exception as error:
        # Not committed, so not lost either: the wrapper keeps it and sends it again later.
        if not isinstance(error, Overloaded):
            log.exception("tenant.message_failed", order=ref.actor_id, message=message.message_id)
        if live is not None:
            _refuse(live, message.message_id, Overloaded("the message could not be stored; send it again"), ref)
        return None
    if live is None:
        return taken
    if taken.code is None:
        live.accept(message.message_id)
    else:
        _say_refused(live, message.message_id, taken.code, taken.reason, ref, temporary=taken.temporary)
    return taken


def _refuse(live: Live, message_id: str, fault: Fault, ref: Ref) -> None:
    _say_refused(live, message_id, fault.code, fault.message, ref, temporary=isinstance(fault, Overloaded))


def _say_refused(live: Live, message_id: str, code: str, reason: str, ref: Ref, *, temporary: bool) -> None:
    log.warning("tenant.message_refused", order=ref.actor_id, message=message_id, code=code, reason=reason)
    live.refuse(message_id, code, reason, temporary=temporary)
