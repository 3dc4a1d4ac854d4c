"""`ETag` and `If-Match` (RFC 9110 sections 8.8.3 and 13.1.1): a change says which version it means."""

from __future__ import annotations

from typing import TypeVar

from controlplane.api.call import Call
from controlplane.store.versions import version_of
from protocol.faults import ValidationError

T = TypeVar("T")


def show_version(call: Call, shown: T, *, of: object = None) -> T:  # type: ignore[type-arg]
    """Send the version of what is answered along with it.

    Args:
        of: the part of it that people edit, whose version counts; None: the whole.
    """
    call.response.set_header("ETag", f'"{version_of(shown if of is None else of)}"')
    return shown


def expected_version(call: Call) -> str | None:  # type: ignore[type-arg]
    """The version a change is meant for; None: whatever it is.

    Raises:
        ValidationError: `If-Match` holds more or other than one strong tag or `*`.
    """
    given = call.request.headers.get("if-match", "*").strip()
    if given == "*":
        return None
    if len(given) < 3 or given[0] != '"' or given[-1] != '"' or '"' in given[1:-1]:
        raise ValidationError.of("If-Match", "must be one ETag as it was sent, with its quotes")
    return given[1:-1]
