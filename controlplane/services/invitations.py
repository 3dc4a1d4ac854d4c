"""Inviting to the staff: a token goes out by mail, and comes back once with a name and a password."""

from __future__ import annotations

from collections.abc import Sequence

from actors.people import Author
from actors.runtime.ports import Randomness
from controlplane.secret import Secret, hash_of
from controlplane.services.account_mail import AccountMail
from controlplane.services.passwords import Passwords
from controlplane.services.tokens import INVITATION, is_token, new_token
from controlplane.store.invitations import Invitation, InvitationStore
from controlplane.store.staff import StaffMember
from protocol.faults import NotFound
from protocol.ids import InvitationId
from protocol.words import Role


class InvitationService:
    """The invitations to the staff."""

    def __init__(
        self, store: InvitationStore, passwords: Passwords, *, mail: AccountMail, randomness: Randomness
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._mail = mail
        self._randomness = randomness

    async def list(self, *, offset: int, limit: int) -> tuple[Sequence[Invitation], int]:
        """A portion of the open invitations, newest first, and how many there are in all."""
        return await self._store.list(offset=offset, limit=limit)

    async def invite(self, author: Author, email: str, role: Role) -> Invitation:
        """Invite somebody; raises as `InvitationStore.invite`."""
        return await self._store.invite(author, email, role, self._mail.invitation(self._token()))

    async def resend(self, author: Author, invitation_id: InvitationId) -> Invitation:
        """Send an invitation again under a fresh token; raises as `InvitationStore.resend`."""
        return await self._store.resend(author, invitation_id, self._mail.invitation(self._token()))

    async def revoke(self, author: Author, invitation_id: InvitationId) -> Invitation:
        """Take an invitation back; raises as `InvitationStore.revoke`."""
        return await self._store.revoke(author, invitation_id)

    async def find(self, token: str) -> Invitation:
        """What a token invites to.

        Raises:
            NotFound: it is unknown, used, revoked or over.
        """
        return await self._store.find(_hash_of(token))

    async def accept(self, author: Author, token: str, name: str, password: str) -> StaffMember:
        """Join the staff.

        Args:
            author: nobody yet; for the address and the request.

        Raises:
            NotFound: the token is unknown, used, revoked or over.
            ValidationError: the password will not do.
            Conflict: the address has become another member's.
        """
        token_hash = _hash_of(token)
        invitation = await self._store.find(token_hash)
        self._passwords.demand_good(password, personal=(invitation.email, name))
        return await self._store.accept(author, token_hash, name, await self._passwords.hash(password))

    def _token(self) -> Secret:
        return Secret(new_token(self._randomness, INVITATION))


def _hash_of(token: str) -> bytes:
    if not is_token(token, INVITATION):
        raise NotFound("this invitation is unknown, was used or revoked, or is too old; ask for another one")
    return hash_of(token)
