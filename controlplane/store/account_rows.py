"""One account, of staff or a customer: its key, its columns in the tables of both, and its row under lock."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, select

from actors.people import Author
from controlplane.store import events
from controlplane.store.tables.accounts import staff, users
from protocol.console import AccountTold
from protocol.ids import format_id
from protocol.words import AccountStatus, UserType


class Account(NamedTuple):
    """Whose: a member of staff or a customer, by the key of their row."""

    user_type: UserType
    key: UUID

    @property
    def id(self) -> str:
        """`stf_…` or `cust_…`."""
        return format_id("stf" if self.user_type is UserType.STAFF else "cust", self.key)

    @property
    def table(self) -> Table:
        """Where its row is."""
        return staff if self.user_type is UserType.STAFF else users

    @property
    def customer(self) -> UUID | None:
        """The customer's key; None for staff."""
        return None if self.user_type is UserType.STAFF else self.key

    @property
    def columns(self) -> dict[str, UUID | None]:
        """The values of `staff_id` and `user_id` in a row that is theirs."""
        is_staff = self.user_type is UserType.STAFF
        return {"staff_id": self.key if is_staff else None, "user_id": None if is_staff else self.key}

    def owns(self, table: Table) -> ColumnElement[bool]:
        """The condition that a row of this table is theirs."""
        return (table.c.staff_id if self.user_type is UserType.STAFF else table.c.user_id) == self.key


#: Where photos are served; a row keeps the name alone.
PHOTOS: Final = "/api/v1/profile/photos/"


def photo_path(name: str | None) -> str | None:
    """Where a photo is served."""
    return None if name is None else f"{PHOTOS}{name}"


class Holder(NamedTuple):
    """Who holds an account, and what they sign in with."""

    account: Account
    email: str
    name: str
    status: AccountStatus
    password_hash: str | None

    def author(self, like: Author) -> Author:
        """They themselves, at the address and in the request of another author."""
        account = self.account
        return Author(account.user_type, account.id, self.name, like.address, like.request_id, like.user_agent)


def owner_of(row: Any) -> Account:
    """Whose a row with `staff_id` and `user_id` is."""
    if row.staff_id is not None:
        return Account(UserType.STAFF, row.staff_id)
    return Account(UserType.CUSTOMER, row.user_id)


def holder(connection: Connection, account: Account, *, lock: bool = False) -> Holder | None:
    """Who holds an account; with `lock` nobody changes it before this transaction ends.

    Whatever proves who somebody is (factors, links, sessions) is changed under this lock, and locked after it.
    """
    columns = account.table.c
    statement = select(columns.email, columns.name, columns.status, columns.password_hash)
    if lock:
        statement = statement.with_for_update()
    row = connection.execute(statement.where(columns.id == account.key)).one_or_none()
    if row is None:
        return None
    return Holder(account, row.email, row.name, AccountStatus(row.status), row.password_hash)


def tell(connection: Connection, account: Account, what: str, *, at: datetime, detail: str | None = None) -> None:
    """Tell of a change of somebody's own account: a customer's to them, a member of staff's to those who see the staff.

    Args:
        what: the second part of the event's kind, as `passwordChanged`.
        detail: what of it, such as the session that ended.
    """
    told = AccountTold(account_id=account.id, detail=detail)
    if account.user_type is UserType.STAFF:
        events.emit(connection, f"staff.{what}", at=at, data=told)
    else:
        events.emit(connection, f"account.{what}", at=at, data=told, customer_id=account.key)
