"""What next-auth's client asks besides: its CSRF token, the providers, and who is signed in."""

from __future__ import annotations

from typing import Annotated, Any

import structlog
from msgspec import Meta, Struct

from controlplane.api.account.wire import BASE, Provider, Wire, demand_json_of_our_own, plain, script_time
from controlplane.api.call import Call
from controlplane.api.envelope import Raw
from controlplane.api.guards_people import Visitor, Visitors, token_of
from controlplane.api.router import Router
from controlplane.store.sessions import Session
from protocol.faults import Forbidden

log = structlog.get_logger()

routes = Router(BASE, guard=Visitors(), tag="Sign-in", forgive_unknown=True, body_limit_bytes=16_384)

_NAMES = {Provider.CREDENTIALS: "Staff", Provider.CUSTOMER: "Customer"}


class SessionUpdate(Struct, rename="camel"):
    """What the client sends to have its session read anew; its own data is not taken."""

    csrf_token: Annotated[str, Meta(max_length=2_000)] | None = None


class ClientTrouble(Struct):
    """What the client reports of its own errors."""

    code: str = ""
    level: str = ""


@routes.get("/csrf", envelope=False)
async def csrf(call: Call[Visitor]) -> Raw:
    """Get the CSRF token that forms must bring back."""
    return plain({"csrfToken": Wire(call).csrf_token})


@routes.get("/providers", envelope=False)
async def providers(call: Call[Visitor]) -> Raw:
    """List the ways to sign in: `credentials` for staff, `customer` for customers."""
    base = f"{call.hub.public_url}{BASE}"
    return plain(
        {
            provider: {
                "id": provider,
                "name": _NAMES[provider],
                "type": "credentials",
                "signinUrl": f"{base}/signin/{provider}",
                "callbackUrl": f"{base}/callback/{provider}",
            }
            for provider in Provider
        }
    )


@routes.get("/session", envelope=False)
async def session(call: Call[Visitor]) -> Raw:
    """Tell who is signed in, `{user, expires}`, or `{}`; being asked puts off the session's end."""
    return plain(await _session(call, Wire(call)))


@routes.post("/session", envelope=False, raises=(Forbidden,))
async def update_session(call: Call[Visitor], form: SessionUpdate | None, body: SessionUpdate | None) -> Raw:
    """The same, as the client's `update()` asks it; what it would change in the session is not taken."""
    given = form or body or SessionUpdate()
    wire = Wire(call, csrf_token=given.csrf_token)
    if not wire.verified:
        if body is None:
            return Raw(body=b"{}", status=400)
        demand_json_of_our_own(call)
    return plain(await _session(call, wire))


@routes.post("/_log", envelope=False)
async def note_trouble(call: Call[Visitor], form: ClientTrouble | None, body: ClientTrouble | None) -> Raw:
    """Take note of an error in the client."""
    given = form or body or ClientTrouble()
    log.info(
        "sign_in.client_trouble",
        code=given.code[:100],
        level=given.level[:20],
        address=call.request.remote_address,
    )
    return Raw(body=b"")


async def _session(call: Call[Visitor], wire: Wire) -> dict[str, Any]:
    token, by_cookie = token_of(call.request, call.hub)
    if token is None:
        return {}
    found = call.caller.session
    if found is None:
        if by_cookie:
            wire.forget_session()
        return {}
    expires = await call.hub.sessions.renew(found)
    if by_cookie:
        wire.remember_session(token, expires)
    return {"user": _user(found), "expires": script_time(expires)}


def _user(found: Session) -> dict[str, Any]:
    user = {
        "name": found.name,
        "email": found.email,
        "image": found.image,
        "id": found.account_id,
        "type": found.user_type,
    }
    if found.role is not None:
        user["role"] = found.role
    return user
