"""The audit log, for those who may read it: `/api/v1/admin/audit`, and as a file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct, field

from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.envelope import Stream
from controlplane.api.guards_people import Staff
from controlplane.api.paging import Cursor, CursorListing, Limit
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.services.audit_export import MEDIA_TYPES, ExportForm, export, file_name
from controlplane.store.audit_log import AuditEntry, AuditFilter
from protocol.faults import FieldProblem, ValidationError
from protocol.ids import AuditEntryId, CustomerId, OrderId, parse_id

routes = Router("/api/v1/admin/audit", guard=Staff(Permission.AUDIT_READ), tag="Audit log")

Action = Annotated[
    str,
    Meta(
        max_length=100,
        pattern=r"^[a-z_]+\.[A-Za-z_]*$(?!\n)",
        description="One action, or with a dot at its end all that begin so.",
        examples=["order.created", "order."],
    ),
]
AuthorId = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^(stf|cust|ord)_[0-9a-z]+$(?!\n)",
        description="The staff member, customer, or order whose server made the change.",
        examples=["stf_01hr5vqz3ke9m8y6w4b2t7s0fd"],
    ),
]
Target = Annotated[
    str,
    Meta(
        max_length=100,
        pattern=r"^[A-Za-z0-9_.:-]+$(?!\n)",
        description="What was changed: an id, or a word such as `settings`.",
        examples=["settings"],
    ),
]
RequestName = Annotated[
    str,
    Meta(max_length=64, pattern=r"^[A-Za-z0-9._-]+$(?!\n)", description="The `X-Request-Id` that made the change."),
]
From = Annotated[datetime, Meta(tz=True, description="At this time or later.")]
To = Annotated[datetime, Meta(tz=True, description="Before this time.")]


class AuditSelection(Struct, rename="camel", kw_only=True, frozen=True):
    """Which entries: those that all filters fit."""

    entry_id: AuditEntryId | None = None
    action: Action | None = None
    author_id: AuthorId | None = None
    target: Target | None = None
    customer_id: CustomerId | None = None
    order_id: OrderId | None = None
    request_id: RequestName | None = None
    since: From | None = field(default=None, name="from")
    until: To | None = field(default=None, name="to")


class AuditQuery(AuditSelection, rename="camel", kw_only=True, frozen=True):
    """Which entries to list."""

    cursor: Cursor | None = None
    limit: Limit = 25


class AuditExportQuery(AuditSelection, rename="camel", kw_only=True, frozen=True):
    """Which entries to write into a file, and how."""

    format: ExportForm = ExportForm.NDJSON


@routes.get()
async def list_entries(call: Call[StaffCaller], query: AuditQuery) -> CursorListing[AuditEntry]:
    """List what was changed, by whom, from where, newest first.

    What is written while you go from page to page is newer than all of them: no entry is skipped or shown twice.
    """
    page = await call.hub.audit.page(_wanted(query), cursor=query.cursor, limit=query.limit)
    return CursorListing(page.entries, query.limit, page.next_cursor)


@routes.get("/export", envelope=False, media_types=tuple(MEDIA_TYPES.values()))
async def export_entries(call: Call[StaffCaller], query: AuditExportQuery) -> Stream:
    """Export the log as a file, newest first: one entry a line, as JSON (`ndjson`) or as a table (`csv`).

    It is sent as it is read, without a limit; `from` and `to` say how much. A file that could not be finished ends
    without its last chunk. In a table, a cell that a spreadsheet would take for a formula begins with an apostrophe.
    That there was an export stands in the log itself (`audit.exported`).
    """
    wanted, now = _wanted(query), call.hub.clock.now()
    if call.request.method != "HEAD":  # which sends nobody anything
        await call.hub.audit.note_export(call.author, wanted, query.format, at=now)
    return Stream(
        chunks=export(call.hub.audit.every(wanted), query.format),
        content_type=MEDIA_TYPES[query.format],
        headers={"content-disposition": f'attachment; filename="{file_name(query.format, now)}"'},
    )


def _wanted(query: AuditSelection) -> AuditFilter:
    """The filters of a query.

    Raises:
        ValidationError: an id that is none, a time that is none of ours, a span that ends before it begins.
    """
    problems = []
    ids = {"entryId": ("aud", query.entry_id), "customerId": ("cust", query.customer_id)}
    for name, (prefix, text) in {**ids, "orderId": ("ord", query.order_id)}.items():
        try:
            if text is not None:
                parse_id(prefix, text)
        except ValueError:
            problems.append(FieldProblem(name, f"must be an id of the form {prefix}_…"))
    times: dict[str, datetime | None] = {}
    for name, time in (("from", query.since), ("to", query.until)):
        try:
            times[name] = None if time is None else time.astimezone(UTC)
        except OverflowError:
            problems.append(FieldProblem(name, "lies beyond the calendar"))
    since, until = times.get("from"), times.get("to")
    if since is not None and until is not None and since >= until:
        problems.append(FieldProblem("to", "must be later than `from`"))
    if problems:
        raise ValidationError(details=problems)
    return AuditFilter(
        entry_id=query.entry_id,
        action=query.action,
        author_id=query.author_id,
        target=query.target,
        customer_id=query.customer_id,
        order_id=query.order_id,
        request_id=query.request_id,
        since=since,
        until=until,
    )
