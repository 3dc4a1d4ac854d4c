"""What wrappers report over HTTP: usage, backups, what became of commands, approvals and configurations, and more.

The first two are the specification's (section 6). The rest takes what a socket would carry, as the same object.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.ports import Taken
from actors.tenant.messages import TakeMessage
from controlplane.api.call import Call
from controlplane.api.guards_tenant import Tenant, TenantCaller
from controlplane.api.router import Router
from controlplane.store.usage_buckets import check_usage
from protocol.faults import FAULTS, Conflict, NotFound, ValidationError
from protocol.ids import CommandId, OrderId
from protocol.objects import UsageBucket
from protocol.tenant import (
    Activity,
    ApprovalOutcomeReport,
    BackupStatus,
    CommandResult,
    ConfigApplied,
    ImageUpdate,
    Long,
    MessageId,
    Moment,
    TenantMessage,
    Usage,
)
from protocol.words import BackupOutcome, CommandResultStatus

routes = Router("/api/v1/tenant", guard=Tenant(), tag="Tenant", forgive_unknown=True)


class UsageReport(msgspec.Struct, rename="camel"):
    """Usage buckets; a bucket sent again changes nothing, one with a higher revision replaces."""

    buckets: Annotated[list[UsageBucket], Meta(min_length=1, max_length=5000)]
    id: MessageId | UnsetType = UNSET


class BackupReport(msgspec.Struct, rename="camel"):
    """How one backup went."""

    status: BackupOutcome
    id: MessageId | UnsetType = UNSET
    started_at: Moment | None = None
    finished_at: Moment | None = None
    size_bytes: Annotated[int, Meta(ge=0, le=2**62)] | None = None
    detail: Long | None = None


class Result(msgspec.Struct, rename="camel"):
    """What became of a command."""

    status: CommandResultStatus
    id: MessageId | UnsetType = UNSET
    output: Long | None = None
    started_at: Moment | None = None
    finished_at: Moment | None = None


class Receipt(msgspec.Struct, rename="camel"):
    """The report is committed under this id."""

    id: str
    accepted: bool


@routes.post("/usage", raises=(Conflict,))
async def usage(call: Call[TenantCaller], body: UsageReport) -> Receipt:
    """Report token usage buckets: late ones too, and corrections under a higher `revision`."""
    return await take_message(call, call.caller.order_id, usage_of(call, body))


@routes.post("/backup-status", raises=(Conflict,))
async def backup_status(call: Call[TenantCaller], body: BackupReport) -> Receipt:
    """Report how a backup went."""
    return await take_message(
        call,
        call.caller.order_id,
        BackupStatus(
            id=_id(call, body.id),
            status=body.status,
            started_at=body.started_at,
            finished_at=body.finished_at,
            size_bytes=body.size_bytes,
            detail=body.detail,
        ),
    )


@routes.post("/commands/{command_id}/result", raises=(NotFound, Conflict))
async def result(call: Call[TenantCaller], command_id: CommandId, body: Result) -> Receipt:
    """Report what became of a command."""
    return await take_message(
        call,
        call.caller.order_id,
        CommandResult(
            id=_id(call, body.id),
            command_id=command_id,
            status=body.status,
            output=body.output,
            started_at=body.started_at,
            finished_at=body.finished_at,
        ),
    )


@routes.post("/approval-outcome", raises=(NotFound, Conflict))
async def approval_outcome(call: Call[TenantCaller], body: ApprovalOutcomeReport) -> Receipt:
    """Report what became of an approved call."""
    return await take_message(call, call.caller.order_id, body)


@routes.post("/config-applied", raises=(Conflict,))
async def config_applied(call: Call[TenantCaller], body: ConfigApplied) -> Receipt:
    """Report that a configuration is in force, or why not."""
    return await take_message(call, call.caller.order_id, body)


@routes.post("/activity", raises=(Conflict,))
async def activity(call: Call[TenantCaller], body: Activity) -> Receipt:
    """Report what an agent did."""
    return await take_message(call, call.caller.order_id, body)


@routes.post("/image-update", raises=(Conflict,))
async def image_update(call: Call[TenantCaller], body: ImageUpdate) -> Receipt:
    """Report a newer container image."""
    return await take_message(call, call.caller.order_id, body)


async def take_message(call: Call[Any], order_id: OrderId, message: TenantMessage) -> Receipt:
    """Have the tenant's actor take what its wrapper reports.

    Raises:
        Fault: what the Hub's verdict says.
    """
    taken = await call.hub.tenant(order_id).ask(TakeMessage(message))
    return receipt_of(taken)


def receipt_of(taken: Taken) -> Receipt:
    """What the reporter is told.

    Raises:
        Fault: what the Hub's verdict says.
    """
    if taken.code is not None:
        raise FAULTS[taken.code](taken.reason)
    return Receipt(taken.message_id, accepted=True)


def usage_of(call: Call[Any], report: UsageReport) -> Usage:
    """The message of a report.

    Raises:
        ValidationError: every bad bucket is named.
    """
    problems = check_usage(report.buckets, at=call.hub.clock.now())
    if problems:
        raise ValidationError(details=problems)
    return Usage(id=_id(call, report.id), buckets=report.buckets)


def _id(call: Call[Any], given: str | UnsetType) -> str:
    return str(call.hub.ids.uuid7()) if isinstance(given, UnsetType) else given
