"""Puts the demo's people, orders, agents and registration tokens where they are missing, by the HTTP API alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import trio

from controlplane.demo.cast import COMPANIES, OWNER, ROLES, Company, Part, Person
from controlplane.demo.client import Client
from controlplane.demo.failure import DemoFailed
from controlplane.demo.home import Home, write_privately
from controlplane.secret import Secret
from protocol.faults import Conflict, Unauthorized
from protocol.objects import AgentConfig, Customer, Order, Server

TOKEN_FILE: Final = "registration-token"  # noqa: S105 - its file's name
_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant as it was found or made.

    Attributes:
        state: its wrapper's state folder, which holds its registration token too.
    """

    company: Company
    part: Part
    order_id: str
    state: Path


class _Token(msgspec.Struct, rename="camel"):
    registration_token: str


async def owner_session(api: Client, home: Home) -> Secret:
    """Sign in as the demo's owner, who is made by the Hub's setup if this is a new Hub.

    Raises:
        DemoFailed: the Hub has been set up by somebody else: it is in use.
    """
    password = home.password(OWNER.who)
    try:
        return await api.sign_in(OWNER.provider, OWNER.email, password)
    except Unauthorized:
        body = {"email": OWNER.email, "name": OWNER.name, "password": password.reveal()}
        if token := home.setup_token():
            body["setupToken"] = token
    try:
        await api.post("/api/v1/setup", msgspec.Raw, body)
    except Conflict:
        raise DemoFailed(
            "this Hub is in use already, and the demo makes customers of its own: "
            "give it a Hub of its own with HUB_STATE_DIR=./demo-state (and without HUB_DATABASE_URL)"
        ) from None
    home.forget_setup_token()
    return await api.sign_in(OWNER.provider, OWNER.email, password)


async def customer_session(api: Client, home: Home, person: Person) -> Secret:
    """Sign in as one of the demo's customers.

    Raises:
        Unauthorized: the password is no longer the demo's.
    """
    return await api.sign_in(person.provider, person.email, home.password(person.who))


class Seeding:
    """Finds what an earlier start has made, and makes what is missing.

    Args:
        lanes: the owner, signed in once or several times: a session may ask the Hub only so much a minute.
        on_tenant: is told of each tenant as soon as it is in its place.

    Attributes:
        made: how many customers, orders and agents were missing.
    """

    def __init__(self, lanes: list[Client], home: Home, on_tenant: Callable[[Tenant], None]) -> None:
        self._lanes = lanes
        self._home = home
        self._on_tenant = on_tenant
        self._registered: set[str] = set()
        self.made = 0

    async def run(self) -> None:
        """Put everybody in their places, several companies at a time."""
        first = self._lanes[0]
        servers = await first.get("/api/v1/admin/servers", list[Server], pageSize=_MOST)
        self._registered = {server.order_id for server in servers if server.key_revoked_at is None}
        known = await first.get("/api/v1/admin/customers", list[Customer], pageSize=_MOST)
        async with trio.open_nursery() as nursery:
            for position, company in enumerate(COMPANIES):
                lane = self._lanes[position % len(self._lanes)]
                nursery.start_soon(self._company, lane, company, _of(company, known))

    async def _company(self, staff: Client, company: Company, customer: Customer | None) -> None:
        person = company.customer
        if customer is None:  # or a visitor has made so many that it is on a later page
            found = await staff.get("/api/v1/admin/customers", list[Customer], search=person.email, pageSize=_MOST)
            customer = _of(company, found)
        if customer is None:
            self.made += 1
            password = self._home.password(person.who).reveal()
            body = {"email": person.email, "name": person.name, "company": company.name, "password": password}
            customer = await staff.post("/api/v1/admin/customers", Customer, body)
        orders = {order.domain: order for order in customer.orders}
        # The first order decides the plan.
        first, *others = company.parts
        await self._part(staff, company, first, customer, orders.get(first.domain))
        async with trio.open_nursery() as nursery:
            for part in others:
                nursery.start_soon(self._part, staff, company, part, customer, orders.get(part.domain))

    async def _part(self, staff: Client, company: Company, part: Part, customer: Customer, order: Order | None) -> None:
        if order is None:
            order = await self._order(staff, customer, part)
        await self._agents(staff, order, part)
        state = self._home.wrapper(part.name, order.id)
        if order.id not in self._registered or not (state / TOKEN_FILE).exists():
            token = await staff.post(f"/api/v1/admin/orders/{order.id}/registration-token", _Token)
            write_privately(state / TOKEN_FILE, f"{token.registration_token}\n")
        self._on_tenant(Tenant(company, part, order.id, state))

    async def _order(self, staff: Client, customer: Customer, part: Part) -> Order:
        self.made += 1
        tools = list(part.applications)
        body = {"userId": customer.id, "tier": part.tier, "domain": part.domain, "tools": tools}
        return await staff.post("/api/v1/admin/orders", Order, body)

    async def _agents(self, staff: Client, order: Order, part: Part) -> None:
        path = f"/api/v1/admin/orders/{order.id}/agents"
        # Those a visitor has removed stay removed: the demo continues, it does not start over.
        known = await staff.get(path, list[AgentConfig], includeRemoved="true", pageSize=_MOST)
        for role in ROLES:
            if all(agent.agent_id != role for agent in known):
                self.made += 1
                await staff.post(path, AgentConfig, {"role": role, **part.agents.get(role, {})})


def _of(company: Company, found: list[Customer]) -> Customer | None:
    return next((customer for customer in found if customer.email == company.customer.email), None)
