"""The tenant inbox: each message of a wrapper is taken once; a repeat gets the first verdict again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from actors.ports import Incoming, Taken
from actors.runtime.ports import Ids
from controlplane.store import approvals, commands, reports
from protocol.faults import NotFound, ValidationError
from protocol.ids import parse_id
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
    SELECT order_id, message_id, refusal_code, refusal_message FROM tenant_inbox
    WHERE (order_id, message_id) IN (SELECT * FROM unnest(CAST(:orders AS uuid[]), CAST(:ids AS text[])))""")

_REFUSE = text("""
    UPDATE tenant_inbox SET refusal_code = :code, refusal_message = :message
    WHERE order_id = :order_id AND message_id = :message_id""")

_CONFIG_APPLIED = text("""
    UPDATE server_connections SET config_error = :error,
        config_applied_version = CASE WHEN :ok THEN :version ELSE config_applied_version END,
        config_applied_hash = CASE WHEN :ok THEN :hash ELSE config_applied_hash END
    WHERE order_id = :order_id AND config_applied_version <= :version""")

MAX_CLOCK_AHEAD = timedelta(hours=1)


class Inbox:
    """Takes batches of messages, each batch in one transaction."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def take(self, connection: Connection, batch: Sequence[Incoming]) -> list[Taken]:
        """Take messages, sorted by order and id; one verdict a message, in the batch's order."""
        arrived = self._arrive(connection, batch)
        verdicts: dict[tuple[UUID, str], Taken] = {}
        asked: list[tuple[Incoming, ApprovalRequest]] = []
        for incoming in batch:
            key = (incoming.order_id, incoming.message.id)
            if isinstance(incoming.message, ApprovalRequest):
                asked.append((incoming, incoming.message))
            elif key in arrived:
                verdicts[key] = self._apply(connection, incoming)
        if asked:
            for (incoming, request), approval in zip(asked, approvals.ask(connection, asked, self._ids), strict=True):
                key = (incoming.order_id, request.id)
                verdicts[key] = Taken(request.id, approval=approval, repeated=key not in arrived)
        self._recall(connection, [one for one in batch if (one.order_id, one.message.id) not in verdicts], verdicts)
        return [verdicts[(incoming.order_id, incoming.message.id)] for incoming in batch]

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

    def _recall(
        self, connection: Connection, repeats: Sequence[Incoming], verdicts: dict[tuple[UUID, str], Taken]
    ) -> None:
        if not repeats:
            return
        keys = {
            "orders": [incoming.order_id for incoming in repeats],
            "ids": [incoming.message.id for incoming in repeats],
        }
        for row in connection.execute(_VERDICTS, keys):
            verdicts[(row.order_id, row.message_id)] = Taken(
                row.message_id, code=row.refusal_code, reason=row.refusal_message or "", repeated=True
            )

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
                self._config_applied(connection, order_id, message)
            case Usage(buckets=buckets):
                reports.write_usage(connection, order_id, buckets, at=at, ids=self._ids)
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

    def _config_applied(self, connection: Connection, order_id: UUID, applied: ConfigApplied) -> None:
        connection.execute(
            _CONFIG_APPLIED,
            {
                "order_id": order_id,
                "version": applied.config_version,
                "hash": applied.config_hash,
                "ok": applied.ok,
                "error": None if applied.ok else applied.error or "the wrapper gave no reason",
            },
        )
