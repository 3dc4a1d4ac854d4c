"""The founding members: who they are, and how a customer becomes one."""

from __future__ import annotations

from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.guards_people import Staff
from controlplane.api.paging import Listing, Page
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.store.founding_members import Founder
from protocol.faults import Conflict, NotFound
from protocol.ids import CustomerId
from protocol.objects import Customer

routes = Router("/api/v1/admin", guard=Staff(Permission.CUSTOMERS_READ), tag="Customers")


class FounderQuery(Page, rename="camel", kw_only=True, frozen=True):
    """Which founding members to list."""


@routes.get("/founding-members")
async def list_founders(call: Call[StaffCaller], query: FounderQuery) -> Listing[Founder]:
    """List the founding members by their number."""
    found, total = await call.hub.founding_members.list(offset=query.offset, limit=query.page_size)
    return Listing(found, query.page, query.page_size, total)


@routes.post(
    "/customers/{customer_id}/founding-member",
    status=201,
    guard=Staff(Permission.BILLING_WRITE),
    raises=(NotFound, Conflict),
)
async def add_founder(call: Call[StaffCaller], customer_id: CustomerId) -> Customer:
    """Make a customer a founding member, with the lowest number that is free."""
    return await call.hub.founding_members.add(call.author, customer_id)
