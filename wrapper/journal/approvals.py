"""Approvals: what was asked, what was decided, and whether the one-use grant is used up."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final

import msgspec

from protocol.tenant import ApprovalOutcomeReport, ApprovalRequest, ApprovalSettled
from protocol.words import ApprovalOutcome, SettledAction
from wrapper.journal import messages
from wrapper.journal.database import Transaction, sayable

REMEMBERED: Final = timedelta(days=30)
#: How long a decision may be on its way after the request's own expiry, before the wrapper fails closed.
GRACE_SECONDS: Final = 60.0
#: How long an approval that nobody has taken up stays usable.
GRANT_SECONDS: Final = 3600.0


class ApprovalState(StrEnum):
    """requested → approved → used → done; every other end releases nothing."""

    REQUESTED = "requested"
    APPROVED = "approved"
    USED = "used"
    DONE = "done"
    DENIED = "denied"
    EXPIRED = "expired"
    REFUSED = "refused"
    ABANDONED = "abandoned"


class ApprovalRow(msgspec.Struct, frozen=True):
    """One approval as the journal has it; times are Unix seconds.

    Attributes:
        outcome_due_at: when a used grant whose outcome nobody has said is reported as abandoned; None: never.
        outcome: the word that was reported.
    """

    request_id: str
    owner: str
    reference: str | None
    agent_id: str
    command_class: str
    tool_name: str
    tool_args: bytes
    args_hash: str
    human_readable: str
    state: ApprovalState
    requested_at: float
    expires_at: float
    approval_id: str | None
    responded_by: str | None
    reason: str | None
    settled_at: float | None
    outcome_due_at: float | None
    outcome: str | None


_COLUMNS: Final = ", ".join(ApprovalRow.__struct_fields__)


def _row(values: tuple[object, ...] | None) -> ApprovalRow | None:
    if values is None:
        return None
    return msgspec.convert(dict(zip(ApprovalRow.__struct_fields__, values, strict=True)), ApprovalRow)


def request(transaction: Transaction, message: ApprovalRequest, *, owner: str, reference: str | None) -> ApprovalRow:
    """Keep a request and the message that carries it; the same owner's reference again is the same request."""
    if reference is not None:
        known = by_reference(transaction, owner, reference)
        if known is not None:
            return known
    now = transaction.now.timestamp()
    transaction.execute(
        "INSERT INTO approvals (request_id, owner, reference, agent_id, command_class, tool_name, tool_args,"
        " args_hash, human_readable, state, requested_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'requested', ?, ?)",
        (
            message.id,
            owner,
            reference,
            message.agent_id,
            message.command_class.value,
            message.tool_name,
            bytes(message.tool_args),
            message.args_hash,
            message.human_readable,
            now,
            now + message.expires_in_seconds,
        ),
    )
    transaction.enqueue(message, reference=message.id)
    kept = get(transaction, message.id)
    assert kept is not None
    return kept


def get(transaction: Transaction, request_id: str) -> ApprovalRow | None:
    return _row(
        transaction.execute(
            f"SELECT {_COLUMNS} FROM approvals WHERE request_id = ?",  # noqa: S608 (constant columns)
            (request_id,),
        ).fetchone()
    )


def by_reference(transaction: Transaction, owner: str, reference: str) -> ApprovalRow | None:
    return _row(
        transaction.execute(
            f"SELECT {_COLUMNS} FROM approvals WHERE owner = ? AND reference = ?",  # noqa: S608
            (owner, reference),
        ).fetchone()
    )


def waiting(transaction: Transaction, owner: str, agent_id: str) -> int:
    """How many of an agent's requests wait for a decision."""
    (count,) = transaction.execute(
        "SELECT count(*) FROM approvals WHERE owner = ? AND agent_id = ? AND state = 'requested'", (owner, agent_id)
    ).fetchone()
    return int(count)


def unfinished(transaction: Transaction, owner: str) -> list[ApprovalRow]:
    """An owner's approvals that wait, are granted, or are in use; oldest first."""
    rows = transaction.execute(
        f"SELECT {_COLUMNS} FROM approvals WHERE owner = ?"  # noqa: S608
        " AND state IN ('requested', 'approved', 'used') ORDER BY requested_at",
        (owner,),
    )
    return [row for values in rows if (row := _row(values)) is not None]


def settle(transaction: Transaction, settled: ApprovalSettled) -> bool:
    """Take a decision; returns whether the approval's state changed.

    An approval counts only for a request that still waits and for exactly the arguments a person saw. One
    that comes too late, or is for anything else, is told back as abandoned.
    """
    row = get(transaction, settled.request_id)
    approves = settled.action is SettledAction.APPROVE
    if row is None or row.state is not ApprovalState.REQUESTED:
        late = row is None or row.state in (ApprovalState.EXPIRED, ApprovalState.REFUSED)
        if approves and late:
            why = "unknown here" if row is None else f"already {row.state.value} here"
            _report(transaction, settled.approval_id, ApprovalOutcome.ABANDONED, f"the request is {why}")
        return False
    state = {
        SettledAction.APPROVE: ApprovalState.APPROVED,
        SettledAction.DENY: ApprovalState.DENIED,
        SettledAction.EXPIRE: ApprovalState.EXPIRED,
    }[settled.action]
    reason = settled.reason
    if approves and settled.args_hash != row.args_hash:
        state, reason = ApprovalState.ABANDONED, "the decision was for other arguments"
        _report(transaction, settled.approval_id, ApprovalOutcome.ABANDONED, reason)
    messages.remove(transaction, [row.request_id])
    _move(transaction, row.request_id, state, reason=reason, settled=settled)
    return True


