"""Customers: list, find, read, create and change them, with their subscription, orders and founder's number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.exc import IntegrityError

from actors.people import Author, Scope
from actors.runtime.ports import Clock, Ids
from controlplane.store import audit, events
from controlplane.store.account_rows import Account, Holder
from controlplane.store.credentials import NewLink, forget_proofs, link_for
from controlplane.store.database import Database
from controlplane.store.keys import key_of, missing
from controlplane.store.orders import ORDER_COLUMNS, order_of
from controlplane.store.pools import limit_of, running_tokens
from controlplane.store.scope import covers
from controlplane.store.session_endings import end_all
from controlplane.store.sessions import NEWS as SESSIONS
from controlplane.store.system_settings import chosen
from controlplane.store.tables.accounts import founding_members, subscriptions, users
from controlplane.store.tables.orders import orders
from controlplane.store.tables.search import matches, prefix_query
from controlplane.store.transaction import tell_after_commit
from controlplane.store.versions import demand_version
from controlplane.system_settings.own import Hub
from protocol.faults import Conflict
from protocol.ids import CustomerId, format_id
from protocol.objects import Customer, FoundingMember, Order, Subscription
from protocol.words import AccountStatus, Plan, SubscriptionStatus, Tier, UserType


class NewCustomer(msgspec.Struct, frozen=True):
    """What makes a customer; without a password hash nobody can sign in as them yet.

    Args:
        link: by which they choose their first password.
    """

    email: str
    name: str
    company: str | None
    password_hash: str | None
    link: NewLink | None = None


class CustomerChange(msgspec.Struct, frozen=True):
    """What changes of a customer; what is not set stays, None clears the company."""

    email: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    company: str | UnsetType | None = UNSET
    status: AccountStatus | UnsetType = UNSET


class CustomerStore:
    """The customers in the database."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def list(
        self, scope: Scope, search: str | None, status: AccountStatus | None = None, *, offset: int, limit: int
    ) -> tuple[Sequence[Customer], int]:
        """A portion of the customers, newest first, and how many there are in all.

        Args:
            search: beginnings of words of the address, name or company; None or blank for all.
            status: of which status; None for all.
        """
        return await self._database.read(_list, scope, search, status, offset, limit, self._clock.now())

    async def get(self, scope: Scope, customer_id: CustomerId) -> Customer:
        """One customer.

        Raises:
            NotFound: there is none, or it is not within the scope.
        """
        return await self._database.read(_get, scope, customer_id, self._clock.now())

    async def create(self, author: Author, new: NewCustomer) -> Customer:
        """Create a customer.

        Raises:
            Conflict: the address is another customer's, be it in other letters' case.
        """
        keys = self._ids.uuid7(), self._ids.uuid7()
        return await self._database.write(_create, author, new, *keys, self._clock.now())

    async def change(
        self,
        author: Author,
        scope: Scope,
        customer_id: CustomerId,
        change: CustomerChange,
        *,
        version: str | None = None,
    ) -> Customer:
        """Change a customer's details; the sessions of one who is no longer active end for good.

        Args:
            version: what the author saw (`details_of`); None: they did not say.

        Raises:
            NotFound: there is none, or it is not within the scope.
            Conflict: the address is another customer's, or the customer was changed meanwhile.
        """
        try:
            return await self._database.write(_change, author, scope, customer_id, change, version, self._clock.now())
        except IntegrityError as error:
            raise _address_taken(str(change.email)) from error


_COLUMNS: Final = (
    users.c.id,
    users.c.email,
    users.c.name,
    users.c.company,
    users.c.status,
    users.c.created_at,
    subscriptions.c.plan,
    subscriptions.c.tier,
    subscriptions.c.token_base,
    subscriptions.c.stripe_customer_id,
    subscriptions.c.status.label("subscription_status"),
    founding_members.c.number,
    founding_members.c.token_multiplier,
    founding_members.c.expires_at.label("founder_until"),
)


def _customers() -> Select[Any]:
    joined = users.outerjoin(subscriptions, subscriptions.c.user_id == users.c.id).outerjoin(
        founding_members, founding_members.c.user_id == users.c.id
    )
    return select(*_COLUMNS).select_from(joined)


def _list(
    connection: Connection,
    scope: Scope,
    search: str | None,
    status: AccountStatus | None,
    offset: int,
    limit: int,
    now: datetime,
) -> tuple[Sequence[Customer], int]:
    conditions = [covers(scope, users.c.id)]
    if status is not None:
        conditions.append(users.c.status == status)
    if search and search.strip():
        words = prefix_query(search)
        if words is None:
            return [], 0
        conditions.append(matches(users.c.search, words))
    total = connection.execute(select(func.count()).select_from(users).where(*conditions)).scalar_one()
    rows = (
        connection.execute(
            _customers()
            .where(*conditions)
            .order_by(users.c.created_at.desc(), users.c.id.desc())
            .offset(offset)
            .limit(limit)
        )
        .mappings()
        .all()
    )
    keys = [row["id"] for row in rows]
    owned, used = _orders_of(connection, keys), running_tokens(connection, keys, chosen(connection, Hub), at=now)
    return [_customer_of(row, owned[row["id"]], used.get(row["id"], 0), now) for row in rows], total


