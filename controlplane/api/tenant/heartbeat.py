"""Heartbeats over HTTP: state comes in, unacknowledged promises go out with the answer (specification section 6)."""

from __future__ import annotations

from controlplane.api.call import Call
from controlplane.api.guards_tenant import Tenant, TenantCaller
from controlplane.api.router import Router
from controlplane.store.polling import HeartbeatAnswer
from protocol.objects import HeartbeatBody

routes = Router("/api/v1/tenant/heartbeat", guard=Tenant(), tag="Tenant", forgive_unknown=True)


@routes.post("")
async def heartbeat(call: Call[TenantCaller], body: HeartbeatBody) -> HeartbeatAnswer:
    """Report how the tenant is; the answer carries what waits for it."""
    return await call.hub.polling.heartbeat(call.caller.order_uuid, body, at=call.hub.clock.now())
