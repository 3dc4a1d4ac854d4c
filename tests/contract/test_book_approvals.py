"""The contract of approvals: asked once, settled once, expired at their time, told to the wrapper by a promise."""

from __future__ import annotations

import msgspec
import pytest
import trio

from actors.people import Scope
from protocol.faults import Conflict, NotFound
from protocol.ids import parse_id
from protocol.tenant import ApprovalOutcomeReport, ApprovalSettled, to_tenant
from protocol.words import ApprovalAction, ApprovalOutcome, ApprovalStatus, SettledAction
from tests.contract.shelves import (
    ADA,
    MARIA,
    NOW,
    Shelf,
    Tenant,
    after,
    asked,
    decide,
    order_name,
    registered,
    say,
    wish,
)


async def test_a_request_becomes_a_pending_approval_with_all_that_was_said(shelf: Shelf, tenant: Tenant) -> None:
    arguments = b'{"b": [1.50, "\\u0000", "\\u00e4"],  "a":{"x":1e2}}'
    taken = await say(shelf, tenant, wish("m1", arguments=arguments, expires_in_seconds=60))
    approval = taken.approval
    assert approval is not None
    assert (taken.code, taken.repeated) == (None, False)
    assert approval.status is ApprovalStatus.PENDING
    assert approval.order_id == order_name(tenant)
    assert (approval.requested_at, approval.expires_at) == (NOW, after(seconds=60))
    assert bytes(approval.tool_args) == arguments, "a person sees the very bytes the wrapper will run"
    assert approval.impact == "47 files, 2.3 GB"
    assert (approval.reason, approval.decided_by, approval.outcome, approval.settled_at) == (None, None, None, None)
    assert await shelf.approval(tenant, approval.id) == approval


async def test_the_wrappers_own_impact_comes_first(shelf: Shelf, tenant: Tenant) -> None:
    assert (await asked(shelf, tenant, impact="everything")).impact == "everything"
    assert (await asked(shelf, tenant, human_readable="Restart it")).impact is None


async def test_the_same_id_again_is_the_approval_it_made(shelf: Shelf, tenant: Tenant) -> None:
    first = await say(shelf, tenant, wish("m1"))
    again = await say(shelf, tenant, wish("m1"), at=after(hours=1))
    assert again.approval == first.approval
    assert (first.repeated, again.repeated) == (False, True)


async def test_ids_are_each_tenants_own(shelf: Shelf, tenant: Tenant) -> None:
    other = await registered(shelf)
    mine, theirs = await asked(shelf, tenant, message_id="m1"), await asked(shelf, other, message_id="m1")
    assert mine.id != theirs.id
    assert theirs.order_id == order_name(other)


@pytest.mark.parametrize(
    ("action", "status", "reason"),
    [
        (ApprovalAction.APPROVE, ApprovalStatus.APPROVED, None),
        (ApprovalAction.DENY, ApprovalStatus.DENIED, "not today"),
    ],
)
async def test_a_decision_is_kept_and_promised(
    shelf: Shelf, tenant: Tenant, action: ApprovalAction, status: ApprovalStatus, reason: str | None
) -> None:
    approval = await asked(shelf, tenant)
    settled = await decide(shelf, tenant, approval, action, at=after(seconds=5), reason=reason)
    assert (settled.approval.status, settled.approval.reason) == (status, reason)
    assert settled.approval.settled_at == after(seconds=5)
    assert settled.approval.decided_by is not None
    assert settled.approval.decided_by.name == MARIA.name
    assert settled.delivery is not None
    frame = to_tenant.decode(settled.delivery.frame)
    assert frame == ApprovalSettled(
        seq=1,
        approval_id=approval.id,
        request_id=approval.request_id,
        action=SettledAction(action.value),
        responded_by=MARIA.name,
        reason=reason,
        args_hash=approval.args_hash,
        settled_at=after(seconds=5),
    )
    assert await shelf.book.deliveries(tenant.order_id, after=0, limit=9, limit_bytes=10**6) == [settled.delivery]
    assert (await shelf.audit(tenant))[-1] == f"approval.{status.lower()}"


async def test_the_second_decision_loses_and_is_told_who_won(shelf: Shelf, tenant: Tenant) -> None:
    approval = await asked(shelf, tenant)
    won = await decide(shelf, tenant, approval, ApprovalAction.DENY)
    with pytest.raises(Conflict) as refused:
        await decide(shelf, tenant, approval, author=ADA)
    assert refused.value.details == won.approval
    assert await shelf.approval(tenant, approval.id) == won.approval


async def test_another_customers_approval_does_not_exist(shelf: Shelf, tenant: Tenant) -> None:
    approval, other = await asked(shelf, tenant), await registered(shelf)
    with pytest.raises(NotFound):
        await decide(shelf, tenant, approval, scope=Scope.customer(other.customer_id))
    with pytest.raises(NotFound):
        await decide(shelf, other, approval)
    assert (await decide(shelf, tenant, approval, scope=Scope.customer(tenant.customer_id))).delivery is not None


