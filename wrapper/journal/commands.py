"""Commands: received, started, finished; the intent is written before the start, the result with its
report.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from protocol.tenant import Command, CommandResult
from protocol.words import CommandResultStatus
from wrapper.journal.database import Transaction, sayable

#: Finished commands are remembered this long, so that one which comes again by another carrier is not run
#: again.
REMEMBERED: Final = timedelta(days=30)
INTERRUPTED: Final = "interrupted, outcome unknown"


class CommandRow(msgspec.Struct, frozen=True):
    """A command that is not finished."""

    id: str
    seq: int
    type: str
    payload: bytes
    expires_at: float
    state: str
    attempts: int


def receive(transaction: Transaction, command: Command) -> None:
    """Keep a command; one whose id is known already is not taken again."""
    transaction.execute(
        "INSERT OR IGNORE INTO commands (id, seq, type, payload, expires_at, state) VALUES (?, ?, ?, ?, ?, 'received')",
        (
            command.id,
            command.seq,
            command.command_type,
            bytes(command.payload),
            command.expires_at.timestamp(),
        ),
    )


def reject(transaction: Transaction, command_id: str, seq: int, problem: str) -> None:
    """A command that could not be read is answered at once."""
    inserted = transaction.execute(
        "INSERT OR IGNORE INTO commands (id, seq, type, payload, expires_at, state)"
        " VALUES (?, ?, '', '', 0, 'received')",
        (command_id, seq),
    )
    if inserted.rowcount:
        finish(transaction, command_id, CommandResultStatus.REJECTED, f"not readable: {problem}")


def unfinished(transaction: Transaction, limit: int = -1) -> list[CommandRow]:
    """Commands received or started, in the order of their numbers; all of them without a limit."""
    rows = transaction.execute(
        "SELECT id, seq, type, payload, expires_at, state, attempts FROM commands"
        " WHERE state <> 'finished' ORDER BY seq LIMIT ?",
        (limit,),
    )
    return [CommandRow(*row) for row in rows]


def start(transaction: Transaction, command_id: str) -> None:
    """Write the intent: from here on, a crash leaves the outcome unknown."""
    transaction.execute(
        "UPDATE commands SET state = 'started', attempts = attempts + 1,"
        " started_at = coalesce(started_at, ?) WHERE id = ? AND state <> 'finished'",
        (transaction.now.timestamp(), command_id),
    )


def finish(transaction: Transaction, command_id: str, status: CommandResultStatus, output: str | None) -> None:
    """Write the result and the message that reports it, in one: neither is ever without the other."""
    row = transaction.execute(
        "UPDATE commands SET state = 'finished', finished_at = ?, status = ?, payload = ''"
        " WHERE id = ? AND state <> 'finished' RETURNING started_at",
        (transaction.now.timestamp(), status.value, command_id),
    ).fetchone()
    if row is None:
        return
    (started_at,) = row
    transaction.enqueue(
        CommandResult(
            id=transaction.new_id(),
            command_id=command_id,
            status=status,
            output=None if output is None else sayable(output),
            started_at=None if started_at is None else datetime.fromtimestamp(started_at, UTC),
            finished_at=transaction.now,
        ),
        reference=command_id,
        always=True,
    )


def forget_old(transaction: Transaction) -> None:
    """Drop finished commands that no carrier will bring again."""
    transaction.execute(
        "DELETE FROM commands WHERE state = 'finished' AND finished_at < ?",
        ((transaction.now - REMEMBERED).timestamp(),),
    )
