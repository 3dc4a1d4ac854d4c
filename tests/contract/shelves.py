"""Where the contract's books stand: in memory, or on a real database; both with the same few looks into them."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Protocol
from uuid import UUID

import msgspec
import trio
from sqlalchemy import Connection, insert, text

from actors.people import Author, Scope
from actors.ports import Incoming, Registered, Settled, Taken, TenantBook
from actors.runtime.ports import SystemClock, SystemIds, SystemRandomness
from controlplane.store import approvals, commands, servers
from controlplane.store.database import Database
from controlplane.store.tables.accounts import users
from controlplane.store.tables.orders import orders
from controlplane.store.tenant_book import PostgresTenantBook
from controlplane.store.waiting_approvals import WaitingApprovals
from protocol.canonical import args_hash
from protocol.ids import OrderId, format_id, parse_id
from protocol.objects import CommandApproval, RemoteCommand
from protocol.tenant import ApprovalRequest, Hello, TenantMessage
from protocol.words import ApprovalAction, CommandClass
from tests.fakes.tenant_book import FakeTenantBook

NOW = datetime(2026, 3, 15, 14, 0, tzinfo=UTC)
MARIA = Author(type="customer", id="cust_maria", name="Maria Weber")
ADA = Author(type="staff", id="stf_ada", name="Ada")
ALL = Scope.everything()
DAY = timedelta(days=1)
_numbers = count(1)


def after(**duration: float) -> datetime:
    """A moment later than NOW."""
    return NOW + timedelta(**duration)


def hello(**values: Any) -> Hello:
    """A wrapper's first frame."""
    given: dict[str, Any] = {
        "protocol_min": 1,
        "protocol_max": 1,
        "wrapper_version": "1.0",
        "boot_id": "boot",
        **values,
    }
    return Hello(**given)


def wish(
    message_id: str | None = None, *, arguments: bytes = b'{"path": "/srv/old"}', **values: Any
) -> ApprovalRequest:
    """An agent's command that wants a decision."""
    given: dict[str, Any] = {
        "id": message_id or f"m-{next(_numbers)}",
        "agent_id": "it-admin",
        "command_class": CommandClass.RED,
        "tool_name": "file_delete",
        "tool_args": msgspec.Raw(arguments),
        "args_hash": args_hash("file_delete", msgspec.json.decode(arguments)),
        "human_readable": "Delete /srv/old (47 files, 2.3 GB)",
        **values,
    }
    return ApprovalRequest(**given)


@dataclass(frozen=True)
class Tenant:
    """An order, its owner, and the key of its server."""

    order_id: UUID
    customer_id: UUID
    key_prefix: str


class Shelf(Protocol):
    """A book and what tests see of it from the side."""

    @property
    def book(self) -> TenantBook: ...

    async def open_order(self) -> Tenant: ...

    async def issue_token(self, order_id: UUID, token: str, *, at: datetime) -> None: ...

    async def approval(self, tenant: Tenant, approval_id: str) -> CommandApproval: ...

    async def command(self, tenant: Tenant, command_id: str) -> RemoteCommand: ...

    async def connected(self, tenant: Tenant) -> bool: ...

    async def audit(self, tenant: Tenant) -> list[str]: ...


@dataclass
class FakeShelf:
    """The book in memory."""

    book: FakeTenantBook

    async def open_order(self) -> Tenant:
        ledger = self.book.open_order()
        return Tenant(ledger.id, ledger.customer_id, "")

    async def issue_token(self, order_id: UUID, token: str, *, at: datetime) -> None:
        self.book.issue_token(order_id, token, at=at)

    async def approval(self, tenant: Tenant, approval_id: str) -> CommandApproval:
        return self.book.ledger(tenant.order_id).approvals[parse_id("appr", approval_id)]

    async def command(self, tenant: Tenant, command_id: str) -> RemoteCommand:
        return self.book.ledger(tenant.order_id).commands[parse_id("cmd", command_id)]

    async def connected(self, tenant: Tenant) -> bool:
        machine = self.book.ledger(tenant.order_id).machine
        return machine is not None and machine.session_id is not None

    async def audit(self, tenant: Tenant) -> list[str]:
        return [entry.action for entry in self.book.audit if entry.order_id == tenant.order_id]


