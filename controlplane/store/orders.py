"""Orders: list, read, create and change them; one transaction and one audit entry a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection, Select, func, select, text, union, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from actors.people import Author, Scope
from actors.runtime.ports import Clock, Ids
from controlplane.store import audit, events
from controlplane.store.database import Database
from controlplane.store.keys import key_of, missing
from controlplane.store.scope import covers
from controlplane.store.system_settings import chosen
from controlplane.store.tables.accounts import subscriptions, users
from controlplane.store.tables.orders import orders, outside_orders
from controlplane.store.tables.search import matches, prefix_query
from controlplane.store.versions import demand_version
from controlplane.system_settings.outside import Provisioning
from controlplane.system_settings.own import Hub
from protocol.faults import Conflict, ValidationError
from protocol.ids import CustomerId, OrderId, SubscriptionId, format_id, parse_id
from protocol.objects import Order
from protocol.words import PLAN_OF_TIER, AutomationMode, OrderStatus, SubscriptionStatus, Tier

# As the predicate of the unique index reads: a bound parameter would not match it.
_HOLDS_ITS_DOMAIN: Final = text("status <> 'CANCELLED'")


class Offer(NamedTuple):
    """What a tier holds: tokens a month before a founding member's multiplier, and tools."""

    tokens: int
    tools: tuple[str, ...]


def offer_of(settings: Hub, tier: Tier) -> Offer:
    """What a tier holds, as was chosen."""
    return {
        Tier.LITE: Offer(settings.tokens_lite, settings.tools_lite),
        Tier.BUILD: Offer(settings.tokens_build, settings.tools_build),
        Tier.SCALE: Offer(settings.tokens_scale, settings.tools_scale),
    }[tier]


class NewOrder(msgspec.Struct, frozen=True):
    """What makes an order; `domain` is a lower-case host name, without `tools` and `ssh_port` it has the settings'."""

    user_id: CustomerId
    tier: Tier
    domain: str
    tools: list[str] | None
    server_ip: str | None
    ssh_port: int | None
    automation_mode: AutomationMode


class OrderChange(msgspec.Struct, frozen=True):
    """What changes of an order's server details; what is not set stays."""

    tools: list[str] | UnsetType = UNSET
    server_ip: str | UnsetType | None = UNSET
    ssh_port: int | UnsetType = UNSET


class OrderQuery(msgspec.Struct, frozen=True):
    """Which orders to list; None is any."""

    status: OrderStatus | None = None
    tier: Tier | None = None
    search: str | None = None


