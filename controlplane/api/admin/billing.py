"""Usage as it comes in beside the tenants' own door: by a wrapper's key, or by staff (specification section 4.10)."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from controlplane.api.call import Call
from controlplane.api.guards_billing import Reporter, TenantOrStaff
from controlplane.api.guards_tenant import TenantCaller
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.api.tenant.reports import Receipt, UsageReport, receipt_of, take_message, usage_of
from protocol.faults import Conflict, NotFound, ValidationError
from protocol.ids import OrderId

routes = Router("/api/v1/admin/billing", guard=TenantOrStaff(Permission.BILLING_WRITE), tag="Billing")


class UsageIngestion(UsageReport, rename="camel"):
    """Usage buckets of an order; a key reports for its own order, staff say for which."""

    order_id: OrderId | UnsetType = UNSET


@routes.post("/usage", raises=(NotFound, Conflict))
async def ingest_usage(call: Call[Reporter], body: UsageIngestion) -> Receipt:
    """Ingest token usage buckets, as `POST /api/v1/tenant/usage` does.

    By a hub API key for its own order, or by staff for the order in `orderId`. Under an `id` that was taken already
    nothing is written again.
    """
    caller = call.caller
    if isinstance(caller, TenantCaller):
        if body.order_id is not UNSET and body.order_id != caller.order_id:
            raise NotFound(f"there is no order {body.order_id[:60]}")
        return await take_message(call, caller.order_id, usage_of(call, body))
    if body.order_id is UNSET:
        raise ValidationError.of("orderId", "is required of staff")
    return receipt_of(await call.hub.usage.ingest(call.author, body.order_id, usage_of(call, body)))
