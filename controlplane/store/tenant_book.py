"""The tenant's book on PostgreSQL: what a tenant's actor must not lose, each method one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import outcome
import structlog
from sqlalchemy import Connection, TextClause, text

from actors.people import Author, Scope
from actors.ports import (
    AgentsChanged,
    Attached,
    Beat,
    Delivery,
    Expired,
    Incoming,
    Issued,
    Outcome,
    Progress,
    Registered,
    Settled,
    Taken,
    TenantState,
)
from actors.runtime.ports import Ids
from actors.tenant.changes import AgentChange
from controlplane.store import (
    audit,
    border,
    commands,
    configuration,
    events,
    outbox,
    progress,
    servers,
    settling,
)
from controlplane.store.attaching import MOST_AT_ONCE, Attaching, Greeting
from controlplane.store.database import Database
from controlplane.store.fetching import Query
from controlplane.store.group import GroupWriter
from controlplane.store.inbox import Inbox
from controlplane.store.waiting_approvals import WaitingApprovals
from protocol.faults import Fault, Overloaded, ValidationError
from protocol.ids import OrderId, ServerId, format_id
from protocol.objects import RemoteCommand
from protocol.tenant import Hello
from protocol.words import ApprovalAction

log = structlog.get_logger()

#: How long marks and heartbeats wait for company. Nobody waits for them, and "sent" mostly meets its "acknowledged".
STATE_LINGER_SECONDS: Final = 0.025
#: PostgreSQL's codes for values that do not fit: data exceptions, program limits.
_UNFIT: Final = ("22", "54")
#: Approvals, and commands, ended in one transaction; more of them are due again at once.
EXPIRED_AT_ONCE: Final = 100

_DUE_FIRST: Final = """
    least((SELECT min(expires_at) FROM command_approvals WHERE order_id = :order_id AND status = 'PENDING'),
      (SELECT min(expires_at) FROM remote_commands WHERE order_id = :order_id AND status IN ('QUEUED', 'SENT')))"""

_NEXT_DUE = text(f"SELECT {_DUE_FIRST}")

# Always one row: whose server has not registered yet is woken too.
_STATE: Final = Query(
    text(f"""
    SELECT s.order_id IS NOT NULL, coalesce(s.issued_seq, 0), coalesce(s.acked_seq, 0), s.key_revoked_at IS NOT NULL,
        {_DUE_FIRST}
    FROM (SELECT 1) AS one LEFT JOIN server_connections s ON s.order_id = :order_id""")
)

_DUE = text("""
    SELECT DISTINCT order_id FROM command_approvals WHERE status = 'PENDING'
    UNION SELECT DISTINCT order_id FROM remote_commands WHERE status IN ('QUEUED', 'SENT')""")

_OVERDUE = text("""
    SELECT DISTINCT order_id FROM command_approvals WHERE status = 'PENDING' AND expires_at <= :at
    UNION SELECT DISTINCT order_id FROM remote_commands WHERE status IN ('QUEUED', 'SENT') AND expires_at <= :at""")

_DETACH = text("""
    WITH held AS MATERIALIZED (
        SELECT s.order_id, u.epoch
        FROM unnest(CAST(:orders AS uuid[]), CAST(:epochs AS bigint[])) AS u (id, epoch)
          JOIN server_connections s ON s.order_id = u.id
        ORDER BY s.order_id FOR NO KEY UPDATE OF s)
    UPDATE server_connections s SET session_id = NULL, carrier = NULL
    FROM held h WHERE s.order_id = h.order_id AND s.epoch = h.epoch RETURNING s.order_id, s.id, s.epoch""")


class PostgresTenantBook:
    """Implements `actors.ports.TenantBook`.

    Args:
        heartbeat_seconds: told to wrappers in their configuration.
        waiting: remembers what is asked for, and spares decisions the reading of it.
    """

    def __init__(self, database: Database, *, ids: Ids, heartbeat_seconds: int, waiting: WaitingApprovals) -> None:
        self._database = database
        self._waiting = waiting
        self._ids = ids
        self._heartbeat_seconds = heartbeat_seconds
        self._progress: GroupWriter[Progress, None] = GroupWriter(
            database,
            progress.advance,
            key=lambda one: one.order_id,
            merge=progress.further,
            linger_seconds=STATE_LINGER_SECONDS,
        )
        self._beats: GroupWriter[Beat, None] = GroupWriter(
            database,
            progress.beat,
            key=lambda one: one.order_id,
            merge=progress.latest,
            linger_seconds=STATE_LINGER_SECONDS,
        )
        self._greetings: GroupWriter[Greeting, Attached | Fault] = GroupWriter(
            database, Attaching(heartbeat_seconds).take, key=lambda one: one.order_id, max_batch=MOST_AT_ONCE
        )
        self._departures: GroupWriter[tuple[UUID, int], None] = GroupWriter(
            database, _detach, key=lambda one: one[0], merge=max
        )
        self._inbox: GroupWriter[Incoming, Taken] = GroupWriter(
            database, Inbox(ids).take, key=lambda one: (one.order_id, one.message.id)
        )

    async def tenants_with_something_due(self) -> list[OrderId]:
        """The orders whose tenants must be awake for a pending approval or an undelivered command."""
        return await self._database.read(_orders, _DUE, {})

    async def tenants_overdue(self, *, at: datetime) -> list[OrderId]:
        """The orders with something whose time was over at this moment: nobody was awake for it."""
        return await self._database.read(_orders, _OVERDUE, {"at": at})

    async def load(self, order_id: UUID) -> TenantState:
        return TenantState(*(await self._database.fetch(_STATE, order_id=order_id))[0])

    async def attach(
        self,
        order_id: UUID,
        hello: Hello,
        *,
        key_prefix: str,
        session_id: str,
        at: datetime,
        rival_epoch: int | None = None,
    ) -> Attached:
        taken = await self._greetings.write(Greeting(order_id, hello, key_prefix, session_id, at, rival_epoch))
        if isinstance(taken, Fault):
            raise taken
        return taken

    async def deliveries(self, order_id: UUID, *, after: int, limit: int, limit_bytes: int) -> list[Delivery]:
        return await self._database.read(
            outbox.page, order_id=order_id, after=after, limit=limit, limit_bytes=limit_bytes
        )

    async def settle(
        self,
        order_id: UUID,
        approval_id: UUID,
        *,
        action: ApprovalAction,
        reason: str | None,
        author: Author,
        scope: Scope,
        at: datetime,
    ) -> Settled:
        return await settling.settle(
            self._database,
            order_id,
            approval_id,
            action=action,
            reason=reason,
            author=author,
            scope=scope,
            at=at,
            waiting=self._waiting,
        )

    async def expire(self, order_id: UUID, *, at: datetime) -> Expired:
        return await self._database.write(_expire, order_id, at)

    async def issue_command(
        self,
        order_id: UUID,
        *,
        command_type: str,
        payload: Any,
        expires_at: datetime,
        author: Author,
        at: datetime,
    ) -> Issued:
        return await self._database.write(
            commands.issue,
            order_id,
            command_type=command_type,
            payload=payload,
            expires_at=expires_at,
            author=author,
            at=at,
            ids=self._ids,
        )

    async def cancel_command(self, order_id: UUID, command_id: UUID, *, author: Author, at: datetime) -> RemoteCommand:
        return await self._database.write(commands.cancel, order_id, command_id, author=author, at=at)

    async def reject(self, order_id: UUID, seqs: list[int], *, reason: str, at: datetime) -> None:
        await self._database.write(_reject, order_id, seqs, reason, at)

    async def change_agents(
        self, order_id: UUID, change: AgentChange, *, author: Author, scope: Scope, at: datetime
    ) -> AgentsChanged:
        return await self._database.write(
            configuration.change_agents,
            order_id=order_id,
            change=change,
            author=author,
            scope=scope,
            at=at,
            ids=self._ids,
            heartbeat_seconds=self._heartbeat_seconds,
        )

    async def register(self, order_id: UUID, registration: Registered, *, author: Author, at: datetime) -> ServerId:
        return await self._database.write(servers.register, order_id, registration, author=author, at=at, ids=self._ids)

    async def revoke_key(self, order_id: UUID, *, author: Author, at: datetime) -> None:
        await self._database.write(servers.revoke, order_id, author=author, at=at)

    def detach(self, order_id: UUID, epoch: int) -> None:
        self._hand_over(self._departures, (order_id, epoch), "tenant.departure_not_stored")

    def progress(self, progress: Progress) -> None:
        self._hand_over(self._progress, progress, "tenant.progress_not_stored")

    def beat(self, beat: Beat) -> None:
        self._hand_over(self._beats, beat, "tenant.heartbeat_not_stored")

    def take(self, incoming: Incoming, done: Callable[[Outcome[Taken]], object]) -> None:
        self._inbox.add(incoming, lambda result: done(self._noted(_judged(incoming, result))))

    async def take_now(self, incoming: Incoming) -> Taken:
        return self._noted(_judged(incoming, await outcome.acapture(self._inbox.write, incoming))).unwrap()

    def _noted(self, result: outcome.Outcome[Taken]) -> outcome.Outcome[Taken]:
        """The same; an approval that it brought is remembered."""
        if isinstance(result, outcome.Value):
            taken = result.value
            if taken.approval is not None and taken.owner is not None:
                self._waiting.remember(taken.approval, taken.owner)
        return result

    def _hand_over(self, writer: GroupWriter[Any, None], item: object, failure: str) -> None:
        """For what may be lost: state is told again, and what was acknowledged is said again by the next hello."""

        def done(result: outcome.Outcome[None]) -> None:
            if isinstance(result, outcome.Error):
                log.warning(failure, reason=str(result.error))

        try:
            writer.add(item, done)
        except Overloaded as fault:
            log.warning(failure, reason=fault.message)


def _judged(incoming: Incoming, result: outcome.Outcome[Taken]) -> outcome.Outcome[Taken]:
    """The outcome, or a refusal for good where PostgreSQL cannot hold a value: sending it again would not help.

    Whatever is known to be such a value is refused before; this keeps the one nobody thought of from coming for ever.
    """
    if not isinstance(result, outcome.Error) or not border.sqlstate(result.error).startswith(_UNFIT):
        return result
    log.error(
        "tenant.message_unfit",
        order=format_id("ord", incoming.order_id),
        message=incoming.message.id,
        exc_info=result.error,
    )
    reason = "a value of this message is not one that can be stored"
    return outcome.Value(Taken(incoming.message.id, code=ValidationError.code, reason=reason))


def _orders(connection: Connection, statement: TextClause, values: dict[str, object]) -> list[OrderId]:
    return [OrderId(format_id("ord", order_id)) for order_id in connection.execute(statement, values).scalars()]


def _expire(connection: Connection, order_id: UUID, at: datetime) -> Expired:
    settled = settling.expire(connection, order_id, at=at, most=EXPIRED_AT_ONCE)
    ended = commands.expire(connection, order_id, at=at, most=EXPIRED_AT_ONCE)
    return Expired(
        commands=ended,
        deliveries=[one.delivery for one in settled if one.delivery is not None],
        next_due=connection.execute(_NEXT_DUE, {"order_id": order_id}).scalar_one(),
    )


def _reject(connection: Connection, order_id: UUID, seqs: list[int], reason: str, at: datetime) -> None:
    commands.reject(connection, order_id, seqs, reason=reason, at=at)
    outbox.withdraw_numbered(connection, order_id=order_id, seqs=seqs, at=at)
    audit.record(
        connection,
        Author.system(),
        "promises.rejected",
        format_id("ord", order_id),
        at=at,
        after={"seqs": seqs, "reason": reason},
    )


def _detach(connection: Connection, batch: list[tuple[UUID, int]]) -> list[None]:
    values = {"orders": [order_id for order_id, _ in batch], "epochs": [epoch for _, epoch in batch]}
    gone = connection.execute(_DETACH, values).all()
    events.emit_all(connection, [servers.told("disconnected", row.order_id, row.id, None, row.epoch) for row in gone])
    return [None] * len(batch)
