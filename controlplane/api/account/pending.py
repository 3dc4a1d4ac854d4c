"""A sign-in between its password and its code: the cookie that carries its token, and its completion."""

from __future__ import annotations

from typing import Final

from controlplane.api.account.wire import BASE, Wire
from controlplane.api.call import Call
from controlplane.api.guards_people import Visitor, token_of
from controlplane.api.hub import Hub
from controlplane.services.sessions import Started
from controlplane.services.two_factor import PENDING_LIVES

#: The page that asks for the code, below `/api/auth`.
PAGE: Final = "two-factor"


class Pending:
    """One exchange about a pending sign-in.

    Args:
        call: the call being answered.
        wire: its next-auth side, where there is one already.
    """

    def __init__(self, call: Call[Visitor], wire: Wire | None = None) -> None:
        self._call = call
        self._wire = wire or Wire(call)

    @property
    def token(self) -> str | None:
        """The token of the sign-in that this browser has begun."""
        return self._call.request.cookies.get(_cookie(self._call.hub))

    @property
    def callback_url(self) -> str:
        """Where the browser wanted to go."""
        return self._wire.callback_url

    def remember(self, token: str) -> None:
        """Have the browser keep the token for the page that asks for the code."""
        self._call.response.set_cookie(
            _cookie(self._call.hub),
            token,
            max_age_seconds=int(PENDING_LIVES.total_seconds()),
            path=BASE,
            secure=self._call.hub.secure,
            same_site="Strict",
        )

    def forget(self) -> None:
        """Take the cookie back."""
        hub = self._call.hub
        self._call.response.delete_cookie(_cookie(hub), path=BASE, secure=hub.secure)

    async def complete(self, token: str, code: str) -> Started:
        """Begin the session this sign-in was for, and give the browser its cookie.

        Raises:
            Unauthorized: the code is wrong or was used already, or the sign-in is over.
            RateLimited: too many codes were tried, from this address or for this account.
        """
        hub, call = self._call.hub, self._call
        hub.limits.take("second_factor_address", call.request.remote_address)
        factor = await hub.two_factor.account_of(token)
        hub.limits.take("second_factor", factor.account.id)
        started = await hub.two_factor.complete(
            call.author,
            factor,
            token,
            code,
            replaces=call.caller.token if token_of(call.request, hub)[1] else None,
            user_agent=call.request.user_agent,
        )
        hub.limits.forget("second_factor", factor.account.id)
        self._wire.remember_session(started.token, started.session.expires_at)
        if self.token is not None:
            self.forget()
        return started


def _cookie(hub: Hub) -> str:
    return f"{'__Secure-' if hub.secure else ''}next-auth.pending-2fa"
