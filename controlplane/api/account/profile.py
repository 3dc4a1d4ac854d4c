"""One's own profile, of staff (specification section 4.1), and the photos of the staff: `/api/v1/profile`."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from controlplane.api.account import passwords
from controlplane.api.account.passwords import Changed, PasswordChange
from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.entity_tags import expected_version, show_version
from controlplane.api.envelope import Raw
from controlplane.api.fields import EmailAddress, PersonName
from controlplane.api.guards_people import Staff
from controlplane.api.router import Router
from controlplane.api.uploads import file_in
from controlplane.services.photos import LONGEST_UPLOAD_BYTES, MEDIA_TYPE
from controlplane.store.staff import StaffMember
from controlplane.store.staff_roster import ProfileChange
from protocol.faults import Conflict, NotFound, PayloadTooLarge, UnsupportedMediaType, ValidationError

routes = Router("/api/v1/profile", guard=Staff(), tag="Profile")

#: Besides the photo: the boundaries and headers of a multipart body.
_WRAPPING_BYTES = 16_384


class ProfilePatch(Struct, rename="camel"):
    """What to change of oneself; what is absent stays."""

    name: PersonName | UnsetType = UNSET
    email: EmailAddress | UnsetType = UNSET


@routes.get()
async def get_profile(call: Call[StaffCaller]) -> StaffMember:
    """Read one's own profile; `ETag` is for `If-Match`."""
    return show_version(call, await call.hub.staff.get(call.caller.staff_id))


@routes.patch(raises=(Conflict,))
async def change_profile(call: Call[StaffCaller], body: ProfilePatch) -> StaffMember:
    """Change one's own name or address; the former address is told. With `If-Match`: only what was read."""
    change = ProfileChange(name=body.name, email=body.email)
    version = expected_version(call)
    changed = await call.hub.staff.change_profile(call.author, call.caller.staff_id, change, version=version)
    return show_version(call, changed)


@routes.post("/password", raises=(Conflict,), body_limit_bytes=_WRAPPING_BYTES)
async def change_password(call: Call[StaffCaller], body: PasswordChange) -> Changed:
    """Change one's own password; one's other sessions end."""
    return await passwords.change(call, body)


@routes.post(
    "/photo",
    raises=(ValidationError, PayloadTooLarge, UnsupportedMediaType),
    body_limit_bytes=LONGEST_UPLOAD_BYTES + _WRAPPING_BYTES,
)
async def take_photo(call: Call[StaffCaller], raw: bytes) -> StaffMember:
    """Put a photo in place of the former one: `multipart/form-data` with one file, JPEG, PNG or WebP, up to 1 MiB."""
    upload = file_in(call.request, raw, field="photo")
    return show_version(call, await call.hub.staff.take_photo(call.author, call.caller.staff_id, upload))


@routes.delete("/photo")
async def remove_photo(call: Call[StaffCaller]) -> StaffMember:
    """Have no photo."""
    change = ProfileChange(photo=None)
    return show_version(call, await call.hub.staff.change_profile(call.author, call.caller.staff_id, change))


@routes.get("/photos/{name}", envelope=False, raises=(NotFound,))
async def show_photo(call: Call[StaffCaller], name: Annotated[str, Meta(max_length=64)]) -> Raw:
    """Show the photo of a member of staff, by the name in `image`."""
    return Raw(
        body=await call.hub.photos.show(name),
        content_type=MEDIA_TYPE,
        headers={
            # A photo never changes under its name.
            "cache-control": "private, max-age=31536000, immutable",
            "content-disposition": "inline",
            "content-security-policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        },
    )
