"""The pages next-auth sends a browser to: sign in, sign out, and what went wrong; plain HTML without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Annotated, Final

from msgspec import Meta, Struct

from controlplane.api.account.wire import BASE, Provider, Wire, redirect
from controlplane.api.call import Call
from controlplane.api.envelope import Raw
from controlplane.api.guards_people import Visitor, Visitors
from controlplane.api.router import Router

routes = Router(BASE, guard=Visitors(), tag="Sign-in", forgive_unknown=True)

#: A page may send forms to this Hub. `same-origin` keeps the Origin header in them, which no-referrer would empty.
_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
}
_TITLES: Final = {Provider.CREDENTIALS: "Staff", Provider.CUSTOMER: "Customers"}
#: Told on the sign-in page, as next-auth does; the rest has a page of its own.
_TOLD_AT_SIGN_IN: Final = {
    "CredentialsSignin": "The address or the password is wrong.",
    "RateLimited": "Too many attempts. Wait a few minutes, then try again.",
    "SessionRequired": "Sign in to see this page.",
    "Signin": "Try to sign in again.",
    "Callback": "Try to sign in again.",
}
_ERRORS: Final = {
    "configuration": (500, "Server error", "There is a problem with the server's configuration."),
    "accessdenied": (403, "Access denied", "You may not sign in."),
    "verification": (403, "Unable to sign in", "The link was used already or is too old."),
}


class PageQuery(Struct, rename="camel"):
    """What a page is told."""

    callback_url: str | None = None
    error: Annotated[str, Meta(max_length=200)] | None = None


@routes.get("/signin", envelope=False)
async def sign_in_page(call: Call[Visitor], query: PageQuery) -> Raw:
    """Show the sign-in page."""
    return _sign_in_page(call, query, list(Provider))


@routes.get("/signin/{provider}", envelope=False)
async def provider_page(call: Call[Visitor], provider: Provider, query: PageQuery) -> Raw:
    """Show the sign-in page of staff or of customers."""
    return _sign_in_page(call, query, [provider])


@routes.get("/signout", envelope=False)
async def sign_out_page(call: Call[Visitor], query: PageQuery) -> Raw:
    """Show the page that asks whether to sign out."""
    wire = Wire(call, callback_url=query.callback_url)
    fields = hidden("csrfToken", wire.csrf_token) + hidden("callbackUrl", wire.callback_url)
    form = f'<form action="{BASE}/signout" method="post">{fields}<button type="submit">Sign out</button></form>'
    return page("Sign out", f"<p>Do you want to sign out?</p>{form}")


@routes.get("/error", envelope=False)
async def error_page(call: Call[Visitor], query: PageQuery) -> Raw:
    """Show what went wrong while signing in."""
    wire = Wire(call, callback_url=query.callback_url)
    if query.error in _TOLD_AT_SIGN_IN:
        return redirect(wire.page("signin", error=query.error or ""), as_json=False)
    status, title, words = _ERRORS.get((query.error or "").lower(), (200, "Error", "Something went wrong."))
    link = f'<p><a href="{BASE}/signin">Sign in</a></p>'
    return page(title, f"<p>{escape(words)}</p>{link}", status=status)


def _sign_in_page(call: Call[Visitor], query: PageQuery, providers: list[Provider]) -> Raw:
    wire = Wire(call, callback_url=query.callback_url)
    trouble = ""
    if query.error:
        words = _TOLD_AT_SIGN_IN.get(query.error, "Unable to sign in.")
        trouble = f'<p role="alert">{escape(words)}</p>'
    return page("Sign in", trouble + "".join(_form(provider, wire) for provider in providers))


def _form(provider: Provider, wire: Wire) -> str:
    return (
        f"<h2>{_TITLES[provider]}</h2>"
        f'<form action="{BASE}/callback/{provider}" method="post">'
        f"{hidden('csrfToken', wire.csrf_token)}{hidden('callbackUrl', wire.callback_url)}"
        '<p><label>Email <input name="email" type="email" autocomplete="username" required></label></p>'
        '<p><label>Password <input name="password" type="password" autocomplete="current-password" required>'
        "</label></p>"
        '<p><button type="submit">Sign in</button></p></form>'
    )


def hidden(name: str, value: str) -> str:
    """A field of a form that nobody sees."""
    return f'<input type="hidden" name="{name}" value="{escape(value, quote=True)}">'


def page(title: str, inside: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Raw:
    """A page of this kind; `inside` is HTML."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} – LetsBe Hub</title></head>"
        f"<body><main><h1>{escape(title)}</h1>{inside}</main></body></html>"
    )
    return Raw(
        body=text.encode(),
        status=status,
        content_type="text/html; charset=utf-8",
        headers={**_HEADERS, **(headers or {})},
    )
