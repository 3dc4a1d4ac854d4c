"""The tenant inbox: each message of a wrapper is taken once; a repeat gets the first verdict again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from actors.ports import Incoming, Taken
from actors.runtime.ports import Ids
from controlplane.store import approvals, commands, events, outbox, reports, usage_buckets
from protocol.console import ConfigTold
from protocol.faults import Conflict, NotFound, ValidationError
from protocol.ids import OrderId, format_id, parse_id
from protocol.tenant import (
    Activity,
    ApprovalOutcomeReport,
    ApprovalRequest,
    BackupStatus,
    CommandResult,
    ConfigApplied,
    ImageUpdate,
    TenantMessage,
    Usage,
    frame_type,
)

_ARRIVE = text("""
    INSERT INTO tenant_inbox (order_id, message_id, kind, received_at)
    SELECT * FROM unnest(CAST(:orders AS uuid[]), CAST(:ids AS text[]), CAST(:kinds AS text[]),
                         CAST(:times AS timestamptz[]))
    ON CONFLICT (order_id, message_id) DO NOTHING RETURNING order_id, message_id""")

_VERDICTS = text("""
    SELECT order_id, message_id, kind, refusal_code, refusal_message FROM tenant_inbox
    WHERE (order_id, message_id) IN (SELECT * FROM unnest(CAST(:orders AS uuid[]), CAST(:ids AS text[])))""")

_REFUSE = text("""
    UPDATE tenant_inbox SET refusal_code = :code, refusal_message = :message
    WHERE order_id = :order_id AND message_id = :message_id""")

_CONFIG_APPLIED = text("""
    UPDATE server_connections SET config_error = :error,
        config_applied_version = CASE WHEN :ok THEN :version ELSE config_applied_version END,
        config_applied_hash = CASE WHEN :ok THEN :hash ELSE config_applied_hash END
    WHERE order_id = :order_id AND config_applied_version <= :version""")


def _key(incoming: Incoming) -> tuple[UUID, str]:
    return incoming.order_id, incoming.message.id


class Inbox:
    """Takes batches of messages, each batch in one transaction."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def take(self, connection: Connection, batch: Sequence[Incoming]) -> list[Taken]:
        """Take messages, sorted by order and id; one verdict a message, in the batch's order."""
        arrived = self._arrive(connection, batch)
        verdicts = self._recall(connection, [one for one in batch if _key(one) not in arrived])
        asked = [
            (incoming, incoming.message)
            for incoming in batch
            if isinstance(incoming.message, ApprovalRequest) and _key(incoming) not in verdicts
        ]
        if asked:
            for (incoming, request), owned in zip(asked, approvals.ask(connection, asked, self._ids), strict=True):
                key = _key(incoming)
                repeated = key not in arrived
                verdicts[key] = Taken(request.id, approval=owned.approval, owner=owned.customer_id, repeated=repeated)
        new = [incoming for incoming in batch if _key(incoming) not in verdicts]
        # In the order in which everybody locks: approvals, then servers, then what hangs on them.
        outcomes = [incoming for incoming in new if isinstance(incoming.message, ApprovalOutcomeReport)]
        others = [incoming for incoming in new if not isinstance(incoming.message, ApprovalOutcomeReport)]
        for incoming in outcomes:
            verdicts[_key(incoming)] = self._apply(connection, incoming)
        if others:
            outbox.hold(connection, (incoming.order_id for incoming in others))
        for incoming in others:
            verdicts[_key(incoming)] = self._apply(connection, incoming)
        return [verdicts[_key(incoming)] for incoming in batch]

    def _arrive(self, connection: Connection, batch: Sequence[Incoming]) -> set[tuple[UUID, str]]:
        rows = connection.execute(
            _ARRIVE,
            {
                "orders": [incoming.order_id for incoming in batch],
                "ids": [incoming.message.id for incoming in batch],
                "kinds": [frame_type(incoming.message) for incoming in batch],
                "times": [incoming.at for incoming in batch],
            },
        )
        return {(row.order_id, row.message_id) for row in rows}

    def _recall(self, connection: Connection, repeats: Sequence[Incoming]) -> dict[tuple[UUID, str], Taken]:
        """The first verdicts on repeated messages; none for approval requests, whose answer is the approval."""
        if not repeats:
            return {}
        messages = {_key(incoming): incoming.message for incoming in repeats}
        keys = {"orders": [order_id for order_id, _ in messages], "ids": [message_id for _, message_id in messages]}
        verdicts = {}
        for row in connection.execute(_VERDICTS, keys):
            message = messages[(row.order_id, row.message_id)]
            if row.kind != frame_type(message):
                reason = f"the id {message.id} was that of another message already: {row.kind}"
                verdicts[(row.order_id, row.message_id)] = Taken(message.id, code=Conflict.code, reason=reason)
            elif not isinstance(message, ApprovalRequest):
                verdicts[(row.order_id, row.message_id)] = Taken(
                    message.id, code=row.refusal_code, reason=row.refusal_message or "", repeated=True
                )
        return verdicts

    def _apply(self, connection: Connection, incoming: Incoming) -> Taken:
        message = incoming.message
        try:
            self._do(connection, incoming.order_id, message, incoming.at)
        except (NotFound, ValidationError) as fault:
            values = {"order_id": incoming.order_id, "message_id": message.id}
            connection.execute(_REFUSE, {**values, "code": fault.code, "message": fault.message})
            return Taken(message.id, code=fault.code, reason=fault.message)
        return Taken(message.id)

    def _do(self, connection: Connection, order_id: UUID, message: TenantMessage, at: datetime) -> None:
        match message:
            case CommandResult():
                if not commands.take_result(connection, order_id, message, at=at):
                    raise NotFound(f"command {message.command_id} does not exist")
            case ApprovalOutcomeReport():
                self._outcome(connection, order_id, message, at)
            case ConfigApplied():
                self._config_applied(connection, order_id, message, at)
            case Usage(buckets=buckets):
                usage_buckets.take_usage(connection, order_id, buckets, at=at, ids=self._ids)
            case BackupStatus():
                reports.write_backup(connection, order_id, message, at=at, ids=self._ids)
            case Activity():
                reports.write_activity(connection, order_id, message, at=at, ids=self._ids)
            case ImageUpdate():
                reports.write_image_update(connection, order_id, message, at=at, ids=self._ids)
            case _:
                raise TypeError(f"no room for {type(message).__name__}")

    def _outcome(self, connection: Connection, order_id: UUID, report: ApprovalOutcomeReport, at: datetime) -> None:
        missing = NotFound(f"no settled approval {report.approval_id} exists")
        try:
            approval_id = parse_id("appr", report.approval_id)
        except ValueError:
            raise missing from None
        outcome: Any = report.outcome.value
        if not approvals.report_outcome(
            connection, order_id, approval_id, outcome=outcome, detail=report.detail, at=at
        ):
            raise missing

    def _config_applied(self, connection: Connection, order_id: UUID, applied: ConfigApplied, at: datetime) -> None:
        error = None if applied.ok else applied.error or "the wrapper gave no reason"
        noted = connection.execute(
            _CONFIG_APPLIED,
            {
                "order_id": order_id,
                "version": applied.config_version,
                "hash": applied.config_hash,
                "ok": applied.ok,
                "error": error,
            },
        )
        if noted.rowcount:
            kind = "config.applied" if applied.ok else "config.failed"
            told = ConfigTold(OrderId(format_id("ord", order_id)), applied.config_version, applied.config_hash, error)
            events.emit(connection, kind, at=at, order_id=order_id, data=told)
