"""Accepting an invitation to the staff (specification section 3.1): `/api/v1/auth/invite/…` and `…/accept-invite`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from controlplane.api.call import Call
from controlplane.api.fields import NewPassword, PersonName
from controlplane.api.guards import Anyone, Public
from controlplane.api.router import Router
from controlplane.store.staff import StaffMember
from protocol.faults import Conflict, NotFound
from protocol.words import Role

routes = Router("/api/v1/auth", guard=Public(), tag="Staff", body_limit_bytes=16_384)


class InvitationDetails(Struct, rename="camel"):
    """What somebody is invited to."""

    email: str
    role: Role
    invited_by: str
    expires_at: datetime


class Acceptance(Struct, rename="camel"):
    """Who accepts, and how they will sign in."""

    token: Annotated[str, Meta(max_length=100)]
    name: PersonName
    password: NewPassword


@routes.get("/invite/{token}", raises=(NotFound,))
async def look_up_invitation(call: Call[Anyone], token: str) -> InvitationDetails:
    """Tell what a token invites to."""
    call.hub.limits.take("invite_address", call.request.remote_address)
    found = await call.hub.invitations.find(token)
    return InvitationDetails(found.email, found.role, found.invited_by, found.expires_at)


@routes.post("/accept-invite", status=201, raises=(NotFound, Conflict))
async def accept_invitation(call: Call[Anyone], body: Acceptance) -> StaffMember:
    """Join the staff, once; sign in afterwards."""
    call.hub.limits.take("invite_address", call.request.remote_address)
    return await call.hub.invitations.accept(call.author, body.token, body.name, body.password)
