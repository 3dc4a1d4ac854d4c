"""Servers: registration by one-use tokens, keys, and how each tenant server is now."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from actors.people import Author
from actors.ports import Registered
from actors.runtime.ports import Ids, Randomness
from actors.tenant.presence import presence_of
from controlplane.secret import hash_of
from controlplane.store import audit, events
from controlplane.store.database import Database
from controlplane.store.fetching import Query
from controlplane.store.keys import key_of, missing
from controlplane.store.orders import read_order
from controlplane.store.outbox import hold
from controlplane.store.system_settings import chosen
from controlplane.system_settings.own import Hub
from protocol.console import ServerTold
from protocol.faults import Conflict, NotFound, Unauthorized
from protocol.ids import CustomerId, OrderId, ServerId, format_id
from protocol.objects import HeartbeatBody, Resources, Server


class Seals(Protocol):
    """Seals secrets at rest."""

    def seal(self, value: bytes) -> bytes: ...


_PREFIX_LETTERS: Final = 12
_HEARTBEAT = msgspec.json.Decoder(HeartbeatBody)


class RegistrationToken(msgspec.Struct, rename="camel"):
    """A one-use token for one order's server; shown once."""

    registration_token: str
    expires_at: datetime


class KeyHolder(msgspec.Struct):
    """Whose key it is."""

    order_id: UUID
    server_id: UUID
    customer_id: UUID
    key_prefix: str
    key_hash: bytes
    revoked: bool
    used: bool
    domain: str


_ORDER = text("SELECT id, user_id, status, domain FROM orders WHERE id = :id FOR NO KEY UPDATE")
# Used ones too: their second chance (the same instance, the key not used yet) ends with them.
_VOID_TOKENS = text("UPDATE registration_tokens SET voided_at = :at WHERE order_id = :order_id AND voided_at IS NULL")
_NEW_TOKEN = text(
    "INSERT INTO registration_tokens (id, order_id, token_hash, created_at, expires_at)"
    " VALUES (:id, :order_id, :hash, :at, :expires_at)"
)
_TOKEN_ORDER = text("SELECT order_id FROM registration_tokens WHERE token_hash = :hash")
_TOKEN = text("SELECT * FROM registration_tokens WHERE token_hash = :hash FOR UPDATE")
_USE_TOKEN = text("UPDATE registration_tokens SET used_at = :at, instance_id = :instance WHERE id = :id")
_SERVER = text(
    "SELECT id, key_first_used_at, key_revoked_at FROM server_connections WHERE order_id = :order_id FOR NO KEY UPDATE"
)
_REGISTER = text("""
    INSERT INTO server_connections (id, order_id, registered_at, instance_id, safety_wrapper_url, key_prefix, key_hash,
        key_sealed, key_issued_at)
    VALUES (:id, :order_id, :at, :instance, :url, :prefix, :hash, :sealed, :at)
    ON CONFLICT (order_id) DO UPDATE SET instance_id = excluded.instance_id,
        safety_wrapper_url = excluded.safety_wrapper_url, key_prefix = excluded.key_prefix,
        key_hash = excluded.key_hash, key_sealed = excluded.key_sealed, key_issued_at = excluded.key_issued_at,
        key_first_used_at = NULL, key_revoked_at = NULL
    RETURNING id""")
_FULFIL = text("""
    UPDATE orders SET status = 'FULFILLED', fulfilled_at = :at, updated_at = :at
    WHERE id = :order_id AND status NOT IN ('FULFILLED', 'CANCELLED') RETURNING id""")
_HOLDER = Query(
    text("""
    SELECT s.order_id, s.id AS server_id, o.user_id AS customer_id, s.key_prefix, s.key_hash,
        s.key_revoked_at IS NOT NULL AS revoked,
        s.key_first_used_at IS NOT NULL AS used, o.domain
    FROM server_connections s JOIN orders o ON o.id = s.order_id WHERE s.key_prefix = :prefix""")
)
_USED = text(
    "UPDATE server_connections SET key_first_used_at = :at WHERE order_id = :order_id AND key_first_used_at IS NULL"
)
_REVOKE = text(
    "UPDATE server_connections s SET key_revoked_at = :at FROM orders o"
    " WHERE s.order_id = :order_id AND o.id = s.order_id AND s.key_revoked_at IS NULL RETURNING s.id, o.user_id"
)

