"""What the Hub says: sorted, journalled in one transaction for each read, then told to whom it concerns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
import trio

from protocol import tenant
from protocol.session import Verdict, WrapperSession
from protocol.tenant import (
    Accepted,
    ApprovalSettled,
    BadFrame,
    Command,
    ConfigOffered,
    Drain,
    NotAFrame,
    Query,
    Refused,
    Reply,
    Unanswered,
    UnknownType,
    Void,
    encode,
)
from protocol.webhooks import ApprovalWebhook, CommandWebhook, Webhook, judge
from wrapper.answerers import Answerer, NoAnswer
from wrapper.approvals import Approvals
from wrapper.commands import Commands
from wrapper.config import Configuration
from wrapper.journal import promises, unnumbered
from wrapper.journal.database import MESSAGE_LIMIT_BYTES, Journal, sayable
from wrapper.journal.promises import Batch, Unreadable
from wrapper.journal.webhooks import Delivery

log = structlog.get_logger()

#: What this wrapper takes from the Hub, besides what every wrapper does.
CAPABILITIES: Final = ["command", "approvalSettled", "configOffered", "query", "drain"]
_LONGEST_QUERY_SECONDS: Final = 60.0


class HubBroke(Exception):
    """The Hub broke the protocol, or a promise is missing: this connection is of no use."""


class _Loose(msgspec.Struct):
    type: str
    seq: int | None = None
    id: Any = None


class Heard(msgspec.Struct):
    """What of a read concerns the link itself."""

    drain: Drain | None = None
    refused_for_now: list[str] = []
    queries: list[Query] = []


class Inbox:
    """Takes the Hub's frames, a read at a time."""

    def __init__(
        self,
        journal: Journal,
        session: WrapperSession,
        *,
        commands: Commands,
        approvals: Approvals,
        configuration: Configuration,
        answerers: Mapping[str, Answerer],
    ) -> None:
        self._journal = journal
        self._session = session
        self._commands = commands
        self._approvals = approvals
        self._configuration = configuration
        self._answerers = answerers
        # Carriers take turns: a duplicate is one only when what it repeats is on the disk.
        self._turn = trio.Lock()
        self.ignored = 0

    async def take(self, frames: list[bytes]) -> Heard:
        """Take all frames of one read. When this returns, its promises are on the disk and an ack is due.

        Raises:
            HubBroke: the frames make no sense, or a promise is missing before one of them.
        """
        async with self._turn:
            return await self._take(frames)

    async def _take(self, frames: list[bytes]) -> Heard:
        heard, batch = Heard(), Batch()
        broken = None
        for data in frames:
            try:
                self._sort(data, batch, heard)
            except HubBroke as error:
                broken = error  # what came before it is good, and is kept
                break
        if batch.promises or batch.accepted or batch.refused:
            taken = await self._journal.run(promises.take, batch)
            self._tell(batch, taken)
        if broken is not None:
            raise broken
        return heard

    async def take_webhook(
        self, webhook: Webhook, data: bytes, *, delivery: Delivery | None, now: float
    ) -> tuple[Verdict, int]:
        """Take one numbered promise that came by webhook. When this returns, it is on the disk, or was there before.

        Args:
            data: the frame that stands for it.
            delivery: the webhook's id; None where it has none.
            now: Unix seconds, for what the journal may forget.

        Returns:
            What it was, and the number up to which everything is journalled now.
        """
        async with self._turn:
            journalled = self._session.journalled
            verdict = judge(webhook, journalled)
            if verdict is Verdict.NEW:
                if journalled < webhook.after:
                    log.warning("journal.behind", had=journalled, resumed_from=webhook.resumed_from)
                batch = Batch(promises=[(self._promise(data), data)])
                taken = await self._journal.run(promises.take_delivery, batch, delivery, now=now)
                if taken is None:
                    verdict = Verdict.DUPLICATE
                else:
                    self._tell(batch, taken)
            return verdict, self._session.journalled

    async def take_answer(self, frames: list[bytes], answered: int) -> bool:
        """Take the promises of a heartbeat's answer, in order. When this returns, they are on the disk.

        Args:
            frames: those that the answer lists; the numbers between them need nothing done.
            answered: everything up to here is in the answer.

        Returns:
            Whether there was anything new.
        """
        async with self._turn:
            journalled = self._session.journalled
            arrived = [(promise, data) for data in frames if (promise := self._promise(data)).seq > journalled]
            last = arrived[-1][0].seq if arrived else journalled
            if answered > last:
                void = Void(seq=answered)
                arrived.append((void, encode(void)))
            if not arrived:
                return False
            batch = Batch(promises=arrived)
            self._tell(batch, await self._journal.run(promises.take, batch))
            return True

    async def take_command(self, webhook: CommandWebhook, *, delivery: Delivery | None, now: float) -> bool:
        """Take a command that has no number; False when it was taken before."""
        new = await self._journal.run(unnumbered.take_command, webhook, delivery, now=now)
        if new:
            self._commands.arrived()
        return new

    async def take_decision(self, webhook: ApprovalWebhook, *, delivery: Delivery | None, now: float) -> bool | None:
        """Take a decision that has no number; None when no request has this name."""
        decided = await self._journal.run(unnumbered.take_decision, webhook, delivery, now=now)
        if decided is None:
            return None
        if decided.new:
            self._approvals.settled([decided.request_id])
        return decided.new

    def _promise(self, data: bytes) -> promises.Arrived:
        frame = self._decode(data)
        assert isinstance(frame, Command | ApprovalSettled | ConfigOffered | Void | Unreadable)
        return frame

    def _tell(self, batch: Batch, taken: promises.Taken) -> None:
        if batch.promises:
            self._session.committed(batch.promises[-1][0].seq)
        self._session.accepted(batch.accepted)
        for message_id, _ in batch.refused:
            self._session.refused(message_id, temporary=False)
        for kept, reason in taken.dropped:
            log.error("message.refused", id=kept.id, type=kept.kind, about=kept.reference, reason=reason)
        if taken.commands:
            self._commands.arrived()
        if taken.configuration:
            self._configuration.offered()
        if taken.settled:
            self._approvals.settled(taken.settled)

    def _sort(self, data: bytes, batch: Batch, heard: Heard) -> None:
        match self._decode(data):
            case Command() | ApprovalSettled() | ConfigOffered() | Void() | Unreadable() as promise:
                verdict = self._session.promise(promise.seq)
                if verdict is Verdict.GAP:
                    raise HubBroke(f"promise {promise.seq} came, but not those before it")
                if verdict is Verdict.NEW:
                    batch.promises.append((promise, data))
            case Accepted(ids=ids):
                batch.accepted.extend(ids)
            case Refused() as refused if refused.temporary:
                if self._session.refused(refused.id, temporary=True):
                    log.warning("message.refused_for_now", id=refused.id, code=refused.code, reason=refused.message)
                    heard.refused_for_now.append(refused.id)
            case Refused() as refused:
                batch.refused.append((refused.id, f"{refused.code}: {refused.message}"))
            case Query() as query:
                heard.queries.append(query)
            case Drain() as drain:
                heard.drain = drain
            case _:
                self.ignored += 1

    def _decode(self, data: bytes) -> object:
        """One frame; a promise that this version cannot read still is one, or its number would be a hole for ever."""
        try:
            return tenant.to_tenant.decode(data)
        except NotAFrame as error:
            raise HubBroke(str(error)) from error
        except (BadFrame, UnknownType) as error:
            log.warning("frame.unreadable", type=error.frame_type, reason=str(error))
            try:
                loose = msgspec.json.decode(data, type=_Loose)
            except (msgspec.MsgspecError, RecursionError) as problem:
                raise HubBroke(str(error)) from problem
            if loose.seq is None:
                if isinstance(error, BadFrame) and error.frame_type not in ("query", "refused"):
                    raise HubBroke(str(error)) from error
                return None
            reference = loose.id if isinstance(loose.id, str) else None
            return Unreadable(seq=loose.seq, kind=loose.type, reference=reference, problem=str(error))

    async def message_taken(self, message_id: str) -> None:
        """The Hub has committed a message, and said so by another carrier than the socket."""
        batch = Batch(accepted=[message_id])
        self._tell(batch, await self._journal.run(promises.take, batch))

    def configuration_pulled(self, config: bytes) -> int:
        """The whole configuration came by the feed; returns its version."""
        return self._configuration.pulled(config)

    async def give_up(self, message_id: str, reason: str) -> None:
        """A message that the Hub can never take: drop it, and tell its owner."""
        batch = Batch(refused=[(message_id, reason)])
        self._tell(batch, await self._journal.run(promises.take, batch))

    async def answer(self, query: Query) -> Reply:
        """Answer a live question, in the time it has."""
        answerer = self._answerers.get(query.kind)
        if answerer is None:
            return _unanswered(query, Unanswered.UNKNOWN, f"this wrapper knows no question {query.kind[:100]}")
        seconds = min(max(query.deadline_ms / 1000, 0), _LONGEST_QUERY_SECONDS)
        with trio.move_on_after(seconds):
            try:
                data = msgspec.json.encode(await answerer(query.params))
            except NoAnswer as refusal:
                return _unanswered(query, refusal.code, refusal.words)
            except Exception as error:  # foreign code: its failure is an answer
                log.exception("query.crashed", kind=query.kind)
                return _unanswered(query, Unanswered.FAILED, f"{type(error).__name__}: {error}")
            if len(data) > MESSAGE_LIMIT_BYTES:
                return _unanswered(query, Unanswered.FAILED, f"the answer is larger than {MESSAGE_LIMIT_BYTES} bytes")
            return Reply(query_id=query.id, ok=True, data=msgspec.Raw(data))
        return _unanswered(query, Unanswered.TOO_LATE, "no answer in time")


def _unanswered(query: Query, code: str, words: str) -> Reply:
    return Reply(query_id=query.id, ok=False, error=sayable(words, 1000), code=code)
