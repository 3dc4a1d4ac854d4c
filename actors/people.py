"""Who acts and what they may see: carried by every message that changes something."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import msgspec


class Author(msgspec.Struct, frozen=True):
    """Who makes a change.

    Args:
        type: `staff`, `customer`, `tenant`, `system` or `cron`.
        id: the author's text id (`stf_…`, `cust_…`, `ord_…`), None for the Hub itself.
        name: a name a reader of the log knows.
        address: the network address the change came from.
        request_id: the request's X-Request-Id.
        user_agent: the program it was sent with, as that says of itself.
    """

    type: str
    id: str | None
    name: str
    address: str | None = None
    request_id: str | None = None
    user_agent: str | None = None

    @classmethod
    def system(cls, name: str = "LetsBe Hub") -> Author:
        """The Hub itself."""
        return cls(type="system", id=None, name=name)


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything, or one customer's own things; what lies outside is answered with NotFound, never Forbidden.

    Args:
        customer_id: the customer whose things may be seen; None: everybody's.
    """

    customer_id: UUID | None

    @classmethod
    def everything(cls) -> Scope:
        """Staff, the Hub itself and its jobs."""
        return cls(None)

    @classmethod
    def customer(cls, customer_id: UUID) -> Scope:
        """One customer's own things."""
        return cls(customer_id)
