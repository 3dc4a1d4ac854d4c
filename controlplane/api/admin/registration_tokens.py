"""Registration tokens: one use, one order; a new one voids the last."""

from __future__ import annotations

from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.guards_people import Staff
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.store.servers import RegistrationToken
from protocol.faults import Conflict, NotFound
from protocol.ids import OrderId

routes = Router("/api/v1/admin/orders", guard=Staff(Permission.TOKENS_ISSUE), tag="Orders")


@routes.post("/{order_id}/registration-token", status=201, raises=(NotFound, Conflict))
async def issue(call: Call[StaffCaller], order_id: OrderId) -> RegistrationToken:
    """Make a registration token for the order's server; it is shown once."""
    return await call.hub.servers.issue_token(order_id, author=call.author, at=call.hub.clock.now())
