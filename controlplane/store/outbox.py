"""The outbox: promises to a tenant, numbered under a row lock in the transaction that decided them.

Transactions on the tenant side lock in one order, so that they never wait for one another in a circle: approvals, the
server's row, the order's row, then commands and deliveries; rows of one table by ascending order id. The server's row
is the tenant's mutex: whoever changes more than one of its commands or promises holds it (`hold`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from actors.ports import Delivery
from protocol.tenant import Promise, Void, encode, frame_type

_HOLD = text(
    "SELECT 1 FROM server_connections WHERE order_id = ANY(CAST(:orders AS uuid[])) ORDER BY order_id FOR NO KEY UPDATE"
)

# One round trip: the number is allotted, written into the frame where it was cut, and stored.
_PROMISE = text("""
    WITH numbered AS (
        UPDATE server_connections SET issued_seq = issued_seq + 1 WHERE order_id = :order_id RETURNING issued_seq
    )
    INSERT INTO deliveries (order_id, seq, kind, reference, frame, created_at)
    SELECT :order_id, issued_seq, :kind, :reference, CAST(:head AS text) || issued_seq || CAST(:tail AS text), :at
    FROM numbered RETURNING seq, frame""")

_VOID = text(
    "UPDATE deliveries d SET voided_at = :at FROM server_connections s"
    " WHERE d.order_id = :o AND s.order_id = d.order_id AND d.seq > s.acked_seq"
    " AND d.voided_at IS NULL AND d.kind = :kind"
    " AND (CAST(:reference AS uuid) IS NULL OR d.reference = :reference) AND d.seq < :below RETURNING d.seq"
)

_VOID_NUMBERED = text(
    "UPDATE deliveries SET voided_at = :at WHERE order_id = :o AND seq = ANY(CAST(:seqs AS bigint[]))"
    " AND voided_at IS NULL"
)

_PAGE = text(
    "SELECT seq, kind, reference, frame, voided_at IS NOT NULL AS void FROM deliveries"
    " WHERE order_id = :o AND seq > :after ORDER BY seq LIMIT :limit"
)


def hold(connection: Connection, order_ids: Iterable[UUID]) -> None:
    """Hold the rows of these orders' servers until the end of this transaction."""
    connection.execute(_HOLD, {"orders": sorted(set(order_ids))})


def promise(
    connection: Connection,
    *,
    order_id: UUID,
    build: Callable[[int], Promise],
    at: datetime,
    reference: UUID | None = None,
) -> Delivery | None:
    """Write one promise; it is the tenant's from the moment this transaction commits.

    Args:
        build: makes the frame from its sequence number.
        reference: what the promise is about (command, approval), so that it can be withdrawn.

    Returns:
        The delivery, or None where no server is registered yet (a configuration is offered at hello then).
    """
    frame = build(0)
    head, _, tail = encode(frame).decode().partition('"seq":0')
    row = connection.execute(
        _PROMISE,
        {
            "order_id": order_id,
            "kind": frame_type(frame),
            "reference": reference,
            "head": f'{head}"seq":',
            "tail": tail,
            "at": at,
        },
    ).one_or_none()
    if row is None:
        return None
    return Delivery(seq=row.seq, kind=frame_type(frame), frame=row.frame.encode(), reference=reference)


def withdraw(
    connection: Connection,
    *,
    order_id: UUID,
    kind: str,
    at: datetime,
    reference: UUID | None = None,
    below: int = 2**62,
) -> list[int]:
    """Turn unacknowledged promises into `void`; they keep their numbers.

    Args:
        kind: the frame type.
        reference: only the promise about this; None for every one of the kind.
        below: only those numbered below this.
    """
    values = {"o": order_id, "kind": kind, "reference": reference, "below": below, "at": at}
    return sorted(connection.execute(_VOID, values).scalars())


def withdraw_numbered(connection: Connection, *, order_id: UUID, seqs: list[int], at: datetime) -> None:
    """Turn the promises of these numbers into `void`."""
    connection.execute(_VOID_NUMBERED, {"o": order_id, "seqs": seqs, "at": at})


def page(connection: Connection, *, order_id: UUID, after: int, limit: int, limit_bytes: int) -> list[Delivery]:
    """The promises numbered after `after`, in order, until `limit` of them or `limit_bytes` (always one)."""
    deliveries: list[Delivery] = []
    size = 0
    for row in connection.execute(_PAGE, {"o": order_id, "after": after, "limit": limit}):
        frame = encode(Void(seq=row.seq)) if row.void else row.frame.encode()
        size += len(frame)
        if deliveries and size > limit_bytes:
            break
        deliveries.append(
            Delivery(seq=row.seq, kind="void" if row.void else row.kind, frame=frame, reference=row.reference)
        )
    return deliveries
