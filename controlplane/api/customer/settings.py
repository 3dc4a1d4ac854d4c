"""A customer's own preferences: time zone, locale, and how they are told of what waits (specification section 5)."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller
from controlplane.api.entity_tags import expected_version, show_version
from controlplane.api.guards_people import Customer
from controlplane.api.router import Router
from controlplane.store.preferences import PreferenceChange, Preferences
from controlplane.time_zones import zone_problems
from protocol.faults import Conflict, ValidationError
from protocol.words import ApprovalMail

routes = Router("/api/v1/customer/settings", guard=Customer(), tag="Customer settings")

Timezone = Annotated[
    str,
    Meta(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$(?!\n)", description="A name of the IANA time zone database."),
    Meta(examples=["Europe/Berlin"]),
]
Locale = Annotated[
    str,
    Meta(pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$(?!\n)", description="A BCP 47 tag.", examples=["de-DE"]),
]


class Notifications(Struct, frozen=True, rename="camel"):
    """How a customer is told.

    `approvals`: a mail for requests that wait, `atOnce`, in a `digest`, or `never`.
    """

    approvals: ApprovalMail


class CustomerSettings(Struct, frozen=True, rename="camel"):
    """A customer's preferences."""

    timezone: str
    locale: str
    notifications: Notifications


class NotificationsPatch(Struct, frozen=True, rename="camel"):
    """What to change of it; what is absent stays."""

    approvals: ApprovalMail | UnsetType = UNSET


class CustomerSettingsPatch(Struct, frozen=True, rename="camel"):
    """What to change; what is absent stays."""

    timezone: Timezone | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    notifications: NotificationsPatch = NotificationsPatch()


@routes.get("")
async def get_settings(call: Call[CustomerCaller]) -> CustomerSettings:
    """Read your preferences; `ETag` is for `If-Match`."""
    return _shown(show_version(call, await call.hub.preferences.get(call.caller.customer_id)))


@routes.patch("", raises=(Conflict,))
async def change_settings(call: Call[CustomerCaller], body: CustomerSettingsPatch) -> CustomerSettings:
    """Change your preferences: time zone, locale, notifications. With `If-Match`: only what was read."""
    if body.timezone is not UNSET and (problems := zone_problems("timezone", body.timezone)):
        raise ValidationError(details=problems)
    change = PreferenceChange(timezone=body.timezone, locale=body.locale, approval_mail=body.notifications.approvals)
    version = expected_version(call)
    changed = await call.hub.preferences.change(call.author, call.caller.customer_id, change, version=version)
    return _shown(show_version(call, changed))


def _shown(preferences: Preferences) -> CustomerSettings:
    return CustomerSettings(preferences.timezone, preferences.locale, Notifications(preferences.approval_mail))
