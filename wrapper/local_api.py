"""The wrapper's own HTTP port: h11 on trio, a table of routes, and for each route who may call it.

One request a connection. Everything is bounded: connections, the request's head and body, and the time for each. A
route that is `local` is for programs of this machine: whoever comes from elsewhere, through a proxy, or out of a web
page is refused. A page is known by its Origin, and by a Host that is not this machine's name, which is how a page
whose name was rebound to 127.0.0.1 (DNS rebinding) betrays itself.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

import h11
import msgspec
import structlog
import trio

from protocol.faults import (
    Fault,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    UnsupportedMediaType,
    ValidationError,
)
from wrapper.hub_address import is_loopback

log = structlog.get_logger()

#: A request has to have arrived within this time, and an answer has to be taken within it.
TRANSFER_SECONDS: Final = 10.0
#: A handler's time, unless its route gives it another.
HANDLER_SECONDS: Final = 20.0
HEAD_LIMIT_BYTES: Final = 16 * 1024
BODY_LIMIT_BYTES: Final = 1024 * 1024
CONNECTIONS: Final = 256
#: What a refused caller may still be sending is read and dropped, so that the refusal reaches it.
_LINGER_SECONDS: Final = 1.0
_LINGER_BYTES: Final = 8 * 1024 * 1024
_READ_BYTES: Final = 64 * 1024
#: Headers that a browser or a proxy adds, and a program of this machine does not.
_STRANGERS: Final = ("origin", "sec-fetch-site", "forwarded", "x-forwarded-for", "x-forwarded-host", "via")


@dataclass(frozen=True, slots=True)
class LocalRequest:
    """One request, whole.

    Attributes:
        path: as it was sent, without the query.
        parameters: what stood in the places of the route's `{names}`, unquoted.
        headers: by lower-case name; of a repeated one, the last.
        peer: the caller's address.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    parameters: Mapping[str, str]
    peer: str

    def json(self) -> Any:
        """The body as a JSON value.

        Raises:
            UnsupportedMediaType: it does not say that it is JSON.
            ValidationError: it is not JSON.
        """
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise UnsupportedMediaType("send the body as JSON, with Content-Type: application/json")
        if not self.body:
            raise ValidationError.of("body", "is required: a JSON object")
        try:
            return msgspec.json.decode(self.body)
        except RecursionError:
            raise ValidationError.of("body", "is nested too deeply") from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ValidationError.of("body", f"is not JSON: {error}") from None


@dataclass(frozen=True, slots=True)
class LocalResponse:
    """An answer: any JSON value, None for an empty body."""

    content: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


#: Answers one request; raises a Fault to refuse it.
Handler = Callable[[LocalRequest], Awaitable[LocalResponse]]


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    handlers: dict[str, _Declared]


@dataclass(frozen=True, slots=True)
class _Declared:
    handler: Handler
    local: bool
    seconds: float
    ends_with_caller: bool
    body_limit_bytes: int


