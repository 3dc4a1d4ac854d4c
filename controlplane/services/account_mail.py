"""The mails about accounts, ready for the outbox: links that work once, and notices of what was changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from actors.people import Author
from actors.runtime.ports import Clock
from controlplane.secret import Secret, hash_of
from controlplane.services.letters.accounts import reset_password, set_password, staff_invitation
from controlplane.services.letters.letter import Letter
from controlplane.services.letters.security import security_notice
from controlplane.store.account_rows import Holder
from controlplane.store.credentials import NewLink, Write
from controlplane.store.invitations import NewInvitation
from controlplane.store.mail import Mail
from protocol.words import Role

#: How long a link lives that somebody asked for who forgot their password.
RESET_LIVES: Final = timedelta(hours=1)
#: How long one lives by which a new customer chooses their first password.
FIRST_PASSWORD_LIVES: Final = timedelta(days=7)
INVITATION_LIVES: Final = timedelta(days=7)


class Drafts(Protocol):
    """Makes a mail of a letter, as `MailService.draft` does."""

    def draft(
        self,
        kind: str,
        to: str,
        letter: Letter,
        *,
        dedupe_key: str,
        expires_at: datetime | None = None,
        customer_id: UUID | None = None,
    ) -> Mail: ...


class AccountMail:
    """Writes the mails about accounts.

    Tokens stand behind the `#` of a link: browsers send that part to no server, so no log and no Referer holds it.

    Args:
        public_url: where people reach this Hub.
    """

    def __init__(self, drafts: Drafts, clock: Clock, *, public_url: str) -> None:
        self._drafts = drafts
        self._clock = clock
        self._public_url = public_url

    def reset_link(self, token: Secret) -> NewLink:
        """The link by which somebody chooses a new password."""

        def write(owner: Holder) -> Mail:
            until = self._clock.now() + RESET_LIVES
            link = f"{self._public_url}/reset-password#{token.reveal()}"
            return self._to(
                owner, token, "password_reset", reset_password(link=link, name=owner.name, expires_at=until)
            )

        return NewLink(hash_of(token.reveal()), RESET_LIVES, write)

    def first_password_link(self, token: Secret) -> NewLink:
        """The link by which a new customer chooses their first password."""

        def write(owner: Holder) -> Mail:
            until = self._clock.now() + FIRST_PASSWORD_LIVES
            link = f"{self._public_url}/set-password#{token.reveal()}"
            return self._to(owner, token, "first_password", set_password(link=link, name=owner.name, expires_at=until))

        return NewLink(hash_of(token.reveal()), FIRST_PASSWORD_LIVES, write)

    def invitation(self, token: Secret) -> NewInvitation:
        """An invitation to the staff."""
        token_hash = hash_of(token.reveal())

        def write(email: str, role: Role, invited_by: str) -> Mail:
            until = self._clock.now() + INVITATION_LIVES
            link = f"{self._public_url}/accept-invite#{token.reveal()}"
            letter = staff_invitation(link=link, role=role, invited_by=invited_by, expires_at=until)
            key = f"invitation:{token_hash.hex()}"
            return self._drafts.draft("invitation", email, letter, dedupe_key=key, expires_at=until)

        return NewInvitation(token_hash, INVITATION_LIVES, write)

    def notice(self, author: Author, what: str) -> Write:
        """Tells the holder of an account what was changed of it.

        Args:
            author: who changed it: where they are is told too.
            what: a sentence, as "Your password was changed."
        """

        def write(owner: Holder) -> Mail:
            now = self._clock.now()
            letter = security_notice(
                what=what, name=owner.name, at=now, address=author.address, public_url=self._public_url
            )
            # Unlike a link, two notices may be alike: each is told.
            key = f"notice:{owner.account.id}:{what}:{author.request_id}:{now.isoformat()}"
            return self._drafts.draft(
                "security_notice", owner.email, letter, dedupe_key=key, customer_id=owner.account.customer
            )

        return write

    def _to(self, owner: Holder, token: Secret, kind: str, letter: Letter) -> Mail:
        key = f"{kind}:{hash_of(token.reveal()).hex()}"
        lives = RESET_LIVES if kind == "password_reset" else FIRST_PASSWORD_LIVES
        return self._drafts.draft(
            kind,
            owner.email,
            letter,
            dedupe_key=key,
            expires_at=self._clock.now() + lives,
            customer_id=owner.account.customer,
        )
