"""A decision on PostgreSQL: what is remembered of approvals spares a statement, and never decides anything."""

from __future__ import annotations

import pytest

from actors.people import Scope
from controlplane.store.approvals import ApprovalStore
from controlplane.store.database import Database
from controlplane.store.waiting_approvals import WaitingApprovals
from protocol.faults import Conflict, NotFound
from protocol.ids import ApprovalId, format_id
from protocol.tenant import to_tenant
from protocol.words import ApprovalAction, ApprovalStatus
from tests.contract.shelves import (
    ALL,
    MARIA,
    PostgresShelf,
    Tenant,
    after,
    asked,
    decide,
    order_name,
    registered,
)


@pytest.fixture
def shelf(database: Database) -> PostgresShelf:
    return PostgresShelf(database)


@pytest.fixture
def elsewhere(database: Database) -> PostgresShelf:
    """Another node on the same database."""
    return PostgresShelf(database)


@pytest.fixture
async def tenant(shelf: PostgresShelf) -> Tenant:
    return await registered(shelf)


async def pending(shelf: PostgresShelf, tenant: Tenant, approval_id: str) -> bool:
    return (await shelf.approval(tenant, approval_id)).status is ApprovalStatus.PENDING


async def test_a_decision_is_one_statement_where_the_approval_was_asked_for_here(
    shelf: PostgresShelf, elsewhere: PostgresShelf, tenant: Tenant
) -> None:
    here, there = await asked(shelf, tenant, message_id="m1"), await asked(elsewhere, tenant, message_id="m2")
    before = shelf.database.stats.ended
    warm = await decide(shelf, tenant, here, at=after(seconds=5), reason="go")
    assert shelf.database.stats.ended == before + 1
    cold = await decide(shelf, tenant, there, at=after(seconds=5), reason="go")
    assert shelf.database.stats.ended == before + 3, "what was asked for elsewhere is read first"
    assert warm.delivery is not None
    assert cold.delivery is not None
    first, second = to_tenant.decode(warm.delivery.frame), to_tenant.decode(cold.delivery.frame)
    names = ("action", "responded_by", "reason", "args_hash", "settled_at")
    assert [getattr(first, name) for name in names] == [getattr(second, name) for name in names]
    for settled in (warm, cold):
        assert await shelf.approval(tenant, settled.approval.id) == settled.approval


async def test_what_another_node_has_decided_is_a_conflict_and_is_told(
    shelf: PostgresShelf, elsewhere: PostgresShelf, tenant: Tenant
) -> None:
    approval = await asked(shelf, tenant)
    settled = await decide(elsewhere, tenant, approval, ApprovalAction.DENY, reason="not today")
    assert shelf.waiting.find(approval.id, scope=ALL) is not None, "this node has not heard of it"
    for _ in range(2):
        with pytest.raises(Conflict, match=f"already denied by {MARIA.name}") as lost:
            await decide(shelf, tenant, approval)
        assert lost.value.details == settled.approval
        assert shelf.waiting.find(approval.id, scope=ALL) is None


async def test_what_has_expired_elsewhere_is_a_conflict(
    shelf: PostgresShelf, elsewhere: PostgresShelf, tenant: Tenant
) -> None:
    approval = await asked(shelf, tenant, expires_in_seconds=60)
    await elsewhere.book.expire(tenant.order_id, at=after(seconds=60))
    for at in (after(seconds=59), after(seconds=60)):
        with pytest.raises(Conflict, match="expired") as lost:
            await decide(shelf, tenant, approval, at=at)
        assert lost.value.details.status is ApprovalStatus.EXPIRED  # type: ignore[union-attr]


async def test_the_statement_itself_demands_owner_and_order(shelf: PostgresShelf, tenant: Tenant) -> None:
    other = await registered(shelf)
    approval = await asked(shelf, tenant)
    shelf.waiting.forget(approval.id)
    shelf.waiting.remember(approval, other.customer_id)  # as wrong as a memory can be
    with pytest.raises(NotFound, match=f"approval {approval.id} does not exist"):
        await decide(shelf, tenant, approval, scope=Scope.customer(other.customer_id))
    shelf.waiting.remember(approval, other.customer_id)
    with pytest.raises(NotFound, match=f"approval {approval.id} does not exist"):
        await decide(shelf, other, approval)
    assert await pending(shelf, tenant, approval.id)
    assert await shelf.audit(tenant) == await shelf.audit(other)


async def test_a_foreign_approval_is_looked_for_as_an_unknown_one(shelf: PostgresShelf, tenant: Tenant) -> None:
    other = await registered(shelf)
    approval = await asked(shelf, tenant)
    store = ApprovalStore(shelf.database, waiting=shelf.waiting)
    unknown = ApprovalId(format_id("appr", shelf.ids.uuid7()))
    for approval_id in (approval.id, unknown):
        before = shelf.database.stats.ended
        with pytest.raises(NotFound, match=f"approval {approval_id} does not exist"):
            await store.order_of(approval_id, scope=Scope.customer(other.customer_id))
        assert shelf.database.stats.ended == before + 1
    before = shelf.database.stats.ended
    assert await store.order_of(approval.id, scope=Scope.customer(tenant.customer_id)) == order_name(tenant)
    assert shelf.database.stats.ended == before


async def test_what_is_read_is_remembered_as_long_as_it_waits(shelf: PostgresShelf, tenant: Tenant) -> None:
    store = ApprovalStore(shelf.database, waiting=shelf.waiting)
    made = [await asked(shelf, tenant) for _ in range(3)]
    for approval in made:
        shelf.waiting.forget(approval.id)
    await store.get(made[0].id, scope=ALL)
    assert len(shelf.waiting) == 1
    await store.page(scope=ALL, status=ApprovalStatus.PENDING, page=1, page_size=10)
    assert [shelf.waiting.find(one.id, scope=Scope.customer(tenant.customer_id)) for one in made] == made
    settled = await decide(PostgresShelf(shelf.database), tenant, made[0])
    assert await store.get(made[0].id, scope=ALL) == settled.approval
    assert len(shelf.waiting) == 2


async def test_a_memory_has_bounds(shelf: PostgresShelf, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [await asked(shelf, tenant) for _ in range(4)]
    size_bytes = sum(len(text) for text in (bytes(made[0].tool_args), made[0].human_readable, made[0].impact or ""))
    for name, bound in (("MOST", 3), ("MOST_BYTES", 3 * size_bytes)):
        with monkeypatch.context() as patched:
            patched.setattr(f"controlplane.store.waiting_approvals.{name}", bound)
            waiting = WaitingApprovals()
            for approval in [*made, *made[1:]]:
                waiting.remember(approval, tenant.customer_id)
            assert [waiting.find(one.id, scope=ALL) for one in made] == [None, *made[1:]]
            waiting.forget(made[1].id)
            waiting.remember(made[0], tenant.customer_id)
            assert [waiting.find(one.id, scope=ALL) for one in made] == [made[0], None, *made[2:]]
