"""The outbox of mail: written in the transaction of what causes it, taken by one sender at a time, settled once.

A mail that is being sent has its `next_attempt_at` moved to the end of a lease. Whoever takes it raises `attempts`,
and its result counts only as long as that number still stands: a sender that was thought dead changes nothing. Only
what it did send counts in any case.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from controlplane.store.database import Database
from controlplane.store.transaction import tell_after_commit

#: What listeners of `Database.listen` are told by: a mail was written, or has ended.
NEWS: Final = "mail"
#: The kind of mails about approvals; the sender passes over one of which nothing waits any more.
APPROVALS: Final = "approvals"
_LONGEST_ERROR: Final = 500
_SWEEP: Final = 1_000

_ENQUEUE = text("""
    INSERT INTO mails (id, kind, customer_id, recipient, subject, body, dedupe_key, created_at, next_attempt_at,
        expires_at)
    VALUES (CAST(:id AS uuid), :kind, CAST(:customer_id AS uuid), :recipient, :subject, CAST(:body AS bytea),
        :dedupe_key, CAST(:created_at AS timestamptz), CAST(:created_at AS timestamptz),
        CAST(:expires_at AS timestamptz))
    ON CONFLICT (dedupe_key) DO NOTHING
    RETURNING id""")

# Materialized: a subquery with a LIMIT may be run again for every row it is compared with.
_TAKE = text("""
    WITH due AS MATERIALIZED (
        SELECT id AS due_id FROM mails
        WHERE state = 'queued' AND next_attempt_at <= CAST(:now AS timestamptz)
          AND expires_at > CAST(:now AS timestamptz)
        ORDER BY next_attempt_at, id LIMIT :most FOR UPDATE SKIP LOCKED)
    UPDATE mails SET attempts = attempts + 1, next_attempt_at = CAST(:lease_until AS timestamptz)
    FROM due WHERE id = due_id
    RETURNING id, kind, recipient, subject, body, attempts, created_at""")

_MOOT = text("""
    SELECT m.id FROM unnest(CAST(:ids AS uuid[])) AS m (id)
    WHERE NOT EXISTS (
        SELECT 1 FROM approval_notices n JOIN command_approvals a ON a.id = n.approval_id
        WHERE n.mail_id = m.id AND a.status = 'PENDING' AND a.expires_at > CAST(:now AS timestamptz))""")

_SETTLE = text("""
    UPDATE mails SET state = CAST(:state AS text), body = NULL, settled_at = CAST(:now AS timestamptz),
        last_error = :error
    WHERE id = CAST(:id AS uuid) AND state = 'queued' AND (attempts = :attempt OR CAST(:state AS text) = 'sent')""")

_PUT_OFF = text("""
    UPDATE mails SET next_attempt_at = CAST(:again_at AS timestamptz), last_error = :error
    WHERE id = CAST(:id AS uuid) AND state = 'queued' AND attempts = :attempt""")

_EXPIRE = text("""
    WITH due AS MATERIALIZED (
        SELECT id AS due_id FROM mails
        WHERE state = 'queued' AND expires_at <= CAST(:now AS timestamptz)
        ORDER BY expires_at LIMIT :most FOR UPDATE SKIP LOCKED)
    UPDATE mails SET state = 'abandoned', body = NULL, settled_at = CAST(:now AS timestamptz),
        last_error = coalesce('its time was over; last: ' || last_error, 'its time was over')
    FROM due WHERE id = due_id""")

_FORGET = text("""
    DELETE FROM mails WHERE id IN (
        SELECT id FROM mails WHERE state <> 'queued' AND settled_at < CAST(:before AS timestamptz)
        ORDER BY settled_at LIMIT :most FOR UPDATE SKIP LOCKED)""")

_NEXT = text("SELECT min(next_attempt_at) FROM mails WHERE state = 'queued'")
_WAITING = text("SELECT count(*) FROM (SELECT 1 FROM mails WHERE state = 'queued' LIMIT 100000) q")

_BACKLOG = text("""
    SELECT (SELECT count(*) FROM mails WHERE state = 'queued') AS waiting,
        (SELECT min(created_at) FROM mails WHERE state = 'queued') AS oldest,
        (SELECT last_error FROM mails WHERE state = 'queued' AND last_error IS NOT NULL
         ORDER BY next_attempt_at DESC, id LIMIT 1) AS last_error,
        (SELECT count(*) FROM mails WHERE state IN ('failed', 'abandoned') AND settled_at > CAST(:since AS timestamptz))
            AS lost""")


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to be sent.

    Args:
        kind: what it is about, for the log and figures.
        body: text and HTML, sealed: `MailService.draft` makes it.
        dedupe_key: of all mails with one key only the first is written.
        expires_at: from then on it is not worth sending, and is abandoned.
        customer_id: the customer whose deletion deletes it.
    """

    id: UUID
    kind: str
    recipient: str
    subject: str
    body: bytes
    dedupe_key: str
    created_at: datetime
    expires_at: datetime
    customer_id: UUID | None = None


