"""The world around a real Hub: its people with their sign-ins, tenants with their keys, and what is in its book."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from protocol.ids import format_id, parse_id
from tests.end_to_end.hub_process import HubProcess, until
from tests.end_to_end.scripted_wrapper import ScriptedWrapper, dial

PASSWORD = "correct horse battery staple"
OWNER = "owner@letsbe.biz"


@dataclass(frozen=True)
class Person:
    """Someone who is signed in."""

    id: str
    email: str
    token: str


@dataclass(frozen=True)
class Ground:
    """A state folder in which the people exist already; every world begins with a copy."""

    state: Path
    owner: Person
    maria: Person
    stranger: Person


@dataclass
class Tenant:
    """One order with its registered server.

    Attributes:
        journal: what its wrapper says of itself in every hello, unless told otherwise.
    """

    world: World
    order_id: str
    server_id: str
    key: str
    journal: dict[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> object:
        """The order's id in the database."""
        return parse_id("ord", self.order_id)

    def dial(self, **options: Any) -> AbstractAsyncContextManager[ScriptedWrapper]:
        return dial(self.world.hub.socket_url, self.key, **options)

    @asynccontextmanager
    async def connected(self, **hello: Any) -> AsyncIterator[ScriptedWrapper]:
        """A wrapper that said hello."""
        async with self.dial() as wrapper:
            await wrapper.hello(**{**self.journal, **hello})
            yield wrapper

    async def settled_in(self) -> int:
        """Take and acknowledge the configuration that a fresh tenant is offered; the number it had."""
        async with self.connected() as wrapper:
            offer = await wrapper.promise("configOffered")
            await wrapper.ack()
            await wrapper.verdict(
                {
                    "type": "configApplied",
                    "id": f"applied-{offer['seq']}",
                    "configVersion": offer["configVersion"],
                    "configHash": offer["configHash"],
                    "ok": True,
                }
            )
        await self.until_acknowledged(offer["seq"])
        self.journal = {name: offer[name] for name in ("configVersion", "configHash")} | {"lastSeq": offer["seq"]}
        return int(offer["seq"])

    async def command(self, kind: str = "PING", **body: Any) -> dict[str, Any]:
        """Have the staff issue a command."""
        return await self.world.staff.ok(
            "POST", f"/api/v1/admin/servers/{self.server_id}/command", {"type": kind, **body}
        )

    async def command_now(self, command_id: str) -> dict[str, Any]:
        """How a command stands."""
        return await self.world.staff.ok("GET", f"/api/v1/admin/servers/{self.server_id}/commands/{command_id}")

    async def health(self) -> dict[str, Any]:
        return await self.world.staff.ok("GET", f"/api/v1/admin/servers/{self.server_id}/health")

    def marks(self) -> tuple[int, int]:
        """How far the promises are issued and acknowledged, by the book."""
        row = self.world.hub.sql("SELECT issued_seq, acked_seq FROM server_connections WHERE order_id = $1", self.order)
        return row[0][0], row[0][1]

    async def until_acknowledged(self, seq: int) -> None:
        """Wait until the book has the acknowledgement (they are committed in groups)."""
        await until(lambda: self.marks()[1] >= seq, what=f"acknowledgement of {seq}")

    async def approval_of(self, request: dict[str, Any]) -> dict[str, Any]:
        """The approval that a request made, however it stands."""
        rows = self.world.hub.sql(
            "SELECT id, status FROM command_approvals WHERE order_id = $1 AND request_id = $2",
            self.order,
            request["id"],
        )
        assert len(rows) == 1, rows
        from_status = await self.world.customer.ok(
            "GET", f"/api/v1/customer/approvals?orderId={self.order_id}&status={rows[0][1]}&pageSize=100"
        )
        return next(approval for approval in from_status if approval["requestId"] == request["id"])

    def promises(self, kind: str | None = None) -> list[tuple[int, str, bool]]:
        """What the outbox holds: number, kind, whether it was withdrawn."""
        return [
            (row[0], row[1], row[2])
            for row in self.world.hub.sql(
                "SELECT seq, kind, voided_at IS NOT NULL FROM deliveries WHERE order_id = $1 ORDER BY seq", self.order
            )
            if kind in (None, row[1])
        ]


