"""Webhooks taken: their ids, remembered for as long as a signature of theirs could pass for fresh."""

from __future__ import annotations

import msgspec

from wrapper.journal.database import Transaction


class Delivery(msgspec.Struct, frozen=True):
    """A webhook's own id, and until when it must be remembered (Unix seconds)."""

    id: str
    expires_at: float


def first_sight(transaction: Transaction, delivery: Delivery, *, now: float) -> bool:
    """Remember an id, in the transaction of what it brings; False when it was taken before.

    Args:
        now: Unix seconds, by the clock that the expiry is of.
    """
    transaction.execute("DELETE FROM webhooks WHERE expires_at < ?", (now,))
    noted = transaction.execute(
        "INSERT OR IGNORE INTO webhooks (id, expires_at) VALUES (?, ?)", (delivery.id, delivery.expires_at)
    )
    return noted.rowcount == 1


def remembered(transaction: Transaction) -> list[str]:
    """The ids that are remembered."""
    return [row[0] for row in transaction.execute("SELECT id FROM webhooks ORDER BY id")]
