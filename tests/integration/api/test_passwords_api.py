"""Passwords: changed by who knows them, chosen by a link that works once, for staff and customers alike."""

from __future__ import annotations

import time

import pytest
import trio
from sqlalchemy import select, text

from controlplane.services.account_mail import FIRST_PASSWORD_LIVES, RESET_LIVES
from controlplane.services.credentials import ASKING_SECONDS
from controlplane.store.tables.credentials import password_links
from tests.integration.api.tenants import bad_fields, data, refusal
from tests.people import PASSWORD, PUBLIC_URL, TESTER, People

SESSION = "next-auth.session-token"
EMAIL = "both@acme.com"
NEW = "a wholly different passphrase"
both = pytest.mark.parametrize(("provider", "user_type"), [("credentials", "staff"), ("customer", "customer")])


async def make(people: People, provider: str) -> None:
    if provider == "customer":
        await people.customer(EMAIL)
    else:
        await people.accounts.create_owner(TESTER, email=EMAIL, name="Both", password=PASSWORD)


async def sign_in(people: People, provider: str, password: str) -> int:
    body = {"email": EMAIL, "password": password}
    return (await people.browser().post(f"/api/auth/callback/{provider}", json=body)).status_code


async def forget(people: People, user_type: str, email: str = EMAIL):
    body = {"email": email, "userType": user_type}
    return await people.browser().post("/api/v1/auth/password/forgot", json=body)


async def choose(people: People, token: str, password: str = NEW):
    return await people.browser().post("/api/v1/auth/password/reset", json={"token": token, "password": password})


# --- changing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("credentials", "/api/v1/profile/password"),
        ("credentials", "/api/v1/auth/password"),
        ("customer", "/api/v1/auth/password"),
    ],
)
async def test_who_knows_the_password_changes_it_and_other_sessions_end(people, provider, path):
    await make(people, provider)
    browser, other = await people.signed_in(provider, EMAIL), await people.signed_in(provider, EMAIL)
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert data(await browser.post(path, json=body)) == {"sessionsEnded": 1}
    assert (await browser.get("/api/v1/auth/sessions")).status_code == 200
    assert (await other.get("/api/v1/auth/sessions")).status_code == 401
    assert await sign_in(people, provider, PASSWORD) == 401
    assert await sign_in(people, provider, NEW) == 200
    [notice] = await people.posted("security_notice")
    assert (notice.recipient, "password was changed" in notice.text) == (EMAIL, True)


async def test_without_the_current_password_nothing_changes(people):
    await make(people, "customer")
    browser = await people.signed_in("customer", EMAIL)
    wrong = await browser.post("/api/v1/auth/password", json={"currentPassword": "wrong one", "newPassword": NEW})
    assert bad_fields(wrong) == ["currentPassword"]
    absent = await browser.post("/api/v1/auth/password", json={"newPassword": NEW})
    assert bad_fields(absent) == ["currentPassword"]
    for weak in ("password123", "aaaaaaaaaaaa", "both@acme.com", "short"):
        answer = await browser.post("/api/v1/auth/password", json={"currentPassword": PASSWORD, "newPassword": weak})
        assert bad_fields(answer) == ["newPassword"]
    assert await sign_in(people, "customer", PASSWORD) == 200


async def test_a_customer_does_not_reach_the_profile_of_staff(people):
    await make(people, "customer")
    browser = await people.signed_in("customer", EMAIL)
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert refusal(await browser.post("/api/v1/profile/password", json=body), 403)["code"] == "FORBIDDEN"


async def test_of_two_changes_at_once_one_succeeds(people):
    await make(people, "customer")
    browser = await people.signed_in("customer", EMAIL)
    statuses = []

    async def change(new: str) -> None:
        body = {"currentPassword": PASSWORD, "newPassword": new}
        statuses.append((await browser.post("/api/v1/auth/password", json=body)).status_code)

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(change, f"{NEW} {number}")
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 400, 409}, "the others know the former password, or come between"


async def test_guessing_in_a_session_counts_with_the_sign_ins(database):
    people = People(database, limits=None)
    await make(people, "customer")
    browser = await people.signed_in("customer", EMAIL)
    body = {"currentPassword": "wrong one", "newPassword": NEW}
    for _ in range(10):
        assert (await browser.post("/api/v1/auth/password", json=body)).status_code == 400
    assert (await browser.post("/api/v1/auth/password", json=body)).status_code == 429
    assert await sign_in(people, "customer", PASSWORD) == 429


# --- forgetting ---------------------------------------------------------------------------------------------


@both
async def test_a_forgotten_password_is_chosen_anew_and_every_session_ends(people, provider, user_type):
    await make(people, provider)
    browser = await people.signed_in(provider, EMAIL)
    assert data(await forget(people, user_type, EMAIL.upper())) == {"sent": True}
    [mail] = await people.posted("password_reset")
    assert mail.recipient == EMAIL
    assert f"{PUBLIC_URL}/reset-password#{mail.token}" in mail.text
    assert data(await choose(people, mail.token)) == {"sessionsEnded": None}
    assert (await browser.get("/api/v1/auth/sessions")).status_code == 401
    assert await sign_in(people, provider, PASSWORD) == 401
    assert await sign_in(people, provider, NEW) == 200
    assert [notice.recipient for notice in await people.posted("security_notice")] == [EMAIL]


