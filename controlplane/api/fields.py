"""Fields that several requests have, each with the bounds that the document and the border share.

`$(?!\\n)` ends the patterns: Python's `$` alone lets a final line break pass, and ECMA has no `\\Z`.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

from msgspec import Meta

from controlplane.services.accounts import EMAIL_ADDRESS
from protocol.faults import ValidationError

EmailAddress = Annotated[
    str,
    Meta(
        max_length=254,
        pattern=EMAIL_ADDRESS,
        description="An e-mail address.",
        examples=["maria@acme.com"],
    ),
]
PersonName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S", examples=["Maria Weber"])]
CompanyName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S", examples=["Acme Marketing GmbH"])]
NewPassword = Annotated[
    str,
    Meta(min_length=10, max_length=512, description="Not one of the passwords that are guessed first."),
]
#: A password as it is checked: whatever was once allowed.
GivenPassword = Annotated[str, Meta(max_length=512)]

#: Short enough for `portainer.` before it (RFC 1035 section 2.3.4).
Domain = Annotated[
    str,
    Meta(
        min_length=4,
        max_length=243,
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
        r"[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$(?!\n)",
        description="A host name.",
        examples=["acme.letsbe.biz"],
    ),
]
ToolName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$(?!\n)", examples=["nextcloud"])]
ToolNames = Annotated[list[ToolName], Meta(max_length=100)]
Port = Annotated[int, Meta(ge=1, le=65_535)]
IpAddress = Annotated[
    str,
    Meta(
        max_length=45,
        pattern=r"^[0-9A-Fa-f:.]{2,45}$(?!\n)",
        description="An IPv4 or IPv6 address.",
        examples=["88.99.12.34"],
    ),
]
Search = Annotated[str, Meta(max_length=200, description="Beginnings of words.", examples=["acme"])]


def normal_address(text: str, *, field: str) -> str:
    """An IP address in its one canonical form (RFC 5952).

    Raises:
        ValidationError: it is none.
    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValidationError.of(field, "must be an IPv4 or IPv6 address") from None


def each_once(names: list[str]) -> list[str]:
    """The names in their order, each once."""
    return list(dict.fromkeys(names))
