"""A Hub with its people and nothing else, on a real database, for tests that call it over HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from itertools import count
from typing import Any, NamedTuple

import httpx
import msgspec
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from actors.people import Author, Scope
from actors.runtime.ports import SystemClock, SystemIds, SystemRandomness
from controlplane.api.account import (
    invitations,
    pages,
    passwords,
    profile,
    session,
    sessions,
    setup,
    sign_in,
    two_factor,
    two_factor_page,
)
from controlplane.api.admin import api_keys, customers, founding_members, orders
from controlplane.api.admin import settings as admin_settings
from controlplane.api.admin import staff as admin_staff
from controlplane.api.hub import Hub
from controlplane.api.limits import Limits, standard_limits
from controlplane.api.mount import HubApp, build_app
from controlplane.api.public import founding_members as public_founding_members
from controlplane.api.public import orders as public_orders
from controlplane.identity import build_identity
from controlplane.secret import Secret
from controlplane.services.mail import Body, MailService
from controlplane.services.passwords import Passwords
from controlplane.services.sealing import Sealer
from controlplane.store.api_keys import ApiKeyStore
from controlplane.store.customers import CustomerStore
from controlplane.store.database import Database
from controlplane.store.founding_members import FoundingMemberStore
from controlplane.store.mail import MailStore
from controlplane.store.orders import OrderStore
from controlplane.store.outside_orders import OutsideOrderStore
from controlplane.store.system_settings import SettingStore
from controlplane.store.tables.accounts import staff
from controlplane.store.tables.mail import mails
from protocol.ids import parse_id

PASSWORD = "correct horse battery staple"
PUBLIC_URL = "http://hub.test"
CRON_SECRET = Secret("the clock of the tests, long enough")
TESTER = Author(type="system", id=None, name="test")
EVERYTHING = Scope.everything()


class SetClock(SystemClock):
    """A wall clock that tests set; monotonic time stays trio's."""

    def __init__(self) -> None:
        # Begins with the true time, since cookie jars judge by that.
        self.moment = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self.moment

    def advance(self, **duration: float) -> None:
        """Go on by a `timedelta`."""
        self.moment += timedelta(**duration)


class MemoryStorage:
    """Objects in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def put(self, name: str, data: bytes) -> None:
        self.objects[name] = data

    async def get(self, name: str) -> bytes | None:
        return self.objects.get(name)

    async def delete(self, name: str) -> None:
        self.objects.pop(name, None)


class Posted(NamedTuple):
    """A mail in the outbox, opened."""

    kind: str
    recipient: str
    subject: str
    text: str

    @property
    def token(self) -> str:
        """The one-time token of the mail's link."""
        [found] = set(re.findall(r"#([A-Za-z0-9_-]+)", self.text))
        return str(found)