_VIEW = """
    SELECT s.*, o.user_id, o.domain, o.server_ip, u.company,
        coalesce((SELECT max(version) FROM tenant_configs c WHERE c.order_id = s.order_id), 0) AS config_version,
        (SELECT count(*) FROM command_approvals a WHERE a.order_id = s.order_id AND a.status = 'PENDING') AS pending
    FROM server_connections s JOIN orders o ON o.id = s.order_id JOIN users u ON u.id = o.user_id"""
_LIST = text(f"{_VIEW} ORDER BY s.registered_at DESC, s.id DESC LIMIT :limit OFFSET :offset")
_COUNT = text("SELECT count(*) FROM server_connections")
_GET = text(f"{_VIEW} WHERE s.id = :id")
_OF_ORDERS = text(f"{_VIEW} WHERE s.order_id = ANY(CAST(:orders AS uuid[]))")


def prefix_of(key: str) -> str | None:
    """The public prefix of a key of the form `hk_<prefix>_<secret>`."""
    parts = key.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == "hk" and len(parts[1]) == _PREFIX_LETTERS else None


def register(
    connection: Connection,
    order_id: UUID,
    registration: Registered,
    *,
    author: Author,
    at: datetime,
    ids: Ids,
) -> ServerId:
    """Trade a registration token for a key.

    The same token with the same instanceId, before the key's first use, gives a fresh key and voids the former: a lost
    answer locks nobody out. Not after the key was revoked, nor after a newer token was made.

    Raises:
        Unauthorized: the token is unknown, expired, withdrawn or used.
    """
    hold(connection, [order_id])
    order = connection.execute(_ORDER, {"id": order_id}).one_or_none()
    row = connection.execute(_TOKEN, {"hash": hash_of(registration.token)}).one_or_none()
    if row is None or order is None or row.order_id != order_id:
        raise Unauthorized("the registration token is not valid")
    if row.voided_at is not None or order.status == "CANCELLED":
        raise Unauthorized("the registration token was withdrawn; ask for a new one")
    server = connection.execute(_SERVER, {"order_id": order_id}).one_or_none()
    if row.used_at is not None:
        again = registration.instance_id is not None and row.instance_id == registration.instance_id
        untouched = server is not None and server.key_first_used_at is None and server.key_revoked_at is None
        if not again or not untouched:
            raise Unauthorized("the registration token was used already; ask for a new one")
    elif row.expires_at <= at:
        raise Unauthorized("the registration token has expired; ask for a new one")
    connection.execute(_USE_TOKEN, {"id": row.id, "at": at, "instance": registration.instance_id})
    values = {
        "id": ids.uuid7(),
        "order_id": order_id,
        "at": at,
        "instance": registration.instance_id,
        "url": registration.wrapper_url,
        "prefix": registration.key_prefix,
        "hash": registration.key_hash,
        "sealed": registration.sealed_key,
    }
    server_id = connection.execute(_REGISTER, values).scalar_one()
    target = ServerId(format_id("srv", server_id))
    after = {
        "orderId": format_id("ord", order_id),
        "instanceId": registration.instance_id,
        "safetyWrapperUrl": registration.wrapper_url,
    }
    audit.record(
        connection,
        author,
        "server.registered",
        target,
        at=at,
        after=after,
        customer_id=order.user_id,
        order_id=order_id,
    )
    events.emit_all(connection, [told("registered", order_id, server_id, at)])
    if connection.execute(_FULFIL, {"order_id": order_id, "at": at}).one_or_none() is not None:
        audit.record(
            connection,
            author,
            "order.fulfilled",
            format_id("ord", order_id),
            at=at,
            before={"status": order.status},
            after={"status": "FULFILLED"},
            customer_id=order.user_id,
        )
        fulfilled = read_order(connection, order_id)
        events.emit(connection, "order.fulfilled", at=at, order_id=order_id, data=fulfilled)
    return target


