"""The demo as a caller of the Hub's HTTP API: typed answers, refusals as Faults, patience where the Hub asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, TypeVar

import httpx
import msgspec
import trio

from controlplane.demo.failure import DemoFailed
from controlplane.secret import Secret
from protocol.faults import FAULTS, Fault, InternalError, Unauthorized

T = TypeVar("T")

_TIMEOUT_SECONDS: Final = 20.0
_NOTABLE_WAIT_SECONDS: Final = 3.0
_AGAIN_SECONDS: Final = 0.25
_COOKIE_ENDING: Final = "next-auth.session-token"


class _Refusal(msgspec.Struct):
    code: str
    message: str


class _Envelope(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    error: _Refusal | None = None


class Client:
    """Calls the Hub at one address, signed in as somebody or as nobody.

    Args:
        http: whose connections are used.
        say: is told when the Hub lets the demo wait.
        session: a session token.
    """

    def __init__(self, http: httpx.AsyncClient, say: Callable[[str], None], session: Secret | None = None) -> None:
        self._http = http
        self._say = say
        self._session = session
        self._slowed = False

    @staticmethod
    def connections(address: str) -> httpx.AsyncClient:
        """Connections to a Hub on this machine: past any proxy of the environment, without cookies of its own."""
        # Kept by nobody: the sessions of several people travel on the same connections.
        jar = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        return httpx.AsyncClient(
            base_url=address, timeout=_TIMEOUT_SECONDS, trust_env=False, follow_redirects=False, cookies=jar
        )

    def signed_in(self, session: Secret) -> Client:
        """The same connections, as somebody."""
        return Client(self._http, self._say, session)

    async def get(self, path: str, kind: type[T], **query: Any) -> T:
        """Read something.

        Raises:
            Fault: the Hub's refusal.
            httpx.TransportError: the Hub cannot be reached.
        """
        return self._read(await self._send("GET", path, params=query), kind)

    async def post(self, path: str, kind: type[T], body: Any = None) -> T:
        """Change something; raises as `get` does."""
        return self._read(await self._send("POST", path, json=body), kind)

    async def patch(self, path: str, kind: type[T], body: Any) -> T:
        """Change some of something; raises as `get` does."""
        return self._read(await self._send("PATCH", path, json=body), kind)

    async def sign_in(self, provider: str, email: str, password: Secret) -> Secret:
        """A session for this person: its token.

        Args:
            provider: `credentials` for staff, `customer` for customers.

        Raises:
            Unauthorized: address or password are wrong.
        """
        answer = await self._send(
            "POST", f"/api/auth/callback/{provider}", json={"email": email, "password": password.reveal()}
        )
        tokens = [value for name, value in answer.cookies.items() if name.endswith(_COOKIE_ENDING)]
        if answer.status_code == 401 or not tokens:
            raise Unauthorized(f"the sign-in of {email} was refused")
        return Secret(tokens[0])

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._session.reveal()}"} if self._session else {}
        while True:
            answer = await self._http.request(method, path, headers=headers, **more)
            if answer.status_code not in (429, 503):
                return answer
            wait_seconds = _wait_seconds(answer)
            if not self._slowed or wait_seconds >= _NOTABLE_WAIT_SECONDS:
                reason = "limits requests" if answer.status_code == 429 else "is not ready"
                self._say(f"the Hub {reason}: trying again after {wait_seconds:.0f} s, and so on")
            self._slowed = True
            await trio.sleep(wait_seconds)

    def _read(self, answer: httpx.Response, kind: type[T]) -> T:
        try:
            envelope = msgspec.json.decode(answer.content, type=_Envelope)
            if envelope.error is None and answer.is_success:
                return msgspec.json.decode(envelope.data, type=kind)
        except msgspec.MsgspecError as error:
            # Something else listens there, or a proxy spoke in the Hub's place.
            raise DemoFailed(f"{answer.url} does not answer as a Hub does: {error}") from None
        refusal = envelope.error or _Refusal(InternalError.code, f"HTTP {answer.status_code}")
        fault: type[Fault] = FAULTS.get(refusal.code, InternalError)
        raise fault(f"{answer.request.method} {answer.url.path}: {refusal.message}")


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: a Hub that was killed is being started again meanwhile."""
    while True:
        try:
            return await ask()
        except httpx.TransportError:
            pass
        except ExceptionGroup as group:
            if group.split(httpx.TransportError)[1] is not None:
                raise
        await trio.sleep(_AGAIN_SECONDS)


def _wait_seconds(answer: httpx.Response) -> float:
    try:
        return min(max(float(answer.headers.get("Retry-After", 1)), 0.1), 600.0)
    except ValueError:
        return 1.0
