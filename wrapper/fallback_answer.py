"""A heartbeat's answer, read into the frames that a socket would have brought."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import structlog

from protocol.faults import ValidationError
from protocol.tenant import NOTHING, Moment, Seq
from protocol.webhooks import ApprovalWebhook, CommandWebhook
from protocol.words import SettledAction
from wrapper.webhook_frames import approval_frame, command_frame

log = structlog.get_logger()


class Answer(msgspec.Struct, rename="camel"):
    """What the Hub answers to a heartbeat; one that knows the specification only has no numbers."""

    config_version: int = 0
    config_changed: bool = False
    answered_seq: Seq | None = None
    server_time: datetime | None = None
    pending_commands: list[dict[str, Any]] = []
    pending_approvals: list[dict[str, Any]] = []


class Brought(NamedTuple):
    """What an answer brings.

    Args:
        frames: the numbered promises, in order.
        commands, decisions: what has no number.
    """

    frames: list[bytes]
    commands: list[CommandWebhook]
    decisions: list[ApprovalWebhook]


class _Command(msgspec.Struct, rename="camel"):
    id: str
    type: str
    payload: msgspec.Raw = msgspec.field(default_factory=lambda: NOTHING)
    seq: Seq | None = None
    issued_at: Moment | None = None
    expires_at: Moment | None = None


class _Approval(msgspec.Struct, rename="camel"):
    id: str
    action: SettledAction
    seq: Seq | None = None
    request_id: str | None = None
    responded_by: str | None = None
    reason: str | None = None
    args_hash: str | None = None
    settled_at: Moment | None = None


def read(answer: Answer) -> Brought:
    """Sort an answer. An item that makes no sense keeps its number, or it would be in the way for ever."""
    numbered: list[tuple[int, bytes]] = []
    commands: list[CommandWebhook] = []
    decisions: list[ApprovalWebhook] = []
    for item in answer.pending_commands:
        try:
            command = _command(item)
            if command.seq is None:
                commands.append(command)
            else:
                numbered.append((command.seq, command_frame(command, command.seq)))
        except (msgspec.MsgspecError, ValidationError) as error:
            numbered.extend(_unreadable("command", item, error))
    for item in answer.pending_approvals:
        try:
            decision = _decision(item)
            if decision.seq is None:
                decisions.append(decision)
            else:
                numbered.append((decision.seq, approval_frame(decision, decision.seq)))
        except (msgspec.MsgspecError, ValidationError) as error:
            numbered.extend(_unreadable("approvalSettled", item, error))
    numbered.sort()
    return Brought([frame for _, frame in numbered], commands, decisions)


def _command(item: dict[str, Any]) -> CommandWebhook:
    found = msgspec.json.decode(msgspec.json.encode(item), type=_Command)
    return CommandWebhook(
        seq=found.seq,
        command_id=found.id,
        type=found.type,
        payload=found.payload,
        issued_at=found.issued_at,
        expires_at=found.expires_at,
    )


def _decision(item: dict[str, Any]) -> ApprovalWebhook:
    found = msgspec.json.decode(msgspec.json.encode(item), type=_Approval)
    return ApprovalWebhook(
        seq=found.seq,
        approval_id=found.id,
        action=found.action,
        responded_by=found.responded_by,
        reason=found.reason,
        request_id=found.request_id,
        args_hash=found.args_hash,
        settled_at=found.settled_at,
    )


def _unreadable(kind: str, item: dict[str, Any], error: Exception) -> list[tuple[int, bytes]]:
    log.warning("http.item_unreadable", type=kind, reason=str(error))
    seq = item.get("seq")
    if not isinstance(seq, int) or seq <= 0:
        return []
    return [(seq, msgspec.json.encode({"type": kind, "seq": seq, "id": item.get("id")}))]
