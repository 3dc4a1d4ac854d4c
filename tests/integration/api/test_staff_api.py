"""The staff: listed, given roles, sent away; who may do that, and who is left when two do it at once."""

from __future__ import annotations

import pytest
import trio
from sqlalchemy import delete, select, text

from controlplane.store.tables.accounts import audit_entries, sessions, staff
from tests.integration.api.tenants import bad_fields, data, refusal
from tests.people import PASSWORD, TESTER

STAFF = "/api/v1/admin/staff"


async def ids(browser) -> dict[str, str]:
    return {one["email"]: one["id"] for one in data(await browser.get(STAFF))}


async def test_the_staff_is_listed_newest_first_in_pages(people):
    owner = await people.owner()
    for role in ("ADMIN", "MANAGER", "SUPPORT"):
        people.clock.advance(seconds=1)
        await people.member(role, f"{role.lower()}@letsbe.biz")
    answer = await owner.get(f"{STAFF}?pageSize=2")
    assert answer.json()["meta"] == {"page": 1, "pageSize": 2, "total": 4}
    assert [one["role"] for one in data(answer)] == ["SUPPORT", "MANAGER"]
    assert [one["role"] for one in data(await owner.get(f"{STAFF}?page=2&pageSize=2"))] == ["ADMIN", "OWNER"]
    member = data(answer)[0]
    assert member.keys() == {
        "id",
        "email",
        "name",
        "role",
        "status",
        "createdAt",
        "image",
        "twoFactorEnabled",
        "lastSignInAt",
    }
    assert {**data(await owner.get(f"{STAFF}/{member['id']}")), "lastSignInAt": member["lastSignInAt"]} == member
    assert data(await owner.get(f"{STAFF}?status=DEACTIVATED")) == []
    assert bad_fields(await owner.get(f"{STAFF}?status=GONE&pageSize=0")) == ["pageSize", "status"]
    assert (await owner.get(f"{STAFF}/stf_{'0' * 26}")).status_code == 404


async def test_the_list_tells_who_signed_in_last_also_after_the_session_is_over(people):
    await people.owner()
    await people.member("SUPPORT", "sam@letsbe.biz")
    people.clock.advance(seconds=3600)
    again = await people.signed_in("credentials", "sam@letsbe.biz")
    last = people.clock.now().isoformat(timespec="seconds")
    data(await again.patch("/api/v1/profile", json={"name": "Sam"}))
    await people.database.write(lambda connection: connection.execute(delete(sessions)).rowcount)
    owner = await people.signed_in("credentials", "owner@letsbe.biz")
    listed = {one["email"]: one["lastSignInAt"] for one in data(await owner.get(STAFF))}
    assert listed["sam@letsbe.biz"].startswith(last[:19])


async def test_a_role_counts_on_the_next_call(people):
    owner = await people.owner()
    member = await people.member("SUPPORT", "sam@letsbe.biz")
    [sam] = [staff_id for email, staff_id in (await ids(owner)).items() if email == "sam@letsbe.biz"]
    body = {"email": "new@acme.com", "name": "New", "password": PASSWORD}
    assert (await member.post("/api/v1/admin/customers", json=body)).status_code == 403
    assert data(await owner.patch(f"{STAFF}/{sam}", json={"role": "MANAGER"}))["role"] == "MANAGER"
    assert (await member.post("/api/v1/admin/customers", json=body)).status_code == 201
    assert (await member.get("/api/auth/session")).json()["user"]["role"] == "MANAGER"


@pytest.mark.parametrize("how", ["delete", "SUSPENDED", "DEACTIVATED"])
async def test_who_is_sent_away_is_out_at_once_and_for_good(people, how):
    owner = await people.owner()
    member = await people.member("ADMIN", "adam@letsbe.biz")
    adam = (await ids(owner))["adam@letsbe.biz"]
    forgot = {"email": "adam@letsbe.biz", "userType": "staff"}
    await people.browser().post("/api/v1/auth/password/forgot", json=forgot)
    [mail] = await people.posted("password_reset")
    assert (await member.get("/api/v1/profile")).status_code == 200
    gone = await (
        owner.delete(f"{STAFF}/{adam}") if how == "delete" else owner.patch(f"{STAFF}/{adam}", json={"status": how})
    )
    assert data(gone)["status"] == ("DEACTIVATED" if how == "delete" else how)
    assert (await member.get("/api/v1/profile")).status_code == 401
    body = {"email": "adam@letsbe.biz", "password": PASSWORD}
    assert (await people.browser().post("/api/auth/callback/credentials", json=body)).status_code == 401
    data(await owner.patch(f"{STAFF}/{adam}", json={"status": "ACTIVE"}))
    assert (await member.get("/api/v1/profile")).status_code == 401, "a former session does not come back to life"
    choice = {"token": mail.token, "password": "something else entirely"}
    assert (await people.browser().post("/api/v1/auth/password/reset", json=choice)).status_code == 404
    await people.signed_in("credentials", "adam@letsbe.biz")


async def test_the_last_owner_stays_and_nobody_changes_themselves(people):
    owner = await people.owner()
    olga = (await ids(owner))["owner@letsbe.biz"]
    for change in ({"role": "ADMIN"}, {"status": "SUSPENDED"}, {"status": "DEACTIVATED"}):
        assert "last owner" in refusal(await owner.patch(f"{STAFF}/{olga}", json=change), 409)["message"]
    assert "last owner" in refusal(await owner.delete(f"{STAFF}/{olga}"), 409)["message"]
    second = await people.owner("second@letsbe.biz")
    for change in ({"role": "ADMIN"}, {"status": "DEACTIVATED"}):
        assert refusal(await owner.patch(f"{STAFF}/{olga}", json=change), 403)["code"] == "FORBIDDEN"
    assert data(await owner.patch(f"{STAFF}/{olga}", json={"role": "OWNER"}))["role"] == "OWNER", "no change is none"
    assert data(await second.delete(f"{STAFF}/{olga}"))["status"] == "DEACTIVATED"
    assert (await owner.get(STAFF)).status_code == 401


