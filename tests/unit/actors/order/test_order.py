"""The order: its lifecycle's steps, who may follow whom, its automation mode, and an order nobody has."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio

from actors.order.lifecycle import NEXT, STEPS, may_follow
from actors.order.messages import CancelOrder, ChangeAutomation, MoveOrder
from actors.people import Author
from actors.root import order_of, tenant_of
from actors.runtime import ActorSystem
from actors.runtime.ref import Ref
from controlplane.store.versions import version_of
from protocol.faults import Conflict, NotFound, Overloaded
from protocol.ids import OrderId
from protocol.words import AutomationMode, OrderStatus
from tests.fakes.order_book import FakeOrderBook

ADA = Author("staff", "stf_ada", "Ada")
S = OrderStatus


def an_order(system: ActorSystem, book: FakeOrderBook, status: OrderStatus = S.PAYMENT_CONFIRMED) -> Ref:
    return order_of(system, book.open_order(system.ids.uuid7(), status=status, at=system.clock.now()).id)


def test_the_way_leads_step_by_step_to_a_running_server() -> None:
    assert STEPS[0] is S.PAYMENT_CONFIRMED
    assert STEPS[-1] is S.FULFILLED
    assert all(may_follow(now, then) for now, then in pairwise(STEPS))
    assert not may_follow(S.PAYMENT_CONFIRMED, S.SERVER_READY)
    assert not may_follow(S.DNS_READY, S.DNS_PENDING)
    assert set(NEXT) == set(OrderStatus)


def test_a_failed_order_resumes_a_cancelled_one_does_not() -> None:
    assert all(may_follow(step, S.FAILED) for step in STEPS[:-1])
    assert not may_follow(S.FULFILLED, S.FAILED)
    for failed in STEPS[:-1]:
        goes_on = [status for status in OrderStatus if may_follow(S.FAILED, status, failed_step=failed)]
        assert goes_on == sorted({failed, S.CANCELLED}, key=list(OrderStatus).index)
    assert not any(may_follow(now, S.DNS_READY, failed_step=S.DNS_READY) for now in (S.FULFILLED, S.AWAITING_SERVER))
    assert not any(may_follow(S.CANCELLED, status) for status in OrderStatus)
    assert all(may_follow(status, S.CANCELLED) for status in OrderStatus if status is not S.CANCELLED)


async def test_an_order_moves(system: ActorSystem, book: FakeOrderBook) -> None:
    ref = an_order(system, book)
    assert (await ref.ask(MoveOrder(S.AWAITING_SERVER, ADA))).status is S.AWAITING_SERVER
    with pytest.raises(Conflict) as refused:
        await ref.ask(MoveOrder(S.FULFILLED, ADA))
    assert refused.value.details.status is S.AWAITING_SERVER
    assert [action for action, _ in book.audit] == ["order.awaiting_server"]


async def test_a_failed_order_goes_on_where_it_failed(system: ActorSystem, book: FakeOrderBook) -> None:
    ref = an_order(system, book, S.DNS_PENDING)
    assert (await ref.ask(MoveOrder(S.FAILED, ADA))).failed_step is S.DNS_PENDING
    with pytest.raises(Conflict):
        await ref.ask(MoveOrder(S.DNS_READY, ADA))
    resumed = await ref.ask(MoveOrder(S.DNS_PENDING, ADA))
    assert (resumed.status, resumed.failed_step) == (S.DNS_PENDING, None)


async def test_a_paused_order_stays_where_it_is_unless_it_fails_or_is_cancelled(
    system: ActorSystem, book: FakeOrderBook
) -> None:
    ref = an_order(system, book)
    await ref.ask(ChangeAutomation(AutomationMode.PAUSED, ADA))
    with pytest.raises(Conflict, match="is paused"):
        await ref.ask(MoveOrder(S.AWAITING_SERVER, ADA))
    assert (await ref.ask(MoveOrder(S.FAILED, ADA))).status is S.FAILED
    with pytest.raises(Conflict, match="is paused"):
        await ref.ask(MoveOrder(S.PAYMENT_CONFIRMED, ADA))
    assert (await ref.ask(CancelOrder(ADA))).status is S.CANCELLED
    with pytest.raises(Conflict, match="cancelled already"):
        await ref.ask(CancelOrder(ADA))
    with pytest.raises(Conflict, match="is cancelled"):
        await ref.ask(ChangeAutomation(AutomationMode.AUTO, ADA))


async def test_who_saw_an_older_order_changes_nothing(system: ActorSystem, book: FakeOrderBook) -> None:
    ref = an_order(system, book)
    [order] = book.orders.values()
    seen = version_of(order)
    await ref.ask(ChangeAutomation(AutomationMode.MANUAL, ADA, seen))
    for message in (ChangeAutomation(AutomationMode.AUTO, ADA, seen), CancelOrder(ADA, seen)):
        with pytest.raises(Conflict, match="changed meanwhile"):
            await ref.ask(message)
    [order] = book.orders.values()
    assert (order.automation_mode, order.status) == (AutomationMode.MANUAL, S.PAYMENT_CONFIRMED)


async def test_moves_at_once_are_made_one_after_another(system: ActorSystem, book: FakeOrderBook) -> None:
    ref = an_order(system, book)
    ends: list[str] = []

    async def move() -> None:
        try:
            ends.append((await ref.ask(MoveOrder(S.AWAITING_SERVER, ADA))).status)
        except Conflict:
            ends.append("refused")

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(move)
    assert sorted(ends) == ["AWAITING_SERVER", *["refused"] * 4]


async def test_the_mode_is_kept_and_explained(system: ActorSystem, book: FakeOrderBook) -> None:
    ref = an_order(system, book)
    assert (await ref.ask(ChangeAutomation(AutomationMode.PAUSED, ADA))).automation_mode is AutomationMode.PAUSED
    seen = system.explain(ref.path)
    assert seen is not None
    assert seen.extra == {"status": "PAYMENT_CONFIRMED", "automationMode": "PAUSED"}
    assert book.audit == [("order.automation_changed", ADA)]


async def test_an_order_nobody_has_is_not_found_and_leaves_nothing(system: ActorSystem) -> None:
    ref = order_of(system, OrderId("ord_01hzzzzzzzzzzzzzzzzzzzzzzz"))
    with pytest.raises(NotFound):
        await ref.ask(ChangeAutomation(AutomationMode.AUTO, ADA))
    await trio.sleep(5)
    assert list(system.living("order")) == []
    assert system.crashes() == []


async def test_the_database_away_is_an_answer(system: ActorSystem, book: FakeOrderBook) -> None:
    ref = an_order(system, book)
    book.away = True
    with pytest.raises(Overloaded):
        await ref.ask(MoveOrder(S.AWAITING_SERVER, ADA))
    book.away = False
    assert (await ref.ask(MoveOrder(S.AWAITING_SERVER, ADA))).status is S.AWAITING_SERVER


async def test_the_tree_is_the_picture(system: ActorSystem) -> None:
    assert system.tree().splitlines() == ["root", "  tenants", "    tenant", "  orders", "    order"]
    assert tenant_of(system, OrderId("ord_x")).path == "tenant/ord_x"
