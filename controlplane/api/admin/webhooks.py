"""Webhooks to a tenant's server, as staff sees them; set going again after they have ended."""

from __future__ import annotations

from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.guards_people import Staff
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.store.webhooks import ServerWebhooks
from protocol.faults import Conflict, NotFound
from protocol.ids import ServerId

routes = Router("/api/v1/admin/servers", guard=Staff(Permission.SERVERS_READ), tag="Servers")


@routes.get("/{server_id}/webhooks", raises=(NotFound,))
async def webhooks(call: Call[StaffCaller], server_id: ServerId) -> ServerWebhooks:
    """See how a server's webhooks are: where they go, what failed last, when they are tried next."""
    return await call.hub.webhooks.get(server_id, now=call.hub.clock.now())


@routes.post("/{server_id}/webhooks/enable", guard=Staff(Permission.SERVERS_COMMAND), raises=(NotFound, Conflict))
async def enable(call: Call[StaffCaller], server_id: ServerId) -> ServerWebhooks:
    """Try a server's webhooks again, at once, after the address answered 410 or all tries failed."""
    return await call.hub.webhooks.enable(server_id, author=call.author, at=call.hub.clock.now())
