"""The tenant: its wrapper's live session, what is due for it, and every change that must reach it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from actors.ports import Attached, Beat, Delivery, Incoming, Link, Outcome, Progress, Taken, TenantBook
from actors.runtime.actor import Actor
from actors.runtime.ports import Clock, Ids
from actors.runtime.timers import Timer
from actors.tenant.messages import (
    Attach,
    CancelCommand,
    ChangeAgents,
    Detached,
    FrameArrived,
    IssueCommand,
    MessageTaken,
    PresenceDue,
    Register,
    RevokeKey,
    SettleApproval,
    SomethingDue,
    TakeMessage,
    Wake,
)
from actors.tenant.presence import OFFLINE_AFTER_HEARTBEATS
from actors.tenant.requests import refusal_of
from protocol.faults import Conflict, Fault, Overloaded, Unauthorized, ValidationError
from protocol.ids import OrderId, ServerId, format_id, parse_id
from protocol.objects import CommandApproval, RemoteCommand
from protocol.session import HubSession, ProtocolBroken, Verdict
from protocol.tenant import (
    ALWAYS_ALLOWED,
    FRAME_LIMIT_BYTES,
    PROTOCOL_VERSION,
    Accepted,
    Ack,
    CloseCode,
    Heartbeat,
    Hello,
    Message,
    Refused,
    Void,
    Welcome,
    encode,
)

log = structlog.get_logger()

#: Messages of one wrapper that are being committed; wrappers keep half as many on the way, and the control lane twice.
IN_HAND: Final = 128
#: Promises on the way to a wrapper without its acknowledgement.
WINDOW: Final = 64
#: Bytes of promises loaded from the book at once; well below a connection's output limit.
PAGE_BYTES: Final = 256 * 1024
RETRY_SECONDS: Final = 1.0


@dataclass(slots=True)
class Live:
    """One wrapper's session on one socket."""

    link: Link
    session: HubSession
    epoch: int
    capabilities: frozenset[str]
    boot_id: str
    heard_at: float


