"""The app: every request finds its endpoint, passes its guard and its limit, and is answered in the envelope."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import structlog
import trio
import werkzeug.exceptions
from quart import Response
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.exceptions import HTTPException

from controlplane.api import asyncapi
from controlplane.api.answer import Answer, Standing
from controlplane.api.body import BodyReader
from controlplane.api.call import Call, Outgoing
from controlplane.api.docs import docs_router
from controlplane.api.endpoint import Endpoint
from controlplane.api.envelope import Raw, Stream, encode, failure, success
from controlplane.api.faults import answer_bug, answer_fault, fault_of
from controlplane.api.hub import Hub
from controlplane.api.incoming import Incoming, scope_to_incoming
from controlplane.api.openapi import document
from controlplane.api.router import Router
from controlplane.api.table import Table, allowed
from protocol.faults import InternalError, MethodNotAllowed, NotFound, Overloaded, UnsupportedMediaType, ValidationError
from protocol.ids import format_id

log = structlog.get_logger()

_FORM: Final = "application/x-www-form-urlencoded"
_KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Found = tuple[dict[str, Endpoint], list[str]] | None


class Exchange:
    """One request and its answer, straight from the ASGI scope."""

    def __init__(self, app: HubApp, scope: Any) -> None:
        self._app = app
        self._scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        app, hub = self._app, self._app.hub
        began = hub.clock.monotonic()
        incoming = scope_to_incoming(self._scope)
        found = app.table.find(incoming.path)
        if found is None and app.has_pages:
            await TrioASGIHTTPConnection(app, self._scope)(receive, send)
            return
        if hub.trusted_proxies:
            incoming.remote_address = incoming.forwarded_for(hub.trusted_proxies)
        incoming.request_id = incoming.sane_request_id or format_id("req", hub.ids.uuid7())
        bound = structlog.contextvars.bind_contextvars(request_id=incoming.request_id)
        try:
            body = BodyReader(receive, incoming)
            answer = Answer()
            try:
                await self._fill(answer, incoming, found, body)
            except Exception as error:  # noqa: BLE001 - the border: what escapes becomes an answer
                _refuse(answer, error, incoming)
            try:
                await answer.send(send, body, incoming, app.standing)
            except Exception as error:
                if answer.chunks is None:
                    raise
                # Half an answer was sent: left without its end, it is seen to be half of one.
                log.error("http.broke_off", route=answer.route, exc_info=error)
            _tell(hub, answer, incoming, hub.clock.monotonic() - began)
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _fill(self, answer: Answer, incoming: Incoming, found: Found, body: BodyReader) -> None:
        if found is None:
            raise NotFound("there is nothing under this path")
        methods, texts = found
        answer.route = next(iter(methods.values())).path
        endpoint = methods.get(incoming.method)
        if endpoint is None:
            names = allowed(methods)
            answer.headers.append((b"allow", names.encode()))
            if incoming.method != "OPTIONS":
                raise MethodNotAllowed(f"this path takes {names}")
            answer.body = success({"allow": names.split(", ")})
            return
        answer.endpoint = endpoint
        deadline_seconds = endpoint.deadline_seconds or self._app.hub.request_deadline_seconds
        with trio.move_on_after(deadline_seconds) as within:
            await self._run(answer, endpoint, texts, incoming, body)
        if within.cancelled_caught:
            log.warning("http.overran", route=endpoint.path, deadline_seconds=deadline_seconds)
            raise Overloaded(
                f"no answer within {deadline_seconds:g} s; the outcome is unknown", retry_after_seconds=1.0
            )

    async def _run(
        self, answer: Answer, endpoint: Endpoint, texts: list[str], incoming: Incoming, body: BodyReader
    ) -> None:
        hub = self._app.hub
        caller = await endpoint.guard.admit(incoming, hub)
        answer.kind, answer.who = caller.kind, caller.author.id
        if endpoint.rate is not None:
            hub.limits.take(endpoint.rate, caller.rate_key)
        arguments: dict[str, Any] = {
            parameter.name: parameter.read(text)
            for parameter, text in zip(endpoint.path_parameters, texts, strict=True)
        }
        if endpoint.query is not None or incoming.query_string:
            _read_query(endpoint, incoming, arguments)
        if endpoint.takes_body:
            incoming.body = await body.read(endpoint.body_limit_bytes)
            _read_body(endpoint, incoming, arguments)
        response = Outgoing()
        result = await endpoint.handler(Call(caller, hub, incoming, response), **arguments)
        answer.headers += response.headers
        if isinstance(result, Raw | Stream):
            answer.take(result)
        else:
            answer.body = success(result) if endpoint.envelope else encode(result)
            answer.status = endpoint.status
        if response.status is not None:
            answer.status = response.status


def _read_query(endpoint: Endpoint, incoming: Incoming, arguments: dict[str, Any]) -> None:
    if endpoint.query_reader is not None:
        query = endpoint.query_reader.read(incoming.query_string)
        if endpoint.query is not None:
            arguments["query"] = query


def _read_body(endpoint: Endpoint, incoming: Incoming, arguments: dict[str, Any]) -> None:
    """Put the body where the declaration says, by its media type."""
    data = incoming.body
    if endpoint.raw:
        arguments["raw"] = data
    if endpoint.form_reader is None and endpoint.body_reader is None:
        return
    if endpoint.form_reader is not None:
        arguments["form"] = None
    if endpoint.body_reader is not None:
        arguments["body"] = None
    if not data and (endpoint.body_optional or endpoint.form_optional):
        return
    media_type = incoming.media_type
    if endpoint.form_reader is not None and media_type == _FORM:
        arguments["form"] = endpoint.form_reader.read(data)
    elif endpoint.body_reader is not None and (not data or _is_json(media_type)):
        arguments["body"] = endpoint.body_reader.read(data)
    else:
        wanted = [
            name
            for name, reader in (("application/json", endpoint.body_reader), (_FORM, endpoint.form_reader))
            if reader is not None
        ]
        raise UnsupportedMediaType(f"the body must be {' or '.join(wanted)}, told by its Content-Type")


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _refuse(answer: Answer, error: Exception, incoming: Incoming) -> None:
    """Make the answer to what was raised; a bug is logged with its traceback and shown by its request id only."""
    fault = fault_of(error)
    if fault is None:
        log.error("http.failed", method=incoming.method, route=answer.route, exc_info=error)
        answer.code = InternalError.code
        answer.status, headers, answer.body = answer_bug(incoming.request_id)
    else:
        answer.code = fault.code
        answer.status, headers, answer.body = answer_fault(fault)
    answer.content_type = b"application/json"
    answer.headers += headers


def _tell(hub: Hub, answer: Answer, incoming: Incoming, seconds: float) -> None:
    """Log and count; neither query, headers nor the caller's own path, which may carry secrets."""
    method = incoming.method if incoming.method in _KNOWN_METHODS else "OTHER"
    hub.metrics.answered(method, answer.route, answer.status, seconds)
    tell = log.debug if answer.endpoint is not None and answer.endpoint.quiet else log.info
    tell(
        "http.answered",
        method=method,
        route=answer.route,
        status=answer.status,
        ms=round(seconds * 1000, 2),
        caller=answer.kind,
        caller_id=answer.who,
        **({} if answer.code is None else {"code": answer.code}),
    )


