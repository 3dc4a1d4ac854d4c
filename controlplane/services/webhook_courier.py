"""The courier: pushes promises as signed webhooks to tenants that have no socket (specification section 8.2).

What is due is found by the database; a commit that told the consoles of anything wakes the courier, since every
promise and every socket's end does, and a slow look finds what other nodes left. A tenant's promises go one after the
other: the next one when the one before was acknowledged, by whichever carrier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec
import structlog
import trio

from actors.runtime.ports import Clock, Randomness
from controlplane.secret import Secret
from controlplane.services.sealing import Sealer, Unsealable
from controlplane.services.webhook_address import AddressRefused
from controlplane.services.webhook_client import SECONDS, Answered, NotDelivered, WebhookClient
from controlplane.store.webhook_carriers import Claim, Errand, WebhookStore
from protocol.faults import Overloaded
from protocol.ids import format_id
from protocol.webhooks import EVENTS, RETRY_SECONDS, webhook_of

log = structlog.get_logger()

#: Tenants being pushed to at a time.
AT_ONCE: Final = 32
#: How long nobody else pushes to a tenant that is being pushed to; longer than a webhook may take.
LEASE: Final = timedelta(seconds=2 * SECONDS)
#: Looks come no faster than this, however much is told.
LOOK_SECONDS: Final = 0.1
#: How often to look without having been told: for what other nodes made, and sockets that fell silent.
SAFETY_SECONDS: Final = 30.0
_AGAIN_SECONDS: Final = 1.0
#: The wrapper takes no webhooks at this address any more.
_GONE: Final = 410
_WAITING_STATUSES: Final = (429, 503)


class WebhookCourier:
    """Pushes what waits. One a node; nodes share the work by claims."""

    def __init__(
        self, store: WebhookStore, client: WebhookClient, sealer: Sealer, *, clock: Clock, randomness: Randomness
    ) -> None:
        self._store = store
        self._client = client
        self._sealer = sealer
        self._clock = clock
        self._randomness = randomness
        self._poked = trio.Event()
        self._active = 0
        self._counted: Counter[str] = Counter()

    @property
    def figures(self) -> Mapping[str, float]:
        """For `/metrics`: counted from the start of this process."""
        ends = ("delivered", "failed", "address_refused", "exhausted", "disabled")
        return {"active": float(self._active), **{end: float(self._counted[end]) for end in ends}}

    def poke(self) -> None:
        """Something may have been promised, or a socket may have ended."""
        self._poked.set()

    async def run(self) -> None:
        """Push what is due, until cancelled. What is on its way then is tried again when its claim has run out."""
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    self._poked = trio.Event()
                    try:
                        rest = await self._begin(nursery)
                    except Overloaded as fault:
                        log.warning("webhooks.wait", reason=fault.message)
                        rest = _AGAIN_SECONDS
                    await trio.sleep(LOOK_SECONDS)
                    with trio.move_on_after(rest):
                        await self._poked.wait()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await self._client.aclose()

    async def _begin(self, nursery: trio.Nursery) -> float:
        """Begin with who is due; returns how long to rest at most, unless something happens."""
        free = AT_ONCE - self._active
        if free <= 0:
            return SAFETY_SECONDS  # each of them pokes at its end
        now = self._clock.now()
        # Mostly nothing is due, and one statement says so for less than a transaction that claims nothing.
        next_at = await self._store.next_attempt_at(now=now)
        if next_at is not None and next_at <= now:
            for claim in await self._store.claim(now=now, lease=LEASE, most=free):
                self._active += 1
                nursery.start_soon(self._serve, claim)
            next_at = await self._store.next_attempt_at(now=now)
        if next_at is None:
            return SAFETY_SECONDS
        return min(max((next_at - self._clock.now()).total_seconds(), 0.0), SAFETY_SECONDS)

    async def _serve(self, claim: Claim) -> None:
        """Push to one tenant, until there is nothing more or a try fails."""
        try:
            while (errand := await self._store.next(claim, now=self._clock.now(), lease=LEASE)) is not None:
                if not await self._push(errand):
                    break
        except Overloaded as fault:
            # What became of it is not written: when the claim has run out it is sent again, and is a duplicate.
            log.warning("webhooks.result_not_written", order=_name(claim), reason=fault.message)
        finally:
            self._active -= 1
            self.poke()

    async def _push(self, errand: Errand) -> bool:
        """Try one promise; returns whether it was taken."""
        try:
            answered = await self._send(errand)
        except AddressRefused as refusal:
            self._counted["address_refused"] += 1
            reason = f"the address is refused: {refusal}"
            await (self._disable(errand, reason) if refusal.for_good else self._fail(errand, reason))
            return False
        except (NotDelivered, Unsealable) as failure:
            await self._fail(errand, str(failure))
            return False
        return await self._judge(errand, answered)

    async def _send(self, errand: Errand) -> Answered:
        webhook = webhook_of(
            errand.kind,
            errand.frame,
            seq=errand.seq,
            after=errand.after,
            resumed_from=errand.resumed_from,
            changed_fields=errand.changed_fields,
        )
        return await self._client.send(
            errand.url,
            event=EVENTS[errand.kind],
            body=msgspec.json.encode(webhook),
            key=Secret(self._sealer.open(errand.sealed_key).decode()),
            message_id=f"dlv_{errand.seq}",
            turn=errand.attempts,
        )

    async def _judge(self, errand: Errand, answered: Answered) -> bool:
        status, mark = answered.status, answered.last_seq
        if 200 <= status < 300 or (status == 409 and mark is not None and mark >= errand.seq):
            if mark is not None and mark < errand.seq:
                await self._fail(errand, f"HTTP {status}, but the wrapper's journal reaches {mark} only")
                return False
            if await self._store.delivered(errand, last_seq=mark, now=self._clock.now()):
                self._counted["delivered"] += 1
                log.info("webhook.delivered", order=_name(errand.claim), seq=errand.seq, kind=errand.kind)
                return True
            await self._fail(errand, f"the wrapper's journal names promise {mark}, which was never made")
        elif status == _GONE:
            await self._disable(errand, "HTTP 410: no webhooks are taken there any more")
        else:
            given = answered.retry_after_seconds if status in _WAITING_STATUSES else 0.0
            await self._fail(errand, f"HTTP {status}", given_seconds=given)
        return False

    async def _fail(self, errand: Errand, reason: str, *, given_seconds: float = 0.0) -> None:
        self._counted["failed"] += 1
        told = {"order": _name(errand.claim), "seq": errand.seq, "attempt": errand.attempts + 1, "reason": reason}
        if errand.attempts + 1 >= len(RETRY_SECONDS):
            self._counted["exhausted"] += 1
            log.error("webhook.exhausted", **told)
            await self._store.exhausted(errand, error=reason, now=self._clock.now())
            return
        # A little more than the table says, so that those who failed together do not come back together.
        pause = max(RETRY_SECONDS[errand.attempts + 1], given_seconds) * self._randomness.uniform(1.0, 1.1)
        log.warning("webhook.not_taken", retry_in_seconds=round(pause, 1), **told)
        at = self._clock.now() + timedelta(seconds=pause)
        await self._store.failed(errand, error=reason, next_attempt_at=at)

    async def _disable(self, errand: Errand, reason: str) -> None:
        self._counted["disabled"] += 1
        log.error("webhook.disabled", order=_name(errand.claim), seq=errand.seq, reason=reason)
        await self._store.disabled(errand, error=reason, now=self._clock.now())


def _name(claim: Claim) -> str:
    return format_id("ord", claim.order_id)
