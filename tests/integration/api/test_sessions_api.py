"""One's own sessions: listed with the one that asks, ended one by one or all but this; nobody else's."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.integration.api.tenants import data, refusal
from tests.people import PASSWORD, TESTER, People

EMAIL = "both@acme.com"
both = pytest.mark.parametrize("provider", ["credentials", "customer"])


async def make(people: People, provider: str) -> None:
    if provider == "customer":
        await people.customer(EMAIL)
    else:
        await people.accounts.create_owner(TESTER, email=EMAIL, name="Both", password=PASSWORD)


@both
async def test_sessions_are_listed_last_used_first(people, provider):
    await make(people, provider)
    browser = await people.signed_in(provider, EMAIL)
    people.clock.advance(hours=1)
    other = await people.signed_in(provider, EMAIL)
    listed = data(await browser.get("/api/v1/auth/sessions"))
    seen = [one["lastSeenAt"] for one in listed]
    assert seen == sorted(seen, reverse=True)
    assert sorted(one["current"] for one in listed) == [False, True]
    assert {*listed[0]} == {"id", "current", "address", "userAgent", "createdAt", "lastSeenAt", "expiresAt"}
    assert listed[0]["userAgent"].startswith("python-httpx/")
    [mine] = [one["id"] for one in listed if one["current"]]
    [theirs] = [one["id"] for one in data(await other.get("/api/v1/auth/sessions")) if one["current"]]
    assert {mine, theirs} == {one["id"] for one in listed}


async def test_what_is_over_is_not_listed(people):
    await make(people, "customer")
    await people.signed_in("customer", EMAIL)
    people.clock.advance(hours=24)
    browser = await people.signed_in("customer", EMAIL)
    assert len(data(await browser.get("/api/v1/auth/sessions"))) == 1


@both
async def test_a_session_is_ended_by_its_owner(people, provider):
    await make(people, provider)
    browser, other = await people.signed_in(provider, EMAIL), await people.signed_in(provider, EMAIL)
    [stale] = [one["id"] for one in data(await browser.get("/api/v1/auth/sessions")) if not one["current"]]
    assert data(await browser.delete(f"/api/v1/auth/sessions/{stale}")) == {"sessionsEnded": 1}
    assert (await other.get("/api/v1/auth/sessions")).status_code == 401
    assert refusal(await browser.delete(f"/api/v1/auth/sessions/{stale}"), 404)["code"] == "NOT_FOUND"
    [own] = [one["id"] for one in data(await browser.get("/api/v1/auth/sessions"))]
    assert (await browser.delete(f"/api/v1/auth/sessions/{own}")).status_code == 200
    assert (await browser.get("/api/v1/auth/sessions")).status_code == 401


@both
async def test_all_others_are_ended_at_once(people, provider):
    await make(people, provider)
    browsers = [await people.signed_in(provider, EMAIL) for _ in range(4)]
    assert data(await browsers[0].delete("/api/v1/auth/sessions")) == {"sessionsEnded": 3}
    assert [(await one.get("/api/v1/auth/sessions")).status_code for one in browsers] == [200, 401, 401, 401]
    assert data(await browsers[0].delete("/api/v1/auth/sessions")) == {"sessionsEnded": 0}


async def test_nobody_ends_anothers(people):
    await people.customer("maria@acme.com")
    await people.customer("mallory@acme.com")
    owner = await people.owner()
    maria = await people.signed_in("customer", "maria@acme.com")
    mallory = await people.signed_in("customer", "mallory@acme.com")
    [hers] = [one["id"] for one in data(await maria.get("/api/v1/auth/sessions"))]
    for stranger in (mallory, owner):
        assert (await stranger.delete(f"/api/v1/auth/sessions/{hers}")).status_code == 404
        data(await stranger.delete("/api/v1/auth/sessions"))
    assert (await maria.get("/api/v1/auth/sessions")).status_code == 200
    for nonsense in ("nonsense", "sess_" + "0" * 26, "cust_" + "0" * 26):
        assert (await maria.delete(f"/api/v1/auth/sessions/{nonsense}")).status_code == 404


async def test_every_end_has_its_audit_entry_and_event(people):
    await people.customer(EMAIL)
    browser = await people.signed_in("customer", EMAIL)
    for _ in range(3):
        await people.signed_in("customer", EMAIL)
    [first, *_] = [one["id"] for one in data(await browser.get("/api/v1/auth/sessions")) if not one["current"]]
    await browser.delete(f"/api/v1/auth/sessions/{first}")
    await browser.delete("/api/v1/auth/sessions")
    await browser.post("/api/auth/signout", json={})

    def told(connection):
        audit = "SELECT action FROM audit_entries WHERE action LIKE 'session%' ORDER BY position"
        events = "SELECT kind FROM events WHERE kind LIKE 'account%' ORDER BY id"
        return [list(connection.execute(text(statement)).scalars()) for statement in (audit, events)]

    entries, kinds = await people.database.read(told)
    assert entries == ["session.started"] * 4 + ["session.ended", "sessions.ended", "session.ended"]
    assert kinds == ["account.signedIn"] * 4 + ["account.signedOut"] * 3
