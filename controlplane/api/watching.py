"""What a role may watch over the console socket: the permissions of the routes that answer the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controlplane.api.permissions import PERMISSIONS, Permission
from controlplane.services.console_topics import PRESENCE, Access
from protocol.console import ORDER_TOPIC
from protocol.words import Role

_P = Permission

_TOPICS: Final[Mapping[str, Permission]] = {
    "fleet": _P.SERVERS_READ,
    "approvals": _P.APPROVALS_READ,
    "orders": _P.ORDERS_READ,
    "customers": _P.CUSTOMERS_READ,
    "staff": _P.STAFF_READ,
    "settings": _P.SETTINGS_READ,
    ORDER_TOPIC: _P.ORDERS_READ,
}

_ROOMS: Final[Mapping[str, Permission]] = {
    "approval": _P.APPROVALS_READ,
    "command": _P.SERVERS_READ,
    "agent": _P.AGENTS_READ,
    "config": _P.SERVERS_READ,
    "server": _P.SERVERS_READ,
    "order": _P.ORDERS_READ,
    "customer": _P.CUSTOMERS_READ,
    "usage": _P.ANALYTICS_READ,
    "backup": _P.SERVERS_READ,
    "activity": _P.AGENTS_READ,
    "image": _P.SERVERS_READ,
    "staff": _P.STAFF_READ,
    "settings": _P.SETTINGS_READ,
    "key": _P.SETTINGS_READ,
    PRESENCE: _P.SERVERS_READ,
}


def access_of(role: Role) -> Access:
    """What a member of staff in this role may watch."""
    held = PERMISSIONS[role]
    return Access(
        topics=frozenset(topic for topic, permission in _TOPICS.items() if permission in held),
        rooms=frozenset(room for room, permission in _ROOMS.items() if permission in held),
    )
