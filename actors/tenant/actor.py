"""The tenant: its wrapper's live session, what is due for it, and every change that must reach it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, cast
from uuid import UUID

import structlog
import trio

from actors.ports import AgentsChanged, Beat, Incoming, Link, Taken, TenantBook
from actors.runtime.actor import Actor
from actors.runtime.ports import Clock, Ids
from actors.tenant.alarm import Alarm
from actors.tenant.committing import answer, commit
from actors.tenant.live import GREETING_SECONDS, Live
from actors.tenant.messages import (
    AskWrapper,
    Attach,
    CancelCommand,
    ChangeAgents,
    Detached,
    DropQuestion,
    EndSession,
    FrameArrived,
    GoingAway,
    IssueCommand,
    MessageTaken,
    PresenceDue,
    PromisesDue,
    Register,
    RevokeKey,
    SettleApproval,
    SomethingDue,
    TakeMessage,
    Wake,
)
from actors.tenant.outgoing import RETRY_SECONDS, Outgoing
from actors.tenant.requests import problem_of, unfit
from protocol.faults import Conflict, Overloaded, TenantOffline, Unauthorized, ValidationError
from protocol.ids import OrderId, ServerId, format_id, parse_id
from protocol.objects import CommandApproval, RemoteCommand
from protocol.session import ProtocolBroken
from protocol.tenant import PROTOCOL_VERSION, Ack, CloseCode, Heartbeat, Hello, Message, Reply, TenantMessage

log = structlog.get_logger()

#: Two wrappers that take turns on one key are told of no oftener.
RIVAL_TOLD_SECONDS: Final = 600.0


class TenantActor(Actor):
    """One order's tenant; its memory is a cache of the book and may be lost at any time.

    Args:
        actor_id: the order's text id.
        node: this process's name, a part of each session's id.
        heartbeat_seconds: what wrappers on a socket are told.
    """

    __slots__ = (
        "_alarm",
        "_book",
        "_clock",
        "_heartbeat_seconds",
        "_ids",
        "_live",
        "_order",
        "_outgoing",
        "_rival_told_at",
    )

    def __init__(self, actor_id: str, *, book: TenantBook, clock: Clock, ids: Ids, heartbeat_seconds: int) -> None:
        self._order: UUID = parse_id("ord", actor_id)
        self._book = book
        self._clock = clock
        self._ids = ids
        self._heartbeat_seconds = heartbeat_seconds
        self._live: Live | None = None
        self._rival_told_at: float | None = None

    async def started(self) -> None:
        state = await self._book.load(self._order)
        self._outgoing = Outgoing(
            self._order, book=self._book, clock=self._clock, context=self.context, issued=state.issued_seq
        )
        self._alarm = Alarm(self.context, self._clock)
        self._alarm.wait_until(state.next_due)

    def asleep_allowed(self) -> bool:
        return self._live is None and self._alarm.due_at is None

    async def stopped(self) -> None:
        self._leave(CloseCode.RESTARTING, "the tenant's actor has stopped; reconnect")

    def crashed(self) -> None:
        # Its session died with this incarnation's memory: the wrapper shall begin a new one at once.
        self._leave(CloseCode.RESTARTING, "the tenant's actor has crashed; reconnect")

    def explain(self) -> dict[str, object]:
        live = self._live
        return {
            "connected": live is not None,
            "epoch": live.epoch if live else None,
            "issuedSeq": self._outgoing.issued,
            "sentSeq": live.session.sent if live else None,
            "acknowledgedSeq": live.session.acknowledged if live else None,
            "messagesInHand": live.session.in_hand if live else 0,
            "questions": len(live.questions or ()) if live else 0,
            "silentSeconds": round(live.silent_seconds(self._clock.monotonic()), 1) if live else None,
            "nextDue": self._alarm.due_at.isoformat() if self._alarm.due_at else None,
        }

    def receive(self, message: object) -> object:
        match message:
            case FrameArrived(link, frame):
                return self._frame(link, frame)
            case MessageTaken():
                self._remember(answer(self._live, message, ref=self.context.ref))
                return None
            case Attach():
                return self._attach(message) if message.link.open else None
            case Detached(link, code):
                self._detach(link, code)
                return None
            case AskWrapper():
                if self._live is None:
                    raise TenantOffline("the server is not connected")
                self._live.ask(message)
                return None
            case DropQuestion(question_id):
                if self._live is not None:
                    self._live.drop(question_id)
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
            case EndSession(reason):
                self._leave(CloseCode.KEY_REVOKED, reason)
                return None
            case SomethingDue():
                return self._expire() if self._alarm.rang() else None
            case PromisesDue(epoch):
                return self._try_again(epoch)
            case PresenceDue(epoch):
                self._watch_presence(epoch)
                return None
            case GoingAway(reconnect_after_ms):
                if self._live is not None:
                    self._live.send_away(reconnect_after_ms)
                return None
            case Wake(overdue):
                return self._expire() if overdue else None
        raise TypeError(f"a tenant has no answer to {type(message).__name__}")

    # --- the wrapper's session ---------------------------------------------------------------------------

    async def _attach(self, attach: Attach) -> None:
        link, hello = attach.link, attach.hello
        if not hello.protocol_min <= PROTOCOL_VERSION <= hello.protocol_max:
            link.close(CloseCode.NO_COMMON_PROTOCOL, f"this Hub speaks protocol {PROTOCOL_VERSION}")
            return
        if (problem := unfit(hello)) is not None:
            link.close(CloseCode.BROKE_PROTOCOL, f"bad hello: {problem.field} {problem.message}")
            return
        rival_epoch = self._rival_of(hello)
        try:
            with trio.move_on_after(GREETING_SECONDS) as patience:
                attached = await self._book.attach(
                    self._order,
                    hello,
                    key_prefix=attach.key_prefix,
                    session_id=str(self._ids.uuid7()),
                    at=self._clock.now(),
                    rival_epoch=rival_epoch,
                )
            if patience.cancelled_caught:
                raise Overloaded("too many wrappers came at once; reconnect")
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
        if rival_epoch is not None:
            self._rival_told_at = self._clock.monotonic()
            log.warning("tenant.key_used_twice", order=self._name, older_epoch=rival_epoch, epoch=attached.epoch)
        self._outgoing.knows(attached.issued_seq)
        # The older session's row is the newer one's already: nothing to detach.
        older, self._live = self._live, None
        if older is not None:
            older.end()
            older.link.close(CloseCode.REPLACED, "replaced by a newer session")
        if not link.open:
            self._book.detach(self._order, attached.epoch)
            return
        live = self._live = Live.begin(
            link, hello, attached, name=self._name, heartbeat_seconds=self._heartbeat_seconds, now=self._clock.now()
        )
        log.info("tenant.connected", order=self._name, epoch=live.epoch, resumed=live.session.resumed_from)
        self._watch_presence(live.epoch)
        await self._outgoing.advance(live)

    def _rival_of(self, hello: Hello) -> int | None:
        """The epoch of a session that another wrapper lives on with the same key, unless that was told just now."""
        live, now = self._live, self._clock.monotonic()
        if live is None or live.boot_id == hello.boot_id or not live.is_lively(now, self._heartbeat_seconds):
            return None
        told_at = self._rival_told_at
        return live.epoch if told_at is None or now - told_at >= RIVAL_TOLD_SECONDS else None

    def _detach(self, link: Link, code: int) -> None:
        live = self._live
        if live is None or live.link is not link:
            return
        self._live = None
        live.end()
        self._book.detach(self._order, live.epoch)
        log.info("tenant.disconnected", order=self._name, epoch=live.epoch, code=code)

    def _leave(self, code: int, reason: str) -> None:
        """End the session, if there is one; frames of it that still wait are nobody's."""
        if self._live is not None:
            link = self._live.link
            self._detach(link, code)
            link.close(code, reason)

    def _watch_presence(self, epoch: int) -> None:
        live = self._live
        if live is None or live.epoch != epoch:
            return
        now = self._clock.monotonic()
        patience = live.patience_seconds(now, self._heartbeat_seconds)
        if patience <= 0:
            self._leave(CloseCode.SILENT, f"silent for {live.silent_seconds(now):.0f} s")
        else:
            live.presence = self.context.schedule(max(patience, 0.001), PresenceDue(epoch))

    # --- frames ------------------------------------------------------------------------------------------

    def _frame(self, link: Link, frame: object) -> object:
        live = self._live
        if live is None or live.link is not link:
            # Nobody's session: it was replaced or ended, so the wrapper shall say hello again.
            link.close(CloseCode.RESTARTING, "the session is gone; reconnect")
            return None
        match frame:
            case Ack(seq=seq):
                return self._acknowledged(live, seq)
            case Heartbeat():
                self._beat(frame)
            case Message():
                incoming = Incoming(self._order, cast(TenantMessage, frame), self._clock.now())
                commit(live, incoming, book=self._book, ref=self.context.ref)
            case Reply():
                live.answered(frame)
            case Hello():
                link.close(CloseCode.BROKE_PROTOCOL, "a second hello")
        return None

    def _beat(self, heartbeat: Heartbeat) -> None:
        if (problem := unfit(heartbeat)) is not None:
            log.warning("tenant.bad_heartbeat", order=self._name, field=problem.field, problem=problem.message)
        else:
            self._book.beat(Beat(self._order, self._clock.now(), heartbeat, "socket"))

    def _acknowledged(self, live: Live, seq: int) -> object:
        session = live.session
        try:
            newly = session.acknowledge(seq)
        except ProtocolBroken as broken:
            log.warning("tenant.broke_protocol", order=self._name, reason=str(broken))
            live.link.close(CloseCode.BROKE_PROTOCOL, str(broken))
            return None
        if newly:
            self._book.progress(live.progress(self._order, self._clock.now()))
        return self._outgoing.advance(live) if self._outgoing.wants_more(live) else None

    def _remember(self, taken: Taken | None) -> None:
        if taken is not None and taken.approval is not None and taken.approval.settled_at is None:
            self._alarm.wait_until(taken.approval.expires_at)

    def _try_again(self, epoch: int) -> object:
        live = self._live
        if live is None or live.epoch != epoch:
            return None
        live.retry = None
        return self._outgoing.advance(live)

    # --- changes -----------------------------------------------------------------------------------------

    async def _settle(self, message: SettleApproval) -> CommandApproval:
        if self._alarm.is_due:
            await self._expire()  # whoever comes too late shall read that it has expired
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
        await self._outgoing.push(self._live, settled.delivery)
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
        self._alarm.wait_until(command.expires_at)
        await self._outgoing.push(self._live, issued.delivery)
        return issued.command

    async def _cancel(self, message: CancelCommand) -> RemoteCommand:
        return await self._book.cancel_command(
            self._order, message.command_id, author=message.author, at=self._clock.now()
        )

    async def _change_agents(self, message: ChangeAgents) -> AgentsChanged:
        changed = await self._book.change_agents(
            self._order, message.change, author=message.author, scope=message.scope, at=self._clock.now()
        )
        await self._outgoing.push(self._live, changed.delivery)
        return changed

    async def _take(self, message: TakeMessage) -> Taken:
        problem = problem_of(message.message)
        if problem is not None:
            raise ValidationError(details=[problem])
        taken = await self._book.take_now(Incoming(self._order, message.message, self._clock.now()))
        self._remember(taken)
        return taken

    async def _register(self, message: Register) -> ServerId:
        server_id = await self._book.register(
            self._order, message.registration, author=message.author, at=self._clock.now()
        )
        self._leave(CloseCode.KEY_REVOKED, "the server was registered anew")
        return server_id

    async def _revoke(self, message: RevokeKey) -> None:
        await self._book.revoke_key(self._order, author=message.author, at=self._clock.now())
        self._leave(CloseCode.KEY_REVOKED, "the key was revoked")

    # --- what falls due ----------------------------------------------------------------------------------

    async def _expire(self) -> None:
        self._alarm.clear()
        try:
            expired = await self._book.expire(self._order, at=self._clock.now())
        except Overloaded as fault:
            log.warning("tenant.expiry_waits", order=self._name, reason=fault.message)
            self._alarm.wait(RETRY_SECONDS)
            return
        self._alarm.wait_until(expired.next_due)
        for command_id in expired.commands:
            log.info("command.expired", order=self._name, command=command_id)
        for delivery in expired.deliveries:
            if delivery.reference is not None:
                approval_id = format_id("appr", delivery.reference)
                log.info("approval.expired", order=self._name, approval=approval_id, seq=delivery.seq)
            await self._outgoing.push(self._live, delivery)

    @property
    def _name(self) -> OrderId:
        return OrderId(self.context.ref.actor_id)
