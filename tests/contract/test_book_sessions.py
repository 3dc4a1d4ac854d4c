"""The contract of registration, keys, sessions and configuration offers."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from actors.people import Author, Scope
from actors.ports import Attached, Progress
from actors.tenant.changes import DeployAgent, RemoveAgent, UpdateAgent
from protocol.faults import Conflict, Fault, NotFound, Unauthorized
from protocol.tenant import ConfigOffered, to_tenant
from tests.contract.shelves import (
    ADA,
    ALL,
    NOW,
    Shelf,
    Tenant,
    after,
    asked,
    decide,
    eventually,
    hello,
    registered,
    registration,
)

TENANT = Author("tenant", None, "registration")


async def register(
    shelf: Shelf, tenant: Tenant, token: str, key: str, machine: str | None = "one", **late: float
) -> str:
    wanted = registration(token, key, instance_id=machine)
    return await shelf.book.register(tenant.order_id, wanted, author=TENANT, at=after(**late))


async def attach(shelf: Shelf, tenant: Tenant, *, key: str | None = None, rival: int | None = None, **said: object):  # type: ignore[no-untyped-def]
    return await shelf.book.attach(
        tenant.order_id,
        hello(**said),
        key_prefix=key or tenant.key_prefix,
        session_id="session",
        at=NOW,
        rival_epoch=rival,
    )


async def test_a_token_works_once(shelf: Shelf) -> None:
    tenant = await shelf.open_order()
    assert not (await shelf.book.load(tenant.order_id)).registered
    await shelf.issue_token(tenant.order_id, "rt_1", at=NOW)
    await register(shelf, tenant, "rt_1", "a" * 12)
    assert (await shelf.book.load(tenant.order_id)).registered
    with pytest.raises(Unauthorized):
        await register(shelf, tenant, "rt_1", "b" * 12, machine="another")
    assert (await shelf.audit(tenant)).count("server.registered") == 1


async def test_the_same_machine_may_ask_again_until_the_key_is_used(shelf: Shelf) -> None:
    tenant = await shelf.open_order()
    await shelf.issue_token(tenant.order_id, "rt_1", at=NOW)
    first = await register(shelf, tenant, "rt_1", "a" * 12)
    assert await register(shelf, tenant, "rt_1", "b" * 12) == first, "the server stays the same"
    with pytest.raises(Unauthorized):
        await attach(shelf, tenant, key="a" * 12)
    await attach(shelf, tenant, key="b" * 12)
    with pytest.raises(Unauthorized):
        await register(shelf, tenant, "rt_1", "c" * 12)


async def test_a_machine_without_a_name_has_no_second_chance(shelf: Shelf) -> None:
    tenant = await shelf.open_order()
    await shelf.issue_token(tenant.order_id, "rt_1", at=NOW)
    await register(shelf, tenant, "rt_1", "a" * 12, machine=None)
    with pytest.raises(Unauthorized):
        await register(shelf, tenant, "rt_1", "b" * 12, machine=None)


async def test_revoking_takes_the_second_chance_as_well(shelf: Shelf) -> None:
    tenant = await shelf.open_order()
    await shelf.issue_token(tenant.order_id, "rt_1", at=NOW)
    await register(shelf, tenant, "rt_1", "a" * 12)
    await shelf.book.revoke_key(tenant.order_id, author=ADA, at=NOW)
    with pytest.raises(Unauthorized):
        await register(shelf, tenant, "rt_1", "b" * 12)
    assert (await shelf.book.load(tenant.order_id)).revoked


async def test_a_newer_token_voids_the_last_used_or_not(shelf: Shelf) -> None:
    tenant = await shelf.open_order()
    await shelf.issue_token(tenant.order_id, "rt_1", at=NOW)
    await register(shelf, tenant, "rt_1", "a" * 12)
    await shelf.issue_token(tenant.order_id, "rt_2", at=NOW)
    with pytest.raises(Unauthorized):
        await register(shelf, tenant, "rt_1", "b" * 12)
    await shelf.issue_token(tenant.order_id, "rt_3", at=NOW)
    with pytest.raises(Unauthorized):
        await register(shelf, tenant, "rt_2", "c" * 12)
    await register(shelf, tenant, "rt_3", "d" * 12, machine="two")


async def test_tokens_expire_and_belong_to_their_order(shelf: Shelf) -> None:
    tenant, other = await shelf.open_order(), await shelf.open_order()
    await shelf.issue_token(tenant.order_id, "rt_1", at=NOW)
    with pytest.raises(Unauthorized):
        await register(shelf, other, "rt_1", "a" * 12)
    with pytest.raises(Unauthorized):
        await register(shelf, tenant, "rt_1", "a" * 12, days=7)
    with pytest.raises(Unauthorized):
        await register(shelf, tenant, "rt_none", "a" * 12)
    await register(shelf, tenant, "rt_1", "a" * 12, days=6)


async def test_of_many_at_once_one_machine_registers(shelf: Shelf) -> None:
    tenant = await shelf.open_order()
    await shelf.issue_token(tenant.order_id, "rt_1", at=NOW)
    won: list[str] = []

    async def try_it(number: int) -> None:
        try:
            await register(shelf, tenant, "rt_1", f"{number:012d}", machine=f"machine-{number}")
        except Unauthorized:
            return
        won.append(f"{number:012d}")

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(try_it, number)
    assert len(won) == 1
    await attach(shelf, tenant, key=won[0])


async def test_each_session_has_a_higher_epoch(shelf: Shelf, tenant: Tenant) -> None:
    first, second = await attach(shelf, tenant), await attach(shelf, tenant)
    assert (first.epoch, second.epoch) == (1, 2)
    assert await shelf.connected(tenant)
    shelf.book.detach(tenant.order_id, first.epoch)
    shelf.book.detach(tenant.order_id, second.epoch)

    async def gone() -> bool:
        return not await shelf.connected(tenant)

    await eventually(gone)


async def test_an_older_sessions_end_does_not_end_the_newer(shelf: Shelf, tenant: Tenant) -> None:
    first = await attach(shelf, tenant)
    other = await registered(shelf)
    theirs = await attach(shelf, other)
    await attach(shelf, tenant)
    shelf.book.detach(tenant.order_id, first.epoch)
    shelf.book.detach(other.order_id, theirs.epoch)

    async def other_is_gone() -> bool:
        return not await shelf.connected(other)

    await eventually(other_is_gone)
    assert await shelf.connected(tenant)


async def test_only_the_key_that_counts_opens_a_session(shelf: Shelf, tenant: Tenant) -> None:
    nobody = await shelf.open_order()
    for refused in (attach(shelf, nobody, key="a" * 12), attach(shelf, tenant, key="of-before")):
        with pytest.raises(Unauthorized):
            await refused
    await shelf.book.revoke_key(tenant.order_id, author=ADA, at=NOW)
    with pytest.raises(Unauthorized):
        await attach(shelf, tenant)
    assert "server.key_revoked" in await shelf.audit(tenant)
    with pytest.raises(NotFound):
        await shelf.book.revoke_key(nobody.order_id, author=ADA, at=NOW)


async def test_staff_read_of_a_key_used_twice(shelf: Shelf, tenant: Tenant) -> None:
    await attach(shelf, tenant)
    assert "server.key_used_twice" not in await shelf.audit(tenant)
    await attach(shelf, tenant, rival=1)
    assert (await shelf.audit(tenant)).count("server.key_used_twice") == 1


async def test_what_hello_says_is_an_acknowledgement(shelf: Shelf, tenant: Tenant) -> None:
    await attach(shelf, tenant)
    issued = await shelf.book.issue_command(
        tenant.order_id, command_type="RESTART", payload={}, expires_at=after(hours=1), author=ADA, at=NOW
    )
    resumed = await attach(shelf, tenant, last_seq=issued.delivery.seq, config_version=1)
    assert (resumed.issued_seq, resumed.acked_seq) == (2, 2)
    assert (await shelf.command(tenant, issued.command.id)).status == "ACKNOWLEDGED"
    lost_its_journal = await attach(shelf, tenant, last_seq=0, config_version=1)
    assert lost_its_journal.acked_seq == 2, "what was acknowledged stays so"


async def test_of_many_who_say_hello_at_once_each_has_its_own_answer(shelf: Shelf) -> None:
    tenants = [await registered(shelf) for _ in range(8)]
    for tenant in tenants:
        await attach(shelf, tenant)
    issued = await shelf.book.issue_command(
        tenants[1].order_id, command_type="RESTART", payload={}, expires_at=after(hours=1), author=ADA, at=NOW
    )
    await shelf.book.revoke_key(tenants[5].order_id, author=ADA, at=NOW)
    said: list[dict[str, Any]] = [{"last_seq": 1, "config_version": 1} for _ in tenants]
    said[1]["last_seq"] = issued.delivery.seq
    said[2]["last_seq"] = 7  # never promised
    said[3]["config_version"] = 0
    said[4]["rival"] = 1
    said[6]["key"] = "of-before"
    came: dict[int, Attached | Fault] = {}

    async def come(number: int) -> None:
        try:
            came[number] = await attach(shelf, tenants[number], **said[number])
        except Fault as fault:
            came[number] = fault

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(come, number)
    assert {number for number, one in came.items() if isinstance(one, Unauthorized)} == {5, 6}
    assert isinstance(came[2], Conflict)
    plain = Attached(epoch=2, issued_seq=1, acked_seq=1, config_version=1)
    assert [came[number] for number in (0, 4, 7)] == [plain] * 3
    assert came[1] == Attached(epoch=2, issued_seq=2, acked_seq=2, config_version=1)
    assert came[3] == plain, "the offer it has only just journalled was on its way"
    assert (await shelf.command(tenants[1], issued.command.id)).status == "ACKNOWLEDGED"
    assert "server.key_used_twice" in await shelf.audit(tenants[4])
    assert [(await shelf.book.load(one.order_id)).acked_seq for one in tenants] == [1, 2, 0, 1, 1, 0, 0, 1]
    assert (await attach(shelf, tenants[2], last_seq=1)).epoch == 2, "a refused hello takes no session"


async def test_hello_cannot_know_what_was_never_promised(shelf: Shelf, tenant: Tenant) -> None:
    with pytest.raises(Conflict):
        await attach(shelf, tenant, last_seq=1)  # the first offer is only made by this very hello
    assert (await attach(shelf, tenant)).epoch == 1, "a refused hello takes no session"
    with pytest.raises(Conflict):
        await attach(shelf, tenant, last_seq=2**62)


async def test_a_configuration_is_offered_until_the_wrapper_has_it(shelf: Shelf, tenant: Tenant) -> None:
    first = await attach(shelf, tenant)
    assert (first.issued_seq, first.config_version) == (1, 1)
    assert (await attach(shelf, tenant)).issued_seq == 1, "an offer on its way is not made twice"
    [offer] = await shelf.book.deliveries(tenant.order_id, after=0, limit=9, limit_bytes=1)
    frame = to_tenant.decode(offer.frame)
    assert isinstance(frame, ConfigOffered)
    known = {"config_version": 1, "config_hash": frame.config_hash, "last_seq": 1}
    assert (await attach(shelf, tenant, **known)).issued_seq == 1
    assert (await attach(shelf, tenant, **(known | {"config_hash": "another"}))).issued_seq == 2
    journalled = await attach(shelf, tenant, config_version=0, last_seq=2)
    assert journalled.issued_seq == 2, "the offer it has only just journalled was on its way"
    assert (await attach(shelf, tenant, config_version=0, last_seq=2)).issued_seq == 3, "it lost its configuration"


async def test_a_change_of_agents_offers_anew_and_voids_the_older_offer(shelf: Shelf, tenant: Tenant) -> None:
    await attach(shelf, tenant)
    deployed = await shelf.book.change_agents(
        tenant.order_id, DeployAgent(role="it-admin"), author=ADA, scope=ALL, at=NOW
    )
    assert deployed.config_version == 2
    assert deployed.delivery is not None
    page = await shelf.book.deliveries(tenant.order_id, after=0, limit=9, limit_bytes=10**7)
    assert [(one.seq, one.kind) for one in page] == [(1, "void"), (2, "configOffered")]
    frame = to_tenant.decode(page[1].frame)
    assert [agent.agent_id for agent in frame.config.agents] == ["it-admin"]
    same = UpdateAgent(agent="it-admin", name=deployed.agent.name)
    unchanged = await shelf.book.change_agents(tenant.order_id, same, author=ADA, scope=ALL, at=NOW)
    assert (unchanged.config_version, unchanged.delivery) == (2, None)
    removed = await shelf.book.change_agents(
        tenant.order_id, RemoveAgent(agent="it-admin"), author=ADA, scope=ALL, at=NOW
    )
    assert (removed.config_version, removed.agent.is_active) == (3, False)


async def test_another_customers_agents_do_not_exist(shelf: Shelf, tenant: Tenant) -> None:
    other = await registered(shelf)
    with pytest.raises(NotFound):
        await shelf.book.change_agents(
            tenant.order_id,
            DeployAgent(role="it-admin"),
            author=ADA,
            scope=Scope.customer(other.customer_id),
            at=NOW,
        )


async def test_marks_only_rise_and_never_beyond_what_was_promised(shelf: Shelf, tenant: Tenant) -> None:
    for _ in range(2):
        await decide(shelf, tenant, await asked(shelf, tenant))
    for acked in (1, 0, 99):
        shelf.book.progress(Progress(tenant.order_id, 2, acked, NOW))
        expected = min(2, max(1, acked))

        async def reached(expected: int = expected) -> bool:
            return (await shelf.book.load(tenant.order_id)).acked_seq == expected

        await eventually(reached)


async def test_a_page_is_bounded_by_number_and_bytes_but_never_empty(shelf: Shelf, tenant: Tenant) -> None:
    for _ in range(5):
        await decide(shelf, tenant, await asked(shelf, tenant))
    order = tenant.order_id
    whole = await shelf.book.deliveries(order, after=0, limit=99, limit_bytes=10**6)
    assert [one.seq for one in whole] == [1, 2, 3, 4, 5]
    assert await shelf.book.deliveries(order, after=0, limit=2, limit_bytes=10**6) == whole[:2]
    assert await shelf.book.deliveries(order, after=3, limit=99, limit_bytes=1) == whole[3:4]
    two = len(whole[0].frame) + len(whole[1].frame)
    assert await shelf.book.deliveries(order, after=0, limit=99, limit_bytes=two) == whole[:2]
    assert await shelf.book.deliveries(order, after=5, limit=99, limit_bytes=10**6) == []
