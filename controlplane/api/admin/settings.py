"""The Hub's settings (specification section 4.12): `/api/v1/admin/settings`."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.entity_tags import expected_version, show_version
from controlplane.api.fields import EmailAddress
from controlplane.api.guards_people import Staff
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.services.mail_trial import Tried, try_out
from controlplane.store.system_settings import ShownSettings
from controlplane.system_settings.registry import SETTINGS
from protocol.faults import Conflict

routes = Router("/api/v1/admin/settings", guard=Staff(Permission.SETTINGS_READ), tag="Settings")

_CHANGES: Final = Staff(Permission.SETTINGS_WRITE)

# Made of the settings' own declarations: their bounds are what a change is checked against and documented by.
_Fields: Any = msgspec.defstruct(
    "_Fields",
    [(f"{one.category}_{one.field}", one.wanted | UnsetType | None, UNSET) for one in SETTINGS.values()],
    rename={f"{one.category}_{one.field}": one.name for one in SETTINGS.values()},
    kw_only=True,
)


class SettingsPatch(_Fields):  # type: ignore[misc]
    """What to change, by the settings' names; what is absent stays, null goes back to the default."""


class EmailTest(Struct, rename="camel"):
    """Where to send a mail to; without, to whoever asks."""

    to: EmailAddress | None = None


@routes.get("")
async def get_settings(call: Call[StaffCaller]) -> ShownSettings:
    """Read every setting by category, without secrets; `ETag` is for `If-Match`."""
    return show_version(call, await call.hub.settings.all())


@routes.patch("", guard=_CHANGES, raises=(Conflict,))
async def change_settings(call: Call[StaffCaller], body: SettingsPatch) -> ShownSettings:
    """Change settings by `category.key`, all or none; a change counts at once. With `If-Match`: only what was read."""
    given = {one.name: getattr(body, f"{one.category}_{one.field}") for one in SETTINGS.values()}
    changes = {name: value for name, value in given.items() if value is not UNSET}
    return show_version(call, await call.hub.settings.change(call.author, changes, version=expected_version(call)))


@routes.post("/test-email", guard=_CHANGES)
async def test_email(call: Call[StaffCaller], body: EmailTest) -> Tried:
    """Send a mail by the way all mail goes, at once and past the outbox; the answer says how it went."""
    call.hub.limits.take("test_email", call.caller.staff_id)
    return await try_out(
        call.hub.mail, body.to or call.caller.email, asked_by=call.caller.name, public_url=call.hub.public_url
    )
