"""Settling approvals: verdict, promise, audit entry and event by one statement, which commits in one round trip."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from actors.people import Author, Scope
from actors.ports import Delivery, Settled
from controlplane.store import audit, events
from controlplane.store.approvals import COLUMNS, ONE, approval_of, one_of
from controlplane.store.database import Database
from controlplane.store.fetching import Query
from controlplane.store.keys import key_of
from controlplane.store.transaction import tell_after_commit
from controlplane.store.waiting_approvals import WaitingApprovals
from protocol.faults import Conflict, NotFound
from protocol.ids import ApprovalId, format_id, uuid7
from protocol.objects import CommandApproval, DecidedBy
from protocol.tenant import ApprovalSettled, encode
from protocol.words import ApprovalAction, ApprovalStatus, SettledAction

_DUE = text(f"""
    SELECT {COLUMNS} FROM command_approvals
    WHERE order_id = :order_id AND status = 'PENDING' AND expires_at <= :at
    ORDER BY expires_at, id LIMIT :most FOR NO KEY UPDATE""")

# All that is written but the number is known before: what is PENDING does not change. The number is written into the
# frame where that was cut. Each step reads what the one before returned, so rows are locked in the order that all keep.
_SETTLE = text("""
    WITH asked AS (
        SELECT * FROM unnest(CAST(:id AS uuid[]), CAST(:head AS text[]), CAST(:tail AS text[]), CAST(:told AS text[]),
            CAST(:entry AS uuid[]), CAST(:target AS text[]))
          WITH ORDINALITY AS u (id, head, tail, told, entry, target, position)
    ), settled AS (
        UPDATE command_approvals a SET status = :status, settled_at = :at, decided_by_type = :by_type,
            decided_by_id = :by_id, decided_by_name = :by_name, reason = :reason
        FROM asked u
        WHERE a.id = u.id AND a.order_id = :order_id AND a.status = 'PENDING'
          AND (CAST(:owner AS uuid) IS NULL OR a.customer_id = :owner)
          AND (a.expires_at <= :at) = CAST(:expiring AS boolean)
        RETURNING a.id, a.customer_id
    ), counted AS (
        SELECT count(*) AS most FROM settled
    ), numbered AS (
        UPDATE server_connections s SET issued_seq = s.issued_seq + c.most FROM counted c
        WHERE s.order_id = :order_id AND c.most > 0 RETURNING s.issued_seq - c.most AS before
    ), ranked AS (
        SELECT s.id, s.customer_id, u.head, u.tail, u.told, u.entry, u.target,
            row_number() OVER (ORDER BY u.position) AS rank
        FROM settled s JOIN asked u ON u.id = s.id
    ), promised AS (
        INSERT INTO deliveries (order_id, seq, kind, reference, frame, created_at)
        SELECT :order_id, n.before + r.rank, :kind, r.id, r.head || (n.before + r.rank) || r.tail, :at
        FROM ranked r CROSS JOIN numbered n RETURNING seq, frame, reference
    ), audited AS (
        INSERT INTO audit_entries (id, at, author_type, author_id, author_name, address, request_id, action, target,
            before, after, customer_id, order_id, user_agent)
        SELECT r.entry, :at, :author_type, :author_id, :author_name, :address, :audited_request, :action, r.target,
            :before, :after, r.customer_id, :order_id, :user_agent
        FROM ranked r ORDER BY r.rank
    ), told AS (
        INSERT INTO events (at, kind, order_id, customer_id, data)
        SELECT :at, :action, :order_id, r.customer_id, r.told FROM ranked r ORDER BY r.rank
    )
    SELECT r.id, p.seq, p.frame FROM ranked r LEFT JOIN promised p ON p.reference = r.id ORDER BY r.rank""")

#: The same for one decision, which commits by itself.
_DECIDE: Final = Query(_SETTLE, commits=True, news=(events.NEWS, audit.NEWS))

_KIND: Final = "approvalSettled"
_BEFORE: Final = '{"status":"PENDING"}'


async def settle(
    database: Database,
    order_id: UUID,
    approval_id: UUID,
    *,
    action: ApprovalAction,
    reason: str | None,
    author: Author,
    scope: Scope,
    at: datetime,
    waiting: WaitingApprovals,
) -> Settled:
    """Decide an approval: the first decision before its expiry wins.

    Args:
        waiting: spares reading it first, where it is known.

    Raises:
        NotFound: it does not exist within the scope.
        Conflict: it is settled already, or its time is over; `details` is the approval as it stands.
    """
    name = ApprovalId(format_id("appr", approval_id))
    pending = waiting.find(name, scope=scope)
    if pending is None or pending.expires_at <= at:
        pending = await _read(database, order_id, approval_id, scope)
        if pending.status is not ApprovalStatus.PENDING or pending.expires_at <= at:
            raise _lost(pending)
    settled = msgspec.structs.replace(
        pending,
        status=ApprovalStatus.APPROVED if action is ApprovalAction.APPROVE else ApprovalStatus.DENIED,
        settled_at=at,
        decided_by=DecidedBy(author.type, author.id, author.name),
        reason=reason,
    )
    values = _values(order_id, [settled], SettledAction(action.value), author=author, at=at)
    rows = await database.fetch(_DECIDE, **values, owner=scope.customer_id)
    waiting.forget(name)
    if not rows:  # it was settled since it was read
        raise _lost(await _read(database, order_id, approval_id, scope))
    return _settled(rows[0], settled)


async def _read(database: Database, order_id: UUID, approval_id: UUID, scope: Scope) -> CommandApproval:
    """The approval as it stands.

    Raises:
        NotFound: the order has none such within the scope.
    """
    approval = one_of(await database.fetch(ONE, id=approval_id, customer_id=scope.customer_id), approval_id)
    if approval.order_id != format_id("ord", order_id):
        raise NotFound(f"approval {approval.id} does not exist")
    return approval


def expire(connection: Connection, order_id: UUID, *, at: datetime, most: int) -> list[Settled]:
    """End pending approvals of the order whose time has come, `most` of them, each as a promise to the wrapper."""
    due = connection.execute(_DUE, {"order_id": order_id, "at": at, "most": most}).all()
    if not due:
        return []
    expired = [msgspec.structs.replace(approval_of(row), status=ApprovalStatus.EXPIRED, settled_at=at) for row in due]
    values = _values(order_id, expired, SettledAction.EXPIRE, author=Author.system(), at=at)
    rows = connection.execute(_SETTLE, {**values, "owner": None}).all()
    if rows:
        tell_after_commit(connection, events.NEWS)
        tell_after_commit(connection, audit.NEWS)
    by_key = dict(zip(values["id"], expired, strict=True))
    return [_settled(row, by_key[row.id]) for row in rows]


def _values(
    order_id: UUID, settled: Sequence[CommandApproval], action: SettledAction, *, author: Author, at: datetime
) -> dict[str, Any]:
    """What is written of approvals as they are settled, all alike, where they are still PENDING."""
    first = settled[0]
    frames = [_frame(approval, action, at) for approval in settled]
    decider = first.decided_by
    return {
        "order_id": order_id,
        "at": at,
        "id": [key_of("appr", approval.id) for approval in settled],
        "head": [head for head, _ in frames],
        "tail": [tail for _, tail in frames],
        "told": [msgspec.json.encode(approval).decode() for approval in settled],
        "entry": [uuid7(int(at.timestamp() * 1000), secrets.token_bytes(10)) for _ in settled],
        "target": [approval.id for approval in settled],
        "expiring": action is SettledAction.EXPIRE,
        "status": first.status.value,
        "by_type": decider.type if decider else None,
        "by_id": decider.id if decider else None,
        "by_name": decider.name if decider else None,
        "reason": first.reason,
        "kind": _KIND,
        "author_type": author.type,
        "author_id": author.id,
        "author_name": author.name,
        "address": author.address,
        "audited_request": author.request_id,
        "user_agent": author.user_agent,
        "action": f"approval.{first.status.value.lower()}",
        "before": _BEFORE,
        "after": msgspec.json.encode({"status": first.status.value, "reason": first.reason}).decode(),
    }


def _settled(row: Sequence[Any], approval: CommandApproval) -> Settled:
    """What became of an approval, by a row of `_SETTLE`."""
    key, seq, frame = row
    delivery = None if seq is None else Delivery(seq=seq, kind=_KIND, frame=frame.encode(), reference=key)
    return Settled(approval, delivery)


def _frame(approval: CommandApproval, action: SettledAction, at: datetime) -> tuple[str, str]:
    """What stands before and behind the sequence number in the frame that tells the wrapper."""
    frame = ApprovalSettled(
        seq=0,
        approval_id=approval.id,
        request_id=approval.request_id,
        action=action,
        responded_by=approval.decided_by.name if approval.decided_by else None,
        reason=approval.reason,
        args_hash=approval.args_hash,
        settled_at=at,
    )
    head, _, tail = encode(frame).decode().partition('"seq":0')
    return f'{head}"seq":', tail


def _lost(approval: CommandApproval) -> Conflict:
    """Tells the loser of a race who won."""
    if approval.status is ApprovalStatus.PENDING or approval.status is ApprovalStatus.EXPIRED:
        message = f"approval {approval.id} expired at {approval.expires_at.isoformat()}; nothing was run"
    else:
        winner = approval.decided_by.name if approval.decided_by else "someone else"
        message = f"approval {approval.id} was already {approval.status.value.lower()} by {winner}"
    return Conflict(message, details=approval)
