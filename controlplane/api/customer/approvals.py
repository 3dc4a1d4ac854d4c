"""A customer's approvals: what their agents want to do, and their decision (specification section 5)."""

from __future__ import annotations

from controlplane.api.approving import ApprovalQuery, Decision, pending, settle_approval
from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller
from controlplane.api.guards_people import Customer
from controlplane.api.paging import Listing
from controlplane.api.router import Router
from protocol.faults import Conflict, NotFound
from protocol.ids import ApprovalId
from protocol.objects import CommandApproval

routes = Router("/api/v1/customer/approvals", guard=Customer(), tag="Approvals")


@routes.get("")
async def approvals(call: Call[CustomerCaller], query: ApprovalQuery) -> Listing[CommandApproval]:
    """List your agents' approvals, newest first: the pending ones, unless `status` says otherwise."""
    return await pending(call, query)


@routes.get("/{approval_id}", raises=(NotFound,))
async def approval(call: Call[CustomerCaller], approval_id: ApprovalId) -> CommandApproval:
    """Read one approval with all that the command would do."""
    return await call.hub.approvals.get(approval_id, scope=call.caller.scope)


@routes.post("/{approval_id}", raises=(NotFound, Conflict))
async def settle(call: Call[CustomerCaller], approval_id: ApprovalId, body: Decision) -> CommandApproval:
    """Approve or deny a pending command."""
    return await settle_approval(call, approval_id, body)
