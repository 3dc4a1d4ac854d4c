"""The one-time setup."""

from __future__ import annotations

import pytest
import trio
from sqlalchemy import select

from controlplane.store.tables.accounts import audit_entries, setup_state, staff
from tests.people import PASSWORD, TESTER, People

BODY = {"email": "olga@letsbe.biz", "name": "Olga Owner", "password": PASSWORD}


async def rows(people: People, table):
    return await people.database.read(lambda connection: connection.execute(select(table)).mappings().all())


async def test_the_first_owner_is_made_once_and_can_sign_in(people):
    answer = await people.browser().post("/api/v1/setup", json=BODY)
    assert answer.status_code == 201
    owner = answer.json()["data"]
    assert (owner["email"], owner["role"], owner["status"]) == ("olga@letsbe.biz", "OWNER", "ACTIVE")
    assert owner["id"].startswith("stf_")
    assert "password" not in answer.text
    again = await people.browser().post("/api/v1/setup", json={**BODY, "email": "mallory@evil.example"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "CONFLICT")
    browser = await people.signed_in("credentials", "olga@letsbe.biz")
    assert (await browser.get("/api/v1/admin/customers")).status_code == 200


async def test_of_fifty_at_once_one_makes_the_owner(people):
    statuses = []

    async def race(number: int) -> None:
        body = {**BODY, "email": f"owner{number}@letsbe.biz"}
        statuses.append((await people.browser().post("/api/v1/setup", json=body)).status_code)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(race, number)
    assert sorted(statuses) == [201] + [409] * 49
    assert len(await rows(people, staff)) == 1
    assert [entry["action"] for entry in await rows(people, audit_entries)] == ["staff.created"]


async def test_where_others_can_reach_the_hub_the_printed_token_is_needed(database):
    people = People(database, setup_token_required=True)
    token = await people.accounts.ensure_setup_token()
    assert token is not None
    assert len(token) == 32
    assert await people.accounts.ensure_setup_token() is None
    assert token not in str(await rows(people, setup_state))

    missing = await people.browser().post("/api/v1/setup", json=BODY)
    assert missing.status_code == 400
    assert missing.json()["error"]["details"][0]["field"] == "setupToken"
    wrong = await people.browser().post("/api/v1/setup", json={**BODY, "setupToken": token[::-1]})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert await rows(people, staff) == []
    right = await people.browser().post("/api/v1/setup", json={**BODY, "setupToken": token})
    assert right.status_code == 201
    used = await people.browser().post("/api/v1/setup", json={**BODY, "setupToken": token})
    assert used.status_code == 409
    assert await people.accounts.ensure_setup_token() is None


async def test_without_a_token_kept_no_token_fits(database):
    people = People(database, setup_token_required=True)
    answer = await people.browser().post("/api/v1/setup", json={**BODY, "setupToken": "anything"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", "short"),
        ("password", "password123"),
        ("password", "PassWord123"),
        ("password", "aaaaaaaaaaaa"),
        ("password", "olga@letsbe.biz"),
        ("password", "Olga Owner 1!"),
        ("password", "x" * 513),
        ("email", "no address"),
        ("email", "olga@letsbe.biz\n"),
        ("name", "  "),
    ],
)
async def test_what_will_not_do_is_named(people, field, value):
    answer = await people.browser().post("/api/v1/setup", json={**BODY, field: value})
    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.json()["error"]["details"]] == [field]
    assert await rows(people, staff) == []


async def test_every_bad_field_is_named_at_once(people):
    answer = await people.browser().post("/api/v1/setup", json={"email": "x", "password": "short", "role": "OWNER"})
    assert {problem["field"] for problem in answer.json()["error"]["details"]} == {
        "email",
        "name",
        "password",
        "role",
    }


async def test_long_passwords_in_any_script_work(people):
    password = "Ein sehr langer Satz, der mit Ümläuten und 漢字 geschrieben ist, damit er länger als 64 Zeichen wird"
    assert len(password) > 64
    answer = await people.browser().post("/api/v1/setup", json={**BODY, "password": password})
    assert answer.status_code == 201
    await people.signed_in("credentials", BODY["email"], password)


async def test_guessing_the_token_is_limited(database):
    people = People(database, setup_token_required=True, limits=None)
    await people.accounts.ensure_setup_token()
    browser = people.browser()
    statuses = [
        (await browser.post("/api/v1/setup", json={**BODY, "setupToken": f"guess{number}"})).status_code
        for number in range(11)
    ]
    assert statuses == [403] * 10 + [429]


async def test_an_owner_made_at_the_command_line_ends_the_setup(people):
    await people.accounts.create_owner(TESTER, email="cli@letsbe.biz", name="Cli", password=PASSWORD)
    assert (await people.browser().post("/api/v1/setup", json=BODY)).status_code == 409
    second = await people.accounts.create_owner(TESTER, email="cli2@letsbe.biz", name="Cli", password=PASSWORD)
    assert second.role == "OWNER"