def _move(
    transaction: Transaction,
    request_id: str,
    state: ApprovalState,
    *,
    reason: str | None,
    settled: ApprovalSettled | None = None,
) -> None:
    transaction.execute(
        "UPDATE approvals SET state = ?, reason = ?, settled_at = ?, approval_id = coalesce(?, approval_id),"
        " responded_by = ? WHERE request_id = ?",
        (
            state.value,
            reason,
            transaction.now.timestamp(),
            settled.approval_id if settled else None,
            settled.responded_by if settled else None,
            request_id,
        ),
    )


def refuse(transaction: Transaction, request_id: str, reason: str) -> bool:
    """The Hub will never take this request: nothing may run on it."""
    row = get(transaction, request_id)
    if row is None or row.state is not ApprovalState.REQUESTED:
        return False
    _move(transaction, request_id, ApprovalState.REFUSED, reason=reason)
    return True


def use(
    transaction: Transaction, request_id: str, args_hash: str, *, outcome_within_seconds: float | None = None
) -> bool:
    """Use the grant up, before the tool is released: True exactly once, and only for the approved
    arguments.

    Args:
        outcome_within_seconds: after this long without a word the call is reported as abandoned; None: never.
    """
    now = transaction.now.timestamp()
    due = None if outcome_within_seconds is None else now + outcome_within_seconds
    changed = transaction.execute(
        "UPDATE approvals SET state = 'used', outcome_due_at = ? WHERE request_id = ? AND state = 'approved'"
        " AND args_hash = ? AND settled_at >= ?",
        (due, request_id, args_hash, now - GRANT_SECONDS),
    )
    return changed.rowcount == 1


def report(transaction: Transaction, request_id: str, outcome: ApprovalOutcome, detail: str | None) -> bool:
    """Say once what became of an approved command; True when this was the report."""
    row = get(transaction, request_id)
    if row is None or row.state not in (ApprovalState.APPROVED, ApprovalState.USED):
        return False
    end = ApprovalState.ABANDONED if outcome is ApprovalOutcome.ABANDONED else ApprovalState.DONE
    transaction.execute(
        "UPDATE approvals SET state = ?, outcome = ?, outcome_due_at = NULL WHERE request_id = ?",
        (end.value, outcome.value, request_id),
    )
    if row.approval_id is not None:
        _report(transaction, row.approval_id, outcome, detail)
    return True


def _report(transaction: Transaction, approval_id: str, outcome: ApprovalOutcome, detail: str | None) -> None:
    transaction.enqueue(
        ApprovalOutcomeReport(
            id=transaction.new_id(),
            approval_id=approval_id,
            outcome=outcome,
            detail=None if detail is None else sayable(detail),
        ),
        reference=approval_id,
        always=True,
    )


def expire_due(transaction: Transaction) -> list[str]:
    """Fail closed what has waited too long: requests without a decision, approvals nobody took up, and used grants
    of which nobody has said what became.
    """
    now = transaction.now.timestamp()
    undecided = transaction.execute(
        "SELECT request_id FROM approvals WHERE state = 'requested' AND expires_at <= ?", (now - GRACE_SECONDS,)
    ).fetchall()
    for (request_id,) in undecided:
        messages.remove(transaction, [request_id])
        _move(transaction, request_id, ApprovalState.EXPIRED, reason="no decision arrived in time")
    unclaimed = transaction.execute(
        "SELECT request_id FROM approvals WHERE state = 'approved' AND settled_at < ?", (now - GRANT_SECONDS,)
    ).fetchall()
    for (request_id,) in unclaimed:
        report(transaction, request_id, ApprovalOutcome.ABANDONED, "nobody waited for the decision any more")
    unsaid = transaction.execute("SELECT request_id FROM approvals WHERE outcome_due_at <= ?", (now,)).fetchall()
    for (request_id,) in unsaid:
        report(transaction, request_id, ApprovalOutcome.ABANDONED, "nobody said what became of it")
    return [row[0] for row in (*undecided, *unclaimed, *unsaid)]


def next_due(transaction: Transaction) -> float | None:
    """When `expire_due` next has something to do, in Unix seconds."""
    (requested,) = transaction.execute("SELECT min(expires_at) FROM approvals WHERE state = 'requested'").fetchone()
    (approved,) = transaction.execute("SELECT min(settled_at) FROM approvals WHERE state = 'approved'").fetchone()
    (unsaid,) = transaction.execute("SELECT min(outcome_due_at) FROM approvals").fetchone()
    moments = [] if unsaid is None else [unsaid]
    if requested is not None:
        moments.append(requested + GRACE_SECONDS)
    if approved is not None:
        moments.append(approved + GRANT_SECONDS + 0.001)
    return min(moments) if moments else None


def forget_old(transaction: Transaction) -> None:
    """Drop approvals that are long over."""
    transaction.execute(
        "DELETE FROM approvals WHERE state NOT IN ('requested', 'approved', 'used') AND settled_at < ?",
        ((transaction.now - REMEMBERED).timestamp(),),
    )
