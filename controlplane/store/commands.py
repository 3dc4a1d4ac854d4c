"""Remote commands: issued with their promise, acknowledged, answered, expired or withdrawn."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from actors.people import Author
from actors.ports import Issued
from actors.runtime.ports import Ids
from controlplane.store import audit, events
from controlplane.store.database import Database
from controlplane.store.keys import key_of
from controlplane.store.outbox import hold, promise, withdraw
from protocol.faults import Conflict, NotFound
from protocol.ids import CommandId, OrderId, ServerId, format_id, parse_id
from protocol.objects import DecidedBy, RemoteCommand
from protocol.tenant import Command, CommandResult
from protocol.words import CommandResultStatus, CommandStatus

_COLUMNS = (
    "id, order_id, server_id, seq, type, payload, status, issued_at, expires_at, issued_by_type, issued_by_id,"
    " issued_by_name, sent_at, acknowledged_at, started_at, finished_at, output"
)
#: The columns `told` reads.
COLUMNS: Final = _COLUMNS.split(", ")

_SERVER = text(
    "SELECT s.id, o.user_id FROM server_connections s JOIN orders o ON o.id = s.order_id WHERE s.order_id = :order_id"
)

_INSERT = text(f"""
    INSERT INTO remote_commands (id, order_id, server_id, seq, type, payload, status, issued_at, expires_at,
        issued_by_type, issued_by_id, issued_by_name)
    VALUES (:id, :order_id, :server_id, :seq, :type, :payload, 'QUEUED', :at, :expires_at, :by_type, :by_id, :by_name)
    RETURNING {_COLUMNS}""")

_OWNER = "(SELECT o.user_id FROM orders o WHERE o.id = remote_commands.order_id) AS customer_id"

# Materialized: a subquery with a LIMIT may be run again for every row it is compared with.
_EXPIRE = text(f"""
    WITH due AS MATERIALIZED (
        SELECT id AS due_id FROM remote_commands
        WHERE order_id = :order_id AND status IN ('QUEUED', 'SENT') AND expires_at <= :at
        ORDER BY expires_at, id LIMIT :most)
    UPDATE remote_commands SET status = 'EXPIRED', finished_at = :at
    FROM due WHERE id = due_id AND status IN ('QUEUED', 'SENT')
    RETURNING {_COLUMNS}, {_OWNER}""")

_CANCEL = text(f"""
    UPDATE remote_commands SET status = 'CANCELLED', finished_at = :at
    WHERE id = :id AND order_id = :order_id AND status IN ('QUEUED', 'SENT') RETURNING {_COLUMNS}, {_OWNER}""")

_REJECT = text(f"""
    UPDATE remote_commands SET status = 'REJECTED', output = :reason, finished_at = :at
    WHERE order_id = :order_id AND seq = ANY(CAST(:seqs AS bigint[])) AND status IN ('QUEUED', 'SENT')
    RETURNING {_COLUMNS}, {_OWNER}""")

# A result is the truth of what happened, so it also counts for a command that expired or was cancelled on the way.
_RESULT = text(f"""
    UPDATE remote_commands SET status = :status, output = :output, started_at = :started_at,
        finished_at = coalesce(CAST(:finished_at AS timestamptz), CAST(:at AS timestamptz)),
        acknowledged_at = coalesce(acknowledged_at, CAST(:at AS timestamptz))
    WHERE id = :id AND order_id = :order_id
      AND status IN ('QUEUED', 'SENT', 'ACKNOWLEDGED', 'EXPIRED', 'CANCELLED') RETURNING {_COLUMNS}""")

_GET = text(f"SELECT {_COLUMNS} FROM remote_commands WHERE id = :id")

_LIST = text(f"""
    SELECT {_COLUMNS} FROM remote_commands WHERE server_id = :server_id
    ORDER BY issued_at DESC, id DESC LIMIT :limit OFFSET :offset""")

_COUNT = text("SELECT count(*) FROM remote_commands WHERE server_id = :server_id")

_STATUS_OF = {
    CommandResultStatus.SUCCEEDED: CommandStatus.SUCCEEDED,
    CommandResultStatus.FAILED: CommandStatus.FAILED,
    CommandResultStatus.REJECTED: CommandStatus.REJECTED,
    CommandResultStatus.TIMED_OUT: CommandStatus.TIMED_OUT,
}


def issue(
    connection: Connection,
    order_id: UUID,
    *,
    command_type: str,
    payload: Any,
    expires_at: datetime,
    author: Author,
    at: datetime,
    ids: Ids,
) -> Issued:
    """Queue a command and promise it to the wrapper.

    Raises:
        NotFound: no server is registered for the order.
    """
    server = connection.execute(_SERVER, {"order_id": order_id}).one_or_none()
    if server is None:
        raise NotFound("no server is registered for this order")
    command_id = ids.uuid7()
    body = msgspec.Raw(msgspec.json.encode(payload))
    delivery = promise(
        connection,
        order_id=order_id,
        reference=command_id,
        at=at,
        build=lambda seq: Command(
            seq=seq,
            id=format_id("cmd", command_id),
            command_type=command_type,
            payload=body,
            issued_at=at,
            expires_at=expires_at,
        ),
    )
    if delivery is None:
        raise NotFound("no server is registered for this order")
    row = connection.execute(
        _INSERT,
        {
            "id": command_id,
            "order_id": order_id,
            "server_id": server.id,
            "seq": delivery.seq,
            "type": command_type,
            "payload": bytes(body).decode(),
            "at": at,
            "expires_at": expires_at,
            "by_type": author.type,
            "by_id": author.id,
            "by_name": author.name,
        },
    ).one()
    command = command_of(row)
    audit.record(
        connection,
        author,
        "command.issued",
        command.id,
        at=at,
        after=command,
        customer_id=server.user_id,
        order_id=row.order_id,
    )
    events.emit_all(connection, [told(row, at)])
    return Issued(command, delivery)


def expire(connection: Connection, order_id: UUID, *, at: datetime, most: int) -> list[CommandId]:
    """End undelivered commands whose time has come, `most` of them; their promises become `void`.

    Returns:
        which they were.
    """
    hold(connection, [order_id])
    rows = connection.execute(_EXPIRE, {"order_id": order_id, "at": at, "most": most}).all()
    for row in sorted(rows, key=lambda row: row.id):
        withdraw(connection, order_id=order_id, kind="command", reference=row.id, at=at)
        _record_end(connection, Author.system(), "expired", row, at)
    return [CommandId(format_id("cmd", row.id)) for row in rows]


def cancel(connection: Connection, order_id: UUID, command_id: UUID, *, author: Author, at: datetime) -> RemoteCommand:
    """Withdraw a command that was not acknowledged.

    Raises:
        NotFound: the order has no such command.
        Conflict: the wrapper has it already, or it has ended; `details` is the command.
    """
    hold(connection, [order_id])
    row = connection.execute(_CANCEL, {"id": command_id, "order_id": order_id, "at": at}).one_or_none()
    if row is None:
        command = read(connection, command_id)
        if command.order_id != format_id("ord", order_id):
            raise NotFound(f"command {format_id('cmd', command_id)} does not exist")
        raise Conflict(f"command {command.id} is {command.status.value}", details=command)
    withdraw(connection, order_id=order_id, kind="command", reference=command_id, at=at)
    _record_end(connection, author, "cancelled", row, at)
    return command_of(row)


def reject(connection: Connection, order_id: UUID, seqs: list[int], *, reason: str, at: datetime) -> None:
    """Mark commands REJECTED that the wrapper cannot take."""
    hold(connection, [order_id])
    values = {"order_id": order_id, "seqs": seqs, "reason": reason, "at": at}
    for row in connection.execute(_REJECT, values).all():
        _record_end(connection, Author.system(), "rejected", row, at)


def _record_end(connection: Connection, author: Author, end: str, row: Row[Any], at: datetime) -> None:
    audit.record(
        connection,
        author,
        f"command.{end}",
        format_id("cmd", row.id),
        at=at,
        before={"status": "QUEUED" if row.sent_at is None else "SENT"},
        after={"status": end.upper()},
        customer_id=row.customer_id,
        order_id=row.order_id,
    )
    events.emit_all(connection, [told(row, at)])


def told(row: Row[Any], at: datetime) -> events.NewEvent:
    """The event that tells the consoles of a command's new status."""
    command = command_of(row)
    first, *others = command.status.value.lower().split("_")
    kind = f"command.{first}{''.join(word.capitalize() for word in others)}"
    return events.NewEvent(kind, command, at, row.order_id)


