"""The one-time setup that makes the first owner (specification section 3.1)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from controlplane.api.call import Call
from controlplane.api.fields import EmailAddress, NewPassword, PersonName
from controlplane.api.guards import Anyone, Public
from controlplane.api.router import Router
from controlplane.store.staff import StaffMember
from protocol.faults import Conflict, Forbidden, ValidationError

routes = Router("/api/v1/setup", guard=Public(), tag="Setup")


class Setup(Struct, rename="camel"):
    """Who becomes the first owner; the token is needed when the Hub can be reached from other machines."""

    email: EmailAddress
    name: PersonName
    password: NewPassword
    setup_token: Annotated[str, Meta(max_length=100)] | None = None


@routes.post(status=201, raises=(ValidationError, Forbidden, Conflict))
async def set_up(call: Call[Anyone], body: Setup) -> StaffMember:
    """Create the first owner, once."""
    call.hub.limits.take("setup", call.request.remote_address)
    call.hub.limits.take("setup", body.email.lower())
    return await call.hub.accounts.set_up(
        call.author, email=body.email, name=body.name, password=body.password, setup_token=body.setup_token
    )
