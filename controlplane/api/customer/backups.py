"""A customer's backups, as their servers told of them (specification section 5)."""

from __future__ import annotations

from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller
from controlplane.api.guards_people import Customer
from controlplane.api.paging import Listing, Page
from controlplane.api.router import Router
from controlplane.store.backups import Backup
from protocol.faults import NotFound
from protocol.ids import OrderId
from protocol.words import BackupOutcome

routes = Router("/api/v1/customer/backups", guard=Customer(), tag="Backups")


class BackupQuery(Page, frozen=True, rename="camel", kw_only=True):
    """Which backups to list."""

    order_id: OrderId | None = None
    status: BackupOutcome | None = None


@routes.get("", raises=(NotFound,))
async def backups(call: Call[CustomerCaller], query: BackupQuery) -> Listing[Backup]:
    """List your servers' backups, newest first; one that runs is shown until its server tells something newer."""
    found, total = await call.hub.backups.list(
        call.caller.scope, query.order_id, query.status, offset=query.offset, limit=query.page_size
    )
    return Listing(found, query.page, query.page_size, total)
