"""A Hub's mail on a real database and a real mail server, with a customer whose agents ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.headerregistry import Address
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
import trio
from cryptography.fernet import Fernet
from sqlalchemy import Connection, text

from actors.ports import Incoming
from actors.runtime.ports import SystemIds, SystemRandomness
from controlplane.integrations.mail_carrier import Carrier
from controlplane.integrations.smtp import SmtpCarrier
from controlplane.mail_route import Security, SmtpRoute
from controlplane.secret import Secret
from controlplane.services.approval_mail import ApprovalMailer, rules
from controlplane.services.mail import MailService
from controlplane.services.sealing import Sealer
from controlplane.store import approvals
from controlplane.store.approval_mail import ApprovalMailStore
from controlplane.store.customers import CustomerStore, NewCustomer
from controlplane.store.database import Database
from controlplane.store.mail import NEWS, MailStore
from controlplane.store.orders import NewOrder, OrderStore
from controlplane.store.preferences import PreferenceChange, PreferenceStore
from protocol.ids import parse_id
from protocol.objects import CommandApproval
from protocol.tenant import ApprovalRequest
from protocol.words import ApprovalMail, AutomationMode, CommandClass, Tier
from tests.end_to_end.hub_process import until
from tests.fakes.smtp_server import SmtpServer
from tests.people import TESTER, SetClock

PUBLIC_URL = "https://hub.test"
SENDER = Address("LetsBe Hub", "hub", "hub.test")


_DENY = text("""
    UPDATE command_approvals SET status = 'DENIED', settled_at = CAST(:at AS timestamptz)
    WHERE id = CAST(:id AS uuid) AND status = 'PENDING'""")


@dataclass
class Resident:
    """A customer with one order."""

    customer: Any
    order_id: UUID

    @property
    def key(self) -> UUID:
        return parse_id("cust", self.customer.id)


@dataclass
class Office:
    """One node's mail."""

    database: Database
    server: SmtpServer
    grace_seconds: float = 30
    digest_minutes: float = 60
    watching: list[UUID] = field(default_factory=list)
    sealer: Sealer = field(default_factory=lambda: Sealer([Secret(Fernet.generate_key().decode())]))

    def __post_init__(self) -> None:
        self.clock = SetClock()
        self.randomness = SystemRandomness()
        self.ids = SystemIds(self.clock, self.randomness)
        self.customers = CustomerStore(self.database, clock=self.clock, ids=self.ids)
        self.orders = OrderStore(self.database, clock=self.clock, ids=self.ids)
        self.store = MailStore(self.database)
        self.preferences = PreferenceStore(self.database, clock=self.clock)
        self.service = self.node()
        self.mailer = self.reader(self.service)
        self._numbers = count(1)

    def reader(self, service: MailService) -> ApprovalMailer:
        """What finds the approvals to mail about."""
        return ApprovalMailer(
            ApprovalMailStore(
                self.database, rules(grace_seconds=self.grace_seconds, digest_minutes=self.digest_minutes)
            ),
            service,
            watching=lambda: self.watching,
            clock=self.clock,
            public_url=PUBLIC_URL,
            grace_seconds=self.grace_seconds,
        )

    def carrier(self) -> Carrier:
        route = SmtpRoute("127.0.0.1", self.server.port, Security.PLAIN)
        return SmtpCarrier(route, hello_name="hub.test", silence_seconds=20)

    def node(self, carrier: Carrier | None = None, sealer: Sealer | None = None) -> MailService:
        """A sender of its own over the same database."""
        return MailService(
            self.store,
            carrier=carrier or self.carrier(),
            sender=SENDER,
            sealer=sealer or self.sealer,
            clock=self.clock,
            randomness=self.randomness,
            down_seconds=(0.05, 0.1),
        )

    async def resident(self, name: str = "Maria Weber") -> Resident:
        new = NewCustomer(f"maria{next(self._numbers)}@acme.com", name, "Acme Marketing GmbH", None)
        customer = await self.customers.create(TESTER, new)
        order = await self.orders.create(
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
        return Resident(customer, parse_id("ord", order.id))

    async def ask(self, resident: Resident, said: str = "Delete /srv/old", **values: Any) -> CommandApproval:
        """An agent's wish, committed."""
        number = next(self._numbers)
        request = ApprovalRequest(
            **{
                "id": f"wish-{number}",
                "agent_id": "it-admin",
                "command_class": CommandClass.RED,
                "tool_name": "file_delete",
                "tool_args": msgspec.Raw(b"{}"),
                "args_hash": "0" * 64,
                "human_readable": said,
                "expires_in_seconds": 86_400,
            }
            | values
        )
        incoming = Incoming(resident.order_id, request, self.clock.now())
        [asked] = await self.database.write(approvals.ask, [(incoming, request)], self.ids)
        return asked.approval

    async def decide(self, approval: CommandApproval) -> None:
        """Somebody denies it."""
        await self.database.write(
            lambda connection: connection.execute(_DENY, {"id": parse_id("appr", approval.id), "at": self.clock.now()})
        )

    async def choose(self, resident: Resident, mode: ApprovalMail) -> None:
        await self.preferences.change(TESTER, resident.customer.id, PreferenceChange(approval_mail=mode))

    @asynccontextmanager
    async def sending(self, *services: MailService) -> AsyncIterator[None]:
        """Senders at work; the office's own where none are named."""
        async with trio.open_nursery() as nursery:
            for service in services or (self.service,):
                self.database.listen(NEWS, service.poke)
                nursery.start_soon(service.run)
            yield
            nursery.cancel_scope.cancel()

    async def flush(self) -> None:
        """Send what is due, and wait until nothing is."""
        async with self.sending():
            await until(self.is_idle, what="no mail is due")

    async def is_idle(self) -> bool:
        now = self.clock.now()
        return not any(row.state == "queued" and row.next_attempt_at <= now for row in await self.rows())

    async def states(self) -> list[str]:
        """The states of all mails, in the order in which they were written."""
        return [str(row.state) for row in await self.rows()]

    async def rows(self) -> list[Any]:
        return await self.database.read(_rows)


def _rows(connection: Connection) -> list[Any]:
    return list(connection.execute(text("SELECT * FROM mails ORDER BY created_at, dedupe_key")).all())


@asynccontextmanager
async def open_office(database: Database, **values: Any) -> AsyncIterator[Office]:
    """An office whose mail server answers."""
    server = SmtpServer()
    async with server.listening():
        yield Office(database, server, **values)
