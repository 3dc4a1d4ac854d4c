"""Messages kept for the Hub until it has committed them."""

from __future__ import annotations

import msgspec

from protocol.tenant import ApprovalRequest, encode
from wrapper.journal.database import Transaction


def unaccepted(transaction: Transaction) -> list[str]:
    """The ids of all that the Hub has not taken, oldest first."""
    return [row[0] for row in transaction.execute("SELECT id FROM messages ORDER BY position")]


def is_kept(transaction: Transaction, message_id: str) -> bool:
    """Whether a message still waits for the Hub."""
    return transaction.execute("SELECT 1 FROM messages WHERE id = ?", (message_id,)).fetchone() is not None


def load(transaction: Transaction, ids: list[str]) -> dict[str, bytes]:
    """The frames of some messages; those which are kept no longer are missing from the answer.

    An approval request says how long it still has: it may have waited here for a Hub that was away.
    """
    frames: dict[str, bytes] = {}
    for message_id in ids:
        row = transaction.execute("SELECT kind, body, created_at FROM messages WHERE id = ?", (message_id,)).fetchone()
        if row is None:
            continue
        kind, body, created_at = row
        waited = int(transaction.now.timestamp() - created_at)
        if kind == "approvalRequest" and waited >= 1:
            request = msgspec.json.decode(body, type=ApprovalRequest)
            request.expires_in_seconds = max(1, request.expires_in_seconds - waited)
            body = encode(request)
        frames[message_id] = body
    return frames


class Kept(msgspec.Struct, frozen=True):
    """What a message was about."""

    id: str
    kind: str
    reference: str | None


def remove(transaction: Transaction, ids: list[str]) -> list[Kept]:
    """The Hub took these, or never will; returns those that were kept."""
    removed = []
    for message_id in ids:
        row = transaction.execute(
            "DELETE FROM messages WHERE id = ? RETURNING id, kind, reference", (message_id,)
        ).fetchone()
        if row is not None:
            removed.append(Kept(*row))
    return removed
