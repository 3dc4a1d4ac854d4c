"""The staff: roles and statuses given by owners, and what each member changes of themselves."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from actors.people import Author
from controlplane.services.account_mail import AccountMail
from controlplane.services.photos import PhotoService
from controlplane.store.staff import ListedMember, StaffMember
from controlplane.store.staff_roster import ProfileChange, StaffChange, StaffRoster
from protocol.ids import StaffId
from protocol.words import AccountStatus


class StaffService:
    """What is done to members of staff once they are."""

    def __init__(self, roster: StaffRoster, photos: PhotoService, *, mail: AccountMail) -> None:
        self._roster = roster
        self._photos = photos
        self._mail = mail

    async def list(
        self, status: AccountStatus | None, *, offset: int, limit: int
    ) -> tuple[Sequence[ListedMember], int]:
        """A portion of the staff, newest first, and how many there are in all."""
        return await self._roster.list(status, offset=offset, limit=limit)

    async def get(self, staff_id: StaffId) -> StaffMember:
        """One member; raises as `StaffRoster.get`."""
        return await self._roster.get(staff_id)

    async def change(
        self, author: Author, staff_id: StaffId, change: StaffChange, *, version: str | None = None
    ) -> StaffMember:
        """Give a member another role or status; raises as `StaffRoster.change`."""
        return await self._roster.change(author, staff_id, change, version=version)

    async def change_profile(
        self, author: Author, staff_id: StaffId, change: ProfileChange, *, version: str | None = None
    ) -> StaffMember:
        """What a member changes of themselves; their former address is told of a new one.

        Raises:
            Conflict: the address is another member's, or the profile was changed meanwhile.
        """
        write = self._mail.notice(author, "Your e-mail address was changed.")
        member, former = await self._roster.change_profile(author, staff_id, change, version=version, write=write)
        if former is not None and change.photo is not UNSET and change.photo != former:
            await self._photos.forget(former)
        return member

    async def take_photo(self, author: Author, staff_id: StaffId, upload: bytes) -> StaffMember:
        """Put a photo in place of the former one; raises as `PhotoService.keep`."""
        # Kept before it is named: a name without its photo would show nothing, a photo without a name harms nobody.
        name = await self._photos.keep(upload)
        return await self.change_profile(author, staff_id, ProfileChange(photo=name))
