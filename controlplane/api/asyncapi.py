"""The AsyncAPI 3 document of the sockets, made of the types that are spoken there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, get_args
from urllib.parse import urlsplit

import msgspec

from controlplane.api.guards import SECURITY_SCHEMES
from controlplane.api.openapi import VERSION
from controlplane.api.schemas import Schemas
from controlplane.api.watching import access_of
from controlplane.services.console_topics import CUSTOMER_ACCESS
from controlplane.store.api_keys import ApiKey
from controlplane.store.event_kinds import KINDS
from controlplane.store.invitations import Invitation
from controlplane.store.staff import StaffMember
from protocol import console, objects, tenant
from protocol.words import Role

_DESCRIPTION: Final = """
What a LetsBe Hub says and hears over its WebSockets: JSON text frames, one object a frame, told apart by `type`.
Unknown fields and unknown types are ignored. Everything else goes through the HTTP API (/api/openapi.json).
"""


class Socket(NamedTuple):
    """One WebSocket as the document tells of it.

    Args:
        heard: the union of frames that the Hub hears.
        said: the union of frames that it says.
        security: alternatives, by name in `SECURITY_SCHEMES`.
    """

    name: str
    path: str
    subprotocol: str
    description: str
    heard: Any
    said: Any
    security: Sequence[str]


_CONSOLE: Final = (
    "{who} Admitted by the session, from a page of an allow-listed `Origin`. It only informs: changes go through HTTP. "
    "`watch` without `since`, then read the snapshot over HTTP, then apply events; after a reconnect `watch` with the "
    "newest cursor. Closes: 4001 session ended, 4003 slow consumer, 4005 too fast, 4006 broke the protocol."
)

SOCKETS: Final = (
    Socket(
        "tenant",
        tenant.SOCKET_PATH,
        tenant.SUBPROTOCOL,
        "A tenant's Safety Wrapper. Promises carry `seq`, are delivered in order and acknowledged once journalled; "
        "messages carry an `id` and are repeated until `accepted` or `refused`. Closes: 4000 replaced, 4001 key "
        "revoked, 4002 no common protocol, 4003 slow consumer, 4004 silent, 4005 too fast, 4006 broke the protocol.",
        tenant.FromTenant,
        tenant.ToTenant,
        ("hubApiKey",),
    ),
    Socket(
        "adminConsole",
        console.ADMIN_SOCKET_PATH,
        console.SUBPROTOCOL,
        _CONSOLE.format(
            who="The staff's console. Topics: fleet, approvals, orders, customers, staff, settings, order:<id>."
        ),
        console.FromConsole,
        console.ToConsole,
        ("sessionCookie", "sessionToken"),
    ),
    Socket(
        "customerConsole",
        console.CUSTOMER_SOCKET_PATH,
        console.SUBPROTOCOL,
        _CONSOLE.format(
            who="A customer's console. Topics: approvals, agents, activity, servers, orders, account; own things."
        ),
        console.FromConsole,
        console.ToConsole,
        ("sessionCookie", "sessionToken"),
    ),
)

#: What events carry as `data`, by name.
_TOLD: Final[Mapping[str, type[msgspec.Struct]]] = {
    told.__name__: told
    for told in (
        objects.CommandApproval,
        objects.RemoteCommand,
        objects.AgentConfig,
        objects.Order,
        objects.Customer,
        StaffMember,
        Invitation,
        ApiKey,
        console.DecisionDelivered,
        console.ServerTold,
        console.WebhooksTold,
        console.ConfigTold,
        console.UsageTold,
        console.BackupTold,
        console.ActivityTold,
        console.ImageTold,
        console.AccountTold,
        console.SettingsTold,
    )
}


def document(*, public_url: str) -> dict[str, Any]:
    """The document of all sockets.

    Args:
        public_url: where this Hub is reached.
    """
    frames = list(dict.fromkeys(frame for socket in SOCKETS for frame in (*_of(socket.heard), *_of(socket.said))))
    schemas = Schemas(requested=(), forgiven=(), answered=[*frames, *_TOLD.values()])
    where = urlsplit(public_url)
    used = {scheme for socket in SOCKETS for scheme in socket.security}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "LetsBe Hub", "version": VERSION, "description": _tidy(_DESCRIPTION)},
        "defaultContentType": "application/json",
        "servers": {"hub": {"host": where.netloc, "protocol": "wss" if where.scheme == "https" else "ws"}},
        "channels": {socket.name: _channel(socket) for socket in SOCKETS},
        "operations": {
            name: operation
            for socket in SOCKETS
            for name, operation in (
                (f"{socket.name}Hears", _operation(socket, "receive", socket.heard)),
                (f"{socket.name}Says", _operation(socket, "send", socket.said)),
            )
        },
        "components": {
            "messages": {
                **{_message_name(frame): _message(frame, schemas) for frame in frames},
                **{_event_name(kind): _event(kind, schemas) for kind in KINDS},
            },
            "schemas": schemas.components,
            "securitySchemes": {name: _security(name) for name in SECURITY_SCHEMES if name in used},
        },
    }


def kinds_on(socket: Socket) -> list[str]:
    """The kinds of events that a socket's callers may be told, all roles together."""
    if console.Event not in _of(socket.said):
        return []
    heard = CUSTOMER_ACCESS.rooms if socket.path == console.CUSTOMER_SOCKET_PATH else access_of(Role.OWNER).rooms
    return [kind for kind in KINDS if kind.partition(".")[0] in heard]


