"""Accounts: the setup's first owner, new customers, and signing in without telling who has an account."""

from __future__ import annotations

import base64
import hmac
import re
from typing import Final

import msgspec
import structlog

from actors.people import Author
from actors.runtime.ports import Randomness
from controlplane.secret import Secret, hash_of
from controlplane.services.account_mail import AccountMail
from controlplane.services.passwords import Passwords
from controlplane.services.sessions import SessionService, Started
from controlplane.services.tokens import PASSWORD, new_token
from controlplane.services.two_factor import TwoFactorService
from controlplane.store.credentials import CredentialStore, NewLink
from controlplane.store.customers import CustomerStore, NewCustomer
from controlplane.store.staff import NewStaff, StaffMember, StaffStore
from protocol.faults import Conflict, Forbidden, Unauthorized, ValidationError
from protocol.objects import Customer
from protocol.words import AccountStatus, UserType

log = structlog.get_logger()

#: What an e-mail address looks like, no more; `$(?!\n)` because Python's `$` lets a final line break pass.
EMAIL_ADDRESS: Final = r'^[^\s@<>()\[\],;:"\\]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$(?!\n)'

_WRONG: Final = "the address or the password is wrong"


class CodeAwaited(msgspec.Struct, frozen=True):
    """The password was right; a code of the second factor completes the sign-in this token stands for."""

    token: str


class AccountService:
    """What is done to accounts.

    Args:
        setup_token_required: the Hub can be reached from elsewhere, so its first owner must hold the setup token.
    """

    def __init__(
        self,
        staff: StaffStore,
        customers: CustomerStore,
        credentials: CredentialStore,
        sessions: SessionService,
        two_factor: TwoFactorService,
        passwords: Passwords,
        *,
        mail: AccountMail,
        randomness: Randomness,
        setup_token_required: bool,
    ) -> None:
        self._staff = staff
        self._customers = customers
        self._credentials = credentials
        self._sessions = sessions
        self._two_factor = two_factor
        self._passwords = passwords
        self._mail = mail
        self._randomness = randomness
        self._setup_token_required = setup_token_required

    # --- setup ------------------------------------------------------------------------------------------

    async def ensure_setup_token(self) -> str | None:
        """Make the one-time setup token where the Hub needs one and has none; the caller prints it.

        Returns:
            The token, once in the Hub's life; None when it was made before, is not needed, or the setup is done.
        """
        if not self._setup_token_required:
            return None
        token = base64.b32encode(self._randomness.token(20)).decode().lower()
        return token if await self._staff.offer_setup_token(hash_of(token)) else None

    async def set_up(
        self, author: Author, *, email: str, name: str, password: str, setup_token: str | None
    ) -> StaffMember:
        """Make the first owner, once.

        Raises:
            Conflict: the Hub has been set up.
            ValidationError: the password will not do, or the setup token is missing.
            Forbidden: the setup token is wrong.
        """
        state = await self._staff.setup_state()
        if state.completed_at is not None:
            raise Conflict("the Hub has been set up already")
        if self._setup_token_required:
            _check_setup_token(state.token_hash, setup_token)
        return await self._staff.set_up(author, await self._owner(email, name, password))

    async def create_owner(self, author: Author, *, email: str, name: str, password: str) -> StaffMember:
        """Make an owner at any time; the setup is done with it.

        Raises:
            Conflict: the address is another member's.
            ValidationError: address, name or password will not do.
        """
        return await self._staff.create_owner(author, await self._owner(email, name, password))

    async def _owner(self, email: str, name: str, password: str) -> NewStaff:
        if not re.search(EMAIL_ADDRESS, email):
            raise ValidationError.of("email", "must be an e-mail address")
        if not name.strip():
            raise ValidationError.of("name", "must not be empty")
        self._passwords.demand_good(password, personal=(email, name))
        return NewStaff(email, name, await self._passwords.hash(password))

    # --- customers --------------------------------------------------------------------------------------

    async def create_customer(
        self, author: Author, *, email: str, name: str, company: str | None, password: str | None
    ) -> Customer:
        """Make a customer; without a password they are mailed a link by which they choose one.

        Raises:
            Conflict: the address is another customer's.
            ValidationError: the password will not do.
        """
        if password is None:
            return await self._customers.create(
                author, NewCustomer(email, name, company, None, self.first_password_link())
            )
        self._passwords.demand_good(password, personal=(email, name, company or ""))
        password_hash = await self._passwords.hash(password)
        return await self._customers.create(author, NewCustomer(email, name, company, password_hash))

    def first_password_link(self) -> NewLink:
        """A link, and the mail that carries it, by which a customer without a password chooses one."""
        return self._mail.first_password_link(Secret(new_token(self._randomness, PASSWORD)))

    # --- signing in -------------------------------------------------------------------------------------

    async def sign_in(
        self,
        user_type: UserType,
        email: str,
        password: str,
        *,
        address: str,
        request_id: str | None = None,
        replaces: str | None = None,
        user_agent: str | None = None,
    ) -> Started | CodeAwaited:
        """Check a password and begin a session, or have a code asked for where the account wants one.

        An unknown address, one without a password, a suspended account and a wrong password are answered alike and
        take as long.

        Args:
            address: where the person is, for the session and the audit entry.
            replaces: the token the browser held until now.

        Raises:
            Unauthorized: address and password do not belong together.
        """
        known = await self._credentials.find(user_type, email)
        right = await self._passwords.verify(known.password_hash if known else None, password)
        if known is None or not right or known.status is not AccountStatus.ACTIVE:
            log.info("sign_in.refused", user_type=user_type, address=address, known=known is not None)
            raise Unauthorized(_WRONG)
        account = known.account
        if known.second_factor:
            log.info("sign_in.code_awaited", user_type=user_type, account=account.id)
            return CodeAwaited(await self._two_factor.begin_sign_in(account))
        author = Author(user_type, account.id, known.name, address, request_id, user_agent)
        started = await self._sessions.start(author, user_type, account.key, replaces=replaces, user_agent=user_agent)
        log.info("signed_in", user_type=user_type, account=author.id, session=started.session.id)
        return started


def _check_setup_token(wanted: bytes | None, given: str | None) -> None:
    if not given:
        raise ValidationError.of("setupToken", "is required: the Hub printed it when it first started")
    if wanted is None or not hmac.compare_digest(wanted, hash_of(given)):
        raise Forbidden("the setup token is wrong")
