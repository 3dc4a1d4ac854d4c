"""Puts the demo's customer, orders, agents and registration tokens where they are missing, by the HTTP API alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from controlplane.demo.cast import APPLICATIONS, COMPANY, CUSTOMER, OWNER, PARTS, ROLES, Part
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

    part: Part
    order_id: str
    state: Path


@dataclass(slots=True)
class Seeded:
    """What the demo works with.

    Attributes:
        made: how many customers, orders and agents were missing.
    """

    customer_id: str
    tenants: list[Tenant]
    made: int


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
            "this Hub is in use already, and the demo makes a customer of its own: "
            "give it a Hub of its own with HUB_STATE_DIR=./demo-state (and without HUB_DATABASE_URL)"
        ) from None
    home.forget_setup_token()
    return await api.sign_in(OWNER.provider, OWNER.email, password)


async def customer_session(api: Client, home: Home) -> Secret:
    """Sign in as the demo's customer.

    Raises:
        Unauthorized: the password is no longer the demo's.
    """
    return await api.sign_in(CUSTOMER.provider, CUSTOMER.email, home.password(CUSTOMER.who))


async def seed(staff: Client, home: Home) -> Seeded:
    """Find what an earlier start has made, make what is missing."""
    seeded = Seeded("", [], 0)
    customer = await _customer(staff, home, seeded)
    seeded.customer_id = customer.id
    orders = {order.domain: order for order in customer.orders}
    registered = {
        server.order_id
        for server in await staff.get("/api/v1/admin/servers", list[Server], pageSize=_MOST)
        if server.key_revoked_at is None
    }
    for part in PARTS:
        order = orders.get(part.domain) or await _order(staff, customer, part, seeded)
        await _agents(staff, order, part, seeded)
        state = home.wrapper(part.name, order.id)
        if order.id not in registered or not (state / TOKEN_FILE).exists():
            token = await staff.post(f"/api/v1/admin/orders/{order.id}/registration-token", _Token)
            write_privately(state / TOKEN_FILE, f"{token.registration_token}\n")
        seeded.tenants.append(Tenant(part, order.id, state))
    return seeded


async def _customer(staff: Client, home: Home, seeded: Seeded) -> Customer:
    found = await staff.get("/api/v1/admin/customers", list[Customer], search=CUSTOMER.email, pageSize=_MOST)
    for customer in found:
        if customer.email == CUSTOMER.email:
            return customer
    seeded.made += 1
    body = {
        "email": CUSTOMER.email,
        "name": CUSTOMER.name,
        "company": COMPANY,
        "password": home.password(CUSTOMER.who).reveal(),
    }
    return await staff.post("/api/v1/admin/customers", Customer, body)


async def _order(staff: Client, customer: Customer, part: Part, seeded: Seeded) -> Order:
    seeded.made += 1
    body = {"userId": customer.id, "tier": part.tier, "domain": part.domain, "tools": APPLICATIONS}
    return await staff.post("/api/v1/admin/orders", Order, body)


async def _agents(staff: Client, order: Order, part: Part, seeded: Seeded) -> None:
    path = f"/api/v1/admin/orders/{order.id}/agents"
    # Those a visitor has removed stay removed: the demo continues, it does not start over.
    known = await staff.get(path, list[AgentConfig], includeRemoved="true", pageSize=_MOST)
    for role in ROLES:
        if all(agent.agent_id != role for agent in known):
            seeded.made += 1
            await staff.post(path, AgentConfig, {"role": role, **part.agents.get(role, {})})
