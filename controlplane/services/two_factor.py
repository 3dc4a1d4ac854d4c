"""Two-factor authentication: setting it up, turning it off, backup codes, and the code of a sign-in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog

from actors.people import Author
from actors.runtime.ports import Clock, Randomness
from controlplane.secret import Secret, hash_of
from controlplane.services import one_time_codes as codes
from controlplane.services.account_mail import AccountMail
from controlplane.services.sealing import Sealer, Unsealable
from controlplane.services.sessions import SessionService, Started
from controlplane.services.tokens import PENDING, is_token, new_token
from controlplane.store.account_rows import Account
from controlplane.store.two_factor import Confirmation, Factor, Proof, TwoFactorStore
from protocol.faults import Conflict, Unauthorized, ValidationError

log = structlog.get_logger()

#: What apps show above the account's address.
ISSUER: Final = "LetsBe Hub"
#: How long a sign-in waits for its code.
PENDING_LIVES: Final = timedelta(minutes=5)
_WRONG: Final = "is wrong or was used already"


class TwoFactorStatus(msgspec.Struct, frozen=True, rename="camel"):
    """Whether a second factor is on, and how many backup codes are left."""

    enabled: bool
    enabled_at: datetime | None
    backup_codes_left: int


class Enrolment(msgspec.Struct, frozen=True, rename="camel"):
    """What an authenticator app enrols by; shown this once.

    Args:
        secret: base32, for those who type it.
        otpauth_uri: the same for apps.
        qr_code: the same as an SVG document.
    """

    secret: str
    otpauth_uri: str
    qr_code: str


class Enabled(msgspec.Struct, frozen=True):
    """A second factor was turned on.

    Args:
        backup_codes: shown this once.
        token: the session's new token, where it got one.
    """

    backup_codes: Sequence[str]
    token: str | None


class TwoFactorService:
    """The second factors of staff and customers."""

    def __init__(
        self,
        store: TwoFactorStore,
        sessions: SessionService,
        *,
        sealer: Sealer,
        mail: AccountMail,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._sealer = sealer
        self._mail = mail
        self._clock = clock
        self._randomness = randomness

    async def status(self, account: Account) -> TwoFactorStatus:
        """Whether it is on."""
        factor = await self._store.factor(account)
        if factor is None or factor.confirmed_at is None:
            return TwoFactorStatus(False, None, 0)
        return TwoFactorStatus(True, factor.confirmed_at, factor.codes_left)

    async def set_up(self, author: Author, account: Account) -> Enrolment:
        """Make a secret; it guards nothing before a code of it was given.

        Raises:
            Conflict: it is on already.
        """
        secret = codes.new_secret(self._randomness)
        owner = await self._store.offer(author, account, self._sealer.seal(secret.reveal().encode()))
        uri = codes.otpauth_uri(secret, account=owner.email, issuer=ISSUER)
        return Enrolment(secret.reveal(), uri, codes.qr_svg(uri))

    async def verify(
        self, author: Author, account: Account, code: str, *, session: UUID, new_token: bool
    ) -> Enabled | None:
        """Turn on what was set up, by its first code; where it is on, only check a code: None.

        Args:
            session: the one that asks; all others end, since they were begun without a code.
            new_token: give that session a new token.

        Raises:
            Conflict: nothing was set up.
            ValidationError: the code is wrong, or was used already.
        """
        factor = await self._store.factor(account)
        if factor is None:
            raise Conflict("set up two-factor authentication first")
        if factor.confirmed_at is not None:
            await self.demand(author, factor, code)
            return None
        step = self._step(factor, _plain(code))
        if step is None:
            raise ValidationError.of("code", _WRONG)
        spare = codes.new_backup_codes(self._randomness)
        token = self._new_session_token() if new_token else None
        await self._store.confirm(
            author,
            factor,
            Confirmation(
                step=step,
                code_hashes=_hashes(spare),
                session=session,
                token_hash=None if token is None else hash_of(token),
                write=self._mail.notice(author, "Two-factor authentication was turned on."),
            ),
        )
        log.info("two_factor.enabled", account=account.id)
        return Enabled(spare, token)

    async def enabled(self, account: Account) -> Factor:
        """The second factor that is on.

        Raises:
            Conflict: there is none.
        """
        factor = await self._store.factor(account)
        if factor is None or factor.confirmed_at is None:
            raise Conflict("two-factor authentication is not on")
        return factor

    async def demand(self, author: Author, factor: Factor, code: str) -> None:
        """Use a code up.

        Raises:
            ValidationError: it is wrong, or was used already.
        """
        proof = self._proof(factor, code)
        if proof is None or not await self._store.check(author, factor, proof):
            raise ValidationError.of("code", _WRONG)

    async def disable(self, author: Author, factor: Factor, code: str | None) -> None:
        """Turn it off; without a code the caller has checked the password.

        Raises:
            ValidationError: the code is wrong, or was used already.
        """
        write = self._mail.notice(author, "Two-factor authentication was turned off.")
        if not await self._store.disable(author, factor, self._demanded(factor, code), write=write):
            raise ValidationError.of("code", _WRONG)
        log.info("two_factor.disabled", account=factor.account.id)

    async def reset(self, author: Author, account: Account) -> None:
        """Take it off the account of somebody who has lost it; they are told, and sign in anew.

        Raises:
            NotFound: there is no such account.
            Forbidden: it is the author's own, or an owner's and the author is none.
            Conflict: it is not on.
        """
        write = self._mail.notice(author, "Two-factor authentication was taken off your account by the staff.")
        await self._store.reset(author, account, write=write)
        log.info("two_factor.reset", account=account.id)

    async def renew_codes(self, author: Author, factor: Factor, code: str | None) -> Sequence[str]:
        """Fresh backup codes in place of the former, shown this once; without a code as of `disable`.

        Raises:
            ValidationError: the code is wrong, or was used already.
        """
        spare = codes.new_backup_codes(self._randomness)
        if not await self._store.renew_codes(author, factor, self._demanded(factor, code), _hashes(spare)):
            raise ValidationError.of("code", _WRONG)
        return spare

    # --- signing in -------------------------------------------------------------------------------------

    async def begin_sign_in(self, account: Account) -> str:
        """Keep a sign-in whose password was right; returns the token that completes it, and does nothing else."""
        token = new_token(self._randomness, PENDING)
        await self._store.wait_for_code(account, hash_of(token), lives=PENDING_LIVES)
        return token

    async def account_of(self, token: str) -> Factor:
        """Whose code a pending sign-in awaits; counts one try.

        Raises:
            Unauthorized: the token is unknown, over, or was tried too often.
        """
        if not is_token(token, PENDING):
            raise Unauthorized("this sign-in is over; begin again with address and password")
        return await self._store.attempt(hash_of(token))

    async def complete(
        self,
        author: Author,
        factor: Factor,
        token: str,
        code: str,
        *,
        replaces: str | None = None,
        user_agent: str | None = None,
    ) -> Started:
        """End a pending sign-in with a session.

        Args:
            author: nobody yet; for the address and the request.
            replaces: the token the browser held until now.

        Raises:
            Unauthorized: the code is wrong or was used already, or the sign-in is over.
        """
        proof = self._proof(factor, code)
        if proof is None:
            log.info("sign_in.code_refused", account=factor.account.id, address=author.address)
            raise Unauthorized(f"the code {_WRONG}")
        account = factor.account
        fresh, new = self._sessions.prepare(account.user_type, account.key, replaces=replaces, user_agent=user_agent)
        session = await self._store.complete(author, factor, hash_of(token), proof, new)
        log.info("signed_in", user_type=account.user_type, account=account.id, session=session.id, second_factor=True)
        return Started(fresh, session)

    async def seal_anew(self) -> int:
        """Seal with the newest master key what an older one sealed, so that the older may go; returns how many."""
        last, resealed = None, 0
        while page := await self._store.secrets_after(last):
            for factor, sealed in page:
                last = factor
                if self._sealer.is_newest(sealed):
                    continue
                try:
                    resealed += await self._store.reseal(factor, sealed, self._sealer.rotate(sealed))
                except Unsealable as error:
                    log.error("two_factor.not_resealed", factor=str(factor), reason=str(error))
        return resealed

    def _demanded(self, factor: Factor, code: str | None) -> Proof | None:
        if code is None:
            return None
        proof = self._proof(factor, code)
        if proof is None:
            raise ValidationError.of("code", _WRONG)
        return proof

    def _proof(self, factor: Factor, code: str) -> Proof | None:
        """What a code proves, if it may prove anything: the database decides whether it was used."""
        plain = _plain(code)
        return codes.backup_hash(code) if len(plain) > 6 else self._step(factor, plain)

    def _step(self, factor: Factor, code: str) -> int | None:
        secret = Secret(self._sealer.open(factor.secret_sealed).decode())
        return codes.matching_step(secret, code, self._clock.now())

    def _new_session_token(self) -> str:
        return new_token(self._randomness)


def _plain(code: str) -> str:
    return re.sub(r"[\s-]", "", code)


def _hashes(spare: Sequence[str]) -> list[bytes]:
    return [hashed for code in spare if (hashed := codes.backup_hash(code)) is not None]