@dataclass
class People:
    """The Hub under test and the parts it is made of."""

    database: Database
    setup_token_required: bool = False
    public_url: str = PUBLIC_URL
    limits: dict[str, Any] = field(default_factory=lambda: standard_limits(100_000, strict_factor=10_000))
    app: HubApp = field(init=False)

    def __post_init__(self) -> None:
        self.clock = SetClock()
        randomness = SystemRandomness()
        ids = SystemIds(self.clock, randomness)
        self.sealer = Sealer([Secret(Fernet.generate_key().decode())])
        self.mail = MailService(
            MailStore(self.database),
            carrier=None,
            sender=Address("LetsBe Hub", "hub", "letsbe.biz"),
            sealer=self.sealer,
            clock=self.clock,
            randomness=randomness,
        )
        self.settings = SettingStore(self.database, clock=self.clock, ids=ids, vault=self.sealer)
        self.storage = MemoryStorage()
        self.identity = build_identity(
            self.database,
            clock=self.clock,
            ids=ids,
            randomness=randomness,
            sealer=self.sealer,
            drafts=self.mail,
            storage=self.storage,
            public_url=self.public_url,
            session_idle=timedelta(hours=24),
            session_absolute=timedelta(days=14),
            setup_token_required=self.setup_token_required,
            passwords=Passwords(time_cost=1, memory_kib=64),
        )
        self.accounts, self.sessions = self.identity.accounts, self.identity.sessions
        self.session_store = self.identity.session_store
        self.customers = CustomerStore(self.database, clock=self.clock, ids=ids)
        self.orders = OrderStore(self.database, clock=self.clock, ids=ids)
        self.hub = Hub(
            clock=self.clock,
            ids=ids,
            randomness=randomness,
            limits=Limits(self.clock, self.limits),
            accounts=self.accounts,
            sessions=self.sessions,
            session_endings=self.identity.session_endings,
            credentials=self.identity.credentials,
            two_factor=self.identity.two_factor,
            staff=self.identity.staff,
            invitations=self.identity.invitations,
            photos=self.identity.photos,
            sealer=self.sealer,
            mail=self.mail,
            customers=self.customers,
            orders=self.orders,
            outside_orders=OutsideOrderStore(self.database, clock=self.clock, ids=ids),
            settings=self.settings,
            api_keys=ApiKeyStore(self.database, clock=self.clock, ids=ids, randomness=randomness),
            founding_members=FoundingMemberStore(self.database, clock=self.clock, ids=ids),
            cron_secret=CRON_SECRET,
            csrf_secret=b"a secret of the tests",
            public_url=self.public_url,
        )
        self.routers = [
            setup.routes,
            sign_in.routes,
            session.routes,
            pages.routes,
            two_factor_page.routes,
            two_factor.routes,
            passwords.routes,
            sessions.routes,
            invitations.routes,
            profile.routes,
            admin_staff.routes,
            admin_settings.routes,
            api_keys.routes,
            founding_members.routes,
            public_founding_members.routes,
            public_orders.routes,
            customers.routes,
            orders.routes,
        ]
        self.app = build_app(self.routers, self.hub)
        self._numbers = count(1)

    def browser(self, **options: Any) -> httpx.AsyncClient:
        """A client with a cookie jar of its own."""
        transport = httpx.ASGITransport(app=self.app)  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url=self.public_url, **options)

    async def owner(self, email: str = "owner@letsbe.biz") -> httpx.AsyncClient:
        """A browser in which a fresh owner is signed in."""
        await self.accounts.create_owner(TESTER, email=email, name="Olga Owner", password=PASSWORD)
        return await self.signed_in("credentials", email)

    async def customer(self, email: str | None = None, company: str | None = "Acme Marketing GmbH") -> Any:
        """A fresh customer with a password."""
        return await self.accounts.create_customer(
            TESTER,
            email=email or f"maria{next(self._numbers)}@acme.com",
            name="Maria Weber",
            company=company,
            password=PASSWORD,
        )

    async def signed_in(self, provider: str, email: str, password: str = PASSWORD) -> httpx.AsyncClient:
        """A browser in which this account is signed in."""
        browser = self.browser()
        answer = await browser.post(f"/api/auth/callback/{provider}", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return browser

    async def posted(self, kind: str | None = None) -> list[Posted]:
        """The mails in the outbox, oldest first."""
        rows = await self.database.read(
            lambda connection: (
                connection.execute(select(mails).order_by(mails.c.created_at, mails.c.id)).mappings().all()
            )
        )
        opened = [
            Posted(row["kind"], row["recipient"], row["subject"], body.text)
            for row in rows
            for body in [msgspec.json.decode(self.sealer.open(row["body"]), type=Body)]
        ]
        return [mail for mail in opened if kind in (None, mail.kind)]

    async def member(self, role: str, email: str) -> httpx.AsyncClient:
        """A browser in which a fresh member of staff in this role is signed in."""
        member = await self.accounts.create_owner(TESTER, email=email, name=f"{role.title()} Member", password=PASSWORD)
        key = parse_id("stf", member.id)
        await self.database.write(
            lambda connection: connection.execute(update(staff).where(staff.c.id == key).values(role=role))
        )
        return await self.signed_in("credentials", email)
