"""Who plays in the demo: its owner, the companies with their people and tenants, how far agents may go. Data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from wrapper.habits import Habit


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in.

    Attributes:
        who: what the demo's files about this person are named by.
        provider: how the API names this way to sign in.
    """

    who: str
    provider: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Part:
    """One tenant: a server with its agents.

    Attributes:
        name: what the demo's files about it are named by.
        applications: what is installed; its script asks for tools of these alone.
        script: what its agents want.
        agents: what differs from the roles' templates, by role.
    """

    name: str
    domain: str
    tier: str
    applications: tuple[str, ...]
    script: str
    agents: dict[str, dict[str, Any]] = field(default_factory=dict)
    habit: Habit = Habit.STEADY


@dataclass(frozen=True, slots=True)
class Company:
    """A customer with its tenants.

    Attributes:
        decides: the demo decides in its place, at a human pace; else a person at the keyboard does, or nobody.
    """

    customer: Person
    name: str
    parts: tuple[Part, ...]
    decides: bool = True


def _person(who: str, email: str, name: str) -> Person:
    return Person(who, "customer", email, name)


OWNER: Final = Person("staff", "credentials", "owner@hub.example", "Olga Owner")
CUSTOMER: Final = _person("customer", "maria@acme.example", "Maria Weber")

ROLES: Final = ("dispatcher", "it-admin", "marketing", "secretary", "sales")

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

_OFFICE: Final = ("nextcloud", "ghost", "odoo", "stalwart")
_PRACTICE: Final = ("nextcloud", "ghost", "calcom", "stalwart")
_WORKSHOP: Final = ("ghost", "odoo", "stalwart")
_TRAVEL: Final = ("calcom", "chatwoot", "listmonk", "stalwart")
_SHOP: Final = ("nextcloud", "chatwoot", "ghost", "listmonk", "odoo", "umami")
_AGENCY: Final = (*_SHOP, "calcom", "stalwart")

ACME: Final = Company(
    CUSTOMER,
    "Acme Marketing GmbH",
    (
        Part("acme", "acme.letsbe.biz", "Scale", _AGENCY, "agency"),
        Part("acme-shop", "shop.acme.example", "Build", _SHOP, "shop"),
        Part("acme-events", "events.acme.example", "Lite", ("nextcloud", "ghost", "calcom"), "events", _CAREFUL),
    ),
    decides=False,
)

COMPANIES: Final = (
    ACME,
    Company(
        _person("sommer", "jana@praxis-sommer.example", "Dr. Jana Sommer"),
        "Praxis Dr. Sommer",
        (Part("praxis-sommer", "praxis-sommer.letsbe.biz", "Build", _PRACTICE, "practice", _CAREFUL),),
    ),
    Company(
        _person("kupfer", "lena@kupferwerk.example", "Lena Kupfer"),
        "Kupferwerk Manufaktur",
        (Part("kupferwerk", "kupferwerk.example", "Build", _WORKSHOP, "workshop", _TRUSTING),),
    ),
    Company(
        _person("mooi", "sanne@mooi.example", "Sanne de Boer"),
        "Mooi Interiors B.V.",
        (Part("mooi", "mooi.example", "Scale", _SHOP, "shop"),),
    ),
    Company(
        _person("noordzee", "pieter@noordzee.example", "Pieter Visser"),
        "Noordzee Charter",
        (Part("noordzee", "noordzee.example", "Build", _TRAVEL, "travel"),),
    ),
    Company(
        _person("tandem", "ole@tandem.example", "Ole Petersen"),
        "Tandem Physio",
        (Part("tandem", "tandem.letsbe.biz", "Lite", _PRACTICE, "practice"),),
    ),
    Company(
        _person("wolke9", "miriam@wolke9.example", "Miriam Wolf"),
        "Wolke 9 Reisen",
        (Part("wolke9", "wolke9.letsbe.biz", "Lite", _TRAVEL, "travel", _TRUSTING),),
    ),
    Company(
        _person("roth", "tobias@roth.example", "Tobias Roth"),
        "Roth Fahrradbau",
        (Part("roth", "roth.letsbe.biz", "Lite", _WORKSHOP, "workshop", habit=Habit.FLAPS),),
    ),
    Company(
        _person("olmo", "giulia@olmo.example", "Giulia Olmo"),
        "Olmo Architetti S.r.l.",
        (Part("olmo", "olmo.example", "Build", _OFFICE, "office", habit=Habit.OUTDATED),),
    ),
    Company(
        _person("lindqvist", "henrik@lindqvist.example", "Henrik Lindqvist"),
        "Lindqvist & Partner AB",
        (Part("lindqvist", "lindqvist.example", "Scale", _OFFICE, "office", habit=Habit.LEAVES),),
        decides=False,
    ),
)


def part_with(habit: Habit) -> Part:
    """The first tenant with this habit."""
    return next(part for company in COMPANIES for part in company.parts if part.habit is habit)
