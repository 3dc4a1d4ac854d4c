"""Two nodes push webhooks from one database: each promise goes out once at a time, and a dead node's claims run out."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import trio
from cryptography.fernet import Fernet
from sqlalchemy import Connection, text

from actors.runtime.ports import SystemRandomness
from controlplane.secret import Secret
from controlplane.services.sealing import Sealer
from controlplane.services.webhook_address import Addresses
from controlplane.services.webhook_client import WebhookClient
from controlplane.services.webhook_courier import AT_ONCE, LEASE, WebhookCourier
from controlplane.store.database import Database
from controlplane.store.webhook_carriers import Claim, WebhookStore
from tests.contract.shelves import ADA, PostgresShelf, Tenant, after, registered
from tests.end_to_end.hub_process import until
from tests.end_to_end.webhook_receiver import Receiver
from tests.people import SetClock

SEALER = Sealer([Secret(Fernet.generate_key().decode())])


@pytest.fixture
def shelf(database: Database) -> PostgresShelf:
    return PostgresShelf(database)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """Another node's connections to the same database."""
    async with Database.open(database_url, pool_size=4) as database:
        yield database


def store(shelf: PostgresShelf, database: Database) -> WebhookStore:
    return WebhookStore(database, ids=shelf.ids, heartbeat_seconds=30)


async def hooked(shelf: PostgresShelf, url: str = "https://t1.example") -> Tenant:
    """A tenant without a socket that takes webhooks, below its own path."""
    tenant = await registered(shelf)
    await shelf.run(
        "UPDATE server_connections SET safety_wrapper_url = :url, key_sealed = :key WHERE order_id = :o",
        url=f"{url}/{tenant.order_id}",
        key=SEALER.seal(b"hk_test"),
        o=tenant.order_id,
    )
    return tenant


async def promised(shelf: PostgresShelf, tenant: Tenant) -> None:
    await shelf.book.issue_command(
        tenant.order_id, command_type="PING", payload={}, expires_at=after(days=1), author=ADA, at=after()
    )


async def acked(shelf: PostgresShelf) -> list[tuple[int, int]]:
    return [tuple(row) for row in await shelf.run("SELECT issued_seq, acked_seq FROM server_connections")]


async def test_nodes_that_look_at_the_same_time_take_different_tenants(shelf: PostgresShelf, other: Database) -> None:
    for _ in range(24):
        await promised(shelf, await hooked(shelf))
    taken: list[Claim] = []

    async def look(node: WebhookStore) -> None:
        for _ in range(8):
            taken.extend(await node.claim(now=after(), lease=LEASE, most=4))

    async with trio.open_nursery() as nursery:
        for database in (shelf.database, other, shelf.database, other):
            nursery.start_soon(look, store(shelf, database))
    assert sorted(Counter(claim.order_id for claim in taken).values()) == [1] * 24


async def test_who_finds_others_quicker_comes_again_at_once_for_the_rest(shelf: PostgresShelf) -> None:
    node = store(shelf, shelf.database)
    assert await node.next_attempt_at(now=after()) is None
    for _ in range(2):
        await promised(shelf, await hooked(shelf))
    await node.claim(now=after(), lease=LEASE, most=1)
    assert await node.next_attempt_at(now=after()) == after()
    await node.claim(now=after(), lease=LEASE, most=1)
    assert await node.next_attempt_at(now=after()) == after() + LEASE


async def test_a_claim_is_anothers_when_it_has_run_out_and_its_old_holder_changes_nothing(
    shelf: PostgresShelf, other: Database
) -> None:
    first, second = store(shelf, shelf.database), store(shelf, other)
    tenant = await hooked(shelf)
    await promised(shelf, tenant)
    [claim] = await first.claim(now=after(), lease=LEASE, most=4)
    assert await second.claim(now=after(), lease=LEASE, most=4) == []
    errand = await first.next(claim, now=after(seconds=20), lease=LEASE)  # the lease begins anew with each promise
    assert errand is not None
    assert await second.next_attempt_at(now=after()) == after(seconds=20) + LEASE
    assert await second.claim(now=after(seconds=20) + LEASE - timedelta(seconds=1), lease=LEASE, most=4) == []

    now = after(seconds=20) + LEASE
    [later] = await second.claim(now=now, lease=LEASE, most=4)
    assert later.order_id == claim.order_id
    same = await second.next(later, now=now, lease=LEASE)
    assert same is not None
    assert (same.seq, same.attempts) == (errand.seq, 0)

    async def row() -> Any:
        return (await shelf.run("SELECT * FROM webhook_carriers"))[0]

    held = await row()
    await first.failed(errand, error="too late", next_attempt_at=now)
    await first.exhausted(errand, error="too late", now=now)
    await first.disabled(errand, error="too late", now=now)
    assert await first.next(claim, now=now, lease=LEASE) is None
    assert await row() == held
    assert await shelf.run("SELECT 1 FROM events WHERE kind LIKE 'server.webhooks%'") == []
    assert await first.delivered(errand, last_seq=None, now=now)  # it was taken, whoever's turn it is
    assert await second.next(same.claim, now=now, lease=LEASE) is None
    assert await acked(shelf) == [(errand.seq, errand.seq)]


