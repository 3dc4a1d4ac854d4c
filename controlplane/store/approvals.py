"""Approvals: asked for by wrappers, read by people, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from actors.people import Scope
from actors.ports import Incoming
from actors.runtime.ports import Ids
from actors.tenant.requests import impact_of
from controlplane.store import events
from controlplane.store.database import Database
from controlplane.store.fetching import Query
from controlplane.store.keys import key_of
from controlplane.store.waiting_approvals import WaitingApprovals
from protocol.faults import NotFound
from protocol.ids import ApprovalId, OrderId, format_id
from protocol.objects import CommandApproval, DecidedBy
from protocol.tenant import ApprovalRequest
from protocol.words import ApprovalStatus, CommandClass

COLUMNS = (
    "id, order_id, customer_id, request_id, agent_id, command_class, tool_name, tool_args, args_hash, human_readable,"
    " impact, status, requested_at, expires_at, settled_at, decided_by_type, decided_by_id, decided_by_name, reason,"
    " outcome, outcome_detail, outcome_at"
)

#: How far its decision has come: of no row that still waits.
_DELIVERED = "FROM deliveries d WHERE d.reference = command_approvals.id AND d.kind = 'approvalSettled'"
_WIDTH: Final = COLUMNS.count(",") + 1
#: Where in a row of COLUMNS its customer stands.
OWNER: Final = 2
DELIVERY = f"(SELECT d.sent_at {_DELIVERED}) AS sent_at, (SELECT d.acknowledged_at {_DELIVERED}) AS acknowledged_at"

_INSERT = text(f"""
    INSERT INTO command_approvals (id, order_id, customer_id, request_id, agent_id, command_class, tool_name, tool_args,
        args_hash, human_readable, impact, status, requested_at, expires_at)
    SELECT u.id, u.order_id, o.user_id, u.request_id, u.agent_id, u.command_class, u.tool_name, u.tool_args,
        u.args_hash, u.human_readable, u.impact, 'PENDING', u.requested_at, u.expires_at
    FROM unnest(CAST(:id AS uuid[]), CAST(:order_id AS uuid[]), CAST(:request_id AS text[]), CAST(:agent_id AS text[]),
        CAST(:command_class AS text[]), CAST(:tool_name AS text[]), CAST(:tool_args AS text[]),
        CAST(:args_hash AS text[]), CAST(:human_readable AS text[]), CAST(:impact AS text[]),
        CAST(:requested_at AS timestamptz[]), CAST(:expires_at AS timestamptz[]))
      AS u (id, order_id, request_id, agent_id, command_class, tool_name, tool_args, args_hash, human_readable, impact,
        requested_at, expires_at)
    JOIN orders o ON o.id = u.order_id
    ON CONFLICT (order_id, request_id) DO NOTHING
    RETURNING {COLUMNS}""")

_BY_REQUEST = text(f"""
    SELECT {COLUMNS}, {DELIVERY} FROM command_approvals
    WHERE (order_id, request_id) IN (SELECT * FROM unnest(CAST(:order_id AS uuid[]), CAST(:request_id AS text[])))
    """)

_OUTCOME = text(f"""
    UPDATE command_approvals SET outcome = :outcome, outcome_detail = :detail, outcome_at = :at
    WHERE id = :id AND order_id = :order_id AND status <> 'PENDING' AND outcome IS NULL
    RETURNING {COLUMNS}, {DELIVERY}""")

_OVERDUE = text("""
    SELECT count(*) FROM command_approvals
    WHERE status = 'PENDING' AND expires_at <= CAST(:at AS timestamptz)""")
_GET = text(f"""
    SELECT {COLUMNS}, {DELIVERY} FROM command_approvals
    WHERE id = :id AND (CAST(:customer_id AS uuid) IS NULL OR customer_id = :customer_id)""")
ONE: Final = Query(_GET)

#: A page, each row with how many there are in all; and that number alone, for a page behind the last.
_LIST = {
    owned: (
        Query(
            text(f"""
                SELECT {COLUMNS}, {DELIVERY}, (SELECT count(*) FROM command_approvals WHERE status = :status {clause})
                FROM command_approvals WHERE status = :status {clause}
                ORDER BY requested_at DESC, id DESC LIMIT :limit OFFSET :offset""")
        ),
        Query(text(f"SELECT count(*) FROM command_approvals WHERE status = :status {clause}")),
    )
    for owned, clause in {
        "all": "",
        "customer": "AND customer_id = :customer_id",
        "order": "AND order_id = :order_id",
        "customer order": "AND customer_id = :customer_id AND order_id = :order_id",
    }.items()
}


class Owned(NamedTuple):
    """An approval, and whose it is."""

    approval: CommandApproval
    customer_id: UUID


def ask(connection: Connection, asked: list[tuple[Incoming, ApprovalRequest]], ids: Ids) -> list[Owned]:
    """Write approval requests; the same `requestId` of the same order again is the approval it made before."""
    rows = [
        {
            "id": ids.uuid7(),
            "order_id": incoming.order_id,
            "request_id": request.id,
            "agent_id": request.agent_id,
            "command_class": request.command_class.value,
            "tool_name": request.tool_name,
            "tool_args": bytes(request.tool_args).decode(),
            "args_hash": request.args_hash,
            "human_readable": request.human_readable,
            "impact": request.impact if request.impact is not None else impact_of(request.human_readable),
            "requested_at": incoming.at,
            "expires_at": incoming.at + timedelta(seconds=request.expires_in_seconds),
        }
        for incoming, request in asked
    ]
    inserted = connection.execute(_INSERT, {name: [row[name] for row in rows] for name in rows[0]}).all()
    found = {(row.order_id, row.request_id): _owned(row) for row in inserted}
    events.emit_all(connection, [_told("requested", row, row.requested_at) for row in inserted])
    missing = [row for row in rows if (row["order_id"], row["request_id"]) not in found]
    if missing:
        keys = {name: [row[name] for row in missing] for name in ("order_id", "request_id")}
        for row in connection.execute(_BY_REQUEST, keys):
            found[(row.order_id, row.request_id)] = _owned(row)
    return [found[(incoming.order_id, request.id)] for incoming, request in asked]


def report_outcome(
    connection: Connection,
    order_id: UUID,
    approval_id: UUID,
    *,
    outcome: str,
    detail: str | None,
    at: datetime,
) -> bool:
    """Note what became of a settled approval's command; the first report counts. False: none such is settled."""
    values = {"id": approval_id, "order_id": order_id, "outcome": outcome, "detail": detail, "at": at}
    reported = connection.execute(_OUTCOME, values).one_or_none()
    if reported is not None:
        events.emit_all(connection, [_told("outcome", reported, at)])
        return True
    row = connection.execute(_GET, {"id": approval_id, "customer_id": None}).one_or_none()
    return row is not None and row.order_id == order_id and row.outcome is not None


