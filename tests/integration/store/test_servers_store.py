"""Servers and keys on the real database: whose key it is, the list, and what usage reports add up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
import trio

from actors.people import Author, Scope
from actors.ports import Registered
from actors.runtime.ports import SystemRandomness
from controlplane.secret import hash_of
from controlplane.store.approvals import ApprovalStore
from controlplane.store.commands import CommandStore
from controlplane.store.database import Database
from controlplane.store.servers import ServerStore, prefix_of
from protocol.faults import NotFound, Unauthorized
from protocol.ids import CommandId, ServerId, format_id
from protocol.objects import UsageBucket
from protocol.tenant import Usage
from protocol.words import ApprovalStatus
from tests.contract.shelves import (
    ADA,
    ALL,
    NOW,
    PostgresShelf,
    Tenant,
    after,
    asked,
    decide,
    order_name,
    registered,
    say,
)

HOUR = datetime(2026, 3, 15, 13, tzinfo=UTC)


class Sealed:
    """Seals nothing."""

    def seal(self, value: bytes) -> bytes:
        return value[::-1]


@pytest.fixture
def shelf(database: Database) -> PostgresShelf:
    return PostgresShelf(database)


@pytest.fixture
def store(shelf: PostgresShelf) -> ServerStore:
    return ServerStore(shelf.database, ids=shelf.ids, randomness=SystemRandomness(), heartbeat_seconds=30)


async def with_key(shelf: PostgresShelf, store: ServerStore) -> tuple[Tenant, str]:
    tenant = await shelf.open_order()
    issued = await store.issue_token(order_name(tenant), author=ADA, at=NOW)
    assert issued.expires_at == NOW + timedelta(days=7)
    assert await store.order_of_token(issued.registration_token) == order_name(tenant)
    key = store.new_key()
    wanted: Registered = store.registration(
        token=issued.registration_token, instance_id="one", wrapper_url=None, key=key, seals=Sealed()
    )
    await shelf.book.register(tenant.order_id, wanted, author=Author("tenant", None, "r"), at=NOW)
    return tenant, key


async def test_a_key_names_its_holder_and_its_use_is_noted_once(shelf: PostgresShelf, store: ServerStore) -> None:
    tenant, key = await with_key(shelf, store)
    holder = await store.holder(key, at=NOW)
    assert (holder.order_id, holder.customer_id, holder.used) == (tenant.order_id, tenant.customer_id, False)
    assert (await store.holder(key, at=after(hours=1))).used
    [row] = await shelf.run("SELECT key_first_used_at, key_hash, key_sealed FROM server_connections")
    assert row.key_first_used_at == NOW
    assert row.key_hash == hash_of(key)
    assert key.encode() not in (row.key_hash, row.key_sealed)


@pytest.mark.parametrize(
    "spoil", [lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"), lambda key: key + "0", str.upper]
)
async def test_a_wrong_secret_is_nobodys(shelf: PostgresShelf, store: ServerStore, spoil: object) -> None:
    _, key = await with_key(shelf, store)
    with pytest.raises(Unauthorized):
        await store.holder(spoil(key), at=NOW)  # type: ignore[operator]


@pytest.mark.parametrize(
    "key", ["", "hk_", "hk__", "hk_a_b", "hk_" + "é" * 12 + "_x", "sk_" + "a" * 12 + "_x", "x" * 10_000]
)
async def test_what_is_no_key_asks_no_database_more_than_once(store: ServerStore, key: str) -> None:
    with pytest.raises(Unauthorized):
        await store.holder(key, at=NOW)


def test_the_public_part_of_a_key() -> None:
    assert prefix_of("hk_abcdef012345_secret") == "abcdef012345"
    assert prefix_of("hk_short_secret") is None


async def test_a_revoked_key_opens_nothing(shelf: PostgresShelf, store: ServerStore) -> None:
    tenant, key = await with_key(shelf, store)
    await shelf.book.revoke_key(tenant.order_id, author=ADA, at=NOW)
    with pytest.raises(Unauthorized, match="revoked"):
        await store.holder(key, at=NOW)


async def test_registration_fulfils_the_order_and_says_so_once(shelf: PostgresShelf, store: ServerStore) -> None:
    tenant, _ = await with_key(shelf, store)
    assert (await shelf.run("SELECT status FROM orders"))[0].status == "FULFILLED"
    assert (await shelf.audit(tenant)).count("order.fulfilled") == 1


async def test_the_list_is_newest_first_and_paged(shelf: PostgresShelf, store: ServerStore) -> None:
    tenants = [await registered(shelf) for _ in range(5)]
    await asked(shelf, tenants[0])
    await decide(shelf, tenants[0], await asked(shelf, tenants[0]))
    first, total = await store.page(page=1, page_size=3, now=NOW)
    rest, _ = await store.page(page=2, page_size=3, now=NOW)
    assert (len(first), len(rest), total) == (3, 2, 5)
    assert len({server.id for server in first + rest}) == 5
    [asking] = [one for one in first + rest if one.order_id == order_name(tenants[0])]
    assert (asking.pending_approvals, asking.unacknowledged, asking.presence) == (1, 1, "offline")
    assert await store.page(page=9, page_size=3, now=NOW) == ([], 5)


@pytest.mark.parametrize("name", ["srv_nonsense", "srv_01hzzzzzzzzzzzzzzzzzzzzzzz", "ord_01hzzzzzzzzzzzzzzzzzzzzzzz"])
async def test_a_server_nobody_has(store: ServerStore, name: str) -> None:
    with pytest.raises(NotFound):
        await store.get(ServerId(name), now=NOW)


# --- lists of commands and approvals -------------------------------------------------------------------------


async def test_commands_belong_to_their_server(shelf: PostgresShelf) -> None:
    mine, theirs = await registered(shelf), await registered(shelf)
    store = CommandStore(shelf.database)
    ids = {}
    for tenant in (mine, theirs):
        for number in range(3):
            issued = await shelf.book.issue_command(
                tenant.order_id,
                command_type=f"T{number}",
                payload=None,
                expires_at=after(hours=1),
                author=ADA,
                at=after(seconds=number),
            )
            ids.setdefault(tenant.order_id, (issued.command.server_id, []))[1].append(issued.command.id)
    server, commands = ids[mine.order_id]
    found, total = await store.page(server, page=1, page_size=2)
    assert ([one.type for one in found], total) == (["T2", "T1"], 3)
    assert (await store.get(server, commands[0])).type == "T0"
    with pytest.raises(NotFound):
        await store.get(server, ids[theirs.order_id][1][0])
    with pytest.raises(NotFound):
        await store.get(server, CommandId("cmd_nonsense"))


async def test_approvals_are_listed_by_status_owner_and_order(shelf: PostgresShelf) -> None:
    mine, theirs = await registered(shelf), await registered(shelf)
    store = ApprovalStore(shelf.database, waiting=shelf.waiting)
    pending = [await asked(shelf, mine, at=after(seconds=number)) for number in range(3)]
    foreign = await asked(shelf, theirs)
    done = (await decide(shelf, mine, await asked(shelf, mine))).approval

    async def listed(scope: Scope = ALL, status: ApprovalStatus = ApprovalStatus.PENDING, **more: object) -> list[str]:
        found, total = await store.page(scope=scope, status=status, page=1, page_size=10, **more)  # type: ignore[arg-type]
        assert total == len(found)
        return [one.id for one in found]

    newest_first = [one.id for one in reversed(pending)]
    assert await listed() == [*newest_first[:2], *sorted((newest_first[2], foreign.id), reverse=True)]
    assert await listed(Scope.customer(mine.customer_id)) == newest_first
    assert await listed(order_id=order_name(theirs)) == [foreign.id]
    assert await listed(Scope.customer(mine.customer_id), order_id=order_name(theirs)) == []
    assert await listed(status=ApprovalStatus.APPROVED) == [done.id]
    found, total = await store.page(scope=ALL, status=ApprovalStatus.PENDING, page=2, page_size=3)
    assert (len(found), total) == (1, 4)
    with pytest.raises(NotFound):
        await store.get(foreign.id, scope=Scope.customer(mine.customer_id))


# --- usage ---------------------------------------------------------------------------------------------------


def bucket(hour: int = 0, *, revision: int = 0, tokens: int = 1, agent: str = "a") -> UsageBucket:
    return UsageBucket(agent, "m", HOUR - timedelta(hours=hour), tokens_input=tokens, revision=revision)


async def total(shelf: PostgresShelf) -> int:
    return int((await shelf.run("SELECT coalesce(sum(tokens_input), 0) AS n FROM token_usage_buckets"))[0].n)


async def test_every_bucket_sent_three_times_in_any_order_counts_once(shelf: PostgresShelf) -> None:
    tenants = [await registered(shelf) for _ in range(2)]
    random = Random(7)
    reports = [(tenant, bucket(hour, tokens=hour + 1)) for tenant in tenants for hour in range(30)] * 3
    random.shuffle(reports)
    async with trio.open_nursery() as nursery:
        for number, (tenant, one) in enumerate(reports):
            nursery.start_soon(say, shelf, tenant, Usage(f"u{number}", [one]))
    assert await total(shelf) == 2 * sum(range(1, 31))


async def test_only_a_higher_revision_replaces(shelf: PostgresShelf) -> None:
    tenant = await registered(shelf)
    for number, (revision, tokens, expected) in enumerate(((1, 10, 10), (1, 99, 10), (0, 99, 10), (2, 7, 7))):
        await say(shelf, tenant, Usage(f"u{number}", [bucket(revision=revision, tokens=tokens)]))
        assert await total(shelf) == expected
    await say(shelf, tenant, Usage("twice", [bucket(revision=4, tokens=1), bucket(revision=5, tokens=2)]))
    assert await total(shelf) == 2


@pytest.mark.parametrize(
    "bad",
    [
        UsageBucket("a", "m", HOUR + timedelta(minutes=1)),
        UsageBucket("a", "m", NOW + timedelta(hours=2)),
        UsageBucket("a", "m", datetime(2019, 12, 31, 23, tzinfo=UTC)),
        UsageBucket("", "m", HOUR),
        UsageBucket("a", "m" * 201, HOUR),
        UsageBucket("a", "m", HOUR, revision=2**31),
        UsageBucket("a", "m", HOUR, tokens_output=2**63),
        UsageBucket("a", "m", HOUR, cost_cents=2**70),
    ],
)
async def test_a_bad_bucket_spoils_its_report_for_good(shelf: PostgresShelf, bad: UsageBucket) -> None:
    tenant = await registered(shelf)
    report = Usage("u1", [bucket(), bad])
    first = await say(shelf, tenant, report)
    again = await say(shelf, tenant, report)
    assert (first.code, first.temporary, again.code, again.reason) == (
        "VALIDATION_ERROR",
        False,
        first.code,
        first.reason,
    )
    assert await total(shelf) == 0


async def test_the_largest_numbers_fit(shelf: PostgresShelf) -> None:
    tenant = await registered(shelf)
    largest = UsageBucket("a", "m", HOUR, tokens_input=2**62, cost_cents=2**62, revision=2**31 - 1)
    assert (await say(shelf, tenant, Usage("u1", [largest]))).code is None
    assert format_id("ord", tenant.order_id) == order_name(tenant)
