"""Everything that changes a tenant at once, on few tenants: nobody waits in a circle, nothing is lost or doubled."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from random import Random

import pytest
import trio

from actors.ports import Beat, Incoming, Progress
from actors.tenant.changes import DeployAgent, RemoveAgent
from controlplane.store.database import Database
from controlplane.store.polling import PollingStore
from protocol.faults import Conflict, NotFound, Unauthorized
from protocol.ids import parse_id
from protocol.objects import HeartbeatBody
from protocol.tenant import ApprovalOutcomeReport, BackupStatus, CommandResult, ConfigApplied
from protocol.words import ApprovalAction, ApprovalOutcome, BackupOutcome, CommandResultStatus
from tests.contract.shelves import (
    ADA,
    ALL,
    NOW,
    PostgresShelf,
    Tenant,
    after,
    asked,
    decide,
    hello,
    registered,
    registration,
    say,
    wish,
)

_REFUSALS = (Conflict, NotFound, Unauthorized)


class Bustle:
    """One tenant's share of the bustle."""

    def __init__(self, shelf: PostgresShelf, polling: PollingStore, tenant: Tenant, random: Random) -> None:
        self.shelf, self.polling, self.tenant, self.random = shelf, polling, tenant, random
        self.order = tenant.order_id
        self.approvals: list[str] = []
        self.commands: list[str] = []
        self.said = 0

    def message_id(self) -> str:
        self.said += 1
        return f"{self.order.hex[:8]}-{self.random.random()}-{self.said}"

    async def ask(self) -> None:
        self.approvals.append((await asked(self.shelf, self.tenant, message_id=self.message_id())).id)

    async def settle(self) -> None:
        approval = await self.shelf.approval(self.tenant, self.random.choice(self.approvals))
        await decide(self.shelf, self.tenant, approval, self.random.choice(list(ApprovalAction)))

    async def expire(self) -> None:
        await self.shelf.book.expire(self.order, at=after(hours=self.random.choice([1, 30])))

    async def command(self) -> None:
        issued = await self.shelf.book.issue_command(
            self.order, command_type="X", payload={}, expires_at=after(hours=2), author=ADA, at=NOW
        )
        self.commands.append(issued.command.id)

    async def cancel(self) -> None:
        key = parse_id("cmd", self.random.choice(self.commands))
        await self.shelf.book.cancel_command(self.order, key, author=ADA, at=NOW)

    async def reject(self) -> None:
        await self.shelf.book.reject(self.order, [self.random.randrange(1, 30)], reason="no", at=NOW)

    async def report(self) -> None:
        """A handful of messages that are committed together, in an order that mixes their kinds."""
        messages = [
            BackupStatus(self.message_id(), BackupOutcome.SUCCESS),
            ConfigApplied(self.message_id(), 1, "h", ok=True),
            wish(self.message_id()),
            *(
                CommandResult(self.message_id(), self.random.choice(self.commands), CommandResultStatus.SUCCEEDED)
                for _ in range(2)
            ),
            ApprovalOutcomeReport(self.message_id(), self.random.choice(self.approvals), ApprovalOutcome.EXECUTED),
        ]
        self.random.shuffle(messages)
        async with trio.open_nursery() as nursery:
            for message in messages:
                nursery.start_soon(say, self.shelf, self.tenant, message)

    async def progress(self) -> None:
        state = await self.shelf.book.load(self.order)
        acked = self.random.randrange(state.issued_seq + 1)
        self.shelf.book.progress(Progress(self.order, state.issued_seq, acked, NOW))

    async def beat(self) -> None:
        self.shelf.book.beat(Beat(self.order, NOW, HeartbeatBody("ok"), "socket"))

    async def attach(self) -> None:
        attached = await self.shelf.book.attach(
            self.order, hello(), key_prefix=self.tenant.key_prefix, session_id="s", at=NOW
        )
        self.shelf.book.detach(self.order, attached.epoch)

    async def poll(self) -> None:
        await self.polling.heartbeat(self.order, HeartbeatBody("ok"), at=NOW)

    async def agents(self) -> None:
        change = self.random.choice([DeployAgent(role="it-admin"), RemoveAgent(agent="it-admin")])
        await self.shelf.book.change_agents(self.order, change, author=ADA, scope=ALL, at=NOW)

    async def renew(self) -> None:
        token = f"rt_{self.random.random()}"
        await self.shelf.issue_token(self.order, token, at=NOW)
        again = registration(token, self.tenant.key_prefix, instance_id=None)
        await self.shelf.book.register(self.order, again, author=ADA, at=NOW)


