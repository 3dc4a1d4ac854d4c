"""Customers, as staff see them (specification section 4.2)."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.entity_tags import expected_version, show_version
from controlplane.api.fields import CompanyName, EmailAddress, NewPassword, PersonName, Search
from controlplane.api.guards_people import Staff
from controlplane.api.paging import Listing, Page
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.store.account_rows import Account
from controlplane.store.customers import CustomerChange, details_of
from controlplane.store.keys import key_of
from protocol.faults import Conflict, NotFound
from protocol.ids import CustomerId
from protocol.objects import Customer
from protocol.words import AccountStatus, UserType

routes = Router("/api/v1/admin/customers", guard=Staff(Permission.CUSTOMERS_READ), tag="Customers")


class CustomerQuery(Page, rename="camel", kw_only=True, frozen=True):
    """Which customers to list."""

    search: Search | None = None
    status: AccountStatus | None = None


class NewCustomer(Struct, rename="camel"):
    """A customer to create; without a password nobody can sign in as them until one is set."""

    email: EmailAddress
    name: PersonName
    company: CompanyName | None = None
    password: NewPassword | None = None


class CustomerPatch(Struct, rename="camel"):
    """What to change; what is absent stays, null clears the company."""

    email: EmailAddress | UnsetType = UNSET
    name: PersonName | UnsetType = UNSET
    company: CompanyName | UnsetType | None = UNSET
    status: AccountStatus | UnsetType = UNSET


@routes.get()
async def list_customers(call: Call[StaffCaller], query: CustomerQuery) -> Listing[Customer]:
    """List customers, newest first."""
    found, total = await call.hub.customers.list(
        call.caller.scope, query.search, query.status, offset=query.offset, limit=query.page_size
    )
    return Listing(found, query.page, query.page_size, total)


@routes.post(status=201, guard=Staff(Permission.CUSTOMERS_WRITE), raises=(Conflict,))
async def create_customer(call: Call[StaffCaller], body: NewCustomer) -> Customer:
    """Create a customer."""
    return await call.hub.accounts.create_customer(
        call.author, email=body.email, name=body.name, company=body.company, password=body.password
    )


@routes.get("/{customer_id}", raises=(NotFound,))
async def get_customer(call: Call[StaffCaller], customer_id: CustomerId) -> Customer:
    """Read a customer with orders and subscription; `ETag` is for `If-Match`."""
    return _show(call, await call.hub.customers.get(call.caller.scope, customer_id))


@routes.patch("/{customer_id}", guard=Staff(Permission.CUSTOMERS_WRITE), raises=(NotFound, Conflict))
async def change_customer(call: Call[StaffCaller], customer_id: CustomerId, body: CustomerPatch) -> Customer:
    """Change a customer's details; with `If-Match`: only what was read.

    One who is no longer ACTIVE is signed out for good.
    """
    change = CustomerChange(email=body.email, name=body.name, company=body.company, status=body.status)
    version = expected_version(call)
    return _show(
        call, await call.hub.customers.change(call.author, call.caller.scope, customer_id, change, version=version)
    )


@routes.delete("/{customer_id}/two-factor", guard=Staff(Permission.FACTORS_RESET), raises=(NotFound, Conflict))
async def reset_two_factor(call: Call[StaffCaller], customer_id: CustomerId) -> Customer:
    """Take the second factor off a customer who has lost it; their sessions end, and a mail tells them."""
    await call.hub.two_factor.reset(call.author, Account(UserType.CUSTOMER, key_of("cust", customer_id)))
    return _show(call, await call.hub.customers.get(call.caller.scope, customer_id))


def _show(call: Call[StaffCaller], customer: Customer) -> Customer:
    # Usage, orders and billing move by themselves, and must not make stale what a person is editing.
    return show_version(call, customer, of=details_of(customer))
