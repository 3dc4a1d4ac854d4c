"""The page that asks a browser for the code of its sign-in; plain HTML without scripts."""

from __future__ import annotations

from html import escape
from typing import Annotated

from msgspec import Meta, Struct

from controlplane.api.account.pages import hidden, page
from controlplane.api.account.pending import PAGE, Pending
from controlplane.api.account.wire import BASE, Wire, redirect
from controlplane.api.call import Call
from controlplane.api.envelope import Raw
from controlplane.api.faults import retry_after
from controlplane.api.guards_people import Visitor, Visitors
from controlplane.api.router import Router
from protocol.faults import RateLimited, Unauthorized

routes = Router(BASE, guard=Visitors(), tag="Sign-in", forgive_unknown=True, body_limit_bytes=16_384)


class CodeForm(Struct, rename="camel"):
    """What the page's form holds."""

    code: Annotated[str, Meta(max_length=40)] = ""
    csrf_token: Annotated[str, Meta(max_length=2_000)] | None = None


@routes.get(f"/{PAGE}", envelope=False)
async def code_page(call: Call[Visitor]) -> Raw:
    """Show the page that asks for the code of the sign-in this browser has begun."""
    wire = Wire(call)
    if Pending(call, wire).token is None:
        return redirect(wire.page("signin"), as_json=False)
    return _page(wire)


@routes.post(f"/{PAGE}", envelope=False)
async def take_code(call: Call[Visitor], form: CodeForm) -> Raw:
    """Complete the sign-in this browser has begun."""
    wire = Wire(call, csrf_token=form.csrf_token)
    pending = Pending(call, wire)
    token = pending.token
    if token is None or not wire.verified:
        return redirect(wire.page("signin", csrf="true"), as_json=False)
    try:
        await pending.complete(token, form.code)
    except Unauthorized as fault:
        # The database counts the tries of a token; when they are used up, the same words say so.
        return _page(wire, fault.message, status=401)
    except RateLimited as fault:
        wait = {"retry-after": str(retry_after(fault.retry_after_seconds or 1))}
        return _page(wire, "Too many codes were tried. Wait a few minutes, then try again.", status=429, headers=wait)
    return redirect(wire.callback_url, as_json=False)


def _page(wire: Wire, trouble: str = "", *, status: int = 200, headers: dict[str, str] | None = None) -> Raw:
    told = f'<p role="alert">{escape(trouble[:1].upper() + trouble[1:])}.</p>' if trouble else ""
    form = (
        f'<form action="{BASE}/{PAGE}" method="post">{hidden("csrfToken", wire.csrf_token)}'
        '<p><label>Code <input name="code" autocomplete="one-time-code" required maxlength="40"></label></p>'
        "<p>Six digits of your authenticator app, or a backup code.</p>"
        '<p><button type="submit">Go on</button></p></form>'
        f'<p><a href="{BASE}/signin">Begin again</a></p>'
    )
    return page("Two-factor authentication", told + form, status=status, headers=headers or {})
