"""How people list and decide approvals: the same for staff and customers but for what they may see."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from actors.tenant.messages import SettleApproval
from controlplane.api.call import Call
from controlplane.api.callers import Person
from controlplane.api.paging import Listing, Page
from controlplane.store.keys import key_of
from protocol.faults import ValidationError
from protocol.ids import ApprovalId, OrderId, parse_id
from protocol.objects import CommandApproval
from protocol.words import ApprovalAction, ApprovalStatus


class ApprovalQuery(Page, kw_only=True, frozen=True, rename="camel"):
    """Which approvals.

    Args:
        order_id: only those of one order.
    """

    status: ApprovalStatus = ApprovalStatus.PENDING
    order_id: OrderId | None = None


class Decision(msgspec.Struct, rename="camel"):
    """A person's decision; the reason reaches the agent."""

    action: ApprovalAction
    reason: Annotated[str, Meta(max_length=2000)] | None = None


async def pending(call: Call[Person], query: ApprovalQuery) -> Listing[CommandApproval]:
    """A page of the approvals the caller may see.

    Raises:
        ValidationError: `orderId` is not the id of an order.
    """
    if query.order_id is not None:
        try:
            parse_id("ord", query.order_id)
        except ValueError:
            raise ValidationError.of("orderId", "must be an order's id, as ord_…") from None
    found, total = await call.hub.approvals.page(
        scope=call.caller.scope,
        status=query.status,
        page=query.page,
        page_size=query.page_size,
        order_id=query.order_id,
    )
    return Listing(found, query.page, query.page_size, total)


async def settle_approval(call: Call[Person], approval_id: ApprovalId, decision: Decision) -> CommandApproval:
    """Decide, through the approval's tenant.

    Raises:
        NotFound: it does not exist for this caller.
        Conflict: someone else was first; `details` is the approval as it was settled.
    """
    order_id = await call.hub.approvals.order_of(approval_id, scope=call.caller.scope)
    return await call.hub.tenant(order_id).ask(
        SettleApproval(key_of("appr", approval_id), decision.action, decision.reason, call.author, call.caller.scope)
    )
