"""The guards for people, on routes of the test's own."""

from __future__ import annotations

import pytest
import trio
from msgspec import Struct
from sqlalchemy import select

from controlplane.api.call import Call
from controlplane.api.callers import CustomerCaller, Person, StaffCaller
from controlplane.api.guards_people import Customer, SignedIn, Staff
from controlplane.api.mount import build_app
from controlplane.api.permissions import Permission
from controlplane.api.router import Router
from controlplane.store.tables.accounts import sessions
from protocol.faults import ValidationError
from protocol.ids import parse_id
from tests.people import PASSWORD, TESTER

routes = Router("/test", guard=SignedIn(), tag="Test")


class Seen(Struct):
    """What the guard yields."""

    kind: str
    id: str | None
    scope: str | None


def seen(caller: Person) -> Seen:
    owner = caller.scope.customer_id
    return Seen(caller.kind, caller.author.id, None if owner is None else str(owner))


@routes.get("/any")
async def anybody(call: Call[Person]) -> Seen:
    """Anybody signed in."""
    return seen(call.caller)


@routes.get("/customer", guard=Customer())
async def customers_only(call: Call[CustomerCaller]) -> Seen:
    """Customers."""
    return seen(call.caller)


@routes.get("/staff", guard=Staff(Permission.BILLING_READ, Permission.ORDERS_READ))
async def staff_only(call: Call[StaffCaller]) -> Seen:
    """Staff with both permissions."""
    return seen(call.caller)


@pytest.fixture
async def world(people):
    people.app = build_app([*people.routers, routes], people.hub)
    customer = await people.customer("maria@acme.com")
    return people, await people.owner(), await people.signed_in("customer", "maria@acme.com"), customer


async def test_each_caller_is_who_they_are(world):
    _, owner, browser, customer = world
    answer = (await browser.get("/test/customer")).json()["data"]
    assert answer == {"kind": "customer", "id": customer.id, "scope": str(parse_id("cust", customer.id))}
    assert (await browser.get("/test/any")).json()["data"] == answer
    answer = (await owner.get("/test/staff")).json()["data"]
    assert (answer["kind"], answer["scope"]) == ("staff", None)
    assert (await owner.get("/test/any")).json()["data"] == answer


async def test_the_wrong_kind_is_forbidden_and_nobody_is_unauthorized(world):
    people, owner, browser, _ = world
    assert (await owner.get("/test/customer")).status_code == 403
    assert (await browser.get("/test/staff")).status_code == 403
    for path in ("/test/any", "/test/customer", "/test/staff"):
        answer = await people.browser().get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_limit_counts_each_session_by_itself(world):
    people, owner, browser, _ = world
    taken = []
    people.hub.limits.take = lambda name, key, **_: taken.append((name, key))
    await owner.get("/test/any")
    await browser.get("/test/any")
    await browser.get("/api/auth/session")
    assert [name for name, _ in taken] == ["session", "session", "public"]
    assert len({key for _, key in taken}) == 2
    assert taken[1][1] == taken[2][1]


async def test_use_by_any_route_puts_off_the_end_without_being_waited_for(world):
    people, owner, _, _ = world
    token = owner.cookies["next-auth.session-token"]
    before = await people.sessions.look(token)
    people.clock.advance(minutes=5)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(owner.get, "/test/any")
    statement = select(sessions.c.last_seen_at).where(sessions.c.id == before.key)
    with trio.fail_after(5):
        while True:
            seen_at = await people.database.read(lambda connection: connection.execute(statement).scalar_one())
            if seen_at == people.clock.now():
                break
    assert await people.sessions.look(token) is not None


async def test_of_many_at_once_one_takes_the_address_and_one_the_domain(world):
    _, owner, _, customer = world
    answers: dict[str, list[int]] = {"customers": [], "orders": []}
    bodies = {
        "customers": {"email": "same@acme.com", "name": "Same", "password": PASSWORD},
        "orders": {"userId": customer.id, "tier": "Lite", "domain": "same.letsbe.biz"},
    }

    async def post(noun: str) -> None:
        answer = await owner.post(f"/api/v1/admin/{noun}", json=bodies[noun])
        answers[noun].append(answer.status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(post, "customers")
            nursery.start_soon(post, "orders")
    assert {noun: sorted(statuses) for noun, statuses in answers.items()} == dict.fromkeys(answers, [201] + [409] * 9)


async def test_an_owner_needs_an_address_and_a_name(people):
    for email, name in (("nonsense", "Olga"), ("a@b.c\n", "Olga"), ("a@b.c", "  ")):
        with pytest.raises(ValidationError):
            await people.accounts.create_owner(TESTER, email=email, name=name, password=PASSWORD)
