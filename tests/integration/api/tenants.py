"""A Hub with its tenants over HTTP: wrappers that register and poll, people who decide, a link that records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import trio
from sqlalchemy import text

from actors.root import plant
from actors.runtime.ports import SystemRandomness
from actors.runtime.system import ActorSystem
from actors.tenant.messages import Attach, FrameArrived
from controlplane.api.hub import Hub
from controlplane.api.mount import build_app
from controlplane.api.routes import routers
from controlplane.services.jobs import Expiry, standing_jobs
from controlplane.services.live_query import LiveQueries
from controlplane.services.upkeep import Upkeep
from controlplane.store.activities import ActivityStore
from controlplane.store.agents import AgentStore
from controlplane.store.approvals import ApprovalStore
from controlplane.store.audit_log import AuditLog
from controlplane.store.backups import BackupStore
from controlplane.store.billing import BillingStore
from controlplane.store.commands import CommandStore
from controlplane.store.database import Database
from controlplane.store.events import EventStore
from controlplane.store.forgetting import Forgetting
from controlplane.store.job_runs import JobRunStore
from controlplane.store.order_book import PostgresOrderBook
from controlplane.store.orders import NewOrder
from controlplane.store.polling import PollingStore
from controlplane.store.preferences import PreferenceStore
from controlplane.store.servers import ServerStore, prefix_of
from controlplane.store.tenant_book import PostgresTenantBook
from controlplane.store.usage import UsageStore
from controlplane.store.waiting_approvals import WaitingApprovals
from controlplane.store.webhooks import ServerWebhookStore
from protocol.faults import Fault
from protocol.ids import OrderId
from protocol.tenant import FromTenant, Hello, to_tenant
from protocol.words import AutomationMode, Tier
from tests.people import TESTER, People

CAPABILITIES = ["command", "approvalSettled", "configOffered"]
WISH = {
    "agentId": "it-admin",
    "commandClass": "red",
    "toolName": "file_delete",
    "toolArgs": {"path": "/srv/old"},
    "humanReadable": "Delete /srv/old (47 files)",
}


def data(answer: httpx.Response, status: int = 200) -> Any:
    """What a good answer holds."""
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def refusal(answer: httpx.Response, status: int) -> Any:
    """What a refusal says."""
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def bad_fields(answer: httpx.Response) -> list[str]:
    """The fields a refusal names."""
    return [problem["field"] for problem in refusal(answer, 400)["details"]]


@dataclass(eq=False)
class Socket:
    """The far end of a link."""

    frames: list[Any] = field(default_factory=list)
    frame_limit: int = 65536
    last_received_at: float = field(default_factory=trio.current_time)
    open: bool = True
    closed_with: int | None = None

    def send_text(self, data: bytes) -> bool:
        self.frames.append(to_tenant.decode(data))
        return True

    def close(self, code: int, reason: str = "") -> None:
        self.open, self.closed_with = False, code

    @property
    def kinds(self) -> list[str]:
        return [type(frame).__name__ for frame in self.frames]


@dataclass
class Tenancy:
    """One customer's order, and its wrapper once it is registered."""

    town: Town
    customer: Any
    order_id: str
    key: str = ""

    async def token(self) -> str:
        answer = await self.town.owner.post(f"/api/v1/admin/orders/{self.order_id}/registration-token")
        return str(data(answer, 201)["registrationToken"])

    async def register(self) -> Tenancy:
        body = {"registrationToken": await self.token(), "instanceId": "machine"}
        self.key = data(await self.town.nobody.post("/api/v1/tenant/register", json=body), 201)["hubApiKey"]
        return self

    async def call(self, method: str, path: str, json: Any = None, **options: Any) -> httpx.Response:
        """As the wrapper."""
        options["headers"] = {"Authorization": f"Bearer {self.key}"} | options.pop("headers", {})
        if json is not None:
            options["json"] = json
        return await self.town.nobody.request(method, f"/api/v1/tenant/{path}", **options)

    async def ask(self, **values: Any) -> Any:
        """An approval the wrapper asked for."""
        return data(await self.call("POST", "approval-request", WISH | values), 201)

    async def connect(self, *, last_seq: int = 0, config_version: int | None = None) -> Socket:
        """The wrapper says hello on a socket."""
        socket = Socket()
        hello = Hello(1, 1, "1.0", "boot", last_seq=last_seq, config_version=config_version, capabilities=CAPABILITIES)
        await self.town.people.hub.tenant(OrderId(self.order_id)).ask(Attach(socket, hello, prefix_of(self.key) or ""))
        return socket

    async def say(self, socket: Socket, frame: FromTenant) -> None:
        await self.town.people.hub.tenant(OrderId(self.order_id)).ask(FrameArrived(socket, frame))

    async def server_id(self) -> str:
        servers = data(await self.town.owner.get("/api/v1/admin/servers?pageSize=100"))
        [found] = [one["id"] for one in servers if one["orderId"] == self.order_id]
        return str(found)

    async def signed_in(self) -> httpx.AsyncClient:
        """The customer's browser."""
        return await self.town.people.signed_in("customer", self.customer.email)