@pytest.mark.parametrize("role", ["ADMIN", "MANAGER", "SUPPORT"])
async def test_only_owners_manage_the_staff(people, role):
    owner = await people.owner()
    await people.member("SUPPORT", "victim@letsbe.biz")
    member = await people.member(role, "mallory@letsbe.biz")
    known = await ids(owner)
    for target in known.values():
        for change in ({"role": "OWNER"}, {"role": "SUPPORT"}, {"status": "SUSPENDED"}):
            assert (await member.patch(f"{STAFF}/{target}", json=change)).status_code == 403
        assert (await member.delete(f"{STAFF}/{target}")).status_code == 403
    invite = {"email": "friend@evil.example", "role": "OWNER"}
    assert (await member.post(f"{STAFF}/invite", json=invite)).status_code == 403
    assert (await member.get(STAFF)).status_code == (200 if role == "ADMIN" else 403)
    rows = await people.database.read(lambda connection: connection.execute(select(staff.c.status)).scalars().all())
    assert set(rows) == {"ACTIVE"}


async def test_nobody_names_what_is_not_theirs_to_set(people):
    """No mass assignment: unknown fields are refused by name, and change nothing."""
    owner = await people.owner()
    member = await people.member("SUPPORT", "mallory@letsbe.biz")
    mallory = (await ids(owner))["mallory@letsbe.biz"]
    for body in ({"role": "OWNER"}, {"name": "M", "role": "OWNER", "status": "ACTIVE", "id": mallory}):
        assert set(bad_fields(await member.patch("/api/v1/profile", json=body))) == body.keys() - {"name"}
    answer = await owner.patch(f"{STAFF}/{mallory}", json={"email": "x@y.z", "passwordHash": "x", "role": "ADMIN"})
    assert bad_fields(answer) == ["email", "passwordHash"]
    body = {"email": "c@acme.com", "name": "C", "status": "ACTIVE", "tokensUsed": 0}
    assert bad_fields(await owner.post("/api/v1/admin/customers", json=body)) == ["status", "tokensUsed"]
    assert data(await owner.get(f"{STAFF}/{mallory}"))["role"] == "SUPPORT"


@pytest.mark.parametrize("number", range(8))
async def test_of_two_owners_who_send_each_other_away_one_stays(people, number):
    left, right = await people.owner("left@letsbe.biz"), await people.owner("right@letsbe.biz")
    known = await ids(left)
    statuses = []

    async def send_away(browser, email: str) -> None:
        statuses.append((await browser.delete(f"{STAFF}/{known[email]}")).status_code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_away, left, "right@letsbe.biz")
        nursery.start_soon(send_away, right, "left@letsbe.biz")
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 403}
    owners = select(staff.c.email).where(staff.c.role == "OWNER", staff.c.status == "ACTIVE")
    assert len(await people.database.read(lambda connection: connection.execute(owners).all())) == 1


async def test_a_change_of_what_was_read_before_is_refused(people):
    owner = await people.owner()
    await people.member("SUPPORT", "sam@letsbe.biz")
    sam = (await ids(owner))["sam@letsbe.biz"]
    etag = (await owner.get(f"{STAFF}/{sam}")).headers["etag"]
    changed = await owner.patch(f"{STAFF}/{sam}", json={"role": "MANAGER"}, headers={"if-match": etag})
    assert changed.headers["etag"] != etag
    stale = await owner.patch(f"{STAFF}/{sam}", json={"role": "ADMIN"}, headers={"if-match": etag})
    assert refusal(stale, 409)["details"]["role"] == "MANAGER"
    assert (await owner.delete(f"{STAFF}/{sam}", headers={"if-match": etag})).status_code == 409
    for nonsense in ("x", 'W/"x"', '"a", "b"', '""'):
        answer = await owner.patch(f"{STAFF}/{sam}", json={"role": "ADMIN"}, headers={"if-match": nonsense})
        assert bad_fields(answer) == ["If-Match"]
    data(await owner.patch(f"{STAFF}/{sam}", json={"role": "ADMIN"}, headers={"if-match": "*"}))


async def test_every_change_has_its_entry_and_its_event(people):
    owner = await people.owner()
    await people.accounts.create_owner(TESTER, email="sam@letsbe.biz", name="Sam", password=PASSWORD)
    sam = (await ids(owner))["sam@letsbe.biz"]
    data(await owner.patch(f"{STAFF}/{sam}", json={"role": "SUPPORT"}))
    data(await owner.delete(f"{STAFF}/{sam}"))
    wanted = select(audit_entries).where(audit_entries.c.action == "staff.changed").order_by(audit_entries.c.position)
    entries = await people.database.read(lambda connection: connection.execute(wanted).mappings().all())
    assert [(entry["before"], entry["after"]) for entry in entries] == [
        ('{"role":"OWNER"}', '{"role":"SUPPORT"}'),
        ('{"status":"ACTIVE"}', '{"status":"DEACTIVATED"}'),
    ]
    assert {(entry["author_name"], entry["target"]) for entry in entries} == {("Olga Owner", sam)}
    kinds = await people.database.read(
        lambda connection: (
            connection.execute(text("SELECT kind FROM events WHERE kind LIKE 'staff%' ORDER BY id")).scalars().all()
        )
    )
    assert kinds == ["staff.created", "staff.signedIn", "staff.created", "staff.changed", "staff.deactivated"]
