"""Signing in and out over next-auth 4's wire, and what a session is worth."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from sqlalchemy import event, select, text, update

from controlplane.secret import hash_of
from controlplane.store import sessions as session_rows
from controlplane.store.customers import CustomerChange
from controlplane.store.tables.accounts import sessions, staff
from controlplane.store.transaction import tell_after_commit
from protocol.words import AccountStatus
from tests.people import EVERYTHING, PASSWORD, PUBLIC_URL, TESTER, People

SESSION = "next-auth.session-token"
FOREIGN = {"origin": "https://evil.example"}


async def sign_in_as_the_client_does(
    browser: httpx.AsyncClient, provider: str, email: str, password: str = PASSWORD, callback_url: str = "/inbox"
) -> httpx.Response:
    """What `signIn(provider, {redirect: false})` of next-auth/react does (next-auth 4.24, `react/index.tsx`)."""
    known = (await browser.get("/api/auth/providers")).json()
    assert known[provider]["type"] == "credentials"
    token = (await browser.get("/api/auth/csrf")).json()["csrfToken"]
    form = {"email": email, "password": password, "csrfToken": token, "callbackUrl": callback_url, "json": "true"}
    return await browser.post(f"/api/auth/callback/{provider}", data=form)


async def count(people: People, table) -> int:
    return await people.database.read(lambda connection: len(connection.execute(select(table)).all()))


@pytest.mark.parametrize(("provider", "user_type"), [("credentials", "staff"), ("customer", "customer")])
async def test_the_walk_of_the_next_auth_client(people, provider, user_type):
    await people.accounts.create_owner(TESTER, email="both@acme.com", name="Both", password=PASSWORD)
    await people.customer("both@acme.com")
    browser = people.browser()
    assert (await browser.get("/api/auth/session")).json() == {}

    answer = await sign_in_as_the_client_does(browser, provider, "Both@Acme.com")
    assert answer.status_code == 200
    assert answer.json() == {"url": f"{PUBLIC_URL}/inbox"}

    session = (await browser.get("/api/auth/session")).json()
    assert session["user"]["email"] == "both@acme.com"
    assert session["user"]["type"] == user_type
    assert session["user"].get("role") == ("OWNER" if provider == "credentials" else None)
    assert session["expires"] == f"{people.clock.now() + timedelta(hours=24):%Y-%m-%dT%H:%M:%S}.000Z"

    token = (await browser.get("/api/auth/csrf")).json()["csrfToken"]
    form = {"csrfToken": token, "callbackUrl": f"{PUBLIC_URL}/bye", "json": "true"}
    answer = await browser.post("/api/auth/signout", data=form)
    assert answer.json() == {"url": f"{PUBLIC_URL}/bye"}
    assert SESSION not in browser.cookies
    assert (await browser.get("/api/auth/session")).json() == {}


async def test_a_wrong_password_is_told_as_next_auth_tells_it(people):
    await people.customer("maria@acme.com")
    browser = people.browser()
    answer = await sign_in_as_the_client_does(browser, "customer", "maria@acme.com", "wrong")
    assert answer.status_code == 401
    url = urlsplit(answer.json()["url"])
    assert url.path == "/api/auth/error"
    assert parse_qs(url.query) == {"error": ["CredentialsSignin"], "provider": ["customer"]}
    assert SESSION not in browser.cookies


async def test_without_json_browsers_are_redirected(people):
    await people.customer("maria@acme.com")
    browser = people.browser()
    token = (await browser.get("/api/auth/csrf")).json()["csrfToken"]
    form = {"email": "maria@acme.com", "password": PASSWORD, "csrfToken": token, "callbackUrl": "/inbox"}
    answer = await browser.post("/api/auth/callback/customer", data=form)
    assert (answer.status_code, answer.headers["location"]) == (302, f"{PUBLIC_URL}/inbox")
    answer = await browser.post("/api/auth/callback/customer", data={**form, "password": "wrong"})
    assert answer.status_code == 302
    assert "error=CredentialsSignin" in answer.headers["location"]


async def test_cookies_are_marked_and_named_as_next_auth_names_them(people):
    await people.customer("maria@acme.com")
    browser = people.browser()
    first = await browser.get("/api/auth/csrf")
    marked = [header for header in first.headers.get_list("set-cookie") if "csrf" in header]
    assert len(marked) == 1
    assert marked[0].startswith("next-auth.csrf-token=")
    token, _, _ = unquote(browser.cookies["next-auth.csrf-token"]).partition("|")
    assert first.json() == {"csrfToken": token}
    second = await browser.get("/api/auth/csrf")
    assert second.json() == first.json()
    answer = await sign_in_as_the_client_does(browser, "customer", "maria@acme.com")
    [cookie] = [header for header in answer.headers.get_list("set-cookie") if header.startswith(SESSION)]
    for attribute in ("HttpOnly", "SameSite=Lax", "Path=/", "Expires="):
        assert attribute in cookie
    assert "Secure" not in cookie


async def test_cookies_on_https_have_their_prefixes(database):
    people = People(database, public_url="https://hub.test")
    await people.customer("maria@acme.com")
    browser = people.browser()
    answer = await sign_in_as_the_client_does(browser, "customer", "maria@acme.com")
    assert answer.status_code == 200
    assert {cookie.name for cookie in browser.cookies.jar} == {
        "__Secure-next-auth.session-token",
        "__Host-next-auth.csrf-token",
        "__Secure-next-auth.callback-url",
    }
    assert all(cookie.secure for cookie in browser.cookies.jar)
    assert (await browser.get("/api/auth/session")).json()["user"]["email"] == "maria@acme.com"


async def test_a_form_without_the_csrf_token_signs_nobody_in(people):
    await people.customer("maria@acme.com")
    browser = people.browser()
    right = (await browser.get("/api/auth/csrf")).json()["csrfToken"]
    for token in ("", "0" * 64, right[:-1]):
        form = {"email": "maria@acme.com", "password": PASSWORD, "csrfToken": token, "json": "true"}
        answer = await browser.post("/api/auth/callback/customer", data=form)
        assert answer.json() == {"url": f"{PUBLIC_URL}/api/auth/signin?csrf=true"}
    stranger = people.browser(cookies={"next-auth.csrf-token": f"{right}|{'0' * 64}"})
    form = {"email": "maria@acme.com", "password": PASSWORD, "csrfToken": right, "json": "true"}
    answer = await stranger.post("/api/auth/callback/customer", data=form)
    assert answer.json() == {"url": f"{PUBLIC_URL}/api/auth/signin?csrf=true"}
    assert await count(people, sessions) == 0


async def test_the_json_body_of_the_specification(people):
    await people.customer("maria@acme.com")
    body = {"email": "maria@acme.com", "password": PASSWORD}
    browser = people.browser()
    answer = await browser.post("/api/auth/callback/customer", json=body)
    assert (answer.status_code, answer.json()) == (200, {"url": PUBLIC_URL})
    assert SESSION in browser.cookies
    wrong = await people.browser().post("/api/auth/callback/customer", json={**body, "password": "wrong"})
    assert wrong.status_code == 401
    staff_door = await people.browser().post("/api/auth/callback/credentials", json=body)
    assert staff_door.status_code == 401


async def test_foreign_pages_cannot_sign_in_or_out_by_json(people):
    await people.customer("maria@acme.com")
    body = {"email": "maria@acme.com", "password": PASSWORD}
    foreign = await people.browser().post("/api/auth/callback/customer", json=body, headers=FOREIGN)
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "FORBIDDEN")
    plain = await people.browser().post(
        "/api/auth/callback/customer",
        content=b'{"email": "maria@acme.com"}',
        headers={"content-type": "text/plain"},
    )
    assert plain.status_code == 415
    browser = await people.signed_in("customer", "maria@acme.com")
    assert (await browser.post("/api/auth/signout", json={}, headers=FOREIGN)).status_code == 403
    assert (await browser.get("/api/auth/session")).json() != {}
    assert (await browser.post("/api/auth/signout", json={})).status_code == 200
    assert (await browser.get("/api/auth/session")).json() == {}


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("/inbox?x=1#top", f"{PUBLIC_URL}/inbox?x=1#top"),
        (f"{PUBLIC_URL}/inbox", f"{PUBLIC_URL}/inbox"),
        ("https://evil.example/", PUBLIC_URL),
        ("//evil.example/", f"{PUBLIC_URL}//evil.example/"),
        (f"{PUBLIC_URL}@evil.example/", PUBLIC_URL),
        ("http://evil.example\\@hub.test/", PUBLIC_URL),
        ("javascript:alert(1)", PUBLIC_URL),
        ("/in\r\nbox: x", PUBLIC_URL),
        ("http://[", PUBLIC_URL),
        ("/" + "x" * 3000, PUBLIC_URL),
        ("nonsense", PUBLIC_URL),
    ],
)
async def test_no_callback_leads_elsewhere(people, asked, got):
    await people.customer("maria@acme.com")
    answer = await sign_in_as_the_client_does(people.browser(), "customer", "maria@acme.com", callback_url=asked)
    assert answer.json() == {"url": got}


async def test_nobody_learns_who_has_an_account(people):
    await people.customer("maria@acme.com")
    gone = await people.customer("gone@acme.com")
    suspended = CustomerChange(status=AccountStatus.SUSPENDED)
    await people.customers.change(TESTER, EVERYTHING, gone.id, suspended)
    await people.accounts.create_customer(TESTER, email="nopassword@acme.com", name="N", company=None, password=None)
    answers = set()
    for email in ("maria@acme.com", "gone@acme.com", "nopassword@acme.com", "unknown@acme.com", ""):
        body = {"email": email, "password": "wrong password"}
        answer = await people.browser().post("/api/auth/callback/customer", json=body)
        answers.add((answer.status_code, answer.text))
    assert len(answers) == 1


async def test_every_refusal_costs_one_hash(people, monkeypatch):
    await people.customer("maria@acme.com")
    passwords, checked = people.accounts._passwords, []
    genuine = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda *given: checked.append(given) or genuine(*given))
    for email in ("maria@acme.com", "unknown@acme.com"):
        await people.browser().post("/api/auth/callback/customer", json={"email": email, "password": "wrong"})
    assert len(checked) == 2


async def test_a_session_is_kept_as_a_hash_only(people):
    await people.customer("maria@acme.com")
    browser = await people.signed_in("customer", "maria@acme.com")
    token = browser.cookies[SESSION]
    assert len(token) == 43
    rows = await people.database.read(lambda connection: connection.execute(select(sessions)).mappings().all())
    assert [row["token_hash"] for row in rows] == [hash_of(token)]
    everything = await people.database.read(
        lambda connection: connection.execute(text("SELECT s::text FROM sessions s")).scalar_one()
    )
    assert token not in everything


async def test_signing_in_again_ends_the_browsers_former_session(people):
    await people.customer("maria@acme.com")
    browser = await people.signed_in("customer", "maria@acme.com")
    former = browser.cookies[SESSION]
    await sign_in_as_the_client_does(browser, "customer", "maria@acme.com")
    assert browser.cookies[SESSION] != former
    assert await people.sessions.find(former) is None
    assert await people.sessions.find(browser.cookies[SESSION]) is not None


async def test_a_bearer_token_works_and_wins_over_the_cookie(people):
    owner = await people.owner()
    token = owner.cookies[SESSION]
    bearer = {"authorization": f"Bearer {token}"}
    assert (await people.browser().get("/api/v1/admin/customers", headers=bearer)).status_code == 200
    assert (await people.browser().get("/api/auth/session", headers=bearer)).json()["user"]["role"] == "OWNER"
    nonsense = {"authorization": "Bearer nonsense"}
    assert (await owner.get("/api/v1/admin/customers", headers=nonsense)).status_code == 401
    assert (await owner.get("/api/v1/admin/customers", headers={"authorization": "Basic eDp5"})).status_code == 401
    ended = await people.browser().post("/api/auth/signout", headers=bearer, json={})
    assert ended.status_code == 200
    assert (await people.browser().get("/api/v1/admin/customers", headers=bearer)).status_code == 401


async def test_cookies_write_only_from_our_own_pages_bearers_from_anywhere(people):
    owner = await people.owner()
    body = {"email": "new@acme.com", "name": "New", "company": "New"}
    for headers in (FOREIGN, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
        answer = await owner.post("/api/v1/admin/customers", json=body, headers=headers)
        assert answer.json()["error"]["code"] == "FORBIDDEN"
    answer = await owner.post("/api/v1/admin/customers", json=body, headers={"origin": PUBLIC_URL})
    assert answer.status_code == 201
    bearer = {"authorization": f"Bearer {owner.cookies[SESSION]}", **FOREIGN}
    body["email"] = "newer@acme.com"
    assert (await people.browser().post("/api/v1/admin/customers", json=body, headers=bearer)).status_code == 201


async def test_customers_and_staff_do_not_pass_each_others_doors(people):
    await people.customer("maria@acme.com")
    browser = await people.signed_in("customer", "maria@acme.com")
    answer = await browser.get("/api/v1/admin/customers")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_a_changed_role_counts_on_the_next_call_and_a_suspended_account_is_out(people):
    owner = await people.owner()
    body = {"email": "new@acme.com", "name": "New"}

    def change(connection, values):
        connection.execute(update(staff).values(**values))
        tell_after_commit(connection, session_rows.NEWS)

    async def set_staff(**values):
        await people.database.write(change, values)

    await set_staff(role="SUPPORT")
    assert (await owner.get("/api/v1/admin/customers")).status_code == 200
    assert (await owner.post("/api/v1/admin/customers", json=body)).status_code == 403
    await set_staff(role="MANAGER")
    assert (await owner.post("/api/v1/admin/customers", json=body)).status_code == 201
    await set_staff(status="DEACTIVATED")
    assert (await owner.get("/api/v1/admin/customers")).status_code == 401
    assert (await owner.get("/api/auth/session")).json() == {}


async def test_a_session_ends_unused_after_a_day_and_at_last_after_a_fortnight(people):
    owner = await people.owner()
    at_last = people.clock.now() + timedelta(days=14)
    for _ in range(13 * 2):
        people.clock.advance(hours=12)
        assert (await owner.get("/api/auth/session")).json() != {}
    people.clock.advance(hours=20)
    session = (await owner.get("/api/auth/session")).json()
    assert session["expires"] == f"{at_last:%Y-%m-%dT%H:%M:%S}.000Z"
    people.clock.advance(hours=4)
    assert (await owner.get("/api/auth/session")).json() == {}
    assert (await owner.get("/api/v1/admin/customers")).status_code == 401

    other = await people.signed_in("credentials", "owner@letsbe.biz")
    people.clock.advance(hours=24)
    assert (await other.get("/api/auth/session")).json() == {}


async def test_the_use_of_a_session_is_written_down_once_a_minute_at_most(people):
    owner = await people.owner()

    async def last_seen():
        return await people.database.read(
            lambda connection: connection.execute(select(sessions.c.last_seen_at)).scalar_one()
        )

    begun = await last_seen()
    people.clock.advance(seconds=59)
    await owner.get("/api/auth/session")
    assert await last_seen() == begun
    people.clock.advance(seconds=1)
    await owner.get("/api/auth/session")
    assert await last_seen() == people.clock.now()


async def test_a_session_is_found_by_one_indexed_query(people):
    owner = await people.owner()
    wanted = hash_of(owner.cookies[SESSION])

    def look(connection):
        statements = []
        event.listen(connection, "before_cursor_execute", lambda *given: statements.append(given[2:4]))
        assert session_rows._find(connection, wanted, people.clock.now()) is not None
        [(statement, parameters)] = statements
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))

    assert "ux_sessions_token_hash" in await people.database.write(look)


async def test_sign_in_is_limited_by_account_and_by_address(database):
    people = People(database, limits=None)
    await people.customer("maria@acme.com")
    browser = people.browser()
    body = {"email": "maria@acme.com", "password": "wrong"}
    for _ in range(10):
        assert (await browser.post("/api/auth/callback/customer", json=body)).status_code == 401
    answer = await browser.post("/api/auth/callback/customer", json={**body, "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) == 30
    assert "error=RateLimited" in answer.json()["url"]
    other = {"email": "other@acme.com", "password": "wrong"}
    assert (await browser.post("/api/auth/callback/customer", json=other)).status_code == 401


async def test_the_pages_a_browser_may_be_sent_to(people):
    browser = people.browser()
    page = await browser.get("/api/auth/signin", params={"error": "CredentialsSignin", "callbackUrl": '/"><b>'})
    assert page.headers["content-type"].startswith("text/html")
    assert "The address or the password is wrong." in page.text
    assert "<b>" not in page.text
    assert "script" not in page.text
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert (await browser.get("/api/auth/signin/customer")).text.count("<form") == 1
    assert "Do you want to sign out?" in (await browser.get("/api/auth/signout")).text
    told = await browser.get("/api/auth/error", params={"error": "CredentialsSignin"})
    assert (told.status_code, told.headers["location"]) == (
        302,
        f"{PUBLIC_URL}/api/auth/signin?error=CredentialsSignin",
    )
    assert (await browser.get("/api/auth/error", params={"error": "AccessDenied"})).status_code == 403
    assert (await browser.post("/api/auth/signin/credentials", data={"json": "true"})).json() == {
        "url": f"{PUBLIC_URL}/api/auth/signin"
    }
    assert (await browser.post("/api/auth/_log", data={"code": "X", "level": "error"})).status_code == 200
    assert (await browser.get("/api/auth/nonsense")).json()["error"]["code"] == "NOT_FOUND"
    assert (await browser.post("/api/auth/callback/github", data={})).json()["error"]["code"] == "NOT_FOUND"


async def test_a_session_is_updated_with_the_csrf_token_only(people):
    owner = await people.owner()
    token = (await owner.get("/api/auth/csrf")).json()["csrfToken"]
    answer = await owner.post("/api/auth/session", json={"csrfToken": token, "data": {"role": "OWNER"}})
    assert answer.json()["user"]["name"] == "Olga Owner"
    assert (await owner.post("/api/auth/session", data={"csrfToken": "x"})).status_code == 400


async def test_a_dead_cookie_is_taken_back(people):
    browser = people.browser(cookies={SESSION: "x" * 43})
    answer = await browser.get("/api/auth/session")
    assert answer.json() == {}
    assert any(header.startswith(f"{SESSION}=;") for header in answer.headers.get_list("set-cookie"))


async def test_ended_sessions_are_swept_a_day_later(people):
    await people.customer("maria@acme.com")
    await people.signed_in("customer", "maria@acme.com")
    people.clock.advance(hours=25)
    assert await people.session_store.sweep() == 0
    people.clock.advance(hours=24)
    assert await people.session_store.sweep() == 1