@dataclass
class Town:
    """The Hub and everybody around it."""

    people: People
    owner: httpx.AsyncClient
    nobody: httpx.AsyncClient

    async def tenancy(self) -> Tenancy:
        """An order of a fresh customer."""
        customer = await self.people.customer()
        order = await self.people.orders.create(
            TESTER,
            NewOrder(
                user_id=customer.id,
                tier=Tier.BUILD,
                domain=f"{customer.id[5:]}.test",
                tools=[],
                server_ip=None,
                ssh_port=22,
                automation_mode=AutomationMode.MANUAL,
            ),
        )
        return Tenancy(self, customer, order.id)

    async def tenant(self) -> Tenancy:
        """One whose wrapper is registered."""
        return await (await self.tenancy()).register()

    async def audit(self, like: str) -> list[tuple[str, str, str | None]]:
        """Entries whose action is like this: action, kind of author, address."""
        wanted = "SELECT action, author_type, address FROM audit_entries WHERE action LIKE :like ORDER BY position"
        rows = await self.people.database.read(
            lambda connection: connection.execute(text(wanted), {"like": like}).all()
        )
        return [tuple(row) for row in rows]


def upkeep_of(hub: Hub, database: Database, book: PostgresTenantBook, system: ActorSystem) -> Upkeep:
    """The jobs by the clock, as a Hub has them."""
    expiry = Expiry(
        system,
        lambda: book.tenants_overdue(at=hub.clock.now()),
        lambda: hub.approvals.overdue(at=hub.clock.now()),
    )
    forgetting = Forgetting(database, clock=hub.clock)
    jobs = standing_jobs(
        expiry=expiry.sweep,
        statistics={"statistics": forgetting.statistics, "usage hours": forgetting.usage_hours},
        forgetting={"promises": forgetting.promises},
    )
    return Upkeep(jobs, JobRunStore(database), clock=hub.clock, ids=hub.ids)


@asynccontextmanager
async def open_town(people: People) -> AsyncIterator[Town]:
    """Give the people's Hub its tenants."""
    hub, database = people.hub, people.database
    async with ActorSystem.open(
        clock=hub.clock, ids=hub.ids, randomness=SystemRandomness(), refusals=(Fault,)
    ) as system:
        waiting = WaitingApprovals()
        book = PostgresTenantBook(database, ids=hub.ids, heartbeat_seconds=30, waiting=waiting)
        plant(system, tenant_book=book, order_book=PostgresOrderBook(database), heartbeat_seconds=30)
        hub.system = system
        hub.agents = AgentStore(database, clock=hub.clock, ids=hub.ids, heartbeat_seconds=30)
        hub.approvals, hub.commands = ApprovalStore(database, waiting=waiting), CommandStore(database)
        hub.events = EventStore(database)
        hub.questions = LiveQueries(hub.tenant, hub.ids)
        hub.servers = ServerStore(database, ids=hub.ids, randomness=hub.randomness, heartbeat_seconds=30)
        hub.polling = PollingStore(database, heartbeat_seconds=30)
        hub.webhooks = ServerWebhookStore(database)
        hub.preferences = PreferenceStore(database, clock=hub.clock)
        hub.usage = UsageStore(database, clock=hub.clock, ids=hub.ids)
        hub.billing = BillingStore(database, clock=hub.clock)
        hub.backups, hub.activities = BackupStore(database), ActivityStore(database)
        hub.audit = AuditLog(database)
        hub.upkeep = upkeep_of(hub, database, book, system)
        people.app = build_app(routers(), hub)
        yield Town(people, await people.owner(), people.browser())
