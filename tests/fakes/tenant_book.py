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
from actors.tenant.changes import AgentChange, DeployAgent, RemoveAgent, UnlockExternalComms
from actors.tenant.requests import impact_of, problem_of
from controlplane.store import agent_rules
from controlplane.store.agent_templates import TEMPLATES
from protocol.canonical import config_hash
from protocol.faults import Conflict, Fault, NotFound, Overloaded, Unauthorized
from protocol.ids import AgentConfigId, ApprovalId, CommandId, OrderId, ServerId, format_id, parse_id
from protocol.objects import CommandApproval, DecidedBy, RemoteCommand, TenantConfig
from protocol.tenant import (
    ApprovalOutcomeReport,
    ApprovalRequest,
    ApprovalSettled,
    Command,
    CommandResult,
    ConfigOffered,
    Hello,
    Promise,
    TenantMessage,
    encode,
    frame_type,
)
from protocol.words import ApprovalAction, ApprovalStatus, CommandResultStatus, CommandStatus, SettledAction
from tests.fakes.ledger import Arrival, Entry, Ledger, Machine, Promised, Token

T = TypeVar("T")

EXPIRED_AT_ONCE: Final = 100
TOKEN_LIFE: Final = timedelta(days=7)
_OPEN = (CommandStatus.QUEUED, CommandStatus.SENT)
_RESULTS = {
    CommandResultStatus.SUCCEEDED: CommandStatus.SUCCEEDED,
    CommandResultStatus.FAILED: CommandStatus.FAILED,
    CommandResultStatus.REJECTED: CommandStatus.REJECTED,
    CommandResultStatus.TIMED_OUT: CommandStatus.TIMED_OUT,
}


