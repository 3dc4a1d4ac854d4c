"""Answers that refuse: one exception for each error code of the HTTP contract (specification section 11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec


class FieldProblem(msgspec.Struct, frozen=True):
    """One bad field of a request: its dotted path as the caller wrote it, and what it must be."""

    field: str
    message: str


class Fault(Exception):
    """Base of every refusal a caller may see.

    Args:
        message: the words the caller should read.
        details: more for a program: a list of field problems, or an object such as the winner of a race.
        retry_after_seconds: when trying again makes sense; becomes the Retry-After header.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, details: Any = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.retry_after_seconds = retry_after_seconds


class ValidationError(Fault):
    """The request is malformed; `details` names every bad field, not the first only."""

    code = "VALIDATION_ERROR"
    status = 400

    def __init__(self, message: str = "", *, details: Sequence[FieldProblem] = ()) -> None:
        problems = list(details)
        if not message:
            message = "; ".join(f"{problem.field}: {problem.message}" for problem in problems[:3])
        super().__init__(message, details=problems)

    @classmethod
    def of(cls, field: str, message: str) -> ValidationError:
        """One bad field."""
        return cls(details=[FieldProblem(field, message)])


class Unauthorized(Fault):
    """Missing or invalid authentication."""

    code = "UNAUTHORIZED"
    status = 401


class Forbidden(Fault):
    """Authenticated, but not allowed."""

    code = "FORBIDDEN"
    status = 403


class NotFound(Fault):
    """The resource does not exist, or is not the caller's to know of."""

    code = "NOT_FOUND"
    status = 404


class MethodNotAllowed(Fault):
    """The path exists, the method does not."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class Conflict(Fault):
    """The request is sound but the state of things refuses it."""

    code = "CONFLICT"
    status = 409


class PayloadTooLarge(Fault):
    """The body is larger than the endpoint takes."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413


class UnsupportedMediaType(Fault):
    """The body's media type is not the endpoint's."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class RateLimited(Fault):
    """Too many requests; `retry_after_seconds` is exact."""

    code = "RATE_LIMITED"
    status = 429


class InternalError(Fault):
    """What escapes: carries a request id and nothing else."""

    code = "INTERNAL_ERROR"
    status = 500


class ProvisioningFailed(Fault):
    """The server provisioning pipeline failed."""

    code = "PROVISIONING_FAILED"
    status = 500


class PortainerUnavailable(Fault):
    """The tenant's Portainer cannot be reached."""

    code = "PORTAINER_UNAVAILABLE"
    status = 502


class NetcupError(Fault):
    """Netcup's API answered with an error."""

    code = "NETCUP_ERROR"
    status = 502


class StripeError(Fault):
    """Stripe's API answered with an error."""

    code = "STRIPE_ERROR"
    status = 502


class TenantOffline(Fault):
    """The tenant's Safety Wrapper does not answer."""

    code = "TENANT_OFFLINE"
    status = 503


class Overloaded(Fault):
    """The Hub cannot take this now; nothing was changed unless the message says the outcome is unknown."""

    code = "OVERLOADED"
    status = 503


FAULTS: dict[str, type[Fault]] = {
    fault.code: fault
    for fault in (
        ValidationError,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        PayloadTooLarge,
        UnsupportedMediaType,
        RateLimited,
        InternalError,
        ProvisioningFailed,
        PortainerUnavailable,
        NetcupError,
        StripeError,
        TenantOffline,
        Overloaded,
    )
}
