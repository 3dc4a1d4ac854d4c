"""What lies outside a customer's scope is not there for them."""

from __future__ import annotations

import pytest

from actors.people import Scope
from controlplane.store.customers import CustomerChange
from controlplane.store.database import Database
from controlplane.store.orders import NewOrder, OrderChange, OrderQuery
from protocol.faults import NotFound
from protocol.ids import parse_id
from protocol.words import AutomationMode, Tier
from tests.people import TESTER, People


@pytest.fixture
async def world(database: Database):
    people = People(database)
    mine, other = await people.customer(), await people.customer()
    scope = Scope.customer(parse_id("cust", mine.id))
    made = [
        await people.orders.create(
            TESTER,
            NewOrder(customer.id, Tier.LITE, f"{name}.letsbe.biz", [], None, 22, AutomationMode.MANUAL),
        )
        for name, customer in (("mine", mine), ("other", other))
    ]
    return people, scope, (mine, made[0]), (other, made[1])


async def test_own_things_are_there(world):
    people, scope, (mine, order), _ = world
    assert (await people.customers.get(scope, mine.id)).id == mine.id
    assert await people.orders.get(scope, order.id) == order
    assert await people.orders.list(scope, OrderQuery(), offset=0, limit=10) == ([order], 1)
    assert await people.orders.list(scope, OrderQuery(search="letsbe"), offset=0, limit=10) == ([order], 1)
    found, total = await people.customers.list(scope, None, offset=0, limit=10)
    assert ([customer.id for customer in found], total) == ([mine.id], 1)


async def test_foreign_things_are_not_found_and_not_changed(world):
    people, scope, _, (other, order) = world
    with pytest.raises(NotFound):
        await people.customers.get(scope, other.id)
    with pytest.raises(NotFound):
        await people.customers.change(TESTER, scope, other.id, CustomerChange(name="Mallory"))
    with pytest.raises(NotFound):
        await people.orders.get(scope, order.id)
    with pytest.raises(NotFound):
        await people.orders.change(TESTER, scope, order.id, OrderChange(ssh_port=1))
    assert await people.orders.list(scope, OrderQuery(search="other"), offset=0, limit=10) == ([], 0)
    assert (await people.orders.get(Scope.everything(), order.id)).ssh_port == 22