def _orders_of(connection: Connection, customers: Sequence[UUID]) -> defaultdict[UUID, list[Order]]:
    """The orders of a whole page of customers in one query, newest first."""
    owned: defaultdict[UUID, list[Order]] = defaultdict(list)
    if customers:
        statement = select(*ORDER_COLUMNS).where(orders.c.user_id == func.any(customers))
        rows = connection.execute(statement.order_by(orders.c.created_at.desc(), orders.c.id.desc()))
        for row in rows.mappings():
            owned[row["user_id"]].append(order_of(row))
    return owned


def read_customer(connection: Connection, customer_id: CustomerId, now: datetime) -> Customer:
    """A customer that exists."""
    return _get(connection, Scope.everything(), customer_id, now)


def _get(connection: Connection, scope: Scope, customer_id: CustomerId, now: datetime) -> Customer:
    key = key_of("cust", customer_id)
    row = connection.execute(_customers().where(users.c.id == key, covers(scope, users.c.id))).mappings().one_or_none()
    if row is None:
        raise missing("cust", customer_id)
    used = running_tokens(connection, [key], chosen(connection, Hub), at=now)
    return _customer_of(row, _orders_of(connection, [key])[key], used.get(key, 0), now)


def _customer_of(row: Mapping[Any, Any], owned: list[Order], used: int, now: datetime) -> Customer:
    return Customer(
        id=CustomerId(format_id("cust", row["id"])),
        email=row["email"],
        name=row["name"],
        company=row["company"],
        status=AccountStatus(row["status"]),
        subscription=_subscription_of(row, used, now),
        orders=owned,
        founding_member=_founder_of(row),
        created_at=row["created_at"],
    )


def _subscription_of(row: Mapping[Any, Any], used: int, now: datetime) -> Subscription | None:
    if row["plan"] is None:
        return None
    return Subscription(
        plan=Plan(row["plan"]),
        tier=Tier(row["tier"]),
        token_limit=limit_of(row, at=now),
        tokens_used=used,
        stripe_customer_id=row["stripe_customer_id"],
        status=SubscriptionStatus(row["subscription_status"]),
    )


def _founder_of(row: Mapping[Any, Any]) -> FoundingMember | None:
    if row["number"] is None:
        return None
    return FoundingMember(
        number=row["number"], token_multiplier=row["token_multiplier"], expires_at=row["founder_until"]
    )


def _create(
    connection: Connection, author: Author, new: NewCustomer, key: UUID, link_key: UUID, now: datetime
) -> Customer:
    made = create_customer(connection, author, new, key, link_key, now)
    if made is None:
        raise _address_taken(new.email)
    return made


def create_customer(
    connection: Connection, author: Author, new: NewCustomer, key: UUID, link_key: UUID, now: datetime
) -> Customer | None:
    """Write a customer and their link into the transaction that wants them; None: the address is another customer's."""
    made = connection.execute(
        insert_or_skip(users)
        .values(
            id=key,
            email=new.email,
            name=new.name,
            company=new.company,
            status=AccountStatus.ACTIVE,
            password_hash=new.password_hash,
            created_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing(index_elements=[func.lower(users.c.email)])
        .returning(users.c.id)
    ).first()
    if made is None:
        return None
    customer = Customer(
        id=CustomerId(format_id("cust", key)),
        email=new.email,
        name=new.name,
        company=new.company,
        status=AccountStatus.ACTIVE,
        subscription=None,
        orders=[],
        founding_member=None,
        created_at=now,
    )
    details = {"email": new.email, "name": new.name, "company": new.company, "status": AccountStatus.ACTIVE}
    audit.record(connection, author, "customer.created", customer.id, at=now, after=details, customer_id=key)
    events.emit(connection, "customer.created", at=now, customer_id=key, data=customer)
    if new.link is not None:
        owner = Holder(Account(UserType.CUSTOMER, key), new.email, new.name, AccountStatus.ACTIVE, None)
        link_for(connection, author, owner, new.link, link_key, now)
    return customer


def _change(
    connection: Connection,
    author: Author,
    scope: Scope,
    customer_id: CustomerId,
    change: CustomerChange,
    version: str | None,
    now: datetime,
) -> Customer:
    key = key_of("cust", customer_id)
    locked = connection.execute(
        select(users.c.id).where(users.c.id == key, covers(scope, users.c.id)).with_for_update()
    )
    if locked.first() is None:
        raise missing("cust", customer_id)
    before = _get(connection, scope, customer_id, now)
    demand_version(before, version, f"the customer {before.name}", of=details_of(before))
    values = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
    if all(getattr(before, name) == value for name, value in values.items()):
        return before
    connection.execute(update(users).where(users.c.id == key).values(**values, updated_at=now))
    after = _get(connection, scope, customer_id, now)
    old, new = audit.difference(details_of(before), details_of(after))
    audit.record(connection, author, "customer.changed", customer_id, at=now, before=old, after=new, customer_id=key)
    events.emit(connection, "customer.changed", at=now, customer_id=key, data=after)
    account = Account(UserType.CUSTOMER, key)
    if before.email != after.email or after.status is not AccountStatus.ACTIVE:
        # Links went to the former address, whose reader need not be this customer any more.
        forget_proofs(connection, account)
    if before.status is not after.status:
        if after.status is not AccountStatus.ACTIVE:
            end_all(connection, author, account, now=now)
        tell_after_commit(connection, SESSIONS)
    return after


def details_of(customer: Customer) -> CustomerChange:
    """What people change of a customer: its version does not move with usage, orders or billing."""
    return CustomerChange(email=customer.email, name=customer.name, company=customer.company, status=customer.status)


def _address_taken(email: str) -> Conflict:
    return Conflict(f"the address {email} belongs to another customer")
