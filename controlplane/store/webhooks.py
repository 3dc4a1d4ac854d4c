"""What staff sees of a tenant's webhooks, and how they are set going again after their end."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from actors.people import Author
from controlplane.store import audit, events, outbox
from controlplane.store.database import Database
from controlplane.store.keys import key_of, missing
from protocol.console import WebhooksTold
from protocol.faults import Conflict
from protocol.ids import OrderId, ServerId, format_id

_SEEN: Final = text("""
    SELECT s.id, s.order_id, o.user_id, s.safety_wrapper_url, s.key_revoked_at, s.acked_seq, s.issued_seq,
        coalesce(w.attempts, 0) AS attempts, w.next_attempt_at, w.delivered_at, w.disabled_at, w.exhausted_seq,
        w.last_error, coalesce(w.claimed_until > CAST(:now AS timestamptz), false) AS claimed
    FROM server_connections s JOIN orders o ON o.id = s.order_id
    LEFT JOIN webhook_carriers w ON w.order_id = s.order_id AND w.key_prefix = s.key_prefix
    WHERE s.id = :server_id""")
_ORDER: Final = text("SELECT order_id FROM server_connections WHERE id = :server_id")
_ENABLE: Final = text("""
    UPDATE webhook_carriers SET attempts = 0, next_attempt_at = NULL, exhausted_seq = NULL, disabled_at = NULL
    WHERE order_id = :order_id""")
#: Addresses of tenants may hold what opens something; such are never pushed to, and not shown either.
_USER: Final = re.compile(r"//[^/]*@")


class WebhookState(StrEnum):
    """How the webhooks to a server are."""

    NONE = "none"
    READY = "ready"
    PUSHING = "pushing"
    FAILING = "failing"
    EXHAUSTED = "exhausted"
    DISABLED = "disabled"


class ServerWebhooks(msgspec.Struct, rename="camel"):
    """The webhooks to one server.

    Args:
        state: `none`: it registered without an address; `failing`: tried again at `nextAttemptAt`; `exhausted`: not
            tried until something newer is promised; `disabled`: not tried at all, the address answered 410 or cannot
            be one.
        url: below which they go; a name and a password in it are left out.
        attempts: how often the promise whose turn it is was tried in vain.
        unacknowledged: how many promises wait, for whichever carrier.
    """

    server_id: ServerId
    order_id: OrderId
    state: WebhookState
    url: str | None
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None
    delivered_at: datetime | None
    disabled_at: datetime | None
    unacknowledged: int


class ServerWebhookStore:
    """Looks at webhooks, and sets them going."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, server_id: ServerId, *, now: datetime) -> ServerWebhooks:
        """How a server's webhooks are.

        Raises:
            NotFound: no such server.
        """
        row = await self._database.look(_seen, key_of("srv", server_id), now)
        if row is None:
            raise missing("srv", server_id)
        return _view(row)

    async def enable(self, server_id: ServerId, *, author: Author, at: datetime) -> ServerWebhooks:
        """Let them be tried from the first try on, at once; where they go well that changes nothing.

        Raises:
            NotFound: no such server.
            Conflict: it registered without an address, or its key is revoked.
        """
        return await self._database.write(_enable, server_id, author, at)


def _seen(connection: Connection, server_id: UUID, now: datetime) -> Row[Any] | None:
    return connection.execute(_SEEN, {"server_id": server_id, "now": now}).one_or_none()


def _enable(connection: Connection, server_id: ServerId, author: Author, at: datetime) -> ServerWebhooks:
    key = key_of("srv", server_id)
    order_id = connection.execute(_ORDER, {"server_id": key}).scalar_one_or_none()
    if order_id is None:
        raise missing("srv", server_id)
    outbox.hold(connection, [order_id])
    before = _looked(connection, key, at)
    if before.state is WebhookState.NONE:
        raise Conflict("the server takes no webhooks: it registered without a safetyWrapperUrl")
    if before.key_revoked:
        raise Conflict("the server's key is revoked: it has to register anew")
    if before.state in (WebhookState.READY, WebhookState.PUSHING):
        return before.shown
    connection.execute(_ENABLE, {"order_id": order_id})
    after = _looked(connection, key, at)
    audit.record(
        connection,
        author,
        "server.webhooks_enabled",
        server_id,
        at=at,
        before={"state": before.state, "lastError": before.shown.last_error},
        after={"state": after.state},
        customer_id=before.customer_id,
        order_id=order_id,
    )
    told = WebhooksTold(before.shown.order_id, server_id, f"enabled by {author.name or author.type}")
    events.emit(connection, "server.webhooksEnabled", at=at, order_id=order_id, data=told)
    return after.shown


class _Look(msgspec.Struct):
    shown: ServerWebhooks
    customer_id: UUID
    key_revoked: bool

    @property
    def state(self) -> WebhookState:
        return self.shown.state


def _looked(connection: Connection, server_id: UUID, now: datetime) -> _Look:
    row = connection.execute(_SEEN, {"server_id": server_id, "now": now}).one()
    return _Look(_view(row), row.user_id, row.key_revoked_at is not None)


def _view(row: Row[Any]) -> ServerWebhooks:
    url = row.safety_wrapper_url
    return ServerWebhooks(
        server_id=ServerId(format_id("srv", row.id)),
        order_id=OrderId(format_id("ord", row.order_id)),
        state=_state(row),
        url=None if url is None else _USER.sub("//•••@", url),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        last_error=row.last_error,
        delivered_at=row.delivered_at,
        disabled_at=row.disabled_at,
        unacknowledged=row.issued_seq - row.acked_seq,
    )


def _state(row: Row[Any]) -> WebhookState:
    if row.safety_wrapper_url is None:
        return WebhookState.NONE
    if row.disabled_at is not None:
        return WebhookState.DISABLED
    if row.claimed:
        return WebhookState.PUSHING
    if row.exhausted_seq is not None and row.exhausted_seq >= row.issued_seq > row.acked_seq:
        return WebhookState.EXHAUSTED
    return WebhookState.FAILING if row.attempts else WebhookState.READY
