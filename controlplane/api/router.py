"""Routers gather the endpoints of one noun: prefix, guard, tag and rate limit said once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from controlplane.api import limits
from controlplane.api.endpoint import DEFAULT_BODY_LIMIT_BYTES, BadDeclaration, Endpoint, Handler, declare
from controlplane.api.guards import Guard
from protocol.faults import Fault

H = TypeVar("H", bound=Handler)


class Rate(StrEnum):
    """Which limit counts the calls of a router; GUARD: the one its guard names."""

    SESSION = limits.SESSION
    TENANT = limits.TENANT
    PUBLIC = limits.PUBLIC
    GUARD = "guard"
    NONE = "none"


@dataclass(slots=True)
class Router:
    """Endpoints under one prefix.

    Args:
        prefix: absolute path, `/api/v1/…`.
        guard: who may pass; a method may name another.
        tag: the heading in the documentation.
        rate: which limit counts its calls.
        forgive_unknown: fields and parameters nobody declared are ignored instead of refused.
        body_limit_bytes: larger bodies are answered with PAYLOAD_TOO_LARGE.
    """

    prefix: str
    guard: Guard[Any] = field(kw_only=True)
    tag: str = field(kw_only=True)
    rate: Rate = field(default=Rate.GUARD, kw_only=True)
    forgive_unknown: bool = field(default=False, kw_only=True)
    body_limit_bytes: int = field(default=DEFAULT_BODY_LIMIT_BYTES, kw_only=True)
    endpoints: list[Endpoint] = field(default_factory=list, init=False)

    def get(self, path: str = "", **declaration: Any) -> Callable[[H], H]:
        """Declare a GET; see `route`."""
        return self.route("GET", path, **declaration)

    def post(self, path: str = "", **declaration: Any) -> Callable[[H], H]:
        """Declare a POST; see `route`."""
        return self.route("POST", path, **declaration)

    def patch(self, path: str = "", **declaration: Any) -> Callable[[H], H]:
        """Declare a PATCH; see `route`."""
        return self.route("PATCH", path, **declaration)

    def put(self, path: str = "", **declaration: Any) -> Callable[[H], H]:
        """Declare a PUT; see `route`."""
        return self.route("PUT", path, **declaration)

    def delete(self, path: str = "", **declaration: Any) -> Callable[[H], H]:
        """Declare a DELETE; see `route`."""
        return self.route("DELETE", path, **declaration)

    def route(
        self,
        method: str,
        path: str = "",
        *,
        status: int = 200,
        other_statuses: Sequence[int] = (),
        raises: Sequence[type[Fault]] = (),
        envelope: bool = True,
        media_types: Sequence[str] = (),
        guard: Guard[Any] | None = None,
        rate: Rate | None = None,
        forgive_unknown: bool | None = None,
        body_limit_bytes: int | None = None,
        deadline_seconds: float | None = None,
        hidden: bool = False,
        quiet: bool = False,
    ) -> Callable[[H], H]:
        """Declare an endpoint; the decorated handler stays what it was.

        Args:
            path: after the prefix; `{name}` is a parameter of the handler.
            status: of a success; a handler may set another on `call.response.status`.
            other_statuses: those it may set, with the same answer, to be documented.
            raises: the refusals to document besides those of the guard and those any endpoint has.
            envelope: False: the handler's Struct is sent as it is, or it answers Raw or a Stream.
            media_types: of a Stream, those it may have.
            guard, rate, forgive_unknown, body_limit_bytes: in place of the router's.
            deadline_seconds: in place of the Hub's.
            hidden: not in the OpenAPI document.
            quiet: logged at debug level: probes.

        Raises:
            BadDeclaration: the signature lacks something.
        """
        chosen_guard = self.guard if guard is None else guard
        chosen_rate = self.rate if rate is None else rate
        limit = {Rate.GUARD: chosen_guard.rate, Rate.NONE: None}.get(chosen_rate, chosen_rate.value)

        def keep(handler: H) -> H:
            endpoint = declare(
                handler,
                method=method,
                path=self.prefix + path,
                guard=chosen_guard,
                tag=self.tag,
                rate=limit,
                status=status,
                other_statuses=other_statuses,
                raises=raises,
                envelope=envelope,
                media_types=media_types,
                body_limit_bytes=self.body_limit_bytes if body_limit_bytes is None else body_limit_bytes,
                deadline_seconds=deadline_seconds,
                forgive_unknown=self.forgive_unknown if forgive_unknown is None else forgive_unknown,
                hidden=hidden,
                quiet=quiet,
            )
            if any((one.method, one.path) == (method, endpoint.path) for one in self.endpoints):
                raise BadDeclaration(f"{method} {endpoint.path} is declared twice")
            self.endpoints.append(endpoint)
            return handler

        return keep
