"""The Hub's mail: letters are sealed for the outbox, and one sender a node takes them to the carrier.

What is due is found by the database; a commit that wrote a mail wakes the sender, and a slow look finds other nodes'
mails. A mail is tried until it is taken, refused for good, or not worth sending any more. While the carrier is down
nothing is tried but one mail now and then, and none is blamed for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.headerregistry import Address
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import msgspec
import structlog
import trio

from actors.runtime.ports import Clock, Randomness
from controlplane.integrations.mail_carrier import Carrier, CarrierDown, MailDeferred, MailRefused, Message
from controlplane.services.letters.letter import Letter, LetterPress
from controlplane.services.sealing import Sealer, Unsealable
from controlplane.store.mail import Mail, MailStore, Taken
from protocol.faults import Overloaded
from protocol.ids import uuid7

log = structlog.get_logger()

#: Mails on their way at a time.
AT_ONCE: Final = 4
#: How long nobody else tries a mail that is being sent; longer than a carrier takes.
LEASE: Final = timedelta(seconds=150)
#: How long to try to write that a mail was sent; ends before the lease.
RESULT_SECONDS: Final = 75.0
#: How often to look without having been told: for other nodes' mails.
SAFETY_SECONDS: Final = 30.0
#: How often expired mails are abandoned and old ones forgotten.
SWEEP_SECONDS: Final = 300.0
#: How long a mail is kept after its end, without its body.
KEPT: Final = timedelta(days=30)
#: How long a mail is worth sending, where whoever writes it does not say.
WORTH_SENDING: Final = timedelta(days=2)
#: Between the tries of one mail: first and longest.
AGAIN_SECONDS: Final = (60.0, 1800.0)
#: Between the tries of a carrier that is down: first and longest.
DOWN_SECONDS: Final = (5.0, 300.0)
#: At the end of the Hub, how long what is on its way may take.
LAST_SECONDS: Final = 3.0
_RETRY_SECONDS: Final = 1.0


class Body(msgspec.Struct, frozen=True):
    """The part of a mail that is sealed."""

    text: str
    html: str


class Way(NamedTuple):
    """How mail goes out at present."""

    carrier: Carrier
    sender: Address


class Choices(Protocol):
    """What staff have chosen for mail."""

    async def way(self) -> Way | None:
        """How mail goes out; None: nobody has said."""
        ...

    async def kept(self) -> timedelta:
        """How long a mail is kept after its end, without its body."""
        ...


class MailService:
    """Writes mails for the outbox, and sends what lies in it.

    Args:
        carrier: None: as was chosen; where nothing was, mail is off, and what is written waits until it expires.
        sender: who mails come from by `carrier`.
        choices: what staff have chosen, asked before each mail.
        down_seconds: between the tries of a carrier that is down: first and longest.
    """

    def __init__(
        self,
        store: MailStore,
        *,
        carrier: Carrier | None,
        sender: Address,
        sealer: Sealer,
        clock: Clock,
        randomness: Randomness,
        choices: Choices | None = None,
        down_seconds: tuple[float, float] = DOWN_SECONDS,
    ) -> None:
        self._store = store
        self._fixed = None if carrier is None else Way(carrier, sender)
        self._choices = choices
        self._last_way = self._fixed
        self._said: Way | str | None = "nothing"
        self._sealer = sealer
        self._clock = clock
        self._randomness = randomness
        self._down_seconds = down_seconds
        self._press = LetterPress()
        self._poked = trio.Event()
        self._chosen_anew = trio.Event()
        self._down_for = 0.0
        self._resume_at = -float("inf")
        self._sending: set[trio.CancelScope] = set()
        self._waiting = 0
        self._counted: Counter[str] = Counter()

    @property
    def on(self) -> bool:
        """Whether this Hub sent mail when it last looked."""
        return self._last_way is not None

    async def way(self) -> Way | None:
        """How mail goes out at this moment; None: mail is off."""
        if self._fixed is None and self._choices is not None:
            before, self._last_way = self._last_way, await self._choices.way()
            if before != self._last_way:
                # Another way owes nothing for the failures of the last.
                self._down_for, self._resume_at = 0.0, -float("inf")
        return self._last_way

    @property
    def figures(self) -> Mapping[str, float]:
        """For `/metrics`: `waiting` is as of the last sweep, the others count from the start of this process."""
        ends = ("written", "sent", "refused", "deferred", "carrier_down", "abandoned")
        counted = {end: float(self._counted[end]) for end in ends}
        return {"on": float(self.on), "sending": float(len(self._sending)), "waiting": float(self._waiting), **counted}

    def draft(
        self,
        kind: str,
        to: str,
        letter: Letter,
        *,
        dedupe_key: str,
        expires_at: datetime | None = None,
        customer_id: UUID | None = None,
    ) -> Mail:
        """A mail for `store.mail.enqueue`, its body sealed; may be called on any thread.

        Args:
            kind: what it is about, for the log and figures; never a secret.
            to: the recipient's bare address.
            dedupe_key: of all mails with one key only the first is sent.
            expires_at: when it is not worth sending any more; in two days by default.
            customer_id: the customer whose deletion deletes it.
        """
        now = self._clock.now()
        body = Body(self._press.text(letter), self._press.html(letter))
        self._counted["written"] += 1
        return Mail(
            id=self._new_id(now),
            kind=kind,
            recipient=to,
            subject=letter.subject,
            body=self._sealer.seal(msgspec.json.encode(body)),
            dedupe_key=dedupe_key,
            created_at=now,
            expires_at=now + WORTH_SENDING if expires_at is None else expires_at,
            customer_id=customer_id,
        )

    async def send_now(self, to: str, letter: Letter) -> None:
        """Send a letter past the outbox, once, while somebody waits for the verdict: the test of an address.

        Raises:
            CarrierDown, MailDeferred, MailRefused: why it did not go, in words; also when mail is off.
        """
        way = await self.way()
        if way is None:
            raise CarrierDown("mail is off: neither HUB_SMTP_URL nor the settings of mail name a server")
        body = Body(self._press.text(letter), self._press.html(letter))
        now = self._clock.now()
        await way.carrier.send(self._message(way.sender, self._new_id(now), to, letter.subject, body, now))

    def poke(self) -> None:
        """A mail was written."""
        self._poked.set()

    def choose_anew(self) -> None:
        """Settings were changed: perhaps those of mail."""
        self._chosen_anew.set()
        self._poked.set()

    async def run(self) -> None:
        """Send what is due, until cancelled; what is on its way then has a few seconds to end."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sweep)
            if self._fixed is None and self._choices is None:
                return
            try:
                await self._send_all(nursery)
            finally:
                for scope in self._sending:
                    scope.deadline = trio.current_time() + LAST_SECONDS

    async def _send_all(self, nursery: trio.Nursery) -> None:
        while True:
            self._poked = trio.Event()
            try:
                rest = await self._take(nursery)
            except Overloaded as fault:
                log.warning("mail.waits", reason=fault.message)
                rest = _RETRY_SECONDS
            with trio.move_on_after(rest):
                await self._poked.wait()

    async def _take(self, nursery: trio.Nursery) -> float:
        """Begin to send what is due; returns how long to rest at most, unless something happens."""
        if (pause := self._resume_at - trio.current_time()) > 0:
            # Nothing wakes the sender of a carrier that is down before its time, but another carrier.
            self._chosen_anew = trio.Event()
            with trio.move_on_after(pause):
                await self._chosen_anew.wait()
        way = await self.way()
        self._say(way)
        if way is None:
            return SAFETY_SECONDS
        free = (1 if self._down_for else AT_ONCE) - len(self._sending)
        if free <= 0:
            return SAFETY_SECONDS
        taken = await self._store.take(now=self._clock.now(), lease=LEASE, most=free)
        for mail in taken:
            scope = trio.CancelScope(shield=True)
            self._sending.add(scope)
            nursery.start_soon(self._deliver, way, mail, scope)
        if taken:
            return SAFETY_SECONDS  # each of them wakes us at its end
        next_at = await self._store.next_attempt_at()
        wait = SAFETY_SECONDS if next_at is None else (next_at - self._clock.now()).total_seconds()
        return min(max(wait, 0.05), SAFETY_SECONDS)

    def _say(self, way: Way | None) -> None:
        if way == self._said:
            return
        self._said = way
        if way is None:
            log.warning("mail.off", reason="neither HUB_SMTP_URL nor a setting names a mail server: nobody is told")
        else:
            log.info("mail.on", route=str(way.carrier))

    async def _deliver(self, way: Way, mail: Taken, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await self._try(way, mail)
        except Overloaded as fault:
            # What became of it is not written: after its lease it is sent once more, under the same Message-ID.
            log.warning("mail.result_not_written", mail=str(mail.id), reason=fault.message)
        finally:
            self._sending.discard(scope)
            self.poke()

    async def _try(self, way: Way, mail: Taken) -> None:
        told = {"mail": str(mail.id), "kind": mail.kind, "attempt": mail.attempt}
        try:
            body = msgspec.json.decode(self._sealer.open(mail.body), type=Body)
        except Unsealable:
            await self._fail(mail, "no master key opens its body", told)
            return
        try:
            message = self._message(way.sender, mail.id, mail.recipient, mail.subject, body, mail.created_at)
            await way.carrier.send(message)
        except MailRefused as refusal:
            self._carrier_works()
            await self._fail(mail, str(refusal), told)
        except MailDeferred as refusal:
            self._carrier_works()
            self._counted["deferred"] += 1
            log.info("mail.deferred", reason=str(refusal), **told)
            await self._store.put_off(mail, until=self._later(mail.attempt), error=str(refusal))
        except CarrierDown as failure:
            pause = self._carrier_failed()
            log.warning("mail.carrier_down", reason=str(failure), next_try_seconds=round(pause, 1), **told)
            await self._store.put_off(mail, until=self._after(pause), error=str(failure))
        else:
            self._carrier_works()
            self._counted["sent"] += 1
            await self._write_sent(mail)
            log.info("mail.sent", **told)

    async def _write_sent(self, mail: Taken) -> None:
        """Whatever the database does meanwhile: what is not written is sent twice."""
        give_up_at = trio.current_time() + RESULT_SECONDS
        while True:
            try:
                await self._store.settle(mail, "sent", now=self._clock.now())
                return
            except Overloaded:
                if trio.current_time() > give_up_at:
                    raise
            await trio.sleep(_RETRY_SECONDS)

    async def _fail(self, mail: Taken, reason: str, told: Mapping[str, object]) -> None:
        self._counted["refused"] += 1
        log.warning("mail.refused", reason=reason, **told)
        await self._store.settle(mail, "failed", now=self._clock.now(), error=reason)

    def _new_id(self, now: datetime) -> UUID:
        # Not from the port of ids, which belongs to trio's thread.
        return uuid7(int(now.timestamp() * 1000), self._randomness.token(10))

    def _message(self, sender: Address, mail_id: UUID, to: str, subject: str, body: Body, date: datetime) -> Message:
        return Message(
            message_id=f"{mail_id}@{sender.domain}",
            sender=sender,
            recipient=to,
            subject=subject,
            text=body.text,
            html=body.html,
            date=date,
        )

    def _carrier_works(self) -> None:
        self._down_for = 0.0

    def _carrier_failed(self) -> float:
        """Rest; those that failed at the same time count as one failure."""
        self._counted["carrier_down"] += 1
        if (left := self._resume_at - trio.current_time()) > 0:
            return left
        first, longest = self._down_seconds
        self._down_for = min(max(self._down_for * 2, first), longest)
        pause = self._down_for * self._randomness.uniform(0.8, 1.2)
        self._resume_at = trio.current_time() + pause
        return pause

    def _later(self, attempt: int) -> datetime:
        first, longest = AGAIN_SECONDS
        return self._after(min(first * 2 ** min(attempt - 1, 10), longest) * self._randomness.uniform(0.8, 1.2))

    def _after(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)

    async def _sweep(self) -> None:
        while True:
            try:
                keep = KEPT if self._choices is None else await self._choices.kept()
                abandoned, self._waiting = await self._store.sweep(now=self._clock.now(), keep=keep)
            except Overloaded as fault:
                log.warning("mail.sweep_waits", reason=fault.message)
            else:
                if abandoned:
                    self._counted["abandoned"] += abandoned
                    log.warning("mail.abandoned", count=abandoned)
            await trio.sleep(SWEEP_SECONDS)