async def test_nobody_learns_who_has_an_account(people):
    await make(people, "customer")
    gone = await people.customer("gone@acme.com")
    owner = await people.owner()
    await owner.patch(f"/api/v1/admin/customers/{gone.id}", json={"status": "SUSPENDED"})
    answers, waits = set(), []
    for email, user_type in ((EMAIL, "customer"), (EMAIL, "staff"), ("gone@acme.com", "customer"), ("x@y.z", "staff")):
        began = time.monotonic()
        answer = await forget(people, user_type, email)
        waits.append(time.monotonic() - began)
        answers.add((answer.status_code, answer.text, tuple(sorted(answer.headers.keys()))))
    assert len(answers) == 1
    assert min(waits) >= ASKING_SECONDS, "all wait for one moment, whatever was to be done"
    assert [mail.recipient for mail in await people.posted()] == [EMAIL]


async def test_a_link_works_once_of_fifty_at_once(people):
    await make(people, "customer")
    await forget(people, "customer")
    [mail] = await people.posted("password_reset")
    statuses = []

    async def use(number: int) -> None:
        statuses.append((await choose(people, mail.token, f"{NEW} {number}")).status_code)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(use, number)
    assert sorted(statuses) == [200] + [404] * 49


async def test_a_link_lives_an_hour_and_its_use_voids_the_others(people):
    await make(people, "customer")
    await forget(people, "customer")
    [old] = await people.posted("password_reset")
    people.clock.advance(seconds=RESET_LIVES.total_seconds())
    assert refusal(await choose(people, old.token), 404)["code"] == "NOT_FOUND"
    await forget(people, "customer")
    await forget(people, "customer")
    _, first, second = await people.posted("password_reset")
    assert (await choose(people, second.token)).status_code == 200
    assert (await choose(people, first.token)).status_code == 404


async def test_a_weak_choice_leaves_the_link_as_it_is(people):
    await make(people, "customer")
    await forget(people, "customer")
    [mail] = await people.posted("password_reset")
    for weak in ("password123", "Maria Weber", "short"):
        assert bad_fields(await choose(people, mail.token, weak)) == ["password"]
    assert (await choose(people, mail.token)).status_code == 200


@pytest.mark.parametrize("token", ["", "nonsense", "pwd_", "pwd_" + "x" * 43, "x" * 43, "pwd_" + "é" * 43])
async def test_what_is_no_link_is_not_found(people, token):
    assert (await choose(people, token)).status_code == 404


async def test_changing_the_password_or_the_address_voids_links(people):
    await make(people, "credentials")
    browser = await people.signed_in("credentials", EMAIL)
    await forget(people, "staff")
    [first] = await people.posted("password_reset")
    data(await browser.post("/api/v1/auth/password", json={"currentPassword": PASSWORD, "newPassword": NEW}))
    assert (await choose(people, first.token)).status_code == 404
    people.clock.advance(seconds=1)
    await forget(people, "staff")
    _, second = await people.posted("password_reset")
    data(await browser.patch("/api/v1/profile", json={"email": "elsewhere@acme.com"}))
    assert (await choose(people, second.token)).status_code == 404


async def test_a_suspended_account_is_not_opened_by_a_link(people):
    await make(people, "customer")
    owner = await people.owner()
    await forget(people, "customer")
    [mail] = await people.posted("password_reset")
    [customer] = data(await owner.get("/api/v1/admin/customers"))
    await owner.patch(f"/api/v1/admin/customers/{customer['id']}", json={"status": "SUSPENDED"})
    assert (await choose(people, mail.token)).status_code == 404
    await owner.patch(f"/api/v1/admin/customers/{customer['id']}", json={"status": "ACTIVE"})
    assert await sign_in(people, "customer", PASSWORD) == 200


async def test_asking_is_limited_by_account_and_by_address(database):
    people = People(database, limits=None)
    body = {"email": EMAIL, "userType": "customer"}
    browser = people.browser()
    statuses = [(await browser.post("/api/v1/auth/password/forgot", json=body)).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    token = {"token": "pwd_" + "x" * 43, "password": NEW}
    statuses = [(await browser.post("/api/v1/auth/password/reset", json=token)).status_code for _ in range(20)]
    assert statuses[0] == 404
    assert statuses[-1] == 429


async def test_a_customer_made_without_a_password_is_mailed_a_link(people):
    owner = await people.owner()
    body = {"email": EMAIL, "name": "Maria Weber", "company": "Acme"}
    data(await owner.post("/api/v1/admin/customers", json=body), 201)
    [mail] = await people.posted("first_password")
    assert mail.recipient == EMAIL
    assert f"{PUBLIC_URL}/set-password#{mail.token}" in mail.text
    assert await sign_in(people, "customer", NEW) == 401
    body |= {"email": "other@acme.com", "password": PASSWORD}
    data(await owner.post("/api/v1/admin/customers", json=body), 201)
    assert len(await people.posted("first_password")) == 1
    people.clock.advance(seconds=FIRST_PASSWORD_LIVES.total_seconds() - 1)
    data(await choose(people, mail.token))
    assert await sign_in(people, "customer", NEW) == 200


async def test_tokens_are_kept_as_hashes_and_mails_sealed(people):
    await make(people, "customer")
    await forget(people, "customer")
    [mail] = await people.posted("password_reset")

    def everything(connection):
        tables = ("password_links", "mails", "audit_entries", "events")
        return "\n".join(
            str(row[0]) for table in tables for row in connection.execute(text(f"SELECT t::text FROM {table} t"))
        )

    kept = await people.database.read(everything)
    assert mail.token not in kept
    assert mail.token.encode().hex() not in kept


async def test_links_that_are_over_are_swept(people):
    await make(people, "customer")
    await forget(people, "customer")
    sweep = people.identity.sweeps["password links"]
    assert await sweep() == 0
    people.clock.advance(seconds=RESET_LIVES.total_seconds() + 1)
    assert await sweep() == 1
    assert await people.database.read(lambda connection: connection.execute(select(password_links)).all()) == []
