"""The tenants of a simulation: made through the HTTP API where they are missing, their keys in a file of mode 0600."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from controlplane.demo.client import Client, patiently
from controlplane.demo.failure import DemoFailed
from controlplane.secret import Secret
from controlplane.state_folder import FILE_MODE
from protocol.objects import AgentConfig, Customer, Order

EMAIL: Final = "simulated@tenants.example"
ROLES: Final = ("dispatcher", "it-admin", "marketing", "secretary", "sales")
TOOLS: Final = ["nextcloud", "chatwoot", "ghost", "calcom", "odoo", "stalwart", "listmonk", "umami"]
_OTHERS: Final = 0o077


class Key(msgspec.Struct, rename="camel"):
    """One registered tenant: a line of the file."""

    hub: str
    domain: str
    order_id: str
    key: str


class Keys:
    """The file of keys: a JSON object a line, appended to as tenants register.

    Args:
        hub: of which Hub the tenants are.

    Raises:
        DemoFailed: it holds another Hub's keys or something else, or others can read it.
    """

    def __init__(self, path: Path, hub: str) -> None:
        self._path = path
        self._hub = hub
        self.tenants = self._read()

    def _read(self) -> list[Key]:
        try:
            if self._path.stat().st_mode & _OTHERS:
                raise DemoFailed(f"others can read {self._path}, which holds keys: chmod 600 it")
            lines = self._path.read_bytes().splitlines()
            found = [msgspec.json.decode(line, type=Key) for line in lines if line]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DemoFailed(f"{self._path} cannot be read: {error.strerror}") from None
        except msgspec.MsgspecError as error:
            raise DemoFailed(f"{self._path} is no file of keys: {error}") from None
        foreign = {key.hub for key in found} - {self._hub}
        if foreign:
            raise DemoFailed(f"{self._path} holds keys of {', '.join(sorted(foreign))}: give another file with --keys")
        return found

    def keep(self, key: Key) -> None:
        """Append one; it is on the disk when this returns."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise DemoFailed(f"{self._path} cannot be written: {error.strerror}") from None
        try:
            os.write(descriptor, msgspec.json.encode(key) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.tenants.append(key)


class _Token(msgspec.Struct, rename="camel"):
    registration_token: str


class _Registered(msgspec.Struct, rename="camel"):
    hub_api_key: str


async def make_missing(
    keys: Keys, hub: str, wanted: int, staff: Client, nobody: Client, *, with_agents: bool, on_made: Callable[[], None]
) -> None:
    """Make tenants until there are as many as wanted. What an interrupted run has left is taken up.

    Args:
        nobody: the same Hub without a session: wrappers register with a token alone.
        with_agents: deploy the five roles; without, every wish of an agent is asked for.

    Raises:
        Fault: the Hub's refusal.
    """
    customer = await _customer(staff)
    orders = {order.domain: order for order in customer.orders}
    known = {key.domain for key in keys.tenants}
    number = 0
    while len(keys.tenants) < wanted:
        number += 1
        domain = f"sim-{number:04d}.example"
        if domain in known:
            continue
        order = orders.get(domain) or await _order(staff, customer, domain)
        if with_agents:
            await _agents(staff, order)
        path = f"/api/v1/admin/orders/{order.id}/registration-token"
        token = await staff.post(path, _Token)
        body = {"registrationToken": token.registration_token, "instanceId": secrets.token_hex(16)}
        # The same token and instance again give the same key.
        registered = await patiently(partial(nobody.post, "/api/v1/tenant/register", _Registered, body))
        keys.keep(Key(hub, domain, order.id, registered.hub_api_key))
        on_made()


async def _customer(staff: Client) -> Customer:
    found = await staff.get("/api/v1/admin/customers", list[Customer], search=EMAIL, pageSize=100)
    for customer in found:
        if customer.email == EMAIL:
            return customer
    # Nobody signs in as this customer: nobody need know the password.
    password = Secret(secrets.token_urlsafe(24))
    body = {"email": EMAIL, "name": "Simulated tenants", "company": "Simulation", "password": password.reveal()}
    return await staff.post("/api/v1/admin/customers", Customer, body)


async def _order(staff: Client, customer: Customer, domain: str) -> Order:
    body = {"userId": customer.id, "tier": "Build", "domain": domain, "tools": TOOLS}
    return await staff.post("/api/v1/admin/orders", Order, body)


async def _agents(staff: Client, order: Order) -> None:
    path = f"/api/v1/admin/orders/{order.id}/agents"
    known = {agent.agent_id for agent in await staff.get(path, list[AgentConfig], pageSize=100)}
    for role in ROLES:
        if role not in known:
            await staff.post(path, AgentConfig, {"role": role})
