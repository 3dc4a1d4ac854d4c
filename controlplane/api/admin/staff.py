"""The staff (specification section 4.7): `/api/v1/admin/staff`."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from controlplane.api.call import Call
from controlplane.api.callers import StaffCaller
from controlplane.api.entity_tags import expected_version, show_version
from controlplane.api.fields import EmailAddress
from controlplane.api.guards_people import Staff
from controlplane.api.paging import Listing, Page
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.store.account_rows import Account
from controlplane.store.invitations import Invitation
from controlplane.store.keys import key_of
from controlplane.store.staff import ListedMember, StaffMember
from controlplane.store.staff_roster import StaffChange
from protocol.faults import Conflict, NotFound
from protocol.ids import InvitationId, StaffId
from protocol.words import AccountStatus, Role, UserType

routes = Router("/api/v1/admin/staff", guard=Staff(Permission.STAFF_READ), tag="Staff")

_MANAGES = Staff(Permission.STAFF_MANAGE)


class StaffQuery(Page, rename="camel", kw_only=True, frozen=True):
    """Which members to list."""

    status: AccountStatus | None = None


class InvitationQuery(Page, rename="camel", kw_only=True, frozen=True):
    """Which invitations to list."""


class NewInvite(Struct, rename="camel"):
    """Whom to invite, and as what."""

    email: EmailAddress
    role: Role


class StaffPatch(Struct, rename="camel"):
    """What to change of a member; what is absent stays."""

    role: Role | UnsetType = UNSET
    status: AccountStatus | UnsetType = UNSET


@routes.get()
async def list_staff(call: Call[StaffCaller], query: StaffQuery) -> Listing[ListedMember]:
    """List the staff, newest first."""
    found, total = await call.hub.staff.list(query.status, offset=query.offset, limit=query.page_size)
    return Listing(found, query.page, query.page_size, total)


@routes.post("/invite", status=201, guard=_MANAGES, raises=(Conflict,))
async def invite(call: Call[StaffCaller], body: NewInvite) -> Invitation:
    """Invite somebody by mail."""
    call.hub.limits.take("invite", call.caller.staff_id)
    call.hub.limits.take("invite", body.email.lower())
    return await call.hub.invitations.invite(call.author, body.email, body.role)


@routes.get("/invitations")
async def list_invitations(call: Call[StaffCaller], query: InvitationQuery) -> Listing[Invitation]:
    """List the invitations nobody has accepted yet, newest first."""
    found, total = await call.hub.invitations.list(offset=query.offset, limit=query.page_size)
    return Listing(found, query.page, query.page_size, total)


@routes.post("/invitations/{invitation_id}/resend", guard=_MANAGES, raises=(NotFound,))
async def resend_invitation(call: Call[StaffCaller], invitation_id: InvitationId) -> Invitation:
    """Send an invitation again; the link that was sent before is void."""
    call.hub.limits.take("invite", call.caller.staff_id)
    call.hub.limits.take("invite", invitation_id)
    return await call.hub.invitations.resend(call.author, invitation_id)


@routes.delete("/invitations/{invitation_id}", guard=_MANAGES, raises=(NotFound,))
async def revoke_invitation(call: Call[StaffCaller], invitation_id: InvitationId) -> Invitation:
    """Take an invitation back."""
    return await call.hub.invitations.revoke(call.author, invitation_id)


@routes.get("/{staff_id}", raises=(NotFound,))
async def get_member(call: Call[StaffCaller], staff_id: StaffId) -> StaffMember:
    """Read a member of staff; `ETag` is for `If-Match`."""
    return show_version(call, await call.hub.staff.get(staff_id))


@routes.patch("/{staff_id}", guard=_MANAGES, raises=(NotFound, Conflict))
async def change_member(call: Call[StaffCaller], staff_id: StaffId, body: StaffPatch) -> StaffMember:
    """Change a member's role or status; it counts from their next call on. With `If-Match`: only what was read."""
    change = StaffChange(role=body.role, status=body.status)
    changed = await call.hub.staff.change(call.author, staff_id, change, version=expected_version(call))
    return show_version(call, changed)


@routes.delete("/{staff_id}/two-factor", guard=Staff(Permission.FACTORS_RESET), raises=(NotFound, Conflict))
async def reset_two_factor(call: Call[StaffCaller], staff_id: StaffId) -> StaffMember:
    """Take the second factor off a member who has lost it; their sessions end, and a mail tells them.

    Never one's own, and an owner's only as an owner.
    """
    await call.hub.two_factor.reset(call.author, Account(UserType.STAFF, key_of("stf", staff_id)))
    return show_version(call, await call.hub.staff.get(staff_id))


@routes.delete("/{staff_id}", guard=_MANAGES, raises=(NotFound, Conflict))
async def deactivate_member(call: Call[StaffCaller], staff_id: StaffId) -> StaffMember:
    """Deactivate a member; their sessions end at once."""
    change = StaffChange(status=AccountStatus.DEACTIVATED)
    return await call.hub.staff.change(call.author, staff_id, change, version=expected_version(call))
