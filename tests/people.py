"""A Hub with its people and nothing else, on a real database, for tests that call it over HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx

from actors.people import Author, Scope
from actors.runtime.ports import SystemClock, SystemIds, SystemRandomness
from controlplane.api.account import pages, session, setup, sign_in
from controlplane.api.admin import customers, orders
from controlplane.api.hub import Hub
from controlplane.api.limits import Limits, standard_limits
from controlplane.api.mount import HubApp, build_app
from controlplane.services.accounts import AccountService
from controlplane.services.passwords import Passwords
from controlplane.services.sessions import SessionService
from controlplane.store.customers import CustomerStore
from controlplane.store.database import Database
from controlplane.store.orders import OrderStore
from controlplane.store.sessions import SessionStore
from controlplane.store.staff import StaffStore

PASSWORD = "correct horse battery staple"
PUBLIC_URL = "http://hub.test"
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
        self.session_store = SessionStore(
            self.database, clock=self.clock, ids=ids, idle=timedelta(hours=24), absolute=timedelta(days=14)
        )
        self.sessions = SessionService(self.session_store, clock=self.clock, randomness=randomness)
        self.staff = StaffStore(self.database, clock=self.clock, ids=ids)
        self.customers = CustomerStore(self.database, clock=self.clock, ids=ids)
        self.orders = OrderStore(self.database, clock=self.clock, ids=ids)
        self.accounts = AccountService(
            self.staff,
            self.customers,
            self.sessions,
            Passwords(time_cost=1, memory_kib=64),
            randomness=randomness,
            setup_token_required=self.setup_token_required,
        )
        self.hub = Hub(
            clock=self.clock,
            ids=ids,
            randomness=randomness,
            limits=Limits(self.clock, self.limits),
            accounts=self.accounts,
            sessions=self.sessions,
            customers=self.customers,
            orders=self.orders,
            csrf_secret=b"a secret of the tests",
            public_url=self.public_url,
        )
        self.routers = [
            setup.routes,
            sign_in.routes,
            session.routes,
            pages.routes,
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