class PostgresShelf:
    """The book on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ids = SystemIds(SystemClock(), SystemRandomness())
        self.waiting = WaitingApprovals()
        self.book: PostgresTenantBook = PostgresTenantBook(
            database, ids=self.ids, heartbeat_seconds=30, waiting=self.waiting
        )

    async def run(self, statement: str, **values: Any) -> list[Any]:
        """Run one statement; its rows."""

        def work(connection: Connection) -> list[Any]:
            result = connection.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []

        return await self.database.write(work)

    async def open_order(self) -> Tenant:
        customer, order = self.ids.uuid7(), self.ids.uuid7()
        person = {"id": customer, "email": f"{customer}@acme.test", "name": "M", "created_at": NOW, "updated_at": NOW}
        row = {
            "id": order,
            "user_id": customer,
            "status": "AWAITING_SERVER",
            "tier": "Build",
            "domain": f"{order}.test",
            "tools": ["nextcloud"],
            "ssh_port": 22,
            "automation_mode": "AUTO",
            "created_at": NOW,
            "updated_at": NOW,
        }

        def work(connection: Connection) -> None:
            connection.execute(insert(users).values(person))
            connection.execute(insert(orders).values(row))

        await self.database.write(work)
        return Tenant(order, customer, "")

    async def issue_token(self, order_id: UUID, token: str, *, at: datetime) -> None:
        await self.database.write(servers.issue_token, order_id, token=token, author=ADA, at=at, ids=self.ids)

    async def approval(self, tenant: Tenant, approval_id: str) -> CommandApproval:
        return await self.database.read(approvals.read, parse_id("appr", approval_id), scope=ALL)

    async def command(self, tenant: Tenant, command_id: str) -> RemoteCommand:
        return await self.database.read(commands.read, parse_id("cmd", command_id))

    async def connected(self, tenant: Tenant) -> bool:
        rows = await self.run(
            "SELECT session_id, carrier FROM server_connections WHERE order_id = :o", o=tenant.order_id
        )
        return bool(rows) and rows[0].session_id is not None and rows[0].carrier == "socket"

    async def audit(self, tenant: Tenant) -> list[str]:
        wanted = "SELECT action FROM audit_entries WHERE customer_id = :customer ORDER BY position"
        return [row.action for row in await self.run(wanted, customer=tenant.customer_id)]


def registration(token: str, key_prefix: str, *, instance_id: str | None = "machine-1") -> Registered:
    """A wrapper with a token."""
    return Registered(
        token=token,
        instance_id=instance_id,
        wrapper_url=None,
        key_prefix=key_prefix,
        key_hash=hashlib.sha256(key_prefix.encode()).digest(),
        sealed_key=b"sealed",
    )


async def registered(shelf: Shelf) -> Tenant:
    """A tenant whose server is registered."""
    tenant = await shelf.open_order()
    token, key_prefix = f"rt_{next(_numbers)}", f"{next(_numbers):012d}"
    await shelf.issue_token(tenant.order_id, token, at=NOW)
    author = Author("tenant", format_id("ord", tenant.order_id), "registration")
    await shelf.book.register(tenant.order_id, registration(token, key_prefix), author=author, at=NOW)
    return Tenant(tenant.order_id, tenant.customer_id, key_prefix)


async def say(shelf: Shelf, tenant: Tenant, message: TenantMessage, *, at: datetime = NOW) -> Taken:
    """The book takes a message."""
    return await shelf.book.take_now(Incoming(tenant.order_id, message, at))


async def asked(shelf: Shelf, tenant: Tenant, *, at: datetime = NOW, **values: Any) -> CommandApproval:
    """A pending approval."""
    taken = await say(shelf, tenant, wish(**values), at=at)
    assert taken.approval is not None
    return taken.approval


async def decide(
    shelf: Shelf,
    tenant: Tenant,
    approval: CommandApproval,
    action: ApprovalAction = ApprovalAction.APPROVE,
    *,
    at: datetime = NOW,
    reason: str | None = None,
    scope: Scope = ALL,
    author: Author = MARIA,
) -> Settled:
    """A person decides."""
    return await shelf.book.settle(
        tenant.order_id,
        parse_id("appr", approval.id),
        action=action,
        reason=reason,
        author=author,
        scope=scope,
        at=at,
    )


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what is written without anybody waiting for it; fails after five seconds."""
    with trio.fail_after(5):
        while not await holds():  # noqa: ASYNC110 - the database has no event for this
            await trio.sleep(0.002)


def order_name(tenant: Tenant) -> OrderId:
    return OrderId(format_id("ord", tenant.order_id))