def told(what: str, order_id: UUID, server_id: UUID, at: datetime | None, epoch: int | None = None) -> events.NewEvent:
    """The event that tells the consoles what happened to a server."""
    data = ServerTold(OrderId(format_id("ord", order_id)), ServerId(format_id("srv", server_id)), epoch)
    return events.NewEvent(f"server.{what}", data, at, order_id)


def revoke(connection: Connection, order_id: UUID, *, author: Author, at: datetime) -> None:
    """End a key at once; a new one is had by a new registration token.

    Raises:
        NotFound: no server is registered for the order.
    """
    row = connection.execute(_REVOKE, {"order_id": order_id, "at": at}).one_or_none()
    if row is not None:
        target = format_id("srv", row.id)
        audit.record(
            connection,
            author,
            "server.key_revoked",
            target,
            at=at,
            before={"keyRevokedAt": None},
            after={"keyRevokedAt": at},
            customer_id=row.user_id,
            order_id=order_id,
        )
        events.emit_all(connection, [told("keyRevoked", order_id, row.id, at)])
    elif connection.execute(_SERVER, {"order_id": order_id}).one_or_none() is None:
        raise NotFound("no server is registered for this order")


def shut_out(connection: Connection, order_id: UUID, *, author: Author, at: datetime) -> None:
    """End whatever lets an order's server in: its registration tokens and its key, where it has any."""
    connection.execute(_VOID_TOKENS, {"order_id": order_id, "at": at})
    if connection.execute(_SERVER, {"order_id": order_id}).one_or_none() is not None:
        revoke(connection, order_id, author=author, at=at)


def issue_token(
    connection: Connection, order_id: UUID, *, token: str, author: Author, at: datetime, ids: Ids
) -> RegistrationToken:
    """Make a registration token; a new one voids the last.

    Raises:
        NotFound: no such order.
        Conflict: the order is cancelled.
    """
    order = connection.execute(_ORDER, {"id": order_id}).one_or_none()
    if order is None:
        raise missing("ord", format_id("ord", order_id))
    if order.status == "CANCELLED":
        raise Conflict(f"order {format_id('ord', order_id)} is cancelled")
    connection.execute(_VOID_TOKENS, {"order_id": order_id, "at": at})
    expires_at = at + timedelta(days=chosen(connection, Hub).registration_token_days)
    connection.execute(
        _NEW_TOKEN,
        {"id": ids.uuid7(), "order_id": order_id, "hash": hash_of(token), "at": at, "expires_at": expires_at},
    )
    action, target, after = "order.registration_token_issued", format_id("ord", order_id), {"expiresAt": expires_at}
    audit.record(connection, author, action, target, at=at, after=after, customer_id=order.user_id)
    about = read_order(connection, order_id)
    events.emit(connection, "order.registrationTokenIssued", at=at, order_id=order_id, data=about)
    return RegistrationToken(token, expires_at)


