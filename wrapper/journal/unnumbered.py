"""What a Hub without numbers sends: taken once by what it is about, since there is no number to know it by."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from protocol.tenant import ApprovalSettled, Command
from protocol.webhooks import ApprovalWebhook, CommandWebhook
from wrapper.journal import approvals, commands, promises, webhooks
from wrapper.journal.database import Transaction
from wrapper.journal.webhooks import Delivery

#: How long a command that names no end may wait.
COMMAND_LIFE: Final = timedelta(hours=24)


class Decided(msgspec.Struct, frozen=True):
    """A request whose approval was decided, and whether that was news."""

    request_id: str
    new: bool


def take_command(transaction: Transaction, webhook: CommandWebhook, delivery: Delivery | None, *, now: float) -> bool:
    """Keep a command; False when it, or the webhook, was taken before."""
    if delivery is not None and not webhooks.first_sight(transaction, delivery, now=now):
        return False
    known = transaction.execute("SELECT 1 FROM commands WHERE id = ?", (webhook.command_id,)).fetchone()
    command = Command(
        seq=promises.last_seq(transaction),
        id=webhook.command_id,
        command_type=webhook.type,
        payload=webhook.payload,
        issued_at=webhook.issued_at or transaction.now,
        expires_at=webhook.expires_at or transaction.now + COMMAND_LIFE,
    )
    commands.receive(transaction, command)
    return known is None


def know_approval(transaction: Transaction, request_id: str, approval_id: str) -> None:
    """Note what the Hub calls a request: a Hub without numbers decides by that name alone."""
    transaction.execute(
        "UPDATE approvals SET approval_id = ? WHERE request_id = ? AND approval_id IS NULL", (approval_id, request_id)
    )


def take_decision(
    transaction: Transaction, webhook: ApprovalWebhook, delivery: Delivery | None, *, now: float
) -> Decided | None:
    """Take a decision on the request of this name; None when there is no such request.

    It counts for the arguments that were asked for: the Hub took this very request, and gave it this name.
    """
    row = transaction.execute(
        "SELECT request_id, args_hash FROM approvals WHERE approval_id = ?", (webhook.approval_id,)
    ).fetchone()
    if row is None:
        return None
    request_id, args_hash = row
    if delivery is not None and not webhooks.first_sight(transaction, delivery, now=now):
        return Decided(request_id, new=False)
    settled = ApprovalSettled(
        seq=promises.last_seq(transaction),
        approval_id=webhook.approval_id,
        request_id=request_id,
        action=webhook.action,
        responded_by=webhook.responded_by,
        reason=webhook.reason,
        args_hash=webhook.args_hash or args_hash,
        settled_at=webhook.settled_at or transaction.now,
    )
    return Decided(request_id, new=approvals.settle(transaction, settled))