def _event_name(kind: str) -> str:
    return f"event.{kind}"


def _event(kind: str, schemas: Schemas) -> dict[str, Any]:
    """The frame `event` as it tells of one kind."""
    of_kind = {"properties": {"kind": {"const": kind}, "data": schemas.of(_TOLD[KINDS[kind].data])}}
    return {"name": kind, "summary": KINDS[kind].tells, "payload": {"allOf": [schemas.of(console.Event), of_kind]}}


def _of(union: Any) -> tuple[type[msgspec.Struct], ...]:
    return get_args(union)


def _channel(socket: Socket) -> dict[str, Any]:
    frames = (*_of(socket.heard), *_of(socket.said))
    headers = {"Sec-WebSocket-Protocol": {"type": "string", "const": socket.subprotocol}}
    return {
        "address": socket.path,
        "description": socket.description,
        "servers": [{"$ref": "#/servers/hub"}],
        "messages": {
            **{_tag(frame): {"$ref": f"#/components/messages/{_message_name(frame)}"} for frame in frames},
            **{_event_name(kind): {"$ref": f"#/components/messages/{_event_name(kind)}"} for kind in kinds_on(socket)},
        },
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {"type": "object", "properties": headers, "required": list(headers)},
                "bindingVersion": "0.1.0",
            }
        },
    }


def _operation(socket: Socket, action: str, union: Any) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{socket.name}"},
        "security": [{"$ref": f"#/components/securitySchemes/{scheme}"} for scheme in socket.security],
        "messages": [
            {"$ref": f"#/channels/{socket.name}/messages/{name}"}
            for name in (
                *(_tag(frame) for frame in _of(union)),
                *(_event_name(kind) for kind in kinds_on(socket) if union is socket.said),
            )
        ],
    }


def _message(frame: type[msgspec.Struct], schemas: Schemas) -> dict[str, Any]:
    told = {"summary": _tidy(frame.__doc__)} if frame.__doc__ and not frame.__doc__.startswith(frame.__name__) else {}
    return {"name": _tag(frame), **told, "payload": schemas.of(frame)}


def _message_name(frame: type[msgspec.Struct]) -> str:
    return f"{frame.__module__.rpartition('.')[2]}.{_tag(frame)}"


def _tag(frame: type[msgspec.Struct]) -> str:
    return str(frame.__struct_config__.tag)


def _security(name: str) -> dict[str, str]:
    """A scheme of the HTTP API in AsyncAPI's words, where an API key in a cookie is of type httpApiKey."""
    scheme = dict(SECURITY_SCHEMES[name])
    return scheme | {"type": "httpApiKey"} if scheme["type"] == "apiKey" else scheme


def _tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
