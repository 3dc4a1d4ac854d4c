"""Two-factor authentication of staff and customers (specification section 3.1): `/api/v1/auth/2fa`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from controlplane.api.account.pending import Pending
from controlplane.api.call import Call
from controlplane.api.callers import Person
from controlplane.api.fields import GivenPassword
from controlplane.api.guards import demand_same_origin
from controlplane.api.guards_people import SignedIn, Visitor, Visitors, caller_of, session_cookie, token_of
from controlplane.api.router import Router
from controlplane.services.two_factor import Enrolment, TwoFactorStatus
from protocol.faults import Conflict, RateLimited, Unauthorized, ValidationError

routes = Router("/api/v1/auth/2fa", guard=SignedIn(), tag="Two-factor authentication", body_limit_bytes=16_384)

Code = Annotated[
    str,
    Meta(min_length=6, max_length=40, description="Six digits of the app, or a backup code.", examples=["123456"]),
]


class Verification(Struct, rename="camel"):
    """A code; with the `pendingToken` of a sign-in it completes that, without one it turns on what was set up."""

    code: Code
    token: Annotated[str, Meta(max_length=100)] | None = None


class Verified(Struct, rename="camel"):
    """The code was right.

    Args:
        backup_codes: shown this once, when two-factor authentication was turned on.
        url: where a sign-in goes on.
        expires: when the session ends unless it is used.
    """

    verified: bool
    backup_codes: Sequence[str] | None
    url: str | None
    expires: datetime | None


class Proof(Struct, rename="camel"):
    """What shows that it is the account's holder who asks: a code, or the password."""

    code: Code | None = None
    password: GivenPassword | None = None


class BackupCodes(Struct, rename="camel"):
    """How many backup codes are left; the codes themselves only in the moment they are made."""

    remaining: int
    codes: Sequence[str] | None = None


@routes.get("/status")
async def status(call: Call[Person]) -> TwoFactorStatus:
    """Tell whether two-factor authentication is on."""
    return await call.hub.two_factor.status(call.caller.account)


@routes.post("/setup", raises=(Conflict,))
async def set_up(call: Call[Person]) -> Enrolment:
    """Make a secret for an authenticator app; it guards nothing before `verify` was given a code of it."""
    return await call.hub.two_factor.set_up(call.author, call.caller.account)


@routes.post("/verify", guard=Visitors(), raises=(Unauthorized, Conflict, RateLimited))
async def verify(call: Call[Visitor], body: Verification) -> Verified:
    """Complete a sign-in by its code, or turn on what was set up.

    With `token`, the `pendingToken` of a sign-in: the session cookie is set. Without, in a session: two-factor
    authentication is turned on, and its backup codes are shown; where it is on already, the code is only checked.
    """
    if token_of(call.request, call.hub)[1]:
        demand_same_origin(call.request, call.hub)
    if body.token is not None:
        pending = Pending(call)
        started = await pending.complete(body.token, body.code)
        return Verified(True, None, pending.callback_url, started.session.expires_at)
    if call.caller.session is None:
        raise Unauthorized("send the pendingToken of a sign-in as `token`, or sign in first")
    person = caller_of(call.caller.session)
    call.hub.limits.take("second_factor", person.account.id)
    by_cookie = token_of(call.request, call.hub)[1]
    enabled = await call.hub.two_factor.verify(
        call.author, person.account, body.code, session=person.session_key, new_token=by_cookie
    )
    call.hub.limits.forget("second_factor", person.account.id)
    expires = call.caller.session.expires_at
    if enabled is not None and enabled.token is not None:
        call.response.set_cookie(session_cookie(call.hub), enabled.token, expires=expires, secure=call.hub.secure)
    return Verified(True, None if enabled is None else enabled.backup_codes, None, expires)


@routes.post("/disable", raises=(Conflict,))
async def disable(call: Call[Person], body: Proof) -> TwoFactorStatus:
    """Turn two-factor authentication off; needs a code or the password."""
    account = call.caller.account
    factor = await call.hub.two_factor.enabled(account)
    await _demand(call, body)
    await call.hub.two_factor.disable(call.author, factor, body.code)
    _forget(call)
    return await call.hub.two_factor.status(account)


@routes.get("/backup-codes")
async def count_backup_codes(call: Call[Person]) -> BackupCodes:
    """Tell how many backup codes are left; never the codes."""
    return BackupCodes((await call.hub.two_factor.status(call.caller.account)).backup_codes_left)


@routes.post("/backup-codes", raises=(Conflict,))
async def renew_backup_codes(call: Call[Person], body: Proof) -> BackupCodes:
    """Make fresh backup codes in place of the former, and show them this once; needs a code or the password."""
    factor = await call.hub.two_factor.enabled(call.caller.account)
    await _demand(call, body)
    codes = await call.hub.two_factor.renew_codes(call.author, factor, body.code)
    _forget(call)
    return BackupCodes(len(codes), codes)


async def _demand(call: Call[Person], proof: Proof) -> None:
    """Check the password where no code is given; a code is used up by what it is for."""
    hub, caller = call.hub, call.caller
    if proof.code is not None:
        hub.limits.take("second_factor", caller.account.id)
    elif proof.password is not None:
        hub.limits.take("login", f"{caller.account.user_type}:{caller.email.lower()}")
        await hub.credentials.demand(caller.account, proof.password, field="password")
    else:
        raise ValidationError.of("code", "is required, or the password")


def _forget(call: Call[Person]) -> None:
    """Who has shown who they are has all their tries again."""
    call.hub.limits.forget("second_factor", call.caller.account.id)
    call.hub.limits.forget("login", f"{call.caller.account.user_type}:{call.caller.email.lower()}")