class HubApp(QuartTrio):
    """Quart on trio with our own way from a declared path to its endpoint.

    Declared paths are answered straight from the ASGI scope: measured in one process, a declared GET with guard, limit,
    log line and figures costs 0.45 of a bare Quart route, and 1.5 of one when it is mounted as a Quart route. What is
    not declared falls to Quart once it has rules of its own, so that pages can be added in Quart's manner; such answers
    carry the same headers and the same envelope of refusals.

    Args:
        routers: whose endpoints are served.
        hub: what handlers may touch.
    """

    asgi_http_class = Exchange  # type: ignore[assignment]

    def __init__(self, routers: Iterable[Router], hub: Hub) -> None:
        super().__init__(__name__, static_folder=None)
        self.hub = hub
        declared = [endpoint for router in routers for endpoint in router.endpoints]
        #: The OpenAPI document.
        self.openapi = document(declared, public_url=hub.public_url)
        self.endpoints: tuple[Endpoint, ...] = (
            *declared,
            *docs_router(encode(self.openapi), encode(asyncapi.document(public_url=hub.public_url))).endpoints,
        )
        self.table = Table(self.endpoints)
        self.standing = Standing(secure=hub.secure)
        self.register_error_handler(HTTPException, _refuse_page)
        self.after_request(self._finish_page)

    @property
    def has_pages(self) -> bool:
        """Quart has rules of its own."""
        return next(self.url_map.iter_rules(), None) is not None

    async def _finish_page(self, response: Response) -> Response:
        response.headers["x-request-id"] = format_id("req", self.hub.ids.uuid7())
        for name, value in self.standing.headers:
            response.headers.setdefault(name.decode(), value.decode())
        return response


async def _refuse_page(error: HTTPException) -> tuple[bytes, int, dict[str, str]]:
    headers = {"content-type": "application/json"}
    if isinstance(error, werkzeug.exceptions.MethodNotAllowed):
        headers["allow"] = ", ".join(sorted(error.valid_methods or ()))
        return failure(MethodNotAllowed.code, f"this path takes {headers['allow']}"), 405, headers
    if error.code == 404:
        return failure(NotFound.code, "there is nothing under this path"), 404, headers
    return failure(ValidationError.code, error.description or error.name), error.code or 400, headers


def build_app(routers: Iterable[Router], hub: Hub) -> HubApp:
    """Build the HTTP app of a Hub; the OpenAPI document and its page come with it.

    Raises:
        BadDeclaration: two routers declare the same method and path.
    """
    return HubApp(routers, hub)
