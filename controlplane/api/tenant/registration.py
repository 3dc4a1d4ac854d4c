"""A wrapper trades its one-use registration token for a hub API key (specification sections 3.3 and 6)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from actors.people import Author
from actors.tenant.messages import Register
from controlplane.api.call import Call
from controlplane.api.guards import Anyone, Public
from controlplane.api.router import Router
from protocol.faults import Unauthorized

routes = Router("/api/v1/tenant/register", guard=Public(), tag="Tenant", forgive_unknown=True)


class Registration(msgspec.Struct, rename="camel"):
    """What a wrapper brings.

    Args:
        instance_id: made once by the wrapper: the same token with it, before the key's first use, gives a fresh key.
        safety_wrapper_url: where the wrapper takes webhooks, if it does.
    """

    registration_token: Annotated[str, Meta(min_length=1, max_length=200)]
    instance_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    safety_wrapper_url: Annotated[str, Meta(max_length=2000, pattern=r"^https?://")] | None = None


class Key(msgspec.Struct, rename="camel"):
    """The key, shown once."""

    hub_api_key: str


@routes.post("", status=201, raises=(Unauthorized,))
async def register(call: Call[Anyone], body: Registration) -> Key:
    """Trade a registration token for a hub API key."""
    hub = call.hub
    order_id = await hub.servers.order_of_token(body.registration_token)
    key = hub.servers.new_key()
    registration = hub.servers.registration(
        token=body.registration_token,
        instance_id=body.instance_id,
        wrapper_url=body.safety_wrapper_url,
        key=key,
        seals=hub.sealer,
    )
    request = call.request
    author = Author("tenant", order_id, "registration", request.remote_address, request.request_id, request.user_agent)
    await hub.tenant(order_id).ask(Register(registration, author))
    return Key(key)
