"""Signing in and out as next-auth's client does it, and by the specification's JSON body."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from controlplane.api.account.pending import PAGE, Pending
from controlplane.api.account.wire import BASE, Provider, Wire, demand_json_of_our_own, plain, redirect, wants_json
from controlplane.api.call import Call
from controlplane.api.envelope import Raw
from controlplane.api.faults import retry_after
from controlplane.api.guards_people import Visitor, Visitors, token_of
from controlplane.api.router import Router
from controlplane.services.accounts import CodeAwaited
from protocol.faults import Forbidden, RateLimited, Unauthorized

routes = Router(BASE, guard=Visitors(), tag="Sign-in", forgive_unknown=True, body_limit_bytes=16_384)

_Text = Annotated[str, Meta(max_length=2_000)]


class SignIn(Struct, rename="camel"):
    """What a sign-in form or body holds."""

    email: _Text = ""
    password: _Text = ""
    csrf_token: _Text | None = None
    callback_url: str | None = None
    json: _Text | None = None


class SignInBody(Struct, rename="camel"):
    """The specification's body (section 3.1)."""

    email: _Text
    password: _Text
    callback_url: str | None = None


class SignOut(Struct, rename="camel"):
    """What a sign-out form or body holds."""

    csrf_token: _Text | None = None
    callback_url: str | None = None
    json: _Text | None = None


@routes.post("/callback/{provider}", envelope=False, raises=(Unauthorized, Forbidden))
async def sign_in(call: Call[Visitor], provider: Provider, form: SignIn | None, body: SignInBody | None) -> Raw:
    """Sign in with address and password.

    As a form: next-auth's client, with `csrfToken` and `json=true`. As JSON: `{email, password}` alone, from this
    Hub's own pages or from a program. Right: 200 `{url}` and the session cookie; wrong: 401 `{url}` of an error page.
    Where a second factor is on: 200 `{url, requires2FA, pendingToken}` and no session; the token goes to
    `/api/v1/auth/2fa/verify` with a code.
    """
    if body is not None:
        demand_json_of_our_own(call)
        given = SignIn(email=body.email, password=body.password, callback_url=body.callback_url)
        wire = Wire(call, callback_url=body.callback_url)
        as_json = True
    else:
        given = form or SignIn()
        wire = Wire(call, callback_url=given.callback_url, csrf_token=given.csrf_token)
        as_json = wants_json(call.request, given.json)
        if not wire.verified:
            return redirect(wire.page("signin", csrf="true"), as_json=as_json)
    return await _sign_in(call, wire, provider, given, as_json=as_json)


@routes.post("/signin/{provider}", envelope=False)
async def begin_sign_in(call: Call[Visitor], provider: Provider, form: SignOut | None) -> Raw:
    """Go to the sign-in page: what next-auth answers for providers with a password."""
    given = form or SignOut()
    wire = Wire(call, callback_url=given.callback_url, csrf_token=given.csrf_token)
    return redirect(wire.page("signin"), as_json=wants_json(call.request, given.json))


@routes.post("/signout", envelope=False, raises=(Forbidden,))
async def sign_out(call: Call[Visitor], form: SignOut | None, body: SignOut | None) -> Raw:
    """Sign out: the session is revoked, its cookie taken back.

    As a form: with `csrfToken`. As JSON: with a Bearer token, or from this Hub's own pages.
    """
    given = form or body or SignOut()
    wire = Wire(call, callback_url=given.callback_url, csrf_token=given.csrf_token)
    as_json = wants_json(call.request, given.json)
    token, by_cookie = token_of(call.request, call.hub)
    if not wire.verified and by_cookie:
        if body is None:
            return redirect(wire.page("signout", csrf="true"), as_json=as_json)
        demand_json_of_our_own(call)
    if token is not None:
        await call.hub.sessions.end(call.author, token)
        if by_cookie:
            wire.forget_session()
    return redirect(wire.callback_url, as_json=as_json)


async def _sign_in(call: Call[Visitor], wire: Wire, provider: Provider, given: SignIn, *, as_json: bool) -> Raw:
    # The client reads the refusal's reason from the URL it is told, so refusals become answers here.
    hub, request = call.hub, call.request
    user_type = provider.user_type
    account = f"{user_type}:{given.email.strip().lower()}"
    try:
        hub.limits.take("login_address", request.remote_address)
        hub.limits.take("login", account)
        result = await hub.accounts.sign_in(
            user_type,
            given.email.strip(),
            given.password,
            address=request.remote_address,
            request_id=request.request_id,
            replaces=call.caller.token if token_of(request, hub)[1] else None,
            user_agent=request.user_agent,
        )
    except Unauthorized:
        page = wire.page("error", error="CredentialsSignin", provider=provider)
        return redirect(page, as_json=as_json, status=401)
    except RateLimited as fault:
        page = wire.page("error", error="RateLimited", provider=provider)
        wait = {"retry-after": str(retry_after(fault.retry_after_seconds or 1))}
        return redirect(page, as_json=as_json, status=429, headers=wait)
    hub.limits.forget("login", account)
    if isinstance(result, CodeAwaited):
        return _ask_for_code(call, wire, result, as_json=as_json)
    wire.remember_session(result.token, result.session.expires_at)
    return redirect(wire.callback_url, as_json=as_json)


def _ask_for_code(call: Call[Visitor], wire: Wire, awaited: CodeAwaited, *, as_json: bool) -> Raw:
    """A program sends the token with the code; a browser is sent to the page that asks for it, and keeps the token."""
    url = wire.page(PAGE)
    Pending(call, wire).remember(awaited.token)
    if as_json:
        return plain({"url": url, "requires2FA": True, "pendingToken": awaited.token})
    return redirect(url, as_json=False)