class Taken(NamedTuple):
    """A mail in its sender's hand."""

    id: UUID
    kind: str
    recipient: str
    subject: str
    body: bytes
    attempt: int
    created_at: datetime


class Backlog(NamedTuple):
    """How the outbox stands: what waits, since when, why, and what was lost lately."""

    waiting: int
    oldest: datetime | None
    last_error: str | None
    lost: int


def enqueue(connection: Connection, mail: Mail) -> bool:
    """Write a mail into the transaction of what causes it. False: there is one of its dedupe key already."""
    written = connection.execute(_ENQUEUE, msgspec.structs.asdict(mail)).one_or_none() is not None
    if written:
        tell_after_commit(connection, NEWS)
    return written


class MailStore:
    """The outbox in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, mail: Mail) -> bool:
        """Write a mail that nothing else causes. False: there is one of its dedupe key already."""
        return await self._database.write(enqueue, mail)

    async def take(self, *, now: datetime, lease: timedelta, most: int) -> list[Taken]:
        """Take what is due, `most` of it; nobody else takes it while the lease lasts.

        Mails about approvals of which none waits any more are abandoned instead.
        """
        return await self._database.write(_take, now, lease, most)

    async def settle(self, taken: Taken, state: str, *, now: datetime, error: str | None = None) -> bool:
        """End a mail as `sent`, `failed` or `abandoned`, and erase its body. False: another attempt has begun."""
        return await self._database.write(_settle, taken, state, now, error)

    async def put_off(self, taken: Taken, *, until: datetime, error: str | None) -> bool:
        """Try again later. False: another attempt has begun."""
        return await self._database.write(_put_off, taken, until, error)

    async def next_attempt_at(self) -> datetime | None:
        """When the next mail is due; None when none waits."""
        return await self._database.look(_next)

    async def sweep(self, *, now: datetime, keep: timedelta) -> tuple[int, int]:
        """Abandon what has expired, forget what ended longer than `keep` ago; how many were abandoned, and wait."""
        return await self._database.write(_sweep, now, now - keep)

    async def backlog(self, *, since: datetime) -> Backlog:
        """How the outbox stands; `lost` counts from `since`."""
        return await self._database.look(_backlog, since)


def _take(connection: Connection, now: datetime, lease: timedelta, most: int) -> list[Taken]:
    rows = connection.execute(_TAKE, {"now": now, "lease_until": now + lease, "most": most}).all()
    taken = [Taken(r.id, r.kind, r.recipient, r.subject, bytes(r.body), r.attempts, r.created_at) for r in rows]
    about_approvals = [mail.id for mail in taken if mail.kind == APPROVALS]
    if not about_approvals:
        return sorted(taken)
    moot = set(connection.execute(_MOOT, {"ids": about_approvals, "now": now}).scalars())
    for mail in taken:
        if mail.id in moot:
            _settle(connection, mail, "abandoned", now, "nothing it tells of waits any more")
    return sorted(mail for mail in taken if mail.id not in moot)


def _settle(connection: Connection, taken: Taken, state: str, now: datetime, error: str | None) -> bool:
    values = {"id": taken.id, "attempt": taken.attempt, "state": state, "now": now, "error": _bounded(error)}
    tell_after_commit(connection, NEWS)
    return connection.execute(_SETTLE, values).rowcount == 1


def _put_off(connection: Connection, taken: Taken, until: datetime, error: str | None) -> bool:
    values = {"id": taken.id, "attempt": taken.attempt, "again_at": until, "error": _bounded(error)}
    return connection.execute(_PUT_OFF, values).rowcount == 1


def _bounded(error: str | None) -> str | None:
    return None if error is None else error[:_LONGEST_ERROR]


def _next(connection: Connection) -> datetime | None:
    found: datetime | None = connection.execute(_NEXT).scalar_one()
    return found


def _sweep(connection: Connection, now: datetime, before: datetime) -> tuple[int, int]:
    abandoned = connection.execute(_EXPIRE, {"now": now, "most": _SWEEP}).rowcount
    connection.execute(_FORGET, {"before": before, "most": _SWEEP})
    waiting: int = connection.execute(_WAITING).scalar_one()
    return abandoned, waiting


def _backlog(connection: Connection, since: datetime) -> Backlog:
    row = connection.execute(_BACKLOG, {"since": since}).one()
    return Backlog(row.waiting, row.oldest, row.last_error, row.lost)
