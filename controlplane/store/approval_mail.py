"""Which pending approvals their customers are still to be told of by mail: read from what waits, never from a hook.

Nothing is written when an approval is asked for. Who is to be told is found by looking at pending approvals without a
notice, which the partial index on those keeps short. A customer's row in `approval_mailings` is locked while a mail is
written for them, so that two nodes write one; the notices and the mail are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, text

from controlplane.store import mail
from controlplane.store.database import Database
from controlplane.store.preferences import default_preferences
from protocol.ids import ApprovalId, format_id
from protocol.words import ApprovalMail, CommandClass

#: How many requests a mail lists.
LISTED: Final = 20
#: How many requests one mail tells of; further ones are told by the next.
TOLD: Final = 500
#: How many customers one look finds.
FOUND: Final = 200
#: What is fetched of an agent's own words.
_WORDS: Final = 1_000

# A customer whose last mail about approvals still waits to be sent gets no second one beside it.
_DUE = text("""
    SELECT untold.customer_id,
        greatest(
            untold.oldest + CASE WHEN untold.customer_id = ANY(CAST(:watching AS uuid[]))
                THEN CAST(:watched_grace AS interval) ELSE CAST(:grace AS interval) END,
            m.last_at + CASE coalesce(p.approval_mail, CAST(:default_mode AS text))
                WHEN 'digest' THEN CAST(:digest AS interval) ELSE CAST(:pause AS interval) END) AS due_at
    FROM (
        SELECT a.customer_id, min(a.requested_at) AS oldest FROM command_approvals a
        WHERE a.status = 'PENDING' AND a.expires_at > CAST(:now AS timestamptz)
          AND NOT EXISTS (SELECT 1 FROM approval_notices n WHERE n.approval_id = a.id)
        GROUP BY a.customer_id) untold
    JOIN users u ON u.id = untold.customer_id AND u.status = 'ACTIVE'
    LEFT JOIN customer_preferences p ON p.user_id = untold.customer_id
    LEFT JOIN approval_mailings m ON m.customer_id = untold.customer_id
    WHERE coalesce(p.approval_mail, CAST(:default_mode AS text)) <> 'never'
      AND NOT EXISTS (
        SELECT 1 FROM mails q WHERE q.customer_id = untold.customer_id AND q.kind = 'approvals' AND q.state = 'queued')
    ORDER BY due_at, untold.customer_id LIMIT :most""")

_LOCK = text("""
    SELECT last_at FROM approval_mailings WHERE customer_id = CAST(:customer_id AS uuid) FOR UPDATE SKIP LOCKED""")
_MAKE_LOCK = text("""
    INSERT INTO approval_mailings (customer_id) VALUES (CAST(:customer_id AS uuid)) ON CONFLICT DO NOTHING""")
_CUSTOMER = text("""
    SELECT u.email, u.name, coalesce(p.approval_mail, CAST(:default_mode AS text)) AS mode,
        coalesce(p.timezone, CAST(:timezone AS text)) AS timezone,
        EXISTS (
            SELECT 1 FROM mails q WHERE q.customer_id = u.id AND q.kind = 'approvals' AND q.state = 'queued') AS queued
    FROM users u LEFT JOIN customer_preferences p ON p.user_id = u.id
    WHERE u.id = CAST(:customer_id AS uuid) AND u.status = 'ACTIVE'""")
_WAITING = text(f"""
    SELECT a.id, a.agent_id, a.tool_name, a.command_class, left(a.human_readable, {_WORDS}) AS human_readable,
        left(a.impact, {_WORDS}) AS impact, a.expires_at, o.domain,
        NOT EXISTS (SELECT 1 FROM approval_notices n WHERE n.approval_id = a.id) AS untold
    FROM command_approvals a JOIN orders o ON o.id = a.order_id
    WHERE a.customer_id = CAST(:customer_id AS uuid) AND a.status = 'PENDING'
      AND a.expires_at > CAST(:now AS timestamptz)
    ORDER BY untold DESC, a.requested_at, a.id LIMIT :most""")
_NOTE = text("""
    INSERT INTO approval_notices (approval_id, mail_id)
    SELECT id, CAST(:mail_id AS uuid) FROM unnest(CAST(:ids AS uuid[])) AS told (id)
    ON CONFLICT (approval_id) DO NOTHING""")
_TOLD_AT = text("""
    UPDATE approval_mailings SET last_at = CAST(:now AS timestamptz) WHERE customer_id = CAST(:customer_id AS uuid)""")


class Rules(NamedTuple):
    """When customers are told.

    Args:
        grace: how long an approval waits before its customer is told.
        watched_grace: the same for one whose console is open.
        pause: how long after a mail the next one comes at the soonest.
        digest: the same for those who want a digest.
    """

    grace: timedelta
    watched_grace: timedelta
    pause: timedelta
    digest: timedelta

    def pause_of(self, mode: ApprovalMail) -> timedelta:
        """How long after a mail the next one comes at the soonest."""
        return self.digest if mode is ApprovalMail.DIGEST else self.pause


class Due(NamedTuple):
    """A customer with something to be told, and from when on."""

    customer_id: UUID
    due_at: datetime


class Waiting(NamedTuple):
    """A pending approval as a mail tells of it; words are the agent's own, cut but not cleaned."""

    id: ApprovalId
    agent_id: str
    tool_name: str
    command_class: CommandClass
    human_readable: str
    impact: str | None
    expires_at: datetime
    domain: str


