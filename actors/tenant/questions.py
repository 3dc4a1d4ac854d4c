"""Live questions on one session: put, answered by id, dropped when nobody waits, ended with the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.ports import Link
from actors.tenant.messages import AskWrapper
from protocol.faults import Overloaded, TenantOffline
from protocol.tenant import Query, Reply, encode

#: Questions of one wrapper without an answer; the reference wrapper works on as many at a time.
WAITING: Final = 16
RETRY_SECONDS: Final = 1.0


class Questions:
    """Who waits for which answer. In memory only: a question is worth nothing after its session."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[str, Callable[[Reply | None], object]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, link: Link, question: AskWrapper) -> None:
        """Send a question.

        Raises:
            TenantOffline: the socket is no longer open.
            Overloaded: too many wait already.
        """
        if len(self._waiting) >= WAITING:
            raise Overloaded("too many questions wait for this server already", retry_after_seconds=RETRY_SECONDS)
        query = Query(question.question_id, question.kind, question.params, question.deadline_ms)
        if not link.send_text(encode(query)):
            raise TenantOffline("the server has just disconnected")
        self._waiting[question.question_id] = question.done

    def answered(self, reply: Reply) -> None:
        """Hand a reply to whoever waits for it; a late one, or one to no question, is nobody's."""
        done = self._waiting.pop(reply.query_id, None)
        if done is not None:
            done(reply)

    def drop(self, question_id: str) -> None:
        """Wait no longer for this answer."""
        self._waiting.pop(question_id, None)

    def end(self) -> None:
        """The session is over: everybody who waits is told at once."""
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done(None)
