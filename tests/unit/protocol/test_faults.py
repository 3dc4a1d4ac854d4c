"""The error codes of the HTTP contract."""

from __future__ import annotations

from protocol.faults import FAULTS, FieldProblem, ValidationError

#: Specification section 11, and METHOD_NOT_ALLOWED and its like of our own.
CONTRACT = {
    "VALIDATION_ERROR": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "CONFLICT": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "PROVISIONING_FAILED": 500,
    "PORTAINER_UNAVAILABLE": 502,
    "NETCUP_ERROR": 502,
    "STRIPE_ERROR": 502,
    "TENANT_OFFLINE": 503,
    "OVERLOADED": 503,
}


def test_every_code_has_its_status():
    assert {code: fault.status for code, fault in FAULTS.items()} == CONTRACT


def test_a_validation_error_names_every_field():
    problems = [FieldProblem("email", "must be an address"), FieldProblem("name", "must not be empty")]
    error = ValidationError(details=problems)
    assert error.message == "email: must be an address; name: must not be empty"
    assert error.details == problems
    assert ValidationError.of("a.b", "is wrong").details == [FieldProblem("a.b", "is wrong")]
