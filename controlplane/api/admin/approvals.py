"""The approval queue across all tenants, for staff (specification section 4.9)."""

from __future__ import annotations

from controlplane.api.approving import ApprovalQuery, Decision, pending, settle_approval
from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.guards_people import Staff
from controlplane.api.paging import Listing
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from protocol.faults import Conflict, NotFound
from protocol.ids import ApprovalId
from protocol.objects import CommandApproval

routes = Router("/api/v1/admin/approvals", guard=Staff(Permission.APPROVALS_READ), tag="Approvals")


@routes.get("")
async def approvals(call: Call[StaffCaller], query: ApprovalQuery) -> Listing[CommandApproval]:
    """List approvals across tenants, newest first: the pending ones, unless `status` says otherwise."""
    return await pending(call, query)


@routes.get("/{approval_id}", raises=(NotFound,))
async def approval(call: Call[StaffCaller], approval_id: ApprovalId) -> CommandApproval:
    """Read one approval with all that the command would do."""
    return await call.hub.approvals.get(approval_id, scope=call.caller.scope)


@routes.post("/{approval_id}", guard=Staff(Permission.APPROVALS_DECIDE), raises=(NotFound, Conflict))
async def settle(call: Call[StaffCaller], approval_id: ApprovalId, body: Decision) -> CommandApproval:
    """Approve or deny a pending command."""
    return await settle_approval(call, approval_id, body)