class Notice(NamedTuple):
    """What a customer is to be told.

    Args:
        listed: the requests to show, the new ones first; of a digest all that waits; `LISTED` at most.
        total: how many there are of those, counted up to `TOLD`.
        first: the oldest that is new, which the mail is named after.
        until: when the last of them expires.
    """

    customer_id: UUID
    email: str
    name: str
    timezone: str
    mode: ApprovalMail
    listed: Sequence[Waiting]
    total: int
    first: ApprovalId
    until: datetime


class ApprovalMailStore:
    """The approvals that wait, and who knows."""

    def __init__(self, database: Database, rules: Rules) -> None:
        self._database = database
        self._rules = rules

    async def due(self, *, now: datetime, watching: Sequence[UUID]) -> list[Due]:
        """Customers to be told, soonest first, `FOUND` at most; also those whose time is still to come.

        Args:
            watching: customers whose console is open.
        """
        return await self._database.look(_due, self._rules, now, list(watching))

    async def tell(self, customer_id: UUID, *, now: datetime, compose: Callable[[Notice], mail.Mail]) -> bool:
        """Write the mail that tells a customer of what waits, and that they were told.

        Args:
            compose: makes the mail; called on the database's thread, perhaps more than once.

        Returns:
            False: another node does so just now, or there is nothing to tell any more, or not yet.
        """
        return await self._database.write(_tell, self._rules, customer_id, now, compose)


def _due(connection: Connection, rules: Rules, now: datetime, watching: list[UUID]) -> list[Due]:
    values = {
        **rules._asdict(),
        "now": now,
        "watching": watching,
        "default_mode": default_preferences(connection).approval_mail.value,
        "most": FOUND,
    }
    return [Due(row.customer_id, row.due_at) for row in connection.execute(_DUE, values)]


def _tell(
    connection: Connection,
    rules: Rules,
    customer_id: UUID,
    now: datetime,
    compose: Callable[[Notice], mail.Mail],
) -> bool:
    connection.execute(_MAKE_LOCK, {"customer_id": customer_id})
    lock = connection.execute(_LOCK, {"customer_id": customer_id}).one_or_none()
    if lock is None:
        return False
    unless_chosen = default_preferences(connection)
    defaults = {"default_mode": unless_chosen.approval_mail.value, "timezone": unless_chosen.timezone}
    customer = connection.execute(_CUSTOMER, {"customer_id": customer_id, **defaults}).one_or_none()
    if customer is None or customer.queued or customer.mode == ApprovalMail.NEVER:
        return False
    mode = ApprovalMail(customer.mode)
    if lock.last_at is not None and lock.last_at + rules.pause_of(mode) > now:
        return False
    waiting = connection.execute(_WAITING, {"customer_id": customer_id, "now": now, "most": TOLD}).all()
    untold = [row for row in waiting if row.untold]
    if not untold:
        return False
    shown = waiting if mode is ApprovalMail.DIGEST else untold
    notice = Notice(
        customer_id=customer_id,
        email=customer.email,
        name=customer.name,
        timezone=customer.timezone,
        mode=mode,
        listed=[_waiting_of(row) for row in shown[:LISTED]],
        total=len(shown),
        first=ApprovalId(format_id("appr", untold[0].id)),
        until=max(row.expires_at for row in shown),
    )
    written = compose(notice)
    if not mail.enqueue(connection, written):
        return False
    connection.execute(_NOTE, {"mail_id": written.id, "ids": [row.id for row in untold]})
    connection.execute(_TOLD_AT, {"customer_id": customer_id, "now": now})
    return True


def _waiting_of(row: Row[Any]) -> Waiting:
    return Waiting(
        id=ApprovalId(format_id("appr", row.id)),
        agent_id=row.agent_id,
        tool_name=row.tool_name,
        command_class=CommandClass(row.command_class),
        human_readable=row.human_readable,
        impact=row.impact,
        expires_at=row.expires_at,
        domain=row.domain,
    )
