"""Promises on their way to the wrapper: in order, within the window, loaded from the book where they were missed."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import structlog

from actors.ports import Delivery, TenantBook
from actors.runtime.context import Context
from actors.runtime.ports import Clock
from actors.tenant.live import WINDOW, Live
from actors.tenant.messages import PromisesDue
from protocol.faults import Overloaded

log = structlog.get_logger()

#: Bytes of promises loaded from the book at once; well below a connection's output limit.
PAGE_BYTES: Final = 256 * 1024
RETRY_SECONDS: Final = 1.0


class Outgoing:
    """One tenant's promises.

    What is pushed has been committed before, so it is the tenant's whatever happens here: a database that is away is
    no answer to whoever made the promise, but a reason to try again.

    Attributes:
        issued: the highest number known to be allotted.
    """

    __slots__ = ("_book", "_clock", "_context", "_order", "issued")

    def __init__(self, order_id: UUID, *, book: TenantBook, clock: Clock, context: Context, issued: int) -> None:
        self._order = order_id
        self._book = book
        self._clock = clock
        self._context = context
        self.issued = issued

    def knows(self, seq: int) -> None:
        """Numbers up to here are allotted."""
        self.issued = max(self.issued, seq)

    async def push(self, live: Live | None, delivery: Delivery | None) -> None:
        """Send what has just been committed, when it is next in turn; else what comes before it, first."""
        if delivery is None:
            return
        self.knows(delivery.seq)
        if live is None:
            return
        if not live.is_next(delivery):
            if self.wants_more(live):
                await self.advance(live)
            return
        try:
            await self._send(live, [delivery])
        except Overloaded as fault:
            self._try_later(live, fault)

    def wants_more(self, live: Live) -> bool:
        """Whether there is more to send, and half of the window free: pages are loaded, not single promises."""
        return live.session.sent < self.issued and live.session.outstanding <= WINDOW // 2

    async def advance(self, live: Live) -> None:
        """Send what the window has room for."""
        if not live.link.open or live.session.sent >= self.issued or live.room <= 0:
            return
        try:
            page = await self._book.deliveries(
                self._order, after=live.session.sent, limit=live.room, limit_bytes=PAGE_BYTES
            )
            await self._send(live, page)
        except Overloaded as fault:
            self._try_later(live, fault)

    async def _send(self, live: Live, deliveries: list[Delivery]) -> None:
        untakable = [delivery.seq for delivery in deliveries if delivery.kind not in live.takes]
        if untakable:
            reason = "the wrapper does not take this type of frame"
            await self._book.reject(self._order, untakable, reason=reason, at=self._clock.now())
            log.warning("tenant.promises_rejected", tenant=self._context.ref.path, seqs=untakable)
        live.send(deliveries, untakable)
        self._book.progress(live.progress(self._order, self._clock.now()))

    def _try_later(self, live: Live, fault: Overloaded) -> None:
        log.warning("tenant.promises_wait", tenant=self._context.ref.path, sent=live.session.sent, reason=fault.message)
        if live.retry is None:
            live.retry = self._context.schedule(RETRY_SECONDS, PromisesDue(live.epoch))