class Caller:
    """Someone who calls the API; each call on a connection of its own, so that a Hub may die in between."""

    def __init__(self, url: str, token: str | None) -> None:
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=self._headers,
            verify=False,
            trust_env=False,
            timeout=30,
            limits=httpx.Limits(max_keepalive_connections=0, max_connections=500),
        )

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self._client.request(method, path, json=body, **options)

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        """What a call that must succeed answers."""
        answer = await self.call(method, path, body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()["data"]

    async def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str, dict[str, Any]]:
        """What a call that must not succeed answers: status, code, the whole error."""
        answer = await self.call(method, path, body)
        assert answer.is_error, f"{method} {path}: {answer.status_code} {answer.text}"
        error = answer.json()["error"]
        return answer.status_code, error["code"], error

    async def decide(self, approval_id: str, action: str, *, reason: str | None = None) -> httpx.Response:
        """Decide an approval, by the door that is this caller's."""
        return await self.call("POST", f"{self.door}/{approval_id}", {"action": action, "reason": reason})

    door = "/api/v1/customer/approvals"

    async def aclose(self) -> None:
        await self._client.aclose()


class Staff(Caller):
    door = "/api/v1/admin/approvals"


_domains = itertools.count(1)


class World:
    """A running Hub and who calls it. `staff` is the owner; `customer` owns the tenants, `stranger` owns none."""

    def __init__(self, hub: HubProcess, ground: Ground) -> None:
        self.hub = hub
        self.ground = ground
        self.staff = Staff(hub.url, ground.owner.token)
        self.customer = Caller(hub.url, ground.maria.token)
        self.stranger = Caller(hub.url, ground.stranger.token)
        self.nobody = Caller(hub.url, None)

    @classmethod
    @asynccontextmanager
    async def around(cls, hub: HubProcess, ground: Ground) -> AsyncIterator[World]:
        world = cls(hub, ground)
        try:
            yield world
        finally:
            for caller in (world.staff, world.customer, world.stranger, world.nobody):
                await caller.aclose()

    def tenant_caller(self, tenant: Tenant) -> Caller:
        """A wrapper that knows HTTP only."""
        return Caller(self.hub.url, tenant.key)

    async def order(self, owner: Person | None = None) -> str:
        """A fresh order's id."""
        order = await self.staff.ok(
            "POST",
            "/api/v1/admin/orders",
            {"userId": (owner or self.ground.maria).id, "tier": "Lite", "domain": f"t{next(_domains)}.letsbe.example"},
        )
        return str(order["id"])

    async def registration_token(self, order_id: str) -> str:
        issued = await self.staff.ok("POST", f"/api/v1/admin/orders/{order_id}/registration-token")
        return str(issued["registrationToken"])

    async def register(self, token: str, **body: Any) -> httpx.Response:
        return await self.nobody.call("POST", "/api/v1/tenant/register", {"registrationToken": token, **body})

    async def tenant(self, owner: Person | None = None, *, settled_in: bool = True) -> Tenant:
        """A fresh tenant; settled in, it has its first configuration, as promise 1."""
        order_id = await self.order(owner)
        answer = await self.register(await self.registration_token(order_id))
        assert answer.status_code == 201, answer.text
        tenant = Tenant(self, order_id, self.server_of(order_id), answer.json()["data"]["hubApiKey"])
        if settled_in:
            assert await tenant.settled_in() == 1
        return tenant

    def server_of(self, order_id: str) -> str:
        """The id of the server that is registered for an order."""
        rows = self.hub.sql("SELECT id FROM server_connections WHERE order_id = $1", parse_id("ord", order_id))
        return str(format_id("srv", rows[0][0]))


def prepare_ground(hub: HubProcess) -> Ground:
    """Set a fresh Hub up: its owner, two customers, everyone signed in."""
    with httpx.Client(base_url=hub.url, trust_env=False, timeout=60) as client:
        made = client.post("/api/v1/setup", json={"email": OWNER, "name": "Olga Owner", "password": PASSWORD})
        assert made.status_code == 201, made.text
        owner = Person(made.json()["data"]["id"], OWNER, _sign_in(hub, "credentials", OWNER))
        people = []
        for name, email in (("Maria Weber", "maria@acme.example"), ("Stan Stranger", "stan@other.example")):
            created = client.post(
                "/api/v1/admin/customers",
                json={"email": email, "name": name, "company": f"{name} GmbH", "password": PASSWORD},
                headers={"Authorization": f"Bearer {owner.token}"},
            )
            assert created.status_code == 201, created.text
            people.append(Person(created.json()["data"]["id"], email, _sign_in(hub, "customer", email)))
    return Ground(hub.state, owner, people[0], people[1])


def _sign_in(hub: HubProcess, provider: str, email: str) -> str:
    with httpx.Client(base_url=hub.url, trust_env=False, timeout=60) as browser:
        answer = browser.post(f"/api/auth/callback/{provider}", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return next(cookie.value for cookie in browser.cookies.jar if "session-token" in cookie.name)  # type: ignore[return-value]
