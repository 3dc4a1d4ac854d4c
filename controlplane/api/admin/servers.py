"""Tenant servers: who is there, how they are, commands to them, their keys (specification section 4.5)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from actors.tenant.messages import CancelCommand, IssueCommand, RevokeKey
from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.explaining import ActorView, actor_view
from controlplane.api.guards_people import Staff
from controlplane.api.paging import Listing, Page
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.store.keys import key_of
from controlplane.system_settings.own import Hub
from protocol.faults import Conflict, NotFound, ValidationError
from protocol.ids import CommandId, ServerId
from protocol.objects import RemoteCommand, Server

routes = Router("/api/v1/admin/servers", guard=Staff(Permission.SERVERS_READ), tag="Servers")

PAYLOAD_BYTES = 256 * 1024


class NewCommand(msgspec.Struct, rename="camel"):
    """A command for a wrapper.

    Args:
        expires_in_seconds: how long it waits for a tenant that is offline; `hub.commandExpiryHours` unless said.
    """

    type: Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]{0,63}$(?!\n)", examples=["RESTART_SERVICE"])]
    payload: dict[str, Any] = {}
    expires_in_seconds: Annotated[int, Meta(ge=1, le=30 * 86400)] | None = None


@routes.get("")
async def servers(call: Call[StaffCaller], query: Page) -> Listing[Server]:
    """List registered tenant servers, newest first."""
    found, total = await call.hub.servers.page(page=query.page, page_size=query.page_size, now=call.hub.clock.now())
    return Listing(found, query.page, query.page_size, total)


@routes.get("/{server_id}/health", raises=(NotFound,))
async def health(call: Call[StaffCaller], server_id: ServerId) -> Server:
    """See how a server is: presence, versions, resources, what is open."""
    return await call.hub.servers.get(server_id, now=call.hub.clock.now())


@routes.get("/{server_id}/explain", raises=(NotFound,))
async def explain(call: Call[StaffCaller], server_id: ServerId) -> ActorView:
    """See the tenant's actor: why it is awake, its mailbox, last messages and last crash, redacted."""
    server = await call.hub.servers.get(server_id, now=call.hub.clock.now())
    return actor_view(call.hub.system, call.hub.tenant(server.order_id))


@routes.post("/{server_id}/command", status=201, guard=Staff(Permission.SERVERS_COMMAND), raises=(NotFound,))
async def command(call: Call[StaffCaller], server_id: ServerId, body: NewCommand) -> RemoteCommand:
    """Queue a command; it is pushed at once, or when the tenant is back, until it expires."""
    if len(msgspec.json.encode(body.payload)) > PAYLOAD_BYTES:
        raise ValidationError.of("payload", f"must be at most {PAYLOAD_BYTES} bytes of JSON")
    server = await call.hub.servers.get(server_id, now=call.hub.clock.now())
    seconds = body.expires_in_seconds
    if seconds is None:
        seconds = (await call.hub.settings.of(Hub)).command_expiry_hours * 3600
    return await call.hub.tenant(server.order_id).ask(IssueCommand(body.type, body.payload, seconds, call.author))


@routes.get("/{server_id}/commands", raises=(NotFound,))
async def commands(call: Call[StaffCaller], server_id: ServerId, query: Page) -> Listing[RemoteCommand]:
    """List a server's commands, newest first."""
    await call.hub.servers.get(server_id, now=call.hub.clock.now())
    found, total = await call.hub.commands.page(server_id, page=query.page, page_size=query.page_size)
    return Listing(found, query.page, query.page_size, total)


@routes.get("/{server_id}/commands/{command_id}", raises=(NotFound,))
async def one_command(call: Call[StaffCaller], server_id: ServerId, command_id: CommandId) -> RemoteCommand:
    """Read one command and what became of it."""
    return await call.hub.commands.get(server_id, command_id)


@routes.post(
    "/{server_id}/commands/{command_id}/cancel",
    guard=Staff(Permission.SERVERS_COMMAND),
    raises=(NotFound, Conflict),
)
async def cancel(call: Call[StaffCaller], server_id: ServerId, command_id: CommandId) -> RemoteCommand:
    """Withdraw a command that the wrapper has not acknowledged."""
    found = await call.hub.commands.get(server_id, command_id)
    return await call.hub.tenant(found.order_id).ask(CancelCommand(key_of("cmd", command_id), call.author))


@routes.delete("/{server_id}/key", guard=Staff(Permission.KEYS_REVOKE), raises=(NotFound,))
async def revoke_key(call: Call[StaffCaller], server_id: ServerId) -> Server:
    """Revoke a server's hub API key at once; a new one is had by a new registration token."""
    server = await call.hub.servers.get(server_id, now=call.hub.clock.now())
    await call.hub.tenant(server.order_id).ask(RevokeKey(call.author))
    return await call.hub.servers.get(server_id, now=call.hub.clock.now())
