"""Who plays in the demo: its owner, its customer, the five tenants and how far their agents may go. Data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in.

    Attributes:
        provider: how the API names this way to sign in.
    """

    who: str
    provider: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Part:
    """One tenant: a server with its five agents.

    Attributes:
        agents: what differs from the roles' templates, by role.
    """

    name: str
    domain: str
    tier: str
    agents: dict[str, dict[str, Any]]


OWNER: Final = Person("staff", "credentials", "owner@hub.example", "Olga Owner")
CUSTOMER: Final = Person("customer", "customer", "maria@acme.example", "Maria Weber")
COMPANY: Final = "Acme Marketing GmbH"

ROLES: Final = ("dispatcher", "it-admin", "marketing", "secretary", "sales")
APPLICATIONS: Final = ["nextcloud", "ghost", "listmonk", "umami", "odoo", "chatwoot", "calcom", "stalwart"]

_AS_THE_TEMPLATES: Final[dict[str, dict[str, Any]]] = {}
#: Asks for all but reading, and its front desk even before it hands work on: so every class is decided somewhere.
_CAREFUL: Final[dict[str, dict[str, Any]]] = {
    **{role: {"autonomyLevel": 1} for role in ROLES},
    "dispatcher": {"autonomyLevel": 1, "toolOverrides": {"agent_delegate": "ask"}},
}
#: Mail may leave without asking, and updates need no shell.
_TRUSTING: Final[dict[str, dict[str, Any]]] = {
    "secretary": {"autonomyLevel": 3, "externalCommsUnlocks": {"email_send": True}},
    "it-admin": {"toolOverrides": {"shell": "deny"}},
}

PARTS: Final = (
    Part("berlin", "berlin.acme.example", "Scale", _AS_THE_TEMPLATES),
    Part("hamburg", "hamburg.acme.example", "Build", _AS_THE_TEMPLATES),
    Part("leipzig", "leipzig.acme.example", "Build", _CAREFUL),
    Part("munich", "munich.acme.example", "Build", _TRUSTING),
    Part("vienna", "vienna.acme.example", "Lite", _AS_THE_TEMPLATES),
)
