"""Changing a password one knows, and choosing one anew by a link: without telling who has an account."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import structlog
import trio

from actors.people import Author
from actors.runtime.ports import Randomness
from controlplane.secret import Secret, hash_of
from controlplane.services.account_mail import AccountMail
from controlplane.services.passwords import Passwords
from controlplane.services.tokens import PASSWORD, is_token, new_token
from controlplane.store.account_rows import Account, Holder
from controlplane.store.credentials import CredentialStore
from protocol.faults import NotFound, ValidationError
from protocol.words import UserType

log = structlog.get_logger()

#: How long asking for a link takes, whether or not there is an account: longer than writing a mail takes.
ASKING_SECONDS: Final = 0.5

_CHANGED: Final = "Your password was changed."


class CredentialService:
    """The passwords of staff and customers."""

    def __init__(
        self, store: CredentialStore, passwords: Passwords, *, mail: AccountMail, randomness: Randomness
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._mail = mail
        self._randomness = randomness

    async def demand(self, account: Account, password: str, *, field: str) -> Holder:
        """Who holds an account, once their password was shown to be known.

        Args:
            field: the request's field the refusal names.

        Raises:
            ValidationError: the password is wrong.
        """
        owner = await self._store.holder(account)
        if not await self._passwords.verify(owner.password_hash, password):
            log.info("password.refused", account=account.id)
            raise ValidationError.of(field, "is wrong")
        return owner

    async def change(self, author: Author, account: Account, current: str, new: str, *, session: UUID) -> int:
        """Put a new password in place of the current one; returns how many sessions ended: all but `session`.

        Raises:
            ValidationError: the current one is wrong, or the new one will not do.
            Conflict: it was changed meanwhile.
        """
        owner = await self.demand(account, current, field="currentPassword")
        self._passwords.demand_good(new, field="newPassword", personal=(owner.email, owner.name))
        password_hash = await self._passwords.hash(new)
        write = self._mail.notice(author, _CHANGED)
        return await self._store.change(author, owner, password_hash, keep=session, write=write)

    async def forgot(self, author: Author, user_type: UserType, email: str) -> None:
        """Mail a link to who forgot their password, if there is such an account; tells nobody whether there is."""
        began = trio.current_time()
        link = self._mail.reset_link(Secret(new_token(self._randomness, PASSWORD)))
        sent = await self._store.offer_link(author, user_type, email, link)
        log.info("password.link_asked", user_type=user_type, sent=sent, address=author.address)
        await trio.sleep_until(began + ASKING_SECONDS)

    async def choose(self, author: Author, token: str, password: str) -> None:
        """Choose a password by the link that was mailed; every session of the account ends.

        Raises:
            NotFound: the link is unknown, was used or is too old.
            ValidationError: the password will not do.
        """
        if not is_token(token, PASSWORD):
            raise NotFound("this link is unknown, was used already or is too old; ask for another one")
        token_hash = hash_of(token)
        owner = await self._store.link_holder(token_hash)
        self._passwords.demand_good(password, personal=(owner.email, owner.name))
        password_hash = await self._passwords.hash(password)
        write = self._mail.notice(author, _CHANGED)
        await self._store.use_link(author, owner.account, token_hash, password_hash, write=write)
        log.info("password.chosen_by_link", account=owner.account.id)
