"""Taking sessions: whoever says hello together is taken together, since after a restart everybody says it at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from actors.people import Author
from actors.ports import Attached, Progress
from controlplane.store import audit, configuration, events, outbox, progress, servers
from controlplane.store.composition import basis_of
from protocol.faults import Conflict, Fault, NotFound, Unauthorized
from protocol.ids import format_id
from protocol.tenant import Hello

#: Greetings in one transaction: those that need a configuration take their time, and hold the others' rows meanwhile.
MOST_AT_ONCE: Final = 100

_TAKE: Final = """
    UPDATE server_connections s SET epoch = s.epoch + 1, session_id = u.session_id, carrier = 'socket',
        connected_at = u.at, last_seen_at = u.at, wrapper_version = u.wrapper,
        openclaw_version = coalesce(u.openclaw, s.openclaw_version),
        key_first_used_at = coalesce(s.key_first_used_at, u.at)"""

# Who has the configuration it should have: nothing is to be written but the session.
_TAKE_UP_TO_DATE = text(f"""{_TAKE}
    FROM unnest(CAST(:orders AS uuid[]), CAST(:prefixes AS text[]), CAST(:sessions AS text[]),
        CAST(:times AS timestamptz[]), CAST(:wrappers AS text[]), CAST(:openclaws AS text[]),
        CAST(:last_seqs AS bigint[]), CAST(:versions AS bigint[]), CAST(:hashes AS text[]))
      AS u (id, key_prefix, session_id, at, wrapper, openclaw, last_seq, version, hash)
      CROSS JOIN LATERAL (
        SELECT version, hash, basis FROM tenant_configs WHERE order_id = u.id ORDER BY version DESC LIMIT 1) AS c
    WHERE s.order_id = u.id AND s.key_prefix = u.key_prefix AND s.key_revoked_at IS NULL AND s.issued_seq >= u.last_seq
      AND c.basis = :basis AND c.version = u.version AND coalesce(u.hash, c.hash) = c.hash
    RETURNING s.order_id, s.id, s.epoch, s.issued_seq, greatest(s.acked_seq, u.last_seq) AS acked_seq, u.at,
      c.version AS config_version""")

_TAKE_ONE = text(f"""{_TAKE}
    FROM (SELECT CAST(:session_id AS text) AS session_id, CAST(:at AS timestamptz) AS at,
        CAST(:wrapper AS text) AS wrapper, CAST(:openclaw AS text) AS openclaw,
        CAST(:last_seq AS bigint) AS last_seq) AS u
    WHERE s.order_id = :order_id AND s.key_prefix = :key_prefix AND s.key_revoked_at IS NULL
      AND s.issued_seq - :new >= u.last_seq
    RETURNING s.id, s.epoch, s.issued_seq, greatest(s.acked_seq, u.last_seq) AS acked_seq,
      (SELECT o.user_id FROM orders o WHERE o.id = s.order_id) AS customer_id""")

_KEY = text("SELECT key_prefix, key_revoked_at FROM server_connections WHERE order_id = :order_id")


class Greeting(msgspec.Struct, frozen=True):
    """A hello, and what belongs to it; see `actors.ports.TenantBook.attach`."""

    order_id: UUID
    hello: Hello
    key_prefix: str
    session_id: str
    at: datetime
    rival_epoch: int | None


class Attaching:
    """Writes greetings as a `GroupWriter` hands them over, each order once in a batch.

    Args:
        heartbeat_seconds: told to wrappers in their configuration.
    """

    def __init__(self, heartbeat_seconds: int) -> None:
        self._heartbeat_seconds = heartbeat_seconds

    def take(self, connection: Connection, batch: Sequence[Greeting]) -> list[Attached | Fault]:
        """The session of each, or why it has none."""
        outbox.hold(connection, [greeting.order_id for greeting in batch])
        taken = self._take_up_to_date(connection, batch)
        for greeting in batch:
            if greeting.order_id not in taken:
                taken[greeting.order_id] = self._take_apart(connection, greeting)
        return [taken[greeting.order_id] for greeting in batch]

    def _take_up_to_date(self, connection: Connection, batch: Sequence[Greeting]) -> dict[UUID, Attached | Fault]:
        plain = [greeting for greeting in batch if greeting.rival_epoch is None and greeting.hello.config_version]
        if not plain:
            return {}
        rows = connection.execute(
            _TAKE_UP_TO_DATE,
            {
                "orders": [greeting.order_id for greeting in plain],
                "prefixes": [greeting.key_prefix for greeting in plain],
                "sessions": [greeting.session_id for greeting in plain],
                "times": [greeting.at for greeting in plain],
                "wrappers": [greeting.hello.wrapper_version for greeting in plain],
                "openclaws": [greeting.hello.openclaw_version for greeting in plain],
                "last_seqs": [greeting.hello.last_seq for greeting in plain],
                "versions": [greeting.hello.config_version for greeting in plain],
                "hashes": [greeting.hello.config_hash for greeting in plain],
                "basis": basis_of(self._heartbeat_seconds),
            },
        ).all()
        if not rows:
            return {}
        rows = sorted(rows, key=lambda row: row.order_id)
        told = [servers.told("connected", row.order_id, row.id, row.at, row.epoch) for row in rows]
        events.emit_all(connection, told)
        # What was journalled before the last connection broke is an acknowledgement like any other.
        progress.advance(connection, [Progress(row.order_id, row.acked_seq, row.acked_seq, row.at) for row in rows])
        return {row.order_id: Attached(row.epoch, row.issued_seq, row.acked_seq, row.config_version) for row in rows}

    def _take_apart(self, connection: Connection, greeting: Greeting) -> Attached | Fault:
        try:
            with connection.begin_nested():  # a refusal takes back what it has written, and nobody else's
                return self._take_one(connection, greeting)
        except (Unauthorized, Conflict, NotFound) as fault:
            return fault

    def _take_one(self, connection: Connection, greeting: Greeting) -> Attached:
        order_id, hello, at = greeting.order_id, greeting.hello, greeting.at
        offer = configuration.offer_current(
            connection,
            order_id,
            at,
            known_version=hello.config_version,
            known_hash=hello.config_hash,
            heartbeat_seconds=self._heartbeat_seconds,
        )
        row = connection.execute(
            _TAKE_ONE,
            {
                "order_id": order_id,
                "key_prefix": greeting.key_prefix,
                "session_id": greeting.session_id,
                "at": at,
                "wrapper": hello.wrapper_version,
                "openclaw": hello.openclaw_version,
                "last_seq": hello.last_seq,
                "new": 0 if offer is None else 1,
            },
        ).one_or_none()
        if row is None:
            key = connection.execute(_KEY, {"order_id": order_id}).one_or_none()
            if key is None or key.key_revoked_at is not None or key.key_prefix != greeting.key_prefix:
                raise Unauthorized("the key was revoked")
            raise Conflict(f"hello.lastSeq is {hello.last_seq}, but fewer promises were made")
        if greeting.rival_epoch is not None:
            audit.record(
                connection,
                Author.system(),
                "server.key_used_twice",
                format_id("srv", row.id),
                at=at,
                after={"replacedEpoch": greeting.rival_epoch, "epoch": row.epoch, "bootId": hello.boot_id},
                customer_id=row.customer_id,
                order_id=order_id,
            )
            events.emit_all(connection, [servers.told("keyUsedTwice", order_id, row.id, at, row.epoch)])
        events.emit_all(connection, [servers.told("connected", order_id, row.id, at, row.epoch)])
        progress.advance(connection, [Progress(order_id, row.acked_seq, row.acked_seq, at)])
        version = configuration.current_version(connection, order_id)
        return Attached(epoch=row.epoch, issued_seq=row.issued_seq, acked_seq=row.acked_seq, config_version=version)
