"""People who call: a member of staff or a customer, as the session's row tells of them at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from actors.people import Author, Scope
from controlplane.api.permissions import Permission, may
from controlplane.store.account_rows import Account
from protocol.ids import CustomerId, SessionId, StaffId, parse_id
from protocol.words import Role, UserType


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffCaller:
    """A member of staff, signed in; sees everything its role permits."""

    staff_id: StaffId
    role: Role
    name: str
    email: str
    session_id: SessionId

    @property
    def kind(self) -> str:
        return "staff"

    @property
    def rate_key(self) -> str:
        return self.session_id

    @property
    def author(self) -> Author:
        return Author(type="staff", id=self.staff_id, name=self.name)

    @property
    def scope(self) -> Scope:
        return Scope.everything()

    @property
    def account(self) -> Account:
        return Account(UserType.STAFF, parse_id("stf", self.staff_id))

    @property
    def session_key(self) -> UUID:
        return parse_id("sess", self.session_id)

    def may(self, permission: Permission) -> bool:
        """Whether this member's role has the permission."""
        return may(self.role, permission)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerCaller:
    """A customer, signed in; sees what is theirs."""

    customer_id: CustomerId
    customer_uuid: UUID
    name: str
    email: str
    session_id: SessionId

    @property
    def kind(self) -> str:
        return "customer"

    @property
    def rate_key(self) -> str:
        return self.session_id

    @property
    def author(self) -> Author:
        return Author(type="customer", id=self.customer_id, name=self.name)

    @property
    def scope(self) -> Scope:
        return Scope.customer(self.customer_uuid)

    @property
    def account(self) -> Account:
        return Account(UserType.CUSTOMER, self.customer_uuid)

    @property
    def session_key(self) -> UUID:
        return parse_id("sess", self.session_id)


#: Whoever is signed in.
Person = StaffCaller | CustomerCaller
