"""Orders that outside callers place: one for each reference of a key, in one transaction with its customer."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from actors.people import Author
from actors.runtime.ports import Clock, Ids
from controlplane.store.credentials import NewLink
from controlplane.store.customers import NewCustomer, create_customer
from controlplane.store.database import Database
from controlplane.store.keys import key_of
from controlplane.store.orders import NewOrder, create_order, read_order
from controlplane.store.tables.accounts import users
from controlplane.store.tables.orders import outside_orders
from protocol.faults import Conflict
from protocol.ids import ApiKeyId, CustomerId, format_id
from protocol.objects import Order
from protocol.words import AccountStatus, AutomationMode, Tier


class Wish(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an outside caller asks for; `domain` is a lower-case host name, without `tools` it has those of its tier.

    Args:
        name: of a customer who is new; one who is there keeps theirs.
        company: likewise.
    """

    email: str
    name: str
    tier: Tier
    domain: str
    company: str | None = None
    tools: list[str] | None = None

    @property
    def hash(self) -> bytes:
        """The same for the same wish; a field that is added later and not asked for leaves it as it is."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).digest()


class Placed(NamedTuple):
    """An order, and whether this call made it."""

    order: Order
    is_new: bool


class _Keys(NamedTuple):
    order: UUID
    customer: UUID
    link: UUID
    subscription: UUID


class _Former(NamedTuple):
    order_id: UUID
    wish_hash: bytes


class OutsideOrderStore:
    """The orders from outside in the database."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def place(self, author: Author, api_key_id: ApiKeyId, reference: str, wish: Wish, *, link: NewLink) -> Placed:
        """Create an order in AUTO mode with its payment confirmed, once for each reference of a key.

        The customer is whoever has the address, and is left as they are; where nobody has it, one is made. The order
        of a customer who is not active is PAUSED: staff say whether it goes on.

        Args:
            link: by which a new customer chooses their first password.

        Raises:
            Conflict: the domain is another order's, or the reference stands for another wish.
        """
        keys = _Keys(*(self._ids.uuid7() for _ in _Keys._fields))
        return await self._database.write(_place, author, api_key_id, reference, wish, link, keys, self._clock.now())


def _place(
    connection: Connection,
    author: Author,
    api_key_id: ApiKeyId,
    reference: str,
    wish: Wish,
    link: NewLink,
    keys: _Keys,
    now: datetime,
) -> Placed:
    key = key_of("key", api_key_id)
    former = _claim(connection, key, reference, wish, keys.order, now)
    if former is not None:
        if not hmac.compare_digest(former.wish_hash, wish.hash):
            raise Conflict(f"the reference {reference} stands for an order with another body")
        return Placed(read_order(connection, former.order_id), is_new=False)
    customer, status = _customer(connection, author, wish, link, keys, now)
    new = NewOrder(
        user_id=CustomerId(format_id("cust", customer)),
        tier=wish.tier,
        domain=wish.domain,
        tools=wish.tools,
        server_ip=None,
        ssh_port=None,
        automation_mode=AutomationMode.AUTO if status is AccountStatus.ACTIVE else AutomationMode.PAUSED,
    )
    order = create_order(connection, author, customer, new, keys.order, keys.subscription, now, reference=reference)
    return Placed(order, is_new=True)


def _claim(connection: Connection, key: UUID, reference: str, wish: Wish, order: UUID, now: datetime) -> _Former | None:
    """Take the reference for an order; None: it is taken now, else what it stands for.

    Whoever comes second waits here for the first one's end.
    """
    values = {"order_id": order, "api_key_id": key, "reference": reference, "wish_hash": wish.hash, "created_at": now}
    made = connection.execute(
        insert_or_skip(outside_orders)
        .values(values)
        .on_conflict_do_nothing(index_elements=[outside_orders.c.api_key_id, outside_orders.c.reference])
        .returning(outside_orders.c.order_id)
    ).first()
    if made is not None:
        return None
    statement = select(outside_orders.c.order_id, outside_orders.c.wish_hash).where(
        outside_orders.c.api_key_id == key, outside_orders.c.reference == reference
    )
    return _Former(*connection.execute(statement).one())


def _customer(
    connection: Connection, author: Author, wish: Wish, link: NewLink, keys: _Keys, now: datetime
) -> tuple[UUID, AccountStatus]:
    known = _known(connection, wish.email)
    if known is not None:
        return known
    new = NewCustomer(wish.email, wish.name, wish.company, None, link)
    if create_customer(connection, author, new, keys.customer, keys.link, now) is not None:
        return keys.customer, AccountStatus.ACTIVE
    # Somebody made them meanwhile, with an order of theirs or by hand.
    known = _known(connection, wish.email)
    if known is None:
        raise Conflict("the customer is being changed; send the order again")
    return known


def _known(connection: Connection, email: str) -> tuple[UUID, AccountStatus] | None:
    row = connection.execute(
        select(users.c.id, users.c.status).where(func.lower(users.c.email) == func.lower(email))
    ).one_or_none()
    return None if row is None else (row.id, AccountStatus(row.status))