def read(connection: Connection, approval_id: UUID, *, scope: Scope) -> CommandApproval:
    """One approval.

    Raises:
        NotFound: it does not exist within the scope.
    """
    return one_of(connection.execute(_GET, {"id": approval_id, "customer_id": scope.customer_id}).all(), approval_id)


def one_of(rows: Sequence[Sequence[Any]], approval_id: UUID) -> CommandApproval:
    """The approval that was asked for.

    Raises:
        NotFound: there is no row.
    """
    if not rows:
        raise NotFound(f"approval {format_id('appr', approval_id)} does not exist")
    return approval_of(rows[0])


def approval_of(row: Sequence[Any]) -> CommandApproval:
    """The object a row of COLUMNS stands for, or one of COLUMNS and DELIVERY."""
    (
        key,
        order_id,
        _customer_id,
        request_id,
        agent_id,
        command_class,
        tool_name,
        tool_args,
        args_hash,
        human_readable,
        impact,
        status,
        requested_at,
        expires_at,
        settled_at,
        decided_by_type,
        decided_by_id,
        decided_by_name,
        reason,
        outcome,
        outcome_detail,
        outcome_at,
    ) = row[:_WIDTH]
    sent_at, acknowledged_at = row[_WIDTH : _WIDTH + 2] or (None, None)
    return CommandApproval(
        id=ApprovalId(format_id("appr", key)),
        order_id=OrderId(format_id("ord", order_id)),
        agent_id=agent_id,
        command_class=CommandClass(command_class),
        tool_name=tool_name,
        tool_args=msgspec.Raw(tool_args.encode()),
        human_readable=human_readable,
        status=ApprovalStatus(status),
        requested_at=requested_at,
        expires_at=expires_at,
        request_id=request_id,
        args_hash=args_hash,
        impact=impact,
        settled_at=settled_at,
        decided_by=None if decided_by_type is None else DecidedBy(decided_by_type, decided_by_id, decided_by_name),
        reason=reason,
        outcome=outcome,
        outcome_detail=outcome_detail,
        outcome_at=outcome_at,
        sent_at=sent_at,
        acknowledged_at=acknowledged_at,
    )


