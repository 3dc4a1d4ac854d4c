"""Whose orders a question is about: one that was named, or all of the asker's."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, select

from actors.people import Scope
from controlplane.store.keys import key_of, missing
from controlplane.store.scope import covers
from controlplane.store.tables.orders import orders
from protocol.ids import OrderId


def domains_of(connection: Connection, scope: Scope, order_id: OrderId | None) -> dict[UUID, str]:
    """The orders by their keys, with their domains, the newest first; cancelled ones too, since they were used.

    Raises:
        NotFound: the order that was named does not exist, or is not within the scope.
    """
    conditions = [covers(scope, orders.c.user_id)]
    if order_id is not None:
        conditions.append(orders.c.id == key_of("ord", order_id))
    statement = select(orders.c.id, orders.c.domain).where(*conditions)
    rows = connection.execute(statement.order_by(orders.c.created_at.desc(), orders.c.id.desc())).all()
    if order_id is not None and not rows:
        raise missing("ord", order_id)
    return {row.id: row.domain for row in rows}
