"""Everything about who is who, built and joined: accounts, sessions, second factors, passwords, staff, photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from actors.runtime.ports import Clock, Ids, Randomness
from controlplane.services.account_mail import AccountMail, Drafts
from controlplane.services.accounts import AccountService
from controlplane.services.credentials import CredentialService
from controlplane.services.invitations import InvitationService
from controlplane.services.passwords import Passwords
from controlplane.services.photos import PhotoService
from controlplane.services.sealing import Sealer
from controlplane.services.sessions import SessionService
from controlplane.services.staff import StaffService
from controlplane.services.storage import ObjectStorage
from controlplane.services.two_factor import TwoFactorService
from controlplane.services.upkeep import Sweep
from controlplane.store.credentials import CredentialStore
from controlplane.store.customers import CustomerStore
from controlplane.store.database import Database
from controlplane.store.invitations import InvitationStore
from controlplane.store.session_endings import SessionEndings
from controlplane.store.sessions import SessionStore
from controlplane.store.staff import StaffStore
from controlplane.store.staff_roster import StaffRoster
from controlplane.store.two_factor import TwoFactorStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The parts of a Hub that know people."""

    accounts: AccountService
    sessions: SessionService
    session_store: SessionStore
    session_endings: SessionEndings
    credentials: CredentialService
    two_factor: TwoFactorService
    two_factor_store: TwoFactorStore
    staff: StaffService
    invitations: InvitationService
    photos: PhotoService
    sweeps: Mapping[str, Sweep]


def build_identity(
    database: Database,
    *,
    clock: Clock,
    ids: Ids,
    randomness: Randomness,
    sealer: Sealer,
    drafts: Drafts,
    storage: ObjectStorage,
    public_url: str,
    session_idle: timedelta,
    session_absolute: timedelta,
    setup_token_required: bool,
    passwords: Passwords | None = None,
) -> Identity:
    """Build the parts that know people over a database.

    Args:
        sealer: seals the secrets of second factors.
        drafts: makes mails of letters.
        storage: where photos lie.
        public_url: where the links of mails lead.
        session_idle, session_absolute: how long a session lives unused, and at most.
        setup_token_required: the Hub can be reached from elsewhere, so its first owner must hold the setup token.
        passwords: None: with the costs of production.
    """
    passwords = passwords or Passwords()
    mail = AccountMail(drafts, clock, public_url=public_url)
    session_store = SessionStore(database, clock=clock, ids=ids, idle=session_idle, absolute=session_absolute)
    sessions = SessionService(session_store, clock=clock, randomness=randomness)
    credential_store = CredentialStore(database, clock=clock, ids=ids)
    two_factor_store = TwoFactorStore(database, session_store, clock=clock, ids=ids)
    two_factor = TwoFactorService(
        two_factor_store, sessions, sealer=sealer, mail=mail, clock=clock, randomness=randomness
    )
    photos = PhotoService(storage, randomness=randomness)
    return Identity(
        accounts=AccountService(
            StaffStore(database, clock=clock, ids=ids),
            CustomerStore(database, clock=clock, ids=ids),
            credential_store,
            sessions,
            two_factor,
            passwords,
            mail=mail,
            randomness=randomness,
            setup_token_required=setup_token_required,
        ),
        sessions=sessions,
        session_store=session_store,
        session_endings=SessionEndings(database, clock=clock),
        credentials=CredentialService(credential_store, passwords, mail=mail, randomness=randomness),
        two_factor=two_factor,
        two_factor_store=two_factor_store,
        staff=StaffService(StaffRoster(database, clock=clock), photos, mail=mail),
        invitations=InvitationService(
            InvitationStore(database, clock=clock, ids=ids), passwords, mail=mail, randomness=randomness
        ),
        photos=photos,
        sweeps={
            "sessions": session_store.sweep,
            "sign-ins": two_factor_store.sweep,
            "password links": credential_store.sweep,
            "older seals of second factors": two_factor.seal_anew,
        },
    )
