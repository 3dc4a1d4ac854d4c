"""Live questions to a tenant's server over its socket: asked with a deadline, answered now or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
import structlog
import trio

from actors.runtime.ports import Ids
from actors.runtime.ref import Ref
from actors.tenant.messages import AskWrapper, DropQuestion
from protocol.faults import Conflict, Fault, NotFound, TenantOffline
from protocol.ids import OrderId
from protocol.objects import Spoken
from protocol.tenant import Reply, Unanswered

log = structlog.get_logger()

T = TypeVar("T")

#: How long a person waits for a server's answer.
ANSWER_SECONDS: Final = 8.0
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_ERROR_CHARACTERS: Final = 500

#: What a server's refusal is to whoever asked; one not named here is TENANT_OFFLINE.
_REFUSALS: Final[Mapping[str, type[Fault]]] = {
    Unanswered.UNKNOWN: Conflict,
    Unanswered.NOT_CONFIGURED: Conflict,
    Unanswered.NOT_FOUND: NotFound,
}


class _Waiting:
    """One asker; the actor calls it at most once."""

    def __init__(self) -> None:
        self.over = False
        self.reply: Reply | None = None
        self._event = trio.Event()

    def done(self, reply: Reply | None) -> None:
        self.over, self.reply = True, reply
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()


class LiveQueries:
    """Asks tenants' servers.

    Args:
        tenant: the actor's address by order id.
    """

    def __init__(self, tenant: Callable[[OrderId], Ref], ids: Ids) -> None:
        self._tenant = tenant
        self._ids = ids

    async def ask_tenant(
        self, order_id: OrderId, kind: str, params: Spoken, answer: type[T], *, deadline_seconds: float = ANSWER_SECONDS
    ) -> T:
        """Ask a tenant's server, and wait for its answer.

        Args:
            kind: what is asked, as in `protocol/queries.py`.
            answer: the type its answer must have.

        Raises:
            TenantOffline: no socket, no answer in time, or one that says that it failed or cannot be read.
            NotFound: the server knows no such thing.
            Conflict: the server cannot answer questions of this kind.
            Overloaded: too many questions wait for this server already.
        """
        reply = await self._reply(order_id, kind, msgspec.to_builtins(params), deadline_seconds)
        if not reply.ok:
            words = _UNPRINTABLE.sub(" ", reply.error or "it gave no reason")[:_ERROR_CHARACTERS]
            raise _REFUSALS.get(reply.code or "", TenantOffline)(f"the server cannot answer this: {words}")
        try:
            return msgspec.json.decode(reply.data, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("tenant.bad_answer", order=order_id, kind=kind, problem=type(error).__name__)
            raise TenantOffline("the server's answer cannot be read; its Safety Wrapper may be too old") from error

    async def _reply(self, order_id: OrderId, kind: str, params: dict[str, object], deadline_seconds: float) -> Reply:
        ref = self._tenant(order_id)
        question_id = str(self._ids.uuid7())
        waiting = _Waiting()
        question = AskWrapper(question_id, kind, params, int(deadline_seconds * 1000), waiting.done)
        asked = False
        try:
            with trio.move_on_after(deadline_seconds):
                await ref.ask(question, timeout_seconds=deadline_seconds)
                asked = True
                await waiting.wait()
        except Fault:
            waiting.over = True  # it was never put
            raise
        finally:
            if not waiting.over:
                ref.tell(DropQuestion(question_id), control=True)
        if waiting.reply is not None:
            return waiting.reply
        if asked and waiting.over:
            raise TenantOffline("the server disconnected before it answered")
        raise TenantOffline(f"the server did not answer within {deadline_seconds:g} s")
