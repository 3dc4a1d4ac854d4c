"""The second carrier of promises: what a wrapper without a socket is given with the answer to its heartbeat."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UnsetType
from sqlalchemy import Connection, text

from actors.ports import Beat, Progress
from actors.tenant.presence import OFFLINE_AFTER_HEARTBEATS
from controlplane.store import configuration, outbox, progress
from controlplane.store.database import Database
from protocol.faults import Unauthorized, ValidationError
from protocol.objects import HeartbeatBody
from protocol.tenant import ApprovalSettled, Command, to_tenant
from protocol.words import SettledAction

ANSWER_PROMISES: Final = 200
ANSWER_BYTES: Final = 2 * 1024 * 1024


class PendingCommand(msgspec.Struct, rename="camel"):
    """A command to run; `seq` acknowledges it."""

    id: str
    type: str
    payload: msgspec.Raw
    seq: int
    issued_at: datetime
    expires_at: datetime


class PendingApproval(msgspec.Struct, rename="camel"):
    """A settled approval; `seq` acknowledges it."""

    id: str
    action: SettledAction
    seq: int
    request_id: str
    responded_by: str | None
    reason: str | None
    args_hash: str
    settled_at: datetime


class HeartbeatAnswer(msgspec.Struct, rename="camel"):
    """What has happened since: the specification's heartbeat answer (section 6).

    Args:
        answered_seq: the `ackSeq` that acknowledges everything up to here, also what is not listed: withdrawn
            promises, and configuration offers, which `configChanged` stands for.
        server_time: the clock by which things expire.
    """

    config_version: int
    config_changed: bool
    answered_seq: int
    pending_commands: list[PendingCommand]
    pending_approvals: list[PendingApproval]
    server_time: datetime


_MARK = text("""
    UPDATE server_connections
    SET carrier = CASE WHEN carrier = 'socket' AND last_seen_at > :silent_since THEN 'socket' ELSE 'http' END
    WHERE order_id = :order_id AND issued_seq - :new >= coalesce(CAST(:ack AS bigint), 0) AND key_revoked_at IS NULL
    RETURNING greatest(acked_seq, coalesce(CAST(:ack AS bigint), answered_seq)) AS acked_seq, issued_seq""")

_ISSUED = text("SELECT issued_seq, key_revoked_at FROM server_connections WHERE order_id = :order_id")

_ANSWERED = text("UPDATE server_connections SET answered_seq = :answered WHERE order_id = :order_id")


class PollingStore:
    """Heartbeats over HTTP.

    Args:
        heartbeat_seconds: what a wrapper's configuration says of heartbeats on a socket.
    """

    def __init__(self, database: Database, *, heartbeat_seconds: int) -> None:
        self._database = database
        self._heartbeat_seconds = heartbeat_seconds

    async def heartbeat(self, order_id: UUID, body: HeartbeatBody, *, at: datetime) -> HeartbeatAnswer:
        """Take a heartbeat; the answer carries the unacknowledged promises.

        `ackSeq` acknowledges up to there; a heartbeat without it acknowledges what the last answer carried.

        Raises:
            ValidationError: `ackSeq` is beyond what was ever sent.
            Unauthorized: the key was revoked meanwhile.
        """
        return await self._database.write(_heartbeat, order_id, body, at, self._heartbeat_seconds)


def _heartbeat(
    connection: Connection, order_id: UUID, body: HeartbeatBody, at: datetime, heartbeat_seconds: int
) -> HeartbeatAnswer:
    outbox.hold(connection, [order_id])
    offer = configuration.offer_current(
        connection,
        order_id,
        at,
        known_version=body.config_version,
        known_hash=body.config_hash,
        heartbeat_seconds=heartbeat_seconds,
    )
    ack = None if isinstance(body.ack_seq, UnsetType) else body.ack_seq
    # A socket that has said nothing for so long is one whose end nobody noted: its node was killed.
    silent_since = at - timedelta(seconds=heartbeat_seconds * OFFLINE_AFTER_HEARTBEATS)
    new = 0 if offer is None else 1  # made just now, so nobody can have it yet
    marks = {"order_id": order_id, "ack": ack, "silent_since": silent_since, "new": new}
    row = connection.execute(_MARK, marks).one_or_none()
    if row is None:
        server = connection.execute(_ISSUED, {"order_id": order_id}).one_or_none()
        if server is None or server.key_revoked_at is not None:
            raise Unauthorized("the hub API key was revoked")
        raise ValidationError.of("ackSeq", f"must not be beyond {server.issued_seq - new}, the last promise made")
    promises = outbox.page(
        connection, order_id=order_id, after=row.acked_seq, limit=ANSWER_PROMISES, limit_bytes=ANSWER_BYTES
    )
    progress.beat(connection, [Beat(order_id, at, body, "http")])
    answered = promises[-1].seq if promises else row.acked_seq
    connection.execute(_ANSWERED, {"order_id": order_id, "answered": answered})
    progress.advance(connection, [Progress(order_id, answered, row.acked_seq, at)])
    version = configuration.current_version(connection, order_id)
    answer = HeartbeatAnswer(version, version != body.config_version, answered, [], [], at)
    for delivery in promises:
        match to_tenant.decode(delivery.frame):
            case Command() as frame:
                answer.pending_commands.append(
                    PendingCommand(
                        frame.id, frame.command_type, frame.payload, frame.seq, frame.issued_at, frame.expires_at
                    )
                )
            case ApprovalSettled() as frame:
                answer.pending_approvals.append(
                    PendingApproval(
                        frame.approval_id,
                        frame.action,
                        frame.seq,
                        frame.request_id,
                        frame.responded_by,
                        frame.reason,
                        frame.args_hash,
                        frame.settled_at,
                    )
                )
    return answer