@pytest.mark.slow
async def test_a_bustle_of_everything_never_deadlocks(database_url: str) -> None:
    random = Random(20260315)
    async with Database.open(database_url, pool_size=10) as database:
        shelf = PostgresShelf(database)
        polling = PollingStore(database, heartbeat_seconds=30)
        houses = [Bustle(shelf, polling, await registered(shelf), random) for _ in range(3)]
        for house in houses:
            await house.ask()
            await house.command()

        async def one(deed: Callable[[], Awaitable[None]], turns: trio.CapacityLimiter) -> None:
            async with turns:
                with contextlib.suppress(*_REFUSALS):
                    await deed()

        turns = trio.CapacityLimiter(24)
        deeds = (
            *("ask", "settle", "settle", "expire", "command", "cancel", "reject", "report", "report"),
            *("progress", "progress", "beat", "attach", "poll", "agents", "renew"),
        )
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for _ in range(60):
                    for house in houses:
                        for name in random.sample(deeds, 10):
                            nursery.start_soon(one, getattr(house, name), turns)
    # A connection hands in its figures when it closes.
    async with Database.open(database_url, pool_size=2) as database:
        shelf = PostgresShelf(database)
        [stats] = await shelf.run("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert stats.deadlocks == 0
        for house in houses:
            state = await shelf.book.load(house.order)
            [numbers] = await shelf.run(
                "SELECT count(*) AS many, min(seq) AS low, max(seq) AS high FROM deliveries WHERE order_id = :o",
                o=house.order,
            )
            assert (numbers.low, numbers.high, numbers.many) == (1, state.issued_seq, state.issued_seq), "no holes"
            [settled] = await shelf.run(
                "SELECT count(*) AS ends, count(DISTINCT target) AS approvals FROM audit_entries"
                " WHERE customer_id = :c AND action IN ('approval.approved', 'approval.denied', 'approval.expired')",
                c=house.tenant.customer_id,
            )
            assert settled.ends == settled.approvals, "each ends once"
            [told] = await shelf.run(
                "SELECT count(*) AS promises, count(DISTINCT reference) AS approvals FROM deliveries"
                " WHERE order_id = :o AND kind = 'approvalSettled'",
                o=house.order,
            )
            assert told.promises == told.approvals == settled.ends, "each end is promised once"


async def test_one_bad_row_of_a_batch_harms_nobody_else(database_url: str) -> None:
    async with Database.open(database_url, pool_size=2) as database:
        shelf = PostgresShelf(database)
        tenants = [await registered(shelf) for _ in range(4)]
        taken: dict[int, str | None] = {}

        async def tell(number: int, detail: str) -> None:
            message = BackupStatus(f"m{number}", BackupOutcome.SUCCESS, detail=detail)
            answer = await shelf.book.take_now(Incoming(tenants[number % 4].order_id, message, NOW))
            taken[number] = answer.code

        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(tell, number, "a\0b" if number == 17 else "fine")
        assert {number for number, code in taken.items() if code is not None} == {17}
        assert taken[17] == "VALIDATION_ERROR"
        [kept] = await shelf.run("SELECT count(*) AS n FROM backup_reports")
        assert kept.n == 39
