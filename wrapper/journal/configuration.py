"""The last configuration that was applied: kept whole, so that the wrapper knows its rules when the Hub is
gone.
"""

from __future__ import annotations

from protocol.tenant import ConfigApplied
from wrapper.journal import promises
from wrapper.journal.database import Transaction, sayable


def load(transaction: Transaction) -> bytes | None:
    """The raw JSON of the configuration in force."""
    text = transaction.fact("configuration")
    return text.encode() if text else None


def conclude(
    transaction: Transaction, seq: int, *, version: int, digest: str, raw: bytes | None, error: str | None
) -> None:
    """Put a configuration in force (or not, with the reason), and report it, in one."""
    if raw is not None:
        transaction.remember("configuration", raw.decode())
    transaction.enqueue(
        ConfigApplied(
            id=transaction.new_id(),
            config_version=version,
            config_hash=digest[:200],
            ok=error is None,
            error=None if error is None else sayable(error)[:2000],
        ),
        reference=str(version),
        always=True,
    )
    promises.done(transaction, seq)