class FakeTenantBook:
    """Implements `actors.ports.TenantBook` in memory.

    Each awaited method passes a checkpoint first, then changes everything at once: that is its transaction.

    Attributes:
        away: every call is answered with Overloaded, nothing is changed, as by a database that is gone.
        broken: every awaited call raises this: a bug.
        calls: names of the calls made, in order.
        audit: what staff would read.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._orders: dict[UUID, Ledger] = {}
        self._tokens: dict[str, Token] = {}
        self.away = False
        self.broken: Exception | None = None
        self.calls: list[str] = []
        self.audit: list[Entry] = []
        self.held: trio.Event | None = None
        """Awaited calls, and answers to `take`, wait for it where it is set."""

    # --- what tests prepare and look at ------------------------------------------------------------------

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

    # --- TenantBook --------------------------------------------------------------------------------------

    async def load(self, order_id: UUID) -> TenantState:
        await self._begin("load")
        ledger = self._orders.get(order_id) or Ledger(order_id, order_id)
        machine = ledger.machine
        return TenantState(
            registered=machine is not None,
            issued_seq=machine.issued_seq if machine else 0,
            acked_seq=machine.acked_seq if machine else 0,
            revoked=machine is not None and machine.revoked,
            next_due=_next_due(ledger),
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
        self._offer_current(ledger, hello.config_version, hello.config_hash)
        machine.epoch += 1
        machine.session_id, machine.last_seen_at, machine.key_used = session_id, at, True
        self._advance(ledger, hello.last_seq, hello.last_seq, at)
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
            if command.status in _OPEN and command.expires_at <= at
        ]
        ended = [
            self._end(ledger, key, CommandStatus.EXPIRED, Author.system(), at)
            for _, key in sorted(over)[:EXPIRED_AT_ONCE]
        ]
        return Expired(
            deliveries=[one.delivery for one in settled if one.delivery is not None],
            commands=[command.id for command in ended],
            next_due=_next_due(ledger),
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
        delivery = self._promise(ledger, lambda seq: Command(seq, name, command_type, body, at, expires_at), key)
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
        if command.status not in _OPEN:
            raise Conflict(f"command {command.id} is {command.status.value}", details=command)
        return self._end(ledger, command_id, CommandStatus.CANCELLED, author, at)

    async def reject(self, order_id: UUID, seqs: list[int], *, reason: str, at: datetime) -> None:
        await self._begin("reject")
        ledger = self._orders[order_id]
        for key, command in list(ledger.commands.items()):
            if command.seq in seqs and command.status in _OPEN:
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
        if isinstance(change, DeployAgent):
            before = None
            after = agent_rules.deployed(
                change,
                TEMPLATES.get(change.role),
                agent_config_id=AgentConfigId(format_id("agcfg", self._ids.uuid7())),
                order_id=OrderId(format_id("ord", order_id)),
                applications=[],
            )
            if after.agent_id in ledger.agents:
                raise Conflict(f"order {after.order_id} already has an agent {after.agent_id}")
        else:
            before = ledger.agents.get(change.agent)
            if before is None:
                raise NotFound(f"there is no agent {change.agent}")
            if isinstance(change, RemoveAgent):
                after = msgspec.structs.replace(before, is_active=False)
            elif isinstance(change, UnlockExternalComms):
                after = agent_rules.unlocked(before, change.unlocks)
            else:
                after = agent_rules.updated(before, change)
        if before == after:
            return AgentsChanged(after, ledger.config_version, None)
        ledger.agents[after.agent_id] = after
        if not after.is_active:
            del ledger.agents[after.agent_id]
        delivery = self._write_next(ledger)
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
        return self._take(incoming)

    def detach(self, order_id: UUID, epoch: int) -> None:
        self.calls.append("detach")
        machine = self._orders[order_id].machine
        if not self.away and machine is not None and machine.epoch == epoch:
            machine.session_id = None

    def progress(self, progress: Progress) -> None:
        self.calls.append("progress")
        if not self.away:
            self._advance(self._orders[progress.order_id], progress.sent_seq, progress.acked_seq, progress.at)

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
            result = outcome.Value(self._take(incoming))
        except Exception as error:
            result = outcome.Error(error)
        done(result)

    # --- within a transaction ----------------------------------------------------------------------------

    async def _begin(self, name: str) -> None:
        self.calls.append(name)
        await trio.lowlevel.checkpoint()
        if self.held is not None:
            await self.held.wait()
        if self.broken is not None:
            raise self.broken
        if self.away:
            raise _away()

    def _record(self, action: str, author: Author, ledger: Ledger) -> None:
        self.audit.append(Entry(action, author, ledger.id))

    def _promise(
        self, ledger: Ledger, build: Callable[[int], Promise], reference: UUID | None = None
    ) -> Delivery | None:
        if ledger.machine is None:
            return None
        ledger.machine.issued_seq += 1
        frame = build(ledger.machine.issued_seq)
        delivery = Delivery(ledger.machine.issued_seq, frame_type(frame), encode(frame), reference)
        ledger.outbox.append(Promised(delivery))
        return delivery

    def _withdraw(self, ledger: Ledger, kind: str, reference: UUID | None = None) -> None:
        assert ledger.machine is not None
        for promised in ledger.outbox[ledger.machine.acked_seq :]:
            same = reference is None or promised.delivery.reference == reference
            if promised.delivery.kind == kind and same:
                promised.void = True

    def _offer_current(self, ledger: Ledger, known_version: int, known_hash: str | None) -> None:
        if ledger.config is None:
            self._write_next(ledger)
            return
        config = ledger.config
        if known_version == config.config_version and known_hash in (None, config.config_hash):
            return
        assert ledger.machine is not None
        waiting = ledger.outbox[ledger.machine.acked_seq :]
        if not any(one.delivery.kind == "configOffered" and not one.void for one in waiting):
            self._promise(ledger, lambda seq: ConfigOffered(seq, config.config_version, config.config_hash, config))

    def _write_next(self, ledger: Ledger) -> Delivery | None:
        config = TenantConfig(ledger.config_version + 1, list(ledger.agents.values()), {}, {}, 30)
        config.config_hash = config_hash(config)
        ledger.config = config
        if ledger.machine is not None:
            self._withdraw(ledger, "configOffered")
        return self._promise(ledger, lambda seq: ConfigOffered(seq, config.config_version, config.config_hash, config))

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
        delivery = self._promise(
            ledger,
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
        self._withdraw(ledger, "command", key)
        self._record(f"command.{status.value.lower()}", author, ledger)
        return command

    def _advance(self, ledger: Ledger, sent: int, acked: int, at: datetime) -> None:
        machine = ledger.machine
        assert machine is not None
        machine.acked_seq = max(machine.acked_seq, min(acked, machine.issued_seq))
        for key, command in ledger.commands.items():
            if command.status in _OPEN and command.seq <= acked:
                ledger.commands[key] = msgspec.structs.replace(
                    command,
                    status=CommandStatus.ACKNOWLEDGED,
                    sent_at=command.sent_at or at,
                    acknowledged_at=at,
                )
            elif command.status is CommandStatus.QUEUED and command.seq <= sent:
                ledger.commands[key] = msgspec.structs.replace(command, status=CommandStatus.SENT, sent_at=at)

    # --- the inbox ---------------------------------------------------------------------------------------

    def _take(self, incoming: Incoming) -> Taken:
        ledger, message = self._orders[incoming.order_id], incoming.message
        kind = frame_type(message)
        known = ledger.inbox.get(message.id)
        if known is not None and known.kind != kind:
            return Taken(message.id, code=Conflict.code, reason=f"the id {message.id} was that of another message")
        if known is not None:
            approval = next((one for one in ledger.approvals.values() if one.request_id == message.id), None)
            if kind == "approvalRequest":
                return Taken(message.id, approval=approval, repeated=True)
            return msgspec.structs.replace(known.taken, repeated=True)
        taken = self._verdict(ledger, message, incoming.at)
        ledger.inbox[message.id] = Arrival(kind, taken)
        return taken

    def _verdict(self, ledger: Ledger, message: TenantMessage, at: datetime) -> Taken:
        try:
            if isinstance(message, ApprovalRequest):
                return Taken(message.id, approval=self._ask(ledger, message, at))
            if problem_of(message) is not None:
                return Taken(message.id, code="VALIDATION_ERROR", reason="a value cannot be stored")
            self._apply(ledger, message, at)
        except Fault as fault:
            return Taken(message.id, code=fault.code, reason=fault.message)
        return Taken(message.id)

    def _ask(self, ledger: Ledger, request: ApprovalRequest, at: datetime) -> CommandApproval:
        key = self._ids.uuid7()
        approval = ledger.approvals[key] = CommandApproval(
            id=ApprovalId(format_id("appr", key)),
            order_id=OrderId(format_id("ord", ledger.id)),
            agent_id=request.agent_id,
            command_class=request.command_class,
            tool_name=request.tool_name,
            tool_args=request.tool_args,
            human_readable=request.human_readable,
            status=ApprovalStatus.PENDING,
            requested_at=at,
            expires_at=at + timedelta(seconds=request.expires_in_seconds),
            request_id=request.id,
            args_hash=request.args_hash,
            impact=request.impact if request.impact is not None else impact_of(request.human_readable),
            settled_at=None,
            decided_by=None,
            reason=None,
            outcome=None,
            outcome_detail=None,
            outcome_at=None,
        )
        return approval

    def _apply(self, ledger: Ledger, message: TenantMessage, at: datetime) -> None:
        match message:
            case CommandResult():
                self._take_result(ledger, message, at)
            case ApprovalOutcomeReport():
                self._take_outcome(ledger, message, at)
            case _:
                ledger.reports.append(message)

    def _take_result(self, ledger: Ledger, result: CommandResult, at: datetime) -> None:
        key = _key("cmd", result.command_id)
        command = ledger.commands.get(key) if key else None
        if key is None or command is None:
            raise NotFound(f"command {result.command_id} does not exist")
        ended = (*_OPEN, CommandStatus.ACKNOWLEDGED, CommandStatus.EXPIRED, CommandStatus.CANCELLED)
        if command.status not in ended:
            return
        ledger.commands[key] = msgspec.structs.replace(
            command,
            status=_RESULTS[result.status],
            output=result.output,
            started_at=result.started_at,
            finished_at=result.finished_at or at,
            acknowledged_at=command.acknowledged_at or at,
        )
        self._withdraw(ledger, "command", key)

    def _take_outcome(self, ledger: Ledger, report: ApprovalOutcomeReport, at: datetime) -> None:
        key = _key("appr", report.approval_id)
        approval = ledger.approvals.get(key) if key else None
        if key is None or approval is None or approval.status is ApprovalStatus.PENDING:
            raise NotFound(f"no settled approval {report.approval_id} exists")
        if approval.outcome is None:
            ledger.approvals[key] = msgspec.structs.replace(
                approval, outcome=report.outcome.value, outcome_detail=report.detail, outcome_at=at
            )


def _next_due(ledger: Ledger) -> datetime | None:
    due = [one.expires_at for one in ledger.approvals.values() if one.status is ApprovalStatus.PENDING]
    due += [one.expires_at for one in ledger.commands.values() if one.status in _OPEN]
    return min(due, default=None)


def _key(prefix: str, text: str) -> UUID | None:
    try:
        return parse_id(prefix, text)
    except ValueError:
        return None


def _away() -> Overloaded:
    return Overloaded("the database is not reachable at the moment, nothing was changed")
