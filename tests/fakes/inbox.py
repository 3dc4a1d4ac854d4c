"""The inbox of the fake tenant's book: each message once, with its verdict."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from actors.ports import Incoming, Taken
from actors.runtime.ports import Ids
from actors.tenant.requests import impact_of, problem_of
from protocol.faults import Conflict, Fault, NotFound
from protocol.ids import ApprovalId, OrderId, format_id, parse_id
from protocol.objects import CommandApproval
from protocol.tenant import ApprovalOutcomeReport, ApprovalRequest, CommandResult, TenantMessage, frame_type
from protocol.words import ApprovalStatus, CommandResultStatus, CommandStatus
from tests.fakes.ledger import OPEN, Arrival, Ledger

_RESULTS = {
    CommandResultStatus.SUCCEEDED: CommandStatus.SUCCEEDED,
    CommandResultStatus.FAILED: CommandStatus.FAILED,
    CommandResultStatus.REJECTED: CommandStatus.REJECTED,
    CommandResultStatus.TIMED_OUT: CommandStatus.TIMED_OUT,
}


def take(ledger: Ledger, incoming: Incoming, ids: Ids) -> Taken:
    """The verdict on a message; a repeat gets the first one again."""
    message = incoming.message
    kind = frame_type(message)
    known = ledger.inbox.get(message.id)
    if known is not None and known.kind != kind:
        return Taken(message.id, code=Conflict.code, reason=f"the id {message.id} was that of another message")
    if known is not None:
        approval = next((one for one in ledger.approvals.values() if one.request_id == message.id), None)
        if kind == "approvalRequest":
            return Taken(message.id, approval=approval, repeated=True)
        return msgspec.structs.replace(known.taken, repeated=True)
    taken = _verdict(ledger, message, incoming.at, ids)
    ledger.inbox[message.id] = Arrival(kind, taken)
    return taken


def _verdict(ledger: Ledger, message: TenantMessage, at: datetime, ids: Ids) -> Taken:
    try:
        if isinstance(message, ApprovalRequest):
            return Taken(message.id, approval=_ask(ledger, message, at, ids))
        if problem_of(message) is not None:
            return Taken(message.id, code="VALIDATION_ERROR", reason="a value cannot be stored")
        _apply(ledger, message, at)
    except Fault as fault:
        return Taken(message.id, code=fault.code, reason=fault.message)
    return Taken(message.id)


def _ask(ledger: Ledger, request: ApprovalRequest, at: datetime, ids: Ids) -> CommandApproval:
    key = ids.uuid7()
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


def _apply(ledger: Ledger, message: TenantMessage, at: datetime) -> None:
    match message:
        case CommandResult():
            _take_result(ledger, message, at)
        case ApprovalOutcomeReport():
            _take_outcome(ledger, message, at)
        case _:
            ledger.reports.append(message)


def _take_result(ledger: Ledger, result: CommandResult, at: datetime) -> None:
    key = _key("cmd", result.command_id)
    command = ledger.commands.get(key) if key else None
    if key is None or command is None:
        raise NotFound(f"command {result.command_id} does not exist")
    ended = (*OPEN, CommandStatus.ACKNOWLEDGED, CommandStatus.EXPIRED, CommandStatus.CANCELLED)
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
    ledger.withdraw("command", key)


def _take_outcome(ledger: Ledger, report: ApprovalOutcomeReport, at: datetime) -> None:
    key = _key("appr", report.approval_id)
    approval = ledger.approvals.get(key) if key else None
    if key is None or approval is None or approval.status is ApprovalStatus.PENDING:
        raise NotFound(f"no settled approval {report.approval_id} exists")
    if approval.outcome is None:
        ledger.approvals[key] = msgspec.structs.replace(
            approval, outcome=report.outcome.value, outcome_detail=report.detail, outcome_at=at
        )


def _key(prefix: str, text: str) -> UUID | None:
    try:
        return parse_id(prefix, text)
    except ValueError:
        return None
