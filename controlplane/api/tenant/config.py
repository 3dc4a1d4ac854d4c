"""The configuration feed: everything a tenant's wrapper and agents go by (specification section 6)."""

from __future__ import annotations

from controlplane.api.call import Call
from controlplane.api.guards_tenant import Tenant, TenantCaller
from controlplane.api.router import Router
from protocol.objects import TenantConfig

routes = Router("/api/v1/tenant/config", guard=Tenant(), tag="Tenant", forgive_unknown=True)


@routes.get("")
async def config(call: Call[TenantCaller]) -> TenantConfig:
    """Pull the whole configuration."""
    return await call.hub.agents.config(call.caller.order_id)