class ServerStore:
    """Reads of servers, and the tokens and keys that let them in.

    Args:
        heartbeat_seconds: the interval that wrappers on a socket are told.
    """

    def __init__(self, database: Database, *, ids: Ids, randomness: Randomness, heartbeat_seconds: int) -> None:
        self._database = database
        self._ids = ids
        self._randomness = randomness
        self._heartbeat_seconds = heartbeat_seconds

    def new_key(self) -> str:
        """A key of 256 random bits behind a public prefix."""
        return f"hk_{self._randomness.token(_PREFIX_LETTERS // 2).hex()}_{self._randomness.token(32).hex()}"

    def registration(
        self, *, token: str, instance_id: str | None, wrapper_url: str | None, key: str, seals: Seals
    ) -> Registered:
        """What the book needs of a registration: the key itself only sealed and hashed."""
        return Registered(
            token=token,
            instance_id=instance_id,
            wrapper_url=wrapper_url,
            key_prefix=key.split("_")[1],
            key_hash=hash_of(key),
            sealed_key=seals.seal(key.encode()),
        )

    async def issue_token(self, order_id: OrderId, *, author: Author, at: datetime) -> RegistrationToken:
        """As `issue_token`."""
        token = f"rt_{self._randomness.token(32).hex()}"
        return await self._database.write(
            issue_token, key_of("ord", order_id), token=token, author=author, at=at, ids=self._ids
        )

    async def order_of_token(self, token: str) -> OrderId:
        """The order a registration token was made for, whether it is still good or not.

        Raises:
            Unauthorized: there never was such a token.
        """
        order_id = await self._database.look(
            lambda connection: connection.execute(_TOKEN_ORDER, {"hash": hash_of(token)}).scalar_one_or_none()
        )
        if order_id is None:
            raise Unauthorized("the registration token is not valid")
        return OrderId(format_id("ord", order_id))

    async def holder(self, key: str, *, at: datetime) -> KeyHolder:
        """Whose key this is; its first use is noted.

        Raises:
            Unauthorized: not a key, not ours, or revoked.
        """
        prefix = prefix_of(key)
        rows = await self._database.fetch(_HOLDER, prefix=prefix) if prefix else []
        row = KeyHolder(*rows[0]) if rows else None
        if row is None or not hmac.compare_digest(row.key_hash, hash_of(key)):
            raise Unauthorized("the hub API key is not valid")
        if row.revoked:
            raise Unauthorized("the hub API key was revoked; register again with a new registration token")
        if not row.used:
            await self._database.write(_note_use, row.order_id, at)
        return row

    async def page(self, *, page: int, page_size: int, now: datetime) -> tuple[list[Server], int]:
        """Registered servers, newest first, and how many there are."""
        return await self._database.read(self._page, page, page_size, now)

    async def get(self, server_id: ServerId, *, now: datetime) -> Server:
        """One server.

        Raises:
            NotFound: no such server.
        """
        row = await self._database.look(self._get, key_of("srv", server_id), now)
        if row is None:
            raise missing("srv", server_id)
        return row

    async def of_orders(self, orders: Sequence[UUID], *, now: datetime) -> list[tuple[UUID, UUID, Server]]:
        """The servers of these orders, as far as they have one, each with its order's and its customer's key."""
        return await self._database.look(self._of_orders, list(orders), now)

    def _of_orders(self, connection: Connection, orders: list[UUID], now: datetime) -> list[tuple[UUID, UUID, Server]]:
        rows = connection.execute(_OF_ORDERS, {"orders": orders})
        return [(row.order_id, row.user_id, self._server(row, now)) for row in rows]

    def _page(self, connection: Connection, page: int, page_size: int, now: datetime) -> tuple[list[Server], int]:
        total = connection.execute(_COUNT).scalar_one()
        rows = connection.execute(_LIST, {"limit": page_size, "offset": (page - 1) * page_size})
        return [self._server(row, now) for row in rows], total

    def _get(self, connection: Connection, server_id: UUID, now: datetime) -> Server | None:
        row = connection.execute(_GET, {"id": server_id}).one_or_none()
        return None if row is None else self._server(row, now)

    def _server(self, row: Row[Any], now: datetime) -> Server:
        return Server(
            id=ServerId(format_id("srv", row.id)),
            order_id=OrderId(format_id("ord", row.order_id)),
            customer_id=CustomerId(format_id("cust", row.user_id)),
            company=row.company,
            domain=row.domain,
            server_ip=row.server_ip,
            presence=presence_of(
                carrier=row.carrier,
                last_seen_at=row.last_seen_at,
                now=now,
                heartbeat_seconds=self._heartbeat_seconds,
            ),
            last_seen_at=row.last_seen_at,
            connected_at=row.connected_at,
            safety_wrapper_version=row.wrapper_version,
            openclaw_version=row.openclaw_version,
            config_version=row.config_version,
            config_applied_version=row.config_applied_version,
            config_error=row.config_error,
            resources=_resources(row.heartbeat),
            pending_approvals=row.pending,
            unacknowledged=row.issued_seq - row.acked_seq,
            key_revoked_at=row.key_revoked_at,
            registered_at=row.registered_at,
        )


def _resources(heartbeat: str | None) -> Resources | None:
    return None if heartbeat is None else _HEARTBEAT.decode(heartbeat).resources


def _note_use(connection: Connection, order_id: UUID, at: datetime) -> None:
    connection.execute(_USED, {"order_id": order_id, "at": at})