class LocalApi:
    """The routes of the local port, and the server that answers them."""

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}
        self._connections = trio.CapacityLimiter(CONNECTIONS)

    def route(
        self,
        method: str,
        path: str,
        handler: Handler,
        *,
        local: bool = True,
        seconds: float = HANDLER_SECONDS,
        ends_with_caller: bool = False,
        body_limit_bytes: int = BODY_LIMIT_BYTES,
    ) -> None:
        """Add a route; HEAD comes with GET.

        Args:
            path: as `/gate/{requestId}/outcome`; a `{name}` stands for one segment.
            local: only for programs of this machine; False where the Hub or a proxy calls, and the handler itself
                finds out who that is.
            seconds: the handler's time; after it the answer is 503.
            ends_with_caller: cancel the handler when the caller hangs up (for those that wait long).
        """
        names = re.split(r"\{(\w+)\}", path)
        pattern = "".join(f"(?P<{part}>[^/]+)" if place % 2 else re.escape(part) for place, part in enumerate(names))
        route = self._routes.setdefault(path, _Route(re.compile(pattern), {}))
        if method in route.handlers:
            raise ValueError(f"{method} {path} is taken")
        route.handlers[method] = _Declared(handler, local, seconds, ends_with_caller, body_limit_bytes)

    async def serve(
        self, host: str, port: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Answer for ever; the started value is the port, which was chosen by the system if 0 was asked for.

        Raises:
            OSError: the address cannot be listened on.
        """
        listeners = await trio.open_tcp_listeners(port, host=host)
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(self._connected, listeners)

    async def _connected(self, stream: trio.SocketStream) -> None:
        try:
            self._connections.acquire_on_behalf_of_nowait(stream)
        except trio.WouldBlock:
            await trio.aclose_forcefully(stream)
            return
        try:
            await _Connection(stream, self).run()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the caller went away
        finally:
            self._connections.release_on_behalf_of(stream)
            await trio.aclose_forcefully(stream)

    def find(self, method: str, path: str) -> tuple[_Declared, dict[str, str]]:
        """The route of a request and its path parameters.

        Raises:
            NotFound, MethodNotAllowed: there is none; the details of the latter name the methods there are.
        """
        for route in self._routes.values():
            match = route.pattern.fullmatch(path)
            if match is None:
                continue
            declared = route.handlers.get("GET" if method == "HEAD" else method)
            if declared is None:
                allowed = sorted({*route.handlers, *(["HEAD"] if "GET" in route.handlers else [])})
                raise MethodNotAllowed(f"{path} takes {', '.join(allowed)} only", details={"allow": allowed})
            return declared, {name: unquote(value) for name, value in match.groupdict().items()}
        raise NotFound(f"{path[:200]} is not here; there is {', '.join(self._routes)}")


class _Connection:
    """One connection: one request, one answer."""

    def __init__(self, stream: trio.SocketStream, api: LocalApi) -> None:
        self._stream = stream
        self._api = api
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT_BYTES)

    async def run(self) -> None:
        answer: LocalResponse | None = None
        head_only = False
        try:
            arrived: tuple[_Declared, LocalRequest] | None = None
            with trio.move_on_after(TRANSFER_SECONDS):
                head = await self._head()
                if head is not None:
                    head_only = head.method == b"HEAD"
                    arrived = await self._whole(head)
            if arrived is not None:
                answer = await self._handle(*arrived)
        except Fault as fault:
            answer = _refusal(fault)
        except h11.RemoteProtocolError as error:
            answer = _refusal(ValidationError.of("request", f"is not HTTP/1.1: {error}"), error.error_status_hint)
        if answer is not None:
            with trio.move_on_after(TRANSFER_SECONDS):
                await self._send(answer, head_only=head_only)
                await self._linger()

    # --- in ----------------------------------------------------------------------------------------------

    async def _event(self) -> Any:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                go_on = self._http.send(h11.InformationalResponse(status_code=100, headers=[]))
                await self._stream.send_all(go_on or b"")
            self._http.receive_data(await self._stream.receive_some(_READ_BYTES))

    async def _head(self) -> h11.Request | None:
        event = await self._event()
        return event if isinstance(event, h11.Request) else None

    async def _whole(self, head: h11.Request) -> tuple[_Declared, LocalRequest]:
        """The request with its body, once it is known that somebody wants it."""
        target = head.target.decode("ascii", "replace")
        path, _, query = target.partition("?")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        peer = str(self._stream.socket.getpeername()[0])
        declared, parameters = self._api.find(head.method.decode("ascii"), path)
        if declared.local:
            _refuse_strangers(headers, peer)
        limit = declared.body_limit_bytes
        if int(headers.get("content-length", "0")) > limit:
            raise PayloadTooLarge(f"a body of at most {limit} bytes is taken")
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > limit:
                raise PayloadTooLarge(f"a body of at most {limit} bytes is taken")
        method = head.method.decode("ascii")
        return declared, LocalRequest(method, path, query, headers, bytes(body), parameters, peer)

    # --- between -----------------------------------------------------------------------------------------

    async def _handle(self, declared: _Declared, request: LocalRequest) -> LocalResponse | None:
        """What the handler answers; None when the caller is gone."""
        answer: LocalResponse | None = None
        async with trio.open_nursery() as nursery:
            if declared.ends_with_caller:
                nursery.start_soon(self._until_gone, nursery.cancel_scope)
            answer = await _answered(declared, request)
            nursery.cancel_scope.cancel()
        return answer

    async def _until_gone(self, scope: trio.CancelScope) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            while await self._stream.receive_some(_READ_BYTES):
                pass
        scope.cancel()

    # --- out ---------------------------------------------------------------------------------------------

    async def _send(self, answer: LocalResponse, *, head_only: bool) -> None:
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        body = b"" if answer.content is None else msgspec.json.encode(answer.content)
        headers = [
            *answer.headers.items(),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
        ]
        head = self._http.send(h11.Response(status_code=answer.status, headers=headers))
        data = b"" if head_only or not body else self._http.send(h11.Data(data=body))
        await self._stream.send_all((head or b"") + (data or b""))

    async def _linger(self) -> None:
        """Let the caller read the answer though it may still be sending: a close now would reset the connection."""
        await self._stream.send_eof()
        left = _LINGER_BYTES
        with trio.move_on_after(_LINGER_SECONDS):
            while left > 0 and (data := await self._stream.receive_some(_READ_BYTES)):
                left -= len(data)


async def _answered(declared: _Declared, request: LocalRequest) -> LocalResponse:
    with trio.move_on_after(declared.seconds):
        try:
            return await declared.handler(request)
        except Fault as fault:
            return _refusal(fault)
        except Exception:
            log.exception("local_api.crashed", method=request.method, path=request.path)
            return _refusal(InternalError("the wrapper failed at this; its log says how"))
    return _refusal(Overloaded(f"this took longer than {declared.seconds:g} s", retry_after_seconds=1))


def _refuse_strangers(headers: Mapping[str, str], peer: str) -> None:
    if not is_loopback(peer.partition("%")[0].removeprefix("::ffff:")):
        raise Forbidden("only programs on this machine may call this")
    for name in _STRANGERS:
        if name in headers:
            raise Forbidden(f"web pages and proxies may not call this (the request has the header {name})")
    host = headers.get("host", "")
    name = re.sub(r":\d*$", "", host)
    if not is_loopback(name.removeprefix("[").removesuffix("]").lower()):
        raise Forbidden("the Host header must be localhost, 127.0.0.1 or [::1]")


def _refusal(fault: Fault, status: int | None = None) -> LocalResponse:
    headers = {}
    if isinstance(fault, MethodNotAllowed):
        headers["Allow"] = ", ".join(fault.details["allow"])
    if fault.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, round(fault.retry_after_seconds)))
    error = {"code": fault.code, "message": fault.message, "details": fault.details}
    return LocalResponse({"success": False, "error": error}, status or fault.status, headers)