class TenantActor(Actor):
    """One order's tenant; its memory is a cache of the book and may be lost at any time.

    Args:
        actor_id: the order's text id.
        node: this process's name, a part of each session's id.
        heartbeat_seconds: what wrappers on a socket are told.
    """

    __slots__ = (
        "_book",
        "_clock",
        "_due",
        "_due_at",
        "_heartbeat_seconds",
        "_ids",
        "_issued",
        "_live",
        "_order",
    )

    def __init__(self, actor_id: str, *, book: TenantBook, clock: Clock, ids: Ids, heartbeat_seconds: int) -> None:
        self._order: UUID = parse_id("ord", actor_id)
        self._book = book
        self._clock = clock
        self._ids = ids
        self._heartbeat_seconds = heartbeat_seconds
        self._live: Live | None = None
        self._issued = 0
        self._due: Timer | None = None
        self._due_at: datetime | None = None

    async def started(self) -> None:
        state = await self._book.load(self._order)
        self._issued = state.issued_seq
        self._wait_until(state.next_due)

    def asleep_allowed(self) -> bool:
        return self._live is None and self._due_at is None

    async def stopped(self) -> None:
        if self._live is not None:
            self._live.link.close(CloseCode.RESTARTING, "the tenant's actor has stopped; reconnect")
            self._live = None

    def crashed(self) -> None:
        # Its session died with this incarnation's memory: the wrapper shall begin a new one at once.
        if self._live is not None:
            self._live.link.close(CloseCode.RESTARTING, "the tenant's actor has crashed; reconnect")

    def explain(self) -> dict[str, object]:
        live = self._live
        return {
            "connected": live is not None,
            "epoch": live.epoch if live else None,
            "issuedSeq": self._issued,
            "sentSeq": live.session.sent if live else None,
            "acknowledgedSeq": live.session.acknowledged if live else None,
            "messagesInHand": live.session.in_hand if live else 0,
            "silentSeconds": round(self._clock.monotonic() - live.heard_at, 1) if live else None,
            "nextDue": self._due_at.isoformat() if self._due_at else None,
        }

    def receive(self, message: object) -> object:
        match message:
            case FrameArrived(link, frame):
                return self._frame(link, frame)
            case MessageTaken():
                self._answer(message)
                return None
            case Attach(link, hello):
                return self._attach(link, hello)
            case Detached(link, code):
                self._detach(link, code)
                return None
            case SettleApproval():
                return self._settle(message)
            case IssueCommand():
                return self._issue(message)
            case CancelCommand():
                return self._cancel(message)
            case ChangeAgents():
                return self._change_agents(message)
            case TakeMessage():
                return self._take(message)
            case Register():
                return self._register(message)
            case RevokeKey():
                return self._revoke(message)
            case SomethingDue():
                return self._expire()
            case PresenceDue(epoch):
                self._watch_presence(epoch)
                return None
            case Wake():
                return None
        raise TypeError(f"a tenant has no answer to {type(message).__name__}")

    # --- the wrapper's session ---------------------------------------------------------------------------

    async def _attach(self, link: Link, hello: Hello) -> None:
        if not hello.protocol_min <= PROTOCOL_VERSION <= hello.protocol_max:
            link.close(CloseCode.NO_COMMON_PROTOCOL, f"this Hub speaks protocol {PROTOCOL_VERSION}")
            return
        now = self._clock.now()
        try:
            attached = await self._book.attach(self._order, hello, session_id=str(self._ids.uuid7()), at=now)
        except Unauthorized as fault:
            link.close(CloseCode.KEY_REVOKED, fault.message)
            return
        except Conflict as fault:
            log.warning("tenant.hello_refused", order=self._name, reason=fault.message)
            link.close(CloseCode.BROKE_PROTOCOL, fault.message)
            return
        except Overloaded as fault:
            link.close(CloseCode.RESTARTING, fault.message)
            return
        self._replace_older(hello)
        self._issued = max(self._issued, attached.issued_seq)
        if not link.open:
            self._book.detach(self._order, attached.epoch)
            return
        self._live = self._begin(link, hello, attached)
        await self._pump()

    def _replace_older(self, hello: Hello) -> None:
        older = self._live
        if older is None:
            return
        self._live = None
        if older.boot_id != hello.boot_id and older.link.open:
            log.warning("tenant.key_used_twice", order=self._name, older_epoch=older.epoch)
        older.link.close(CloseCode.REPLACED, "replaced by a newer session")

    def _begin(self, link: Link, hello: Hello, attached: Attached) -> Live:
        link.frame_limit = FRAME_LIMIT_BYTES
        session = HubSession.resume(
            last_seq=hello.last_seq, acknowledged=attached.acked_seq, issued=attached.issued_seq
        )
        welcome = Welcome(
            protocol=PROTOCOL_VERSION,
            session_id=f"{self._name}/{attached.epoch}",
            epoch=attached.epoch,
            server_time=self._clock.now(),
            heartbeat_seconds=self._heartbeat_seconds,
            max_frame_bytes=FRAME_LIMIT_BYTES,
            config_version=attached.config_version,
            resumed_from=session.resumed_from,
        )
        link.send_text(encode(welcome))
        self.context.schedule(self._heartbeat_seconds * OFFLINE_AFTER_HEARTBEATS, PresenceDue(attached.epoch))
        log.info("tenant.connected", order=self._name, epoch=attached.epoch, resumed=session.resumed_from)
        return Live(
            link=link,
            session=session,
            epoch=attached.epoch,
            capabilities=frozenset(hello.capabilities) | ALWAYS_ALLOWED,
            boot_id=hello.boot_id,
            heard_at=self._clock.monotonic(),
        )

    def _detach(self, link: Link, code: int) -> None:
        live = self._live
        if live is None or live.link is not link:
            return
        self._live = None
        self._book.detach(self._order, live.epoch)
        log.info("tenant.disconnected", order=self._name, epoch=live.epoch, code=code)

    def _watch_presence(self, epoch: int) -> None:
        live = self._live
        if live is None or live.epoch != epoch:
            return
        limit = self._heartbeat_seconds * OFFLINE_AFTER_HEARTBEATS
        silent = self._clock.monotonic() - live.heard_at
        if silent >= limit:
            live.link.close(CloseCode.SILENT, f"silent for {silent:.0f} s")
        else:
            self.context.schedule(limit - silent, PresenceDue(epoch))

    # --- frames ------------------------------------------------------------------------------------------

    def _frame(self, link: Link, frame: object) -> object:
        live = self._live
        if live is None or live.link is not link:
            # Nobody's session: this actor was rebuilt since, so the wrapper shall say hello again.
            link.close(CloseCode.RESTARTING, "the session is gone; reconnect")
            return None
        live.heard_at = self._clock.monotonic()
        match frame:
            case Ack(seq=seq):
                return self._acknowledged(live, seq)
            case Heartbeat():
                self._book.beat(Beat(self._order, self._clock.now(), frame, "socket"))
            case Message():
                self._message(live, frame)
            case Hello():
                link.close(CloseCode.BROKE_PROTOCOL, "a second hello")
        return None

    def _acknowledged(self, live: Live, seq: int) -> object:
        session = live.session
        try:
            newly = session.acknowledge(seq)
        except ProtocolBroken as broken:
            log.warning("tenant.broke_protocol", order=self._name, reason=str(broken))
            live.link.close(CloseCode.BROKE_PROTOCOL, str(broken))
            return None
        if newly:
            self._book.progress(Progress(self._order, session.sent, session.acknowledged, self._clock.now()))
        if session.sent < self._issued and session.outstanding <= WINDOW // 2:
            return self._pump()
        return None

    def _message(self, live: Live, message: Message) -> None:
        if live.session.message(message.id) is Verdict.DUPLICATE:
            return
        link, ref = live.link, self.context.ref

        def done(outcome: Outcome[Taken]) -> None:
            if not ref.tell(MessageTaken(link, message.id, outcome), control=True):
                # It would wait for its answer for ever; on the next connection it is sent again.
                link.close(CloseCode.TOO_FAST, "the tenant has too much to do; reconnect in 5 s")

        refusal = refusal_of(message)  # type: ignore[arg-type]
        try:
            if refusal is not None:
                raise ValidationError(refusal)
            if live.session.in_hand > IN_HAND:
                raise Overloaded("too many messages at once; send it again later")
            self._book.take(Incoming(self._order, message, self._clock.now()), done)  # type: ignore[arg-type]
        except (ValidationError, Overloaded) as fault:
            self._refuse(live, message.id, fault)

    def _refuse(self, live: Live, message_id: str, fault: Fault) -> None:
        self._say_refused(live, Refused(message_id, fault.code, fault.message, isinstance(fault, Overloaded)))

    def _answer(self, message: MessageTaken) -> None:
        live = self._live
        try:
            taken = message.outcome.unwrap()
        except Exception as error:
            # Not committed, so not lost either: the wrapper keeps it and sends it again later.
            if not isinstance(error, Overloaded):
                log.exception("tenant.message_failed", order=self._name, message=message.message_id)
            if live is not None and live.link is message.link:
                self._refuse(live, message.message_id, Overloaded("the message could not be stored; send it again"))
            return
        self._remember(taken)
        if live is None or live.link is not message.link:
            return
        if taken.code is None:
            live.session.answered(message.message_id)
            live.link.send_text(encode(Accepted([message.message_id])))
        else:
            self._say_refused(live, Refused(message.message_id, taken.code, taken.reason, taken.temporary))

    def _say_refused(self, live: Live, refused: Refused) -> None:
        live.session.answered(refused.id)
        log.warning(
            "tenant.message_refused", order=self._name, message=refused.id, code=refused.code, reason=refused.message
        )
        live.link.send_text(encode(refused))

    def _remember(self, taken: Taken) -> None:
        if taken.approval is not None and taken.approval.settled_at is None:
            self._wait_until(taken.approval.expires_at)

    # --- promises ----------------------------------------------------------------------------------------

    async def _push(self, delivery: Delivery | None) -> None:
        """Send what has just been committed, when it is next in turn; else what comes before it, first."""
        if delivery is None:
            return
        self._issued = max(self._issued, delivery.seq)
        live = self._live
        if live is None:
            return
        if live.session.sent == delivery.seq - 1 and live.session.outstanding < WINDOW:
            await self._send(live, [delivery])
        elif live.session.outstanding <= WINDOW // 2:
            await self._pump()

    async def _pump(self) -> None:
        live = self._live
        if live is None or not live.link.open or live.session.sent >= self._issued:
            return
        page = await self._book.deliveries(
            self._order,
            after=live.session.sent,
            limit=WINDOW - live.session.outstanding,
            limit_bytes=PAGE_BYTES,
        )
        await self._send(live, page)

    async def _send(self, live: Live, deliveries: list[Delivery]) -> None:
        untakable = [delivery.seq for delivery in deliveries if delivery.kind not in live.capabilities]
        if untakable:
            await self._book.reject(
                self._order,
                untakable,
                reason="the wrapper does not take this type of frame",
                at=self._clock.now(),
            )
        for delivery in deliveries:
            if live.session.sending(delivery.seq) is Verdict.NEW:
                frame = delivery.frame if delivery.seq not in untakable else encode(Void(delivery.seq))
                live.link.send_text(frame)
        self._book.progress(Progress(self._order, live.session.sent, live.session.acknowledged, self._clock.now()))

    # --- changes -----------------------------------------------------------------------------------------

    async def _settle(self, message: SettleApproval) -> CommandApproval:
        settled = await self._book.settle(
            self._order,
            message.approval_id,
            action=message.action,
            reason=message.reason,
            author=message.author,
            scope=message.scope,
            at=self._clock.now(),
        )
        log.info(
            "approval.settled",
            order=self._name,
            approval=settled.approval.id,
            status=settled.approval.status.value,
            by=message.author.id,
            seq=settled.delivery.seq if settled.delivery else None,
        )
        await self._push(settled.delivery)
        return settled.approval

    async def _issue(self, message: IssueCommand) -> RemoteCommand:
        now = self._clock.now()
        issued = await self._book.issue_command(
            self._order,
            command_type=message.command_type,
            payload=message.payload,
            expires_at=now + timedelta(seconds=message.expires_in_seconds),
            author=message.author,
            at=now,
        )
        command = issued.command
        log.info("command.issued", order=self._name, command=command.id, type=command.type, seq=command.seq)
        self._wait_until(command.expires_at)
        await self._push(issued.delivery)
        return issued.command

    async def _cancel(self, message: CancelCommand) -> RemoteCommand:
        return await self._book.cancel_command(
            self._order, message.command_id, author=message.author, at=self._clock.now()
        )

    async def _change_agents(self, message: ChangeAgents) -> object:
        changed = await self._book.change_agents(
            self._order, message.change, author=message.author, scope=message.scope, at=self._clock.now()
        )
        await self._push(changed.delivery)
        return changed

    async def _take(self, message: TakeMessage) -> Taken:
        refusal = refusal_of(message.message)
        if refusal is not None:
            field, _, problem = refusal.partition(": ")
            raise ValidationError.of(field, problem)
        taken = await self._book.take_now(Incoming(self._order, message.message, self._clock.now()))
        self._remember(taken)
        return taken

    async def _register(self, message: Register) -> ServerId:
        server_id = await self._book.register(
            self._order, message.registration, author=message.author, at=self._clock.now()
        )
        if self._live is not None:
            self._live.link.close(CloseCode.KEY_REVOKED, "the server was registered anew")
        return server_id

    async def _revoke(self, message: RevokeKey) -> None:
        await self._book.revoke_key(self._order, author=message.author, at=self._clock.now())
        if self._live is not None:
            self._live.link.close(CloseCode.KEY_REVOKED, "the key was revoked")

    # --- what falls due ----------------------------------------------------------------------------------

    def _wait_until(self, due: datetime | None) -> None:
        if due is None or (self._due_at is not None and self._due_at <= due):
            return
        if self._due is not None:
            self._due.cancel()
        self._due_at = due
        delay = max(0.001, (due - self._clock.now()).total_seconds())
        self._due = self.context.schedule(delay, SomethingDue(due))

    async def _expire(self) -> None:
        self._due = self._due_at = None
        now = self._clock.now()
        try:
            expired = await self._book.expire(self._order, at=now)
        except Overloaded:
            self._wait_until(now + timedelta(seconds=RETRY_SECONDS))
            return
        self._wait_until(expired.next_due)
        for command_id in expired.commands:
            log.info("command.expired", order=self._name, command=command_id)
        for delivery in expired.deliveries:
            if delivery.reference is not None:
                approval_id = format_id("appr", delivery.reference)
                log.info("approval.expired", order=self._name, approval=approval_id, seq=delivery.seq)
            await self._push(delivery)

    @property
    def _name(self) -> OrderId:
        return OrderId(self.context.ref.path.partition("/")[2])