async def test_time_ends_exactly_at_the_expiry(shelf: Shelf, tenant: Tenant) -> None:
    approval = await asked(shelf, tenant, expires_in_seconds=60)
    just_before = await shelf.book.expire(tenant.order_id, at=after(seconds=60, microseconds=-1))
    assert (just_before.deliveries, just_before.next_due) == ([], after(seconds=60))
    with pytest.raises(Conflict):
        await decide(shelf, tenant, approval, at=after(seconds=60))
    expired = await shelf.book.expire(tenant.order_id, at=after(seconds=60))
    assert expired.next_due is None
    frame = to_tenant.decode(expired.deliveries[0].frame)
    assert (frame.action, frame.responded_by, frame.seq) == (SettledAction.EXPIRE, None, 1)
    kept = await shelf.approval(tenant, approval.id)
    assert (kept.status, kept.decided_by, kept.settled_at) == (ApprovalStatus.EXPIRED, None, after(seconds=60))
    assert (await shelf.book.expire(tenant.order_id, at=after(days=1))).deliveries == []
    assert (await shelf.audit(tenant)).count("approval.expired") == 1


async def test_a_decision_a_moment_before_the_expiry_counts(shelf: Shelf, tenant: Tenant) -> None:
    approval = await asked(shelf, tenant, expires_in_seconds=60)
    await decide(shelf, tenant, approval, at=after(seconds=60, microseconds=-1))
    assert (await shelf.book.expire(tenant.order_id, at=after(days=1))).deliveries == []


async def test_a_crowd_expires_in_bounded_bites(shelf: Shelf, tenant: Tenant) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(130):
            nursery.start_soon(lambda: asked(shelf, tenant, expires_in_seconds=1))
    first = await shelf.book.expire(tenant.order_id, at=after(hours=1))
    assert (len(first.deliveries), first.next_due) == (100, after(seconds=1))
    second = await shelf.book.expire(tenant.order_id, at=after(hours=1))
    assert (len(second.deliveries), second.next_due) == (30, None)
    assert [one.seq for one in first.deliveries + second.deliveries] == list(range(1, 131))


async def test_only_one_of_approve_deny_and_expire_wins(shelf: Shelf, tenant: Tenant) -> None:
    approvals = [await asked(shelf, tenant, expires_in_seconds=60) for _ in range(12)]
    won: dict[str, list[str]] = {approval.id: [] for approval in approvals}

    async def person(approval_id: str, action: ApprovalAction) -> None:
        approval = await shelf.approval(tenant, approval_id)
        try:
            await decide(shelf, tenant, approval, action, at=after(seconds=59))
        except Conflict as lost:
            winner = msgspec.convert(lost.details, type(approval)) if isinstance(lost.details, dict) else lost.details
            assert winner.status is not ApprovalStatus.PENDING
        else:
            won[approval_id].append(action)

    async def time() -> None:
        for delivery in (await shelf.book.expire(tenant.order_id, at=after(seconds=60))).deliveries:
            won[to_tenant.decode(delivery.frame).approval_id].append("expire")

    async with trio.open_nursery() as nursery:
        for position, approval in enumerate(approvals):
            nursery.start_soon(person, approval.id, ApprovalAction.APPROVE)
            nursery.start_soon(person, approval.id, ApprovalAction.DENY)
            if position == 5:
                nursery.start_soon(time)
    await time()
    assert all(len(winners) == 1 for winners in won.values()), won
    ends = [action for action in await shelf.audit(tenant) if action.startswith("approval.")]
    assert len(ends) == len(approvals)
    page = await shelf.book.deliveries(tenant.order_id, after=0, limit=99, limit_bytes=10**6)
    assert [one.seq for one in page] == list(range(1, 13))


async def test_the_outcome_is_told_once_and_only_of_what_was_settled(shelf: Shelf, tenant: Tenant) -> None:
    approval, other = await asked(shelf, tenant), await registered(shelf)
    report = ApprovalOutcomeReport("o1", approval.id, ApprovalOutcome.EXECUTED)
    assert (await say(shelf, tenant, report)).code == "NOT_FOUND"
    await decide(shelf, tenant, approval)
    assert (await say(shelf, tenant, report)).code == "NOT_FOUND", "a repeat gets its first verdict"
    assert (await say(shelf, other, msgspec.structs.replace(report, id="o2"))).code == "NOT_FOUND"
    assert (await say(shelf, tenant, msgspec.structs.replace(report, id="o3"), at=after(seconds=9))).code is None
    late = ApprovalOutcomeReport("o4", approval.id, ApprovalOutcome.FAILED, "too late")
    assert (await say(shelf, tenant, late)).code is None
    kept = await shelf.approval(tenant, approval.id)
    assert (kept.outcome, kept.outcome_detail, kept.outcome_at) == ("executed", None, after(seconds=9))
    nonsense = ApprovalOutcomeReport("o5", "appr_nonsense", ApprovalOutcome.FAILED)
    assert (await say(shelf, tenant, nonsense)).code == "NOT_FOUND"


async def test_an_approval_is_known_by_its_id_alone_to_nobody_else(shelf: Shelf, tenant: Tenant) -> None:
    with pytest.raises(NotFound):
        await shelf.book.settle(
            tenant.order_id,
            parse_id("appr", "appr_01hzzzzzzzzzzzzzzzzzzzzzzz"),
            action=ApprovalAction.DENY,
            reason=None,
            author=ADA,
            scope=Scope.everything(),
            at=NOW,
        )