def _owned(row: Row[Any]) -> Owned:
    return Owned(approval_of(row), row.customer_id)


def _told(what: str, row: Row[Any], at: datetime) -> events.NewEvent:
    return events.NewEvent(f"approval.{what}", approval_of(row), at, row.order_id, row.customer_id)


def _count_overdue(connection: Connection, at: datetime) -> int:
    return int(connection.execute(_OVERDUE, {"at": at}).scalar_one())


class ApprovalStore:
    """Reads of approvals; what changes them goes through their tenant.

    Args:
        waiting: what is known already, and told of whatever is read.
    """

    def __init__(self, database: Database, *, waiting: WaitingApprovals) -> None:
        self._database = database
        self._waiting = waiting

    async def order_of(self, approval_id: ApprovalId, *, scope: Scope) -> OrderId:
        """The order an approval belongs to, which never changes.

        Raises:
            NotFound: it does not exist within the scope.
        """
        known = self._waiting.find(approval_id, scope=scope)
        return known.order_id if known is not None else (await self.get(approval_id, scope=scope)).order_id

    async def get(self, approval_id: ApprovalId, *, scope: Scope) -> CommandApproval:
        """One approval.

        Raises:
            NotFound: it does not exist within the scope.
        """
        key = key_of("appr", approval_id)
        rows = await self._database.fetch(ONE, id=key, customer_id=scope.customer_id)
        approval = one_of(rows, key)
        self._waiting.remember(approval, rows[0][OWNER])
        return approval

    async def overdue(self, *, at: datetime) -> int:
        """How many pending ones' time was over at this moment."""
        return await self._database.look(_count_overdue, at)

    async def page(
        self,
        *,
        scope: Scope,
        status: ApprovalStatus,
        page: int,
        page_size: int,
        order_id: OrderId | None = None,
    ) -> tuple[list[CommandApproval], int]:
        """Approvals of one status, newest first, and how many there are.

        Args:
            page: from 1.
            order_id: only those of this order.
        """
        values: dict[str, object] = {"status": status.value}
        owned = []
        if scope.customer_id is not None:
            owned.append("customer")
            values["customer_id"] = scope.customer_id
        if order_id is not None:
            owned.append("order")
            values["order_id"] = key_of("ord", order_id)
        page_of, count_of = _LIST[" ".join(owned) or "all"]
        rows = await self._database.fetch(page_of, **values, limit=page_size, offset=(page - 1) * page_size)
        found = [approval_of(row) for row in rows]
        for approval, row in zip(found, rows, strict=True):
            self._waiting.remember(approval, row[OWNER])
        if not rows and page > 1:
            rows = await self._database.fetch(count_of, **values)
        return found, rows[0][-1] if rows else 0