def take_result(connection: Connection, order_id: UUID, result: CommandResult, *, at: datetime) -> bool:
    """Note a command's result; the first one counts. False: the order has no such command."""
    try:
        command_id = parse_id("cmd", result.command_id)
    except ValueError:
        return False
    values = {
        "id": command_id,
        "order_id": order_id,
        "status": _STATUS_OF[result.status].value,
        "output": result.output,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "at": at,
    }
    answered = connection.execute(_RESULT, values).one_or_none()
    if answered is not None:
        events.emit_all(connection, [told(answered, at)])
        withdraw(connection, order_id=order_id, kind="command", reference=command_id, at=at)
        return True
    row = connection.execute(_GET, {"id": command_id}).one_or_none()
    return row is not None and row.order_id == order_id


def read(connection: Connection, command_id: UUID) -> RemoteCommand:
    """One command.

    Raises:
        NotFound: it does not exist.
    """
    row = connection.execute(_GET, {"id": command_id}).one_or_none()
    if row is None:
        raise NotFound(f"command {format_id('cmd', command_id)} does not exist")
    return command_of(row)


def command_of(row: Row[Any]) -> RemoteCommand:
    """The object a row stands for."""
    return RemoteCommand(
        id=CommandId(format_id("cmd", row.id)),
        server_id=ServerId(format_id("srv", row.server_id)),
        order_id=OrderId(format_id("ord", row.order_id)),
        type=row.type,
        payload=msgspec.Raw(row.payload.encode()),
        status=CommandStatus(row.status),
        seq=row.seq,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        sent_at=row.sent_at,
        acknowledged_at=row.acknowledged_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        output=row.output,
        issued_by=DecidedBy(row.issued_by_type, row.issued_by_id, row.issued_by_name),
    )


class CommandStore:
    """Reads of commands; what changes them goes through their tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, server_id: ServerId, command_id: CommandId) -> RemoteCommand:
        """One command of a server.

        Raises:
            NotFound: the server has no such command.
        """
        command = await self._database.read(read, key_of("cmd", command_id))
        if command.server_id != server_id:
            raise NotFound(f"command {command_id} does not exist")
        return command

    async def page(self, server_id: ServerId, *, page: int, page_size: int) -> tuple[list[RemoteCommand], int]:
        """A server's commands, newest first, and how many there are."""
        return await self._database.read(_page, key_of("srv", server_id), page, page_size)


def _page(connection: Connection, server_id: UUID, page: int, page_size: int) -> tuple[list[RemoteCommand], int]:
    total = connection.execute(_COUNT, {"server_id": server_id}).scalar_one()
    values = {"server_id": server_id, "limit": page_size, "offset": (page - 1) * page_size}
    return [command_of(row) for row in connection.execute(_LIST, values)], total
