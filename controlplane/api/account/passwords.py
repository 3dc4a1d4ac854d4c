"""Passwords of staff and customers: changed, forgotten, chosen by a link: `/api/v1/auth/password`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from controlplane.api.call import Call
from controlplane.api.callers import Person
from controlplane.api.fields import EmailAddress, GivenPassword, NewPassword
from controlplane.api.guards import Anyone, Public
from controlplane.api.guards_people import SignedIn
from controlplane.api.router import Router
from protocol.faults import Conflict, NotFound
from protocol.words import UserType

routes = Router("/api/v1/auth/password", guard=Public(), tag="Passwords", body_limit_bytes=16_384)


class Forgotten(Struct, rename="camel"):
    """Whose password was forgotten."""

    email: EmailAddress
    user_type: UserType


class Choice(Struct, rename="camel"):
    """A new password, and the token of the link that was mailed."""

    token: Annotated[str, Meta(max_length=100)]
    password: NewPassword


class PasswordChange(Struct, rename="camel"):
    """The password as it is, and as it shall be."""

    current_password: GivenPassword
    new_password: NewPassword


class Asked(Struct, rename="camel"):
    """What is answered to everybody: if there is such an account, a mail is on its way."""

    sent: bool = True


class Changed(Struct, rename="camel"):
    """The password was changed.

    Args:
        sessions_ended: how many other sessions ended with the former one; None: all there were.
    """

    sessions_ended: int | None


@routes.post(guard=SignedIn(), raises=(Conflict,))
async def change_password(call: Call[Person], body: PasswordChange) -> Changed:
    """Change the password of whoever is signed in; their other sessions end."""
    return await change(call, body)


@routes.post("/forgot")
async def forgot_password(call: Call[Anyone], body: Forgotten) -> Asked:
    """Have a link mailed by which a new password is chosen.

    The answer is always the same and takes as long, whether or not there is such an account.
    """
    call.hub.limits.take("reset_address", call.request.remote_address)
    call.hub.limits.take("reset", f"{body.user_type}:{body.email.lower()}")
    await call.hub.credentials.forgot(call.author, body.user_type, body.email)
    return Asked()


@routes.post("/reset", raises=(NotFound,))
async def reset_password(call: Call[Anyone], body: Choice) -> Changed:
    """Choose a password by the link that was mailed, once; every session of the account ends."""
    call.hub.limits.take("reset_address", call.request.remote_address)
    await call.hub.credentials.choose(call.author, body.token, body.password)
    return Changed(None)


async def change(call: Call[Person], body: PasswordChange) -> Changed:
    """Change the caller's password; counted with the sign-ins of their account."""
    hub, caller = call.hub, call.caller
    tries = f"{caller.account.user_type}:{caller.email.lower()}"
    hub.limits.take("login", tries)
    ended = await hub.credentials.change(
        call.author, caller.account, body.current_password, body.new_password, session=caller.session_key
    )
    hub.limits.forget("login", tries)
    return Changed(ended)
