"""A tenant's book in memory: what PostgresTenantBook does, without a database. The contract suite holds them alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
import outcome
import trio

from actors.people import Author, Scope
from actors.ports import (
    AgentsChanged,
    Attached,
    Beat,
    Delivery,
    Expired,
    Incoming,
    Issued,
    Outcome,
    Progress,
    Registered,
    Settled,
    Taken,
    TenantState,
)
from actors.runtime.ports import Ids
from actors.tenant.changes import AgentChange
from protocol.faults import Conflict, NotFound, Overloaded, Unauthorized
from protocol.ids import CommandId, OrderId, ServerId, format_id
from protocol.objects import CommandApproval, DecidedBy, RemoteCommand
from protocol.tenant import (
    ApprovalSettled,
    Command,
    Hello,
)
from protocol.words import ApprovalAction, ApprovalStatus, CommandStatus, SettledAction
from tests.fakes.agents import changed
from tests.fakes.inbox import take
from tests.fakes.ledger import OPEN, Entry, Ledger, Machine, Token

T = TypeVar("T")

EXPIRED_AT_ONCE: Final = 100
TOKEN_LIFE: Final = timedelta(days=7)


class FakeTenantBook:
    """Implements `actors.ports.TenantBook` in memory.

    Each awaited method passes a checkpoint first, then changes everything at once: that is its transaction.

    Attributes:
        away: every call is answered with Overloaded, nothing is changed, as by a database that is gone.
        away_for: the same for calls of these names only.
        broken: every awaited call raises this: a bug.
        calls: names of the calls made, in order.
        audit: what staff would read.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._orders: dict[UUID, Ledger] = {}
        self._tokens: dict[str, Token] = {}
        self.away = False
        self.away_for: set[str] = set()
        self.broken: Exception | None = None
        self.calls: list[str] = []
        self.audit: list[Entry] = []
        self.held: trio.Event | None = None
        """Awaited calls, and answers to `take`, wait for it where it is set."""

    def open_order(self, customer_id: UUID | None = None) -> Ledger:
        """An order without a server."""
        ledger = Ledger(self._ids.uuid7(), customer_id or self._ids.uuid7())
        self._orders[ledger.id] = ledger
        return ledger

    def issue_token(self, order_id: UUID, token: str, *, at: datetime) -> None:
        """A registration token; a new one voids the last."""
        for other in self._tokens.values():
            if other.order_id == order_id:
                other.voided = True
        self._tokens[token] = Token(order_id, at + TOKEN_LIFE)

    def ledger(self, order_id: UUID) -> Ledger:
        return self._orders[order_id]

    async def load(self, order_id: UUID) -> TenantState:
        await self._begin("load")
        ledger = self._orders.get(order_id) or Ledger(order_id, order_id)
        machine = ledger.machine
        return TenantState(
            registered=machine is not None,
            issued_seq=machine.issued_seq if machine else 0,
            acked_seq=machine.acked_seq if machine else 0,
            revoked=machine is not None and machine.revoked,
            next_due=ledger.next_due,
        )

    async def attach(
        self,
        order_id: UUID,
        hello: Hello,
        *,
        key_prefix: str,
        session_id: str,
        at: datetime,
        rival_epoch: int | None = None,
    ) -> Attached:
        await self._begin("attach")
        ledger = self._orders.get(order_id)
        machine = None if ledger is None else ledger.machine
        if ledger is None or machine is None or machine.revoked or machine.key_prefix != key_prefix:
            raise Unauthorized("the key was revoked")
        if hello.last_seq > machine.issued_seq:
            raise Conflict(f"hello.lastSeq is {hello.last_seq}, but fewer promises were made")
        ledger.offer_current(hello.config_version, hello.config_hash)
        machine.epoch += 1
        machine.session_id, machine.last_seen_at, machine.key_used = session_id, at, True
        ledger.advance(hello.last_seq, hello.last_seq, at)
        if rival_epoch is not None:
            self._record("server.key_used_twice", Author.system(), ledger)
        return Attached(machine.epoch, machine.issued_seq, machine.acked_seq, ledger.config_version)

    async def deliveries(self, order_id: UUID, *, after: int, limit: int, limit_bytes: int) -> list[Delivery]:
        await self._begin("deliveries")
        page: list[Delivery] = []
        size = 0
        for promised in self._orders[order_id].outbox[after : after + limit]:
            delivery = promised.as_travelling
            size += len(delivery.frame)
            if page and size > limit_bytes:
                break
            page.append(delivery)
        return page

    async def settle(
        self,
        order_id: UUID,
        approval_id: UUID,
        *,
        action: ApprovalAction,
        reason: str | None,
        author: Author,
        scope: Scope,
        at: datetime,
    ) -> Settled:
        await self._begin("settle")
        ledger = self._orders[order_id]
        approval = ledger.approvals.get(approval_id)
        if approval is None or scope.customer_id not in (None, ledger.customer_id):
            raise NotFound(f"approval {format_id('appr', approval_id)} does not exist")
        if approval.status is not ApprovalStatus.PENDING or approval.expires_at <= at:
            raise Conflict(f"approval {approval.id} is settled", details=approval)
        status = ApprovalStatus.APPROVED if action is ApprovalAction.APPROVE else ApprovalStatus.DENIED
        settled = msgspec.structs.replace(
            approval,
            status=status,
            settled_at=at,
            reason=reason,
            decided_by=DecidedBy(author.type, author.id, author.name),
        )
        return self._settled(ledger, approval_id, settled, SettledAction(action.value), author, at)

    async def expire(self, order_id: UUID, *, at: datetime) -> Expired:
        await self._begin("expire")
        ledger = self._orders[order_id]
        due = [
            (approval.expires_at, key)
            for key, approval in ledger.approvals.items()
            if approval.status is ApprovalStatus.PENDING and approval.expires_at <= at
        ]
        settled = [
            self._settled(
                ledger,
                key,
                msgspec.structs.replace(ledger.approvals[key], status=ApprovalStatus.EXPIRED, settled_at=at),
                SettledAction.EXPIRE,
                Author.system(),
                at,
            )
            for _, key in sorted(due)[:EXPIRED_AT_ONCE]
        ]
        over = [
            (command.expires_at, key)
            for key, command in ledger.commands.items()
            if command.status in OPEN and command.expires_at <= at
        ]
        ended = [
            self._end(ledger, key, CommandStatus.EXPIRED, Author.system(), at)
            for _, key in sorted(over)[:EXPIRED_AT_ONCE]
        ]
        return Expired(
            deliveries=[one.delivery for one in settled if one.delivery is not None],
            commands=[command.id for command in ended],
            next_due=ledger.next_due,
        )

    async def issue_command(
        self,
        order_id: UUID,
        *,
        command_type: str,
        payload: Any,
        expires_at: datetime,
        author: Author,
        at: datetime,
    ) -> Issued:
        await self._begin("issue_command")
        ledger = self._orders[order_id]
        if ledger.machine is None:
            raise NotFound("no server is registered for this order")
        key = self._ids.uuid7()
        body = msgspec.Raw(msgspec.json.encode(payload))
        name = CommandId(format_id("cmd", key))
        delivery = ledger.promise(lambda seq: Command(seq, name, command_type, body, at, expires_at), key)
        assert delivery is not None
        command = ledger.commands[key] = RemoteCommand(
            id=name,
            server_id=ledger.machine.id,
            order_id=OrderId(format_id("ord", order_id)),
            type=command_type,
            payload=body,
            status=CommandStatus.QUEUED,
            seq=delivery.seq,
            issued_at=at,
            expires_at=expires_at,
            sent_at=None,
            acknowledged_at=None,
            started_at=None,
            finished_at=None,
            output=None,
            issued_by=DecidedBy(author.type, author.id, author.name),
        )
        self._record("command.issued", author, ledger)
        return Issued(command, delivery)

    async def cancel_command(self, order_id: UUID, command_id: UUID, *, author: Author, at: datetime) -> RemoteCommand:
        await self._begin("cancel_command")
        ledger = self._orders[order_id]
        command = ledger.commands.get(command_id)
        if command is None:
            raise NotFound(f"command {format_id('cmd', command_id)} does not exist")
        if command.status not in OPEN:
            raise Conflict(f"command {command.id} is {command.status.value}", details=command)
        return self._end(ledger, command_id, CommandStatus.CANCELLED, author, at)

    async def reject(self, order_id: UUID, seqs: list[int], *, reason: str, at: datetime) -> None:
        await self._begin("reject")
        ledger = self._orders[order_id]
        for key, command in list(ledger.commands.items()):
            if command.seq in seqs and command.status in OPEN:
                self._end(ledger, key, CommandStatus.REJECTED, Author.system(), at, output=reason)
        for promised in ledger.outbox:
            promised.void = promised.void or promised.delivery.seq in seqs
        self._record("promises.rejected", Author.system(), ledger)

    async def change_agents(
        self, order_id: UUID, change: AgentChange, *, author: Author, scope: Scope, at: datetime
    ) -> AgentsChanged:
        await self._begin("change_agents")
        ledger = self._orders.get(order_id)
        if ledger is None or scope.customer_id not in (None, ledger.customer_id):
            raise NotFound(f"there is no order {format_id('ord', order_id)}")
        before, after = changed(ledger, change, self._ids)
        if before == after:
            return AgentsChanged(after, ledger.config_version, None)
        ledger.agents[after.agent_id] = after
        if not after.is_active:
            del ledger.agents[after.agent_id]
        delivery = ledger.write_next()
        self._record("agent.changed", author, ledger)
        return AgentsChanged(after, ledger.config_version, delivery)

    async def register(self, order_id: UUID, registration: Registered, *, author: Author, at: datetime) -> ServerId:
        await self._begin("register")
        ledger, token = self._orders[order_id], self._tokens.get(registration.token)
        if token is None or token.order_id != order_id or token.voided:
            raise Unauthorized("the registration token is not valid")
        machine = ledger.machine
        if token.used:
            again = registration.instance_id is not None and token.instance_id == registration.instance_id
            if not again or machine is None or machine.key_used or machine.revoked:
                raise Unauthorized("the registration token was used already; ask for a new one")
        elif token.expires_at <= at:
            raise Unauthorized("the registration token has expired; ask for a new one")
        token.used, token.instance_id = True, registration.instance_id
        if machine is None:
            machine = ledger.machine = Machine(ServerId(format_id("srv", self._ids.uuid7())), registration.key_prefix)
        machine.key_prefix, machine.key_used, machine.revoked = registration.key_prefix, False, False
        self._record("server.registered", author, ledger)
        return machine.id

    async def revoke_key(self, order_id: UUID, *, author: Author, at: datetime) -> None:
        await self._begin("revoke_key")
        ledger = self._orders[order_id]
        if ledger.machine is None:
            raise NotFound("no server is registered for this order")
        if not ledger.machine.revoked:
            ledger.machine.revoked = True
            self._record("server.key_revoked", author, ledger)

    async def take_now(self, incoming: Incoming) -> Taken:
        await self._begin("take_now")
        return take(self._orders[incoming.order_id], incoming, self._ids)

    def detach(self, order_id: UUID, epoch: int) -> None:
        self.calls.append("detach")
        machine = self._orders[order_id].machine
        if not self.away and machine is not None and machine.epoch == epoch:
            machine.session_id = None

    def progress(self, progress: Progress) -> None:
        self.calls.append("progress")
        if not self.away:
            self._orders[progress.order_id].advance(progress.sent_seq, progress.acked_seq, progress.at)

    def beat(self, beat: Beat) -> None:
        self.calls.append("beat")
        machine = self._orders[beat.order_id].machine
        if not self.away and machine is not None and (machine.last_seen_at is None or beat.at >= machine.last_seen_at):
            machine.heartbeat, machine.last_seen_at = beat, beat.at

    def take(self, incoming: Incoming, done: Callable[[Outcome[Taken]], object]) -> None:
        self.calls.append("take")
        if self.away:
            raise _away()
        trio.lowlevel.spawn_system_task(self._take_soon, incoming, done)

    async def _take_soon(self, incoming: Incoming, done: Callable[[Outcome[Taken]], object]) -> None:
        result: outcome.Outcome[Taken]
        try:
            await self._begin("commit")
            result = outcome.Value(take(self._orders[incoming.order_id], incoming, self._ids))
        except Exception as error:
            result = outcome.Error(error)
        done(result)

    async def _begin(self, name: str) -> None:
        self.calls.append(name)
        await trio.lowlevel.checkpoint()
        if self.held is not None:
            await self.held.wait()
        if self.broken is not None:
            raise self.broken
        if self.away or name in self.away_for:
            raise _away()

    def _record(self, action: str, author: Author, ledger: Ledger) -> None:
        self.audit.append(Entry(action, author, ledger.id))

    def _settled(
        self,
        ledger: Ledger,
        key: UUID,
        approval: CommandApproval,
        action: SettledAction,
        author: Author,
        at: datetime,
    ) -> Settled:
        ledger.approvals[key] = approval
        delivery = ledger.promise(
            lambda seq: ApprovalSettled(
                seq=seq,
                approval_id=approval.id,
                request_id=approval.request_id,
                action=action,
                responded_by=approval.decided_by.name if approval.decided_by else None,
                reason=approval.reason,
                args_hash=approval.args_hash,
                settled_at=at,
            ),
            key,
        )
        self._record(f"approval.{approval.status.value.lower()}", author, ledger)
        return Settled(approval, delivery)

    def _end(
        self,
        ledger: Ledger,
        key: UUID,
        status: CommandStatus,
        author: Author,
        at: datetime,
        *,
        output: str | None = None,
    ) -> RemoteCommand:
        command = msgspec.structs.replace(ledger.commands[key], status=status, finished_at=at, output=output)
        ledger.commands[key] = command
        ledger.withdraw("command", key)
        self._record(f"command.{status.value.lower()}", author, ledger)
        return command


def _away() -> Overloaded:
    return Overloaded("the database is not reachable at the moment, nothing was changed")
