"""Promises as they arrived: taken in one transaction with all that follows from them without a person or a
program.
"""

from __future__ import annotations

from typing import Final

import msgspec

from protocol.tenant import ApprovalSettled, Command, ConfigOffered, Void
from wrapper.journal import approvals, commands, messages, webhooks
from wrapper.journal.database import Transaction

#: Lines kept about promises that are done with, for whoever looks into the file.
KEPT_PROMISES: Final = 10_000


class Unreadable(msgspec.Struct, frozen=True):
    """A promise this wrapper cannot read: it keeps its number, is answered where it can be, and does
    nothing.
    """

    seq: int
    kind: str
    reference: str | None
    problem: str


Arrived = Command | ApprovalSettled | ConfigOffered | Void | Unreadable


class Batch(msgspec.Struct):
    """All that one read brought and that must be durable before it is acknowledged."""

    promises: list[tuple[Arrived, bytes]] = []
    accepted: list[str] = []
    refused: list[tuple[str, str]] = []  # id and reason, permanent ones


class Taken(msgspec.Struct):
    """What came of a batch."""

    commands: bool = False
    configuration: bool = False
    settled: list[str] = []  # request ids whose state changed
    dropped: list[tuple[messages.Kept, str]] = []


def last_seq(transaction: Transaction) -> int:
    """The mark: every promise up to here is in the journal."""
    return int(transaction.fact("lastSeq", "0"))


def adopt(transaction: Transaction, seq: int) -> None:
    """The Hub knows of a later mark than this journal, which must have been lost: go on from there."""
    transaction.remember("lastSeq", str(max(seq, last_seq(transaction))))


def take(transaction: Transaction, batch: Batch) -> Taken:
    """Journal a batch. Decisions are settled here and now; commands and configurations wait for their
    workers.
    """
    taken = Taken()
    for promise, body in batch.promises:
        _record(transaction, promise, body, taken)
    if batch.promises:
        mark = batch.promises[-1][0].seq
        transaction.remember("lastSeq", str(mark))
        transaction.execute("DELETE FROM promises WHERE seq <= ? AND body IS NULL", (mark - KEPT_PROMISES,))
    messages.remove(transaction, batch.accepted)
    for message_id, reason in batch.refused:
        for kept in messages.remove(transaction, [message_id]):
            taken.dropped.append((kept, reason))
            if kept.kind == "approvalRequest" and approvals.refuse(transaction, kept.id, reason):
                taken.settled.append(kept.id)
    return taken


def take_delivery(
    transaction: Transaction, batch: Batch, delivery: webhooks.Delivery | None, *, now: float
) -> Taken | None:
    """Journal what a webhook brought, together with the webhook's id; None when that id was taken before."""
    if delivery is not None and not webhooks.first_sight(transaction, delivery, now=now):
        return None
    return take(transaction, batch)


def _record(transaction: Transaction, promise: Arrived, body: bytes, taken: Taken) -> None:
    kind, reference, open_body = "void", None, None
    match promise:
        case Command():
            kind, reference = "command", promise.id
            commands.receive(transaction, promise)
            taken.commands = True
        case ApprovalSettled():
            kind, reference = "approvalSettled", promise.request_id
            if approvals.settle(transaction, promise):
                taken.settled.append(promise.request_id)
        case ConfigOffered():
            kind, reference, open_body = "configOffered", str(promise.config_version), body
            taken.configuration = True
        case Unreadable():
            kind, reference = f"unreadable {promise.kind}"[:100], promise.reference
            if promise.kind == "command" and promise.reference:
                commands.reject(transaction, promise.reference, promise.seq, promise.problem)
            if promise.kind == "configOffered":
                kind, open_body = "configOffered", body
                taken.configuration = True
        case Void():
            pass
    transaction.execute(
        "INSERT OR IGNORE INTO promises (seq, kind, reference, body, received_at) VALUES (?, ?, ?, ?, ?)",
        (promise.seq, kind, reference, open_body, transaction.now.timestamp()),
    )


def open_offers(transaction: Transaction) -> list[tuple[int, bytes]]:
    """Configurations journalled and not yet applied: seq and frame, in order."""
    rows = transaction.execute(
        "SELECT seq, body FROM promises WHERE kind = 'configOffered' AND body IS NOT NULL ORDER BY seq"
    )
    return [(row[0], row[1]) for row in rows]


def done(transaction: Transaction, seq: int) -> None:
    """Nothing more is to be done about this promise."""
    transaction.execute("UPDATE promises SET body = NULL WHERE seq = ?", (seq,))
