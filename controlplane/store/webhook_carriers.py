"""The third carrier's book: which promise is next for a tenant that takes webhooks, and what became of the tries.

A tenant is taken by a claim that runs out: one node at a time pushes to it, and a node that dies leaves it to the
others. Where the carrier's row is locked besides the server's, the server's comes first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from actors.people import Author
from actors.ports import Progress
from actors.runtime.ports import Ids
from actors.tenant.presence import OFFLINE_AFTER_HEARTBEATS
from controlplane.store import audit, events, outbox, progress
from controlplane.store.database import Database
from controlplane.store.fetching import Query
from protocol.console import WebhooksTold
from protocol.ids import OrderId, ServerId, format_id

#: A server that takes webhooks, has no lively socket, and has not acknowledged everything; its carrier's row `w`, where
#: that is of the present registration.
_WAITING: Final = """
    server_connections s LEFT JOIN webhook_carriers w ON w.order_id = s.order_id AND w.key_prefix = s.key_prefix
    WHERE s.safety_wrapper_url IS NOT NULL AND s.key_revoked_at IS NULL AND s.acked_seq < s.issued_seq
      AND (s.carrier IS DISTINCT FROM 'socket' OR s.last_seen_at <= :silent_since)
      AND w.disabled_at IS NULL AND (w.exhausted_seq IS NULL OR w.exhausted_seq < s.issued_seq)"""

# What is asked of the carrier's row is asked again once it is locked: another node may have ended a try meanwhile.
_CLAIM = text(f"""
    INSERT INTO webhook_carriers AS c (order_id, key_prefix, claim, claimed_until)
    SELECT s.order_id, s.key_prefix, :claim, :until
    FROM {_WAITING}
      AND (w.next_attempt_at IS NULL OR w.next_attempt_at <= :now)
      AND (w.claimed_until IS NULL OR w.claimed_until <= :now)
    ORDER BY s.order_id LIMIT :most
    ON CONFLICT (order_id) DO UPDATE
    SET claim = excluded.claim, claimed_until = excluded.claimed_until, key_prefix = excluded.key_prefix,
        seq = CASE WHEN c.key_prefix = excluded.key_prefix THEN c.seq ELSE 0 END,
        attempts = CASE WHEN c.key_prefix = excluded.key_prefix THEN c.attempts ELSE 0 END,
        next_attempt_at = NULL, exhausted_seq = NULL, disabled_at = NULL
    WHERE c.key_prefix <> excluded.key_prefix
       OR ((c.claimed_until IS NULL OR c.claimed_until <= :now) AND c.disabled_at IS NULL
           AND (c.next_attempt_at IS NULL OR c.next_attempt_at <= :now))
    RETURNING order_id""")

# What nobody has claimed and nothing holds back is due already: another node was quicker with others.
_NEXT_AT: Final = Query(
    text(f"""
        SELECT min(coalesce(greatest(w.next_attempt_at, w.claimed_until), CAST(:now AS timestamptz)))
        FROM {_WAITING}""")
)

_STATE = text(f"""
    SELECT s.id, s.acked_seq, s.issued_seq, s.safety_wrapper_url, s.key_sealed, w.seq, w.attempts
    FROM {_WAITING} AND s.order_id = :order_id AND w.claim = :claim""")

_HEAD = text("""
    SELECT d.seq, d.kind, d.frame,
        coalesce((SELECT max(b.seq) FROM deliveries b
                  WHERE b.order_id = d.order_id AND b.seq < d.seq AND b.voided_at IS NULL), 0) AS after
    FROM deliveries d WHERE d.order_id = :order_id AND d.seq > :acked AND d.voided_at IS NULL
    ORDER BY d.seq LIMIT 1""")

_TRY = text("""
    UPDATE webhook_carriers SET seq = :seq, attempts = :attempts, claimed_until = :until
    WHERE order_id = :order_id AND claim = :claim""")

_LET_GO = "claim = NULL, claimed_until = NULL"
_RELEASE = text(f"UPDATE webhook_carriers SET {_LET_GO} WHERE order_id = :order_id AND claim = :claim")
_DELIVERED = text("""
    UPDATE webhook_carriers SET attempts = 0, next_attempt_at = NULL, last_error = NULL, delivered_at = :at
    WHERE order_id = :order_id AND claim = :claim""")
_FAILED = text(f"""
    UPDATE webhook_carriers SET {_LET_GO}, attempts = attempts + 1, next_attempt_at = :next, last_error = :error
    WHERE order_id = :order_id AND claim = :claim""")
_EXHAUSTED = text(f"""
    UPDATE webhook_carriers SET {_LET_GO}, attempts = 0, next_attempt_at = NULL, last_error = :error,
        exhausted_seq = :issued
    WHERE order_id = :order_id AND claim = :claim RETURNING order_id""")
_DISABLED = text(f"""
    UPDATE webhook_carriers SET {_LET_GO}, attempts = 0, next_attempt_at = NULL, last_error = :error,
        disabled_at = :at
    WHERE order_id = :order_id AND claim = :claim RETURNING order_id""")

_SERVER = text("""
    SELECT s.id, s.issued_seq, s.safety_wrapper_url, o.user_id
    FROM server_connections s JOIN orders o ON o.id = s.order_id WHERE s.order_id = :order_id""")

_CONFIG_BEFORE = text("""
    SELECT body FROM tenant_configs WHERE order_id = :order_id AND version < :version ORDER BY version DESC LIMIT 1""")


class Claim(msgspec.Struct, frozen=True):
    """A tenant that this node pushes to for now."""

    order_id: UUID
    id: UUID


class Errand(msgspec.Struct, frozen=True):
    """One promise to push.

    Args:
        after: the last number before it that was not withdrawn.
        resumed_from: up to here everything is acknowledged.
        attempts: how often it was tried before.
        changed_fields: of a configuration, the fields that differ from the one before.
    """

    claim: Claim
    seq: int
    kind: str
    frame: bytes
    after: int
    resumed_from: int
    attempts: int
    url: str
    sealed_key: bytes
    changed_fields: list[str]


class WebhookStore:
    """The carriers' rows.

    Args:
        heartbeat_seconds: of wrappers on a socket: one that was silent for three of them has none.
    """

    def __init__(self, database: Database, *, ids: Ids, heartbeat_seconds: int) -> None:
        self._database = database
        self._ids = ids
        self._silence = timedelta(seconds=heartbeat_seconds * OFFLINE_AFTER_HEARTBEATS)

    async def claim(self, *, now: datetime, lease: timedelta, most: int) -> list[Claim]:
        """Take tenants for whom something is due; nobody else pushes to them until the lease has run out."""
        values = {"now": now, "until": now + lease, "most": most, "silent_since": now - self._silence}
        return await self._database.write(_claim, self._ids.uuid7(), values)

    async def next_attempt_at(self, *, now: datetime) -> datetime | None:
        """When next something is due, or a claim runs out."""
        rows = await self._database.fetch(_NEXT_AT, now=now, silent_since=now - self._silence)
        moment: datetime | None = rows[0][0]
        return moment

    async def next(self, claim: Claim, *, now: datetime, lease: timedelta) -> Errand | None:
        """What to push now; the lease begins anew. None lets the tenant go: there is nothing, or a socket, or no key.

        Withdrawn promises with nothing after them are passed over: there is nothing to tell of them.
        """
        return await self._database.write(_next, claim, now, lease, now - self._silence)

    async def delivered(self, errand: Errand, *, last_seq: int | None, now: datetime) -> bool:
        """The wrapper has taken it: acknowledge it, and what else it says its journal holds.

        Returns:
            False when it names promises that were never made: its journal belongs to another Hub.
        """
        return await self._database.write(_delivered, errand, last_seq, now)

    async def failed(self, errand: Errand, *, error: str, next_attempt_at: datetime) -> None:
        """A try has failed; there will be another."""
        values = {"next": next_attempt_at, "error": error}
        await self._database.write(_settle, errand.claim, values)

    async def exhausted(self, errand: Errand, *, error: str, now: datetime) -> None:
        """The last try has failed: no more until there is a newer promise; staff is told."""
        await self._database.write(_give_up, errand.claim, error, now, disabled=False)

    async def disabled(self, errand: Errand, *, error: str, now: datetime) -> None:
        """The address takes no webhooks: none until the server is registered anew; staff is told."""
        await self._database.write(_give_up, errand.claim, error, now, disabled=True)


def _claim(connection: Connection, claim: UUID, values: dict[str, Any]) -> list[Claim]:
    taken = connection.execute(_CLAIM, {"claim": claim, **values}).scalars()
    return [Claim(order_id, claim) for order_id in taken]


def _next(
    connection: Connection, claim: Claim, now: datetime, lease: timedelta, silent_since: datetime
) -> Errand | None:
    place = {"order_id": claim.order_id, "claim": claim.id}
    outbox.hold(connection, [claim.order_id])
    state = connection.execute(_STATE, {**place, "silent_since": silent_since}).one_or_none()
    head = None
    if state is not None:
        head = connection.execute(_HEAD, {"order_id": claim.order_id, "acked": state.acked_seq}).one_or_none()
    if state is None or head is None:
        if state is not None:
            progress.advance(connection, [Progress(claim.order_id, state.issued_seq, state.issued_seq, now)])
        connection.execute(_RELEASE, place)
        return None
    attempts = state.attempts if state.seq == head.seq else 0
    connection.execute(_TRY, {**place, "seq": head.seq, "attempts": attempts, "until": now + lease})
    progress.advance(connection, [Progress(claim.order_id, head.seq, state.acked_seq, now)])
    return _errand(connection, claim, state, head, attempts)


def _errand(connection: Connection, claim: Claim, state: Row[Any], head: Row[Any], attempts: int) -> Errand:
    frame = head.frame.encode()
    return Errand(
        claim=claim,
        seq=head.seq,
        kind=head.kind,
        frame=frame,
        after=head.after,
        resumed_from=state.acked_seq,
        attempts=attempts,
        url=state.safety_wrapper_url,
        sealed_key=state.key_sealed,
        changed_fields=_changed(connection, claim.order_id, frame) if head.kind == "configOffered" else [],
    )


class _Offer(msgspec.Struct, rename="camel"):
    config_version: int
    config: dict[str, msgspec.Raw]


def _changed(connection: Connection, order_id: UUID, frame: bytes) -> list[str]:
    """The top-level fields in which an offered configuration differs from the version before it."""
    offer = msgspec.json.decode(frame, type=_Offer)
    body = connection.execute(_CONFIG_BEFORE, {"order_id": order_id, "version": offer.config_version}).scalar()
    before = {} if body is None else msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    always = ("configVersion", "configHash")
    return [
        name
        for name, value in offer.config.items()
        if name not in always and (name not in before or bytes(before[name]) != bytes(value))
    ]


def _delivered(connection: Connection, errand: Errand, last_seq: int | None, now: datetime) -> bool:
    claim = errand.claim
    outbox.hold(connection, [claim.order_id])
    server = connection.execute(_SERVER, {"order_id": claim.order_id}).one()
    if last_seq is not None and last_seq > server.issued_seq:
        return False
    mark = errand.seq if last_seq is None else max(errand.seq, last_seq)
    progress.advance(connection, [Progress(claim.order_id, mark, mark, now)])
    connection.execute(_DELIVERED, {"order_id": claim.order_id, "claim": claim.id, "at": now})
    return True


def _settle(connection: Connection, claim: Claim, values: dict[str, Any]) -> None:
    connection.execute(_FAILED, {"order_id": claim.order_id, "claim": claim.id, **values})


def _give_up(connection: Connection, claim: Claim, error: str, now: datetime, *, disabled: bool) -> None:
    server = connection.execute(_SERVER, {"order_id": claim.order_id}).one()
    values: dict[str, Any] = {"order_id": claim.order_id, "claim": claim.id, "error": error}
    more: dict[str, Any] = {"at": now} if disabled else {"issued": server.issued_seq}
    ended = connection.execute(_DISABLED if disabled else _EXHAUSTED, {**values, **more}).one_or_none()
    if ended is None:
        return  # the claim is another's by now
    what = "webhooksDisabled" if disabled else "webhooksExhausted"
    server_id = ServerId(format_id("srv", server.id))
    audit.record(
        connection,
        Author.system(),
        "server.webhooks_disabled" if disabled else "server.webhooks_exhausted",
        server_id,
        at=now,
        after={"safetyWrapperUrl": server.safety_wrapper_url, "reason": error},
        customer_id=server.user_id,
        order_id=claim.order_id,
    )
    told = WebhooksTold(OrderId(format_id("ord", claim.order_id)), server_id, error)
    events.emit(connection, f"server.{what}", at=now, order_id=claim.order_id, data=told)
