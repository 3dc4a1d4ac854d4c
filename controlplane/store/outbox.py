"""The outbox: promises to a tenant, numbered under a row lock in the transaction that decided them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from actors.ports import Delivery
from protocol.tenant import Promise, Void, encode, frame_type

_NEXT = text("UPDATE server_connections SET issued_seq = issued_seq + 1 WHERE order_id = :o RETURNING issued_seq")

_INSERT = text(
    "INSERT INTO deliveries (order_id, seq, kind, reference, frame, created_at)"
    " VALUES (:order_id, :seq, :kind, :reference, :frame, :at)"
)

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
    seq = connection.execute(_NEXT, {"o": order_id}).scalar_one_or_none()
    if seq is None:
        return None
    frame = build(seq)
    delivery = Delivery(seq=seq, kind=frame_type(frame), frame=encode(frame), reference=reference)
    connection.execute(
        _INSERT,
        {
            "order_id": order_id,
            "seq": seq,
            "kind": delivery.kind,
            "reference": reference,
            "frame": delivery.frame.decode(),
            "at": at,
        },
    )
    return delivery


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