@pytest.mark.parametrize(
    ("change", "claims"),
    [
        ("claim = NULL, claimed_until = NULL, disabled_at = now()", 0),
        ("claim = NULL, claimed_until = NULL, next_attempt_at = :later", 0),
        ("claim = NULL, claimed_until = NULL", 1),
    ],
    ids=["disabled", "failed", "let go"],
)
async def test_what_another_node_ends_while_a_claim_waits_counts(
    shelf: PostgresShelf, other: Database, change: str, claims: int
) -> None:
    tenant = await hooked(shelf)
    await promised(shelf, tenant)
    first, second = store(shelf, shelf.database), store(shelf, other)
    await first.claim(now=after(), lease=LEASE, most=1)
    now = after() + LEASE
    statement = text(f"UPDATE webhook_carriers SET {change}")
    values = {"later": now + LEASE} if ":later" in change else {}
    changed, soon = trio.Event(), trio.lowlevel.current_trio_token().run_sync_soon

    def end_the_try(connection: Connection) -> None:
        """Commit when the other node waits for this row."""
        connection.execute(statement, values)
        soon(changed.set)
        waiting = text("SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        for _ in range(2000):
            if connection.execute(waiting).scalar_one():
                return
            connection.execute(text("SELECT pg_sleep(0.01)"))
        raise AssertionError("the other node did not wait")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shelf.database.write, end_the_try)
        await changed.wait()
        taken = await second.claim(now=now, lease=LEASE, most=1)
    assert len(taken) == claims
    disabled = await shelf.run("SELECT 1 FROM webhook_carriers WHERE disabled_at IS NOT NULL")
    assert len(disabled) == ("disabled_at" in change)


async def test_two_nodes_push_everything_once_and_in_order(shelf: PostgresShelf, other: Database) -> None:
    async with Receiver.listening() as receiver:
        tenants = [await hooked(shelf, receiver.url) for _ in range(AT_ONCE + 8)]
        for _ in range(3):
            for tenant in tenants:
                await promised(shelf, tenant)
        receiver.hold = trio.Event()
        clock = SetClock()
        async with nodes(shelf, clock, shelf.database, other) as (one, two):
            await receiver.until(len(tenants))
            assert len({webhook.path for webhook in receiver.arrived}) == len(tenants)
            for _ in range(5):  # however often they look, nobody is pushed to twice
                one.poke()
                two.poke()
            receiver.hold.set()

            async def all_acknowledged() -> bool:
                return await acked(shelf) == [(3, 3)] * len(tenants)

            await until(all_acknowledged, what="every acknowledgement")
            assert one.figures["delivered"] + two.figures["delivered"] == 3 * len(tenants)
            assert min(one.figures["delivered"], two.figures["delivered"]) >= 3
        for tenant in tenants:
            mine = [webhook for webhook in receiver.arrived if str(tenant.order_id) in webhook.path]
            assert [webhook.headers["x-letsbe-id"] for webhook in mine] == ["dlv_1", "dlv_2", "dlv_3"]


async def test_a_node_that_dies_with_a_claim_leaves_it_after_the_lease(shelf: PostgresShelf, other: Database) -> None:
    async with Receiver.listening() as receiver:
        tenant = await hooked(shelf, receiver.url)
        await promised(shelf, tenant)
        clock = SetClock()
        receiver.hold = trio.Event()
        async with nodes(shelf, clock, shelf.database):
            await receiver.until(1)
        receiver.hold.set()
        survivor = store(shelf, other)
        clock.advance(seconds=LEASE.total_seconds() - 1)
        assert await survivor.claim(now=clock.now(), lease=LEASE, most=1) == []
        clock.advance(seconds=2)
        async with nodes(shelf, clock, other):
            await receiver.until(2)

            async def acknowledged() -> bool:
                return await acked(shelf) == [(1, 1)]

            await until(acknowledged, what="the acknowledgement")
        assert [webhook.headers["x-letsbe-id"] for webhook in receiver.arrived] == ["dlv_1", "dlv_1"]


@asynccontextmanager
async def nodes(shelf: PostgresShelf, clock: SetClock, *databases: Database) -> AsyncIterator[list[WebhookCourier]]:
    """Couriers at work; at the end they die with what they hold."""
    addresses = Addresses(private_allowed=False, loopback_allowed=True)
    couriers = [
        WebhookCourier(
            store(shelf, database),
            WebhookClient(addresses, clock),
            SEALER,
            clock=clock,
            randomness=SystemRandomness(),
        )
        for database in databases
    ]
    async with trio.open_nursery() as nursery:
        for courier in couriers:
            nursery.start_soon(courier.run)
        yield couriers
        nursery.cancel_scope.cancel()
