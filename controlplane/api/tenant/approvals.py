"""Approvals as a wrapper without a socket asks for and polls them (specification section 6)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.people import Scope
from actors.tenant.messages import TakeMessage
from actors.tenant.requests import arguments_of
from controlplane.api.call import Call
from controlplane.api.guards_tenant import Tenant, TenantCaller
from controlplane.api.router import Router
from protocol.canonical import NotCanonical, args_hash
from protocol.faults import FAULTS, Conflict, NotFound, ValidationError
from protocol.ids import ApprovalId
from protocol.objects import CommandApproval
from protocol.tenant import ApprovalRequest, MessageId, Name
from protocol.words import ApprovalStatus, CommandClass, SettledAction

routes = Router("/api/v1/tenant", guard=Tenant(), tag="Tenant", forgive_unknown=True)

_ACTIONS = {
    ApprovalStatus.APPROVED: SettledAction.APPROVE,
    ApprovalStatus.DENIED: SettledAction.DENY,
    ApprovalStatus.EXPIRED: SettledAction.EXPIRE,
}


class Request(msgspec.Struct, rename="camel"):
    """An agent's command that wants a person's decision.

    Args:
        id: the wrapper's own id; the same one again is answered with the approval it made.
        args_hash: computed here again; a wrong one is refused.
        impact: what the command touches; without it, the trailing parenthesis of `humanReadable`.
    """

    agent_id: Name
    command_class: CommandClass
    tool_name: Name
    tool_args: msgspec.Raw
    human_readable: Annotated[str, Meta(min_length=1, max_length=200_000)]
    id: MessageId | UnsetType = UNSET
    args_hash: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    impact: Annotated[str, Meta(max_length=2000)] | None = None
    expires_in_seconds: Annotated[int, Meta(ge=1, le=30 * 86400)] = 86400


class Answer(msgspec.Struct, rename="camel"):
    """How an approval stands; nulls while it is pending."""

    id: ApprovalId
    request_id: str
    status: ApprovalStatus
    action: SettledAction | None
    reason: str | None
    responded_by: str | None
    settled_at: datetime | None


@routes.post("/approval-request", status=201, other_statuses=(200,), raises=(Conflict,))
async def request(call: Call[TenantCaller], body: Request) -> CommandApproval:
    """Ask for a person's decision on a command.

    The same `id` again is answered with 200 and the approval it made.
    """
    request_id = str(call.hub.ids.uuid7()) if isinstance(body.id, UnsetType) else body.id
    message = ApprovalRequest(
        id=request_id,
        agent_id=body.agent_id,
        command_class=body.command_class,
        tool_name=body.tool_name,
        tool_args=body.tool_args,
        args_hash=_hash_of(body),
        human_readable=body.human_readable,
        impact=body.impact,
        expires_in_seconds=body.expires_in_seconds,
    )
    taken = await call.hub.tenant(call.caller.order_id).ask(TakeMessage(message))
    if taken.code is not None:
        raise FAULTS[taken.code](taken.reason)
    assert taken.approval is not None  # what was not refused has been asked
    if taken.repeated:
        call.response.status = 200
    return taken.approval


def _hash_of(body: Request) -> str:
    if not isinstance(body.args_hash, UnsetType):
        return body.args_hash
    try:
        return args_hash(body.tool_name, arguments_of(body.tool_args))
    except NotCanonical as error:
        raise ValidationError.of("toolArgs", f"has no canonical form: {error}") from error


@routes.get("/approval-response/{approval_id}", raises=(NotFound,))
async def response(call: Call[TenantCaller], approval_id: ApprovalId) -> Answer:
    """See how an approval stands."""
    approval = await call.hub.approvals.get(approval_id, scope=Scope.everything())
    if approval.order_id != call.caller.order_id:
        raise NotFound(f"there is no approval {approval_id}")
    return Answer(
        id=approval.id,
        request_id=approval.request_id,
        status=approval.status,
        action=_ACTIONS.get(approval.status),
        reason=approval.reason,
        responded_by=approval.decided_by.name if approval.decided_by else None,
        settled_at=approval.settled_at,
    )