class OrderStore:
    """The orders in the database."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def list(self, scope: Scope, query: OrderQuery, *, offset: int, limit: int) -> tuple[Sequence[Order], int]:
        """A portion of the orders, newest first, and how many there are in all."""
        return await self._database.read(_list, scope, query, offset, limit)

    async def get(self, scope: Scope, order_id: OrderId) -> Order:
        """One order.

        Raises:
            NotFound: there is none, or it is not within the scope.
        """
        return await self._database.read(_get, scope, order_id)

    async def create(self, author: Author, new: NewOrder) -> Order:
        """Create an order whose payment is confirmed; a customer's first one starts the subscription.

        Raises:
            ValidationError: the customer does not exist.
            Conflict: the domain is another order's.
        """
        return await self._database.write(
            _create,
            author,
            new,
            self._ids.uuid7(),
            self._ids.uuid7(),
            self._clock.now(),
        )

    async def change(
        self, author: Author, scope: Scope, order_id: OrderId, change: OrderChange, *, version: str | None = None
    ) -> Order:
        """Change server details.

        Args:
            version: what the author saw; None: they did not say.

        Raises:
            NotFound: there is none, or it is not within the scope.
            Conflict: it was changed meanwhile.
        """
        return await self._database.write(_change, author, scope, order_id, change, version, self._clock.now())


def order_of(row: Mapping[Any, Any]) -> Order:
    """The order that a row of the table tells of."""
    return Order(
        id=OrderId(format_id("ord", row["id"])),
        user_id=CustomerId(format_id("cust", row["user_id"])),
        status=OrderStatus(row["status"]),
        tier=Tier(row["tier"]),
        domain=row["domain"],
        tools=list(row["tools"]),
        server_ip=row["server_ip"],
        ssh_port=row["ssh_port"],
        automation_mode=AutomationMode(row["automation_mode"]),
        dashboard_url=f"https://{row['domain']}",
        portainer_url=f"https://portainer.{row['domain']}",
        created_at=row["created_at"],
        fulfilled_at=row["fulfilled_at"],
        failed_step=None if row["failed_step"] is None else OrderStatus(row["failed_step"]),
    )


#: The columns `order_of` reads.
ORDER_COLUMNS: Final = tuple(column for column in orders.c if column.name not in {"search", "updated_at"})


def _list(
    connection: Connection, scope: Scope, query: OrderQuery, offset: int, limit: int
) -> tuple[Sequence[Order], int]:
    conditions = [covers(scope, orders.c.user_id)]
    if query.status is not None:
        conditions.append(orders.c.status == query.status)
    if query.tier is not None:
        conditions.append(orders.c.tier == query.tier)
    if query.search and query.search.strip():
        # As an array: what was found is looked up by the primary key, however much the planner thinks it is.
        conditions.append(orders.c.id == func.any(func.array(_found(query.search).scalar_subquery())))
    total = connection.execute(select(func.count()).select_from(orders).where(*conditions)).scalar_one()
    rows = connection.execute(_newest_first(select(*ORDER_COLUMNS).where(*conditions)).offset(offset).limit(limit))
    return [order_of(row) for row in rows.mappings()], total


def _found(search: str) -> Select[Any]:
    """Orders whose domain or server, or whose customer, has the words, or whose outside reference it is.

    Each by its own index.
    """
    ways = [select(outside_orders.c.order_id.label("id")).where(outside_orders.c.reference == search.strip())]
    words = prefix_query(search)
    if words is not None:
        ways.append(select(orders.c.id).where(matches(orders.c.search, words)))
        ways.append(select(orders.c.id).join(users).where(matches(users.c.search, words)))
    return select(union(*ways).subquery().c.id)


def _newest_first(statement: Select[Any]) -> Select[Any]:
    return statement.order_by(orders.c.created_at.desc(), orders.c.id.desc())


def read_order(connection: Connection, order_id: UUID) -> Order:
    """An order that exists."""
    return order_of(connection.execute(select(*ORDER_COLUMNS).where(orders.c.id == order_id)).mappings().one())


def _get(connection: Connection, scope: Scope, order_id: OrderId) -> Order:
    return order_of(_row(connection, scope, order_id))


def _row(connection: Connection, scope: Scope, order_id: OrderId, *, for_update: bool = False) -> Mapping[Any, Any]:
    key = key_of("ord", order_id)
    statement = select(*ORDER_COLUMNS).where(orders.c.id == key, covers(scope, orders.c.user_id))
    row = connection.execute(statement.with_for_update() if for_update else statement).mappings().one_or_none()
    if row is None:
        raise missing("ord", order_id)
    return row


def _create(
    connection: Connection,
    author: Author,
    new: NewOrder,
    key: UUID,
    subscription_key: UUID,
    now: datetime,
) -> Order:
    return create_order(
        connection, author, _existing_customer(connection, new.user_id), new, key, subscription_key, now
    )


def create_order(
    connection: Connection,
    author: Author,
    customer: UUID,
    new: NewOrder,
    key: UUID,
    subscription_key: UUID,
    now: datetime,
    *,
    reference: str | None = None,
) -> Order:
    """Write an order and, where it is the customer's first, their subscription into the transaction that wants them.

    Args:
        customer: exists; counts for `new.user_id`.
        reference: by which an outside caller knows it; stands in the audit entry.

    Raises:
        Conflict: the domain is another order's.
    """
    offer = offer_of(chosen(connection, Hub), new.tier)
    values = {
        "id": key,
        "user_id": customer,
        "status": OrderStatus.PAYMENT_CONFIRMED,
        "tier": new.tier,
        "domain": new.domain,
        "tools": list(offer.tools) if new.tools is None else new.tools,
        "server_ip": new.server_ip,
        "ssh_port": chosen(connection, Provisioning).ssh_port if new.ssh_port is None else new.ssh_port,
        "automation_mode": new.automation_mode,
        "created_at": now,
        "updated_at": now,
    }
    row = (
        connection.execute(
            insert_or_skip(orders)
            .values(values)
            .on_conflict_do_nothing(index_elements=[orders.c.domain], index_where=_HOLDS_ITS_DOMAIN)
            .returning(*ORDER_COLUMNS)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise Conflict(f"the domain {new.domain} belongs to another order")
    order = order_of(row)
    after = msgspec.to_builtins(order) | ({} if reference is None else {"reference": reference})
    audit.record(connection, author, "order.created", order.id, at=now, after=after, customer_id=customer)
    events.emit(connection, "order.created", at=now, order_id=key, data=order)
    _begin_subscription(connection, author, customer, subscription_key, new.tier, offer.tokens, now)
    return order


def _existing_customer(connection: Connection, customer_id: CustomerId) -> UUID:
    try:
        key = parse_id("cust", customer_id)
    except ValueError:
        key = None
    if key is None or connection.execute(select(users.c.id).where(users.c.id == key)).first() is None:
        raise ValidationError.of("userId", "There is no such customer")
    return key


def _begin_subscription(
    connection: Connection,
    author: Author,
    customer: UUID,
    key: UUID,
    tier: Tier,
    token_base: int,
    now: datetime,
) -> None:
    """A customer has one subscription; later orders leave it as it is, since changing a plan is billing's."""
    values = {
        "id": key,
        "user_id": customer,
        "plan": PLAN_OF_TIER[tier],
        "tier": tier,
        "token_base": token_base,
        "status": SubscriptionStatus.ACTIVE,
        "created_at": now,
        "updated_at": now,
    }
    made = connection.execute(
        insert_or_skip(subscriptions)
        .values(values)
        .on_conflict_do_nothing(index_elements=[subscriptions.c.user_id])
        .returning(subscriptions.c.id)
    ).first()
    if made is not None:
        audit.record(
            connection,
            author,
            "subscription.created",
            SubscriptionId(format_id("sub", key)),
            at=now,
            after={"plan": PLAN_OF_TIER[tier], "tier": tier, "tokenBase": token_base},
            customer_id=customer,
        )


def _change(
    connection: Connection,
    author: Author,
    scope: Scope,
    order_id: OrderId,
    change: OrderChange,
    version: str | None,
    now: datetime,
) -> Order:
    before_row = _row(connection, scope, order_id, for_update=True)
    before = order_of(before_row)
    demand_version(before, version, f"the order {order_id}")
    values = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
    if all(getattr(before, name) == value for name, value in values.items()):
        return before
    row = (
        connection.execute(
            update(orders)
            .where(orders.c.id == before_row["id"])
            .values(**values, updated_at=now)
            .returning(*ORDER_COLUMNS)
        )
        .mappings()
        .one()
    )
    after = order_of(row)
    old, new = audit.difference(before, after)
    audit.record(
        connection,
        author,
        "order.changed",
        order_id,
        at=now,
        before=old,
        after=new,
        customer_id=before_row["user_id"],
    )
    events.emit(connection, "order.changed", at=now, order_id=before_row["id"], data=after)
    return after
