"""Invitations to the staff: mailed, looked up, accepted once, sent again, taken back."""

from __future__ import annotations

import pytest
import trio
from sqlalchemy import text

from controlplane.services.account_mail import INVITATION_LIVES
from tests.integration.api.tenants import bad_fields, data, refusal
from tests.people import PASSWORD, PUBLIC_URL, People

STAFF = "/api/v1/admin/staff"
EMAIL = "nina@letsbe.biz"


async def invite(owner, email: str = EMAIL, role: str = "MANAGER"):
    return await owner.post(f"{STAFF}/invite", json={"email": email, "role": role})


async def accept(people: People, token: str, name: str = "Nina New", password: str = PASSWORD):
    body = {"token": token, "name": name, "password": password}
    return await people.browser().post("/api/v1/auth/accept-invite", json=body)


async def look_up(people: People, token: str):
    return await people.browser().get(f"/api/v1/auth/invite/{token}")


async def test_who_is_invited_by_mail_joins_with_a_password(people):
    owner = await people.owner()
    invitation = data(await invite(owner), 201)
    assert invitation.keys() == {*("id", "email", "role", "invitedBy", "status", "createdAt", "sentAt", "expiresAt")}
    assert (invitation["invitedBy"], invitation["status"]) == ("Olga Owner", "PENDING")
    [mail] = await people.posted("invitation")
    assert mail.recipient == EMAIL
    assert f"{PUBLIC_URL}/accept-invite#{mail.token}" in mail.text
    assert "Olga Owner" in mail.text
    assert "Manager" in mail.text
    found = data(await look_up(people, mail.token))
    assert found == {key: invitation[key] for key in ("email", "role", "invitedBy", "expiresAt")}
    assert data(await owner.get(f"{STAFF}/invitations")) == [invitation]
    member = data(await accept(people, mail.token), 201)
    assert (member["email"], member["name"], member["role"]) == (EMAIL, "Nina New", "MANAGER")
    nina = await people.signed_in("credentials", EMAIL)
    assert data(await nina.get("/api/v1/profile")) == member
    assert data(await owner.get(f"{STAFF}/invitations")) == []
    assert (await look_up(people, mail.token)).status_code == 404
    assert (await accept(people, mail.token)).status_code == 404


async def test_of_fifty_who_accept_at_once_one_joins(people):
    owner = await people.owner()
    await invite(owner)
    [mail] = await people.posted("invitation")
    statuses = []

    async def race(number: int) -> None:
        statuses.append((await accept(people, mail.token, f"Nina {number}")).status_code)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(race, number)
    assert sorted(statuses) == [201] + [404] * 49
    assert len([one for one in data(await owner.get(STAFF)) if one["email"] == EMAIL]) == 1


async def test_an_address_is_invited_once(people):
    owner = await people.owner()
    first = data(await invite(owner), 201)
    assert refusal(await invite(owner, EMAIL.upper()), 409)["code"] == "CONFLICT"
    assert refusal(await invite(owner, "OWNER@letsbe.biz"), 409)["code"] == "CONFLICT"
    people.clock.advance(seconds=INVITATION_LIVES.total_seconds())
    owner = await people.signed_in("credentials", "owner@letsbe.biz")
    assert data(await owner.get(f"{STAFF}/invitations"))[0]["status"] == "EXPIRED"
    again = data(await invite(owner), 201)
    assert again["id"] != first["id"]
    assert [one["id"] for one in data(await owner.get(f"{STAFF}/invitations"))] == [again["id"]]


async def test_of_many_invitations_of_one_address_at_once_one_is_made(people):
    owner = await people.owner()
    statuses = []

    async def race() -> None:
        statuses.append((await invite(owner)).status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(race)
    assert sorted(statuses) == [201] + [409] * 9
    assert len(await people.posted("invitation")) == 1


async def test_an_invitation_is_sent_again_under_a_fresh_token(people):
    owner = await people.owner()
    invitation = data(await invite(owner), 201)
    people.clock.advance(hours=1)
    again = data(await owner.post(f"{STAFF}/invitations/{invitation['id']}/resend"))
    assert (again["id"], again["createdAt"]) == (invitation["id"], invitation["createdAt"])
    assert again["expiresAt"] > invitation["expiresAt"]
    first, second = await people.posted("invitation")
    assert (await look_up(people, first.token)).status_code == 404
    assert (await accept(people, first.token)).status_code == 404
    assert (await accept(people, second.token)).status_code == 201
    assert (await owner.post(f"{STAFF}/invitations/{invitation['id']}/resend")).status_code == 404


async def test_an_invitation_is_taken_back(people):
    owner = await people.owner()
    invitation = data(await invite(owner), 201)
    [mail] = await people.posted("invitation")
    data(await owner.delete(f"{STAFF}/invitations/{invitation['id']}"))
    assert (await accept(people, mail.token)).status_code == 404
    assert (await owner.delete(f"{STAFF}/invitations/{invitation['id']}")).status_code == 404
    assert data(await owner.get(f"{STAFF}/invitations")) == []
    data(await invite(owner), 201)


async def test_an_invitation_ends_after_a_week(people):
    owner = await people.owner()
    data(await invite(owner), 201)
    [mail] = await people.posted("invitation")
    people.clock.advance(seconds=INVITATION_LIVES.total_seconds() - 1)
    assert (await look_up(people, mail.token)).status_code == 200
    people.clock.advance(seconds=1)
    assert (await look_up(people, mail.token)).status_code == 404
    assert (await accept(people, mail.token)).status_code == 404


@pytest.mark.parametrize("change", [{"status": "DEACTIVATED"}, {"role": "ADMIN"}])
async def test_who_may_not_invite_any_more_has_invited_nobody(people, change):
    owner = await people.owner()
    second = await people.owner("second@letsbe.biz")
    data(await invite(second), 201)
    [mail] = await people.posted("invitation")
    [target] = [one["id"] for one in data(await owner.get(STAFF)) if one["email"] == "second@letsbe.biz"]
    data(await owner.patch(f"{STAFF}/{target}", json=change))
    assert (await accept(people, mail.token)).status_code == 404
    assert data(await owner.get(f"{STAFF}/invitations")) == []


async def test_what_will_not_do_is_named_and_leaves_the_invitation_open(people):
    owner = await people.owner()
    answer = await owner.post(f"{STAFF}/invite", json={"email": "nonsense", "role": "KING", "token": "x"})
    assert set(bad_fields(answer)) == {"email", "role", "token"}
    data(await invite(owner), 201)
    [mail] = await people.posted("invitation")
    assert bad_fields(await accept(people, mail.token, password="nina@letsbe.biz")) == ["password"]
    assert bad_fields(await accept(people, mail.token, name=" ")) == ["name"]
    body = {"token": mail.token, "name": "N", "password": PASSWORD, "role": "OWNER", "email": "x@y.z"}
    assert set(bad_fields(await people.browser().post("/api/v1/auth/accept-invite", json=body))) == {"role", "email"}
    assert (await accept(people, mail.token)).status_code == 201
    for nonsense in ("x", "invite_" + "x" * 43, "x" * 43, "p2fa_" + "x" * 43):
        assert (await look_up(people, nonsense)).status_code == 404
        assert (await accept(people, nonsense)).status_code == 404


async def test_inviting_and_looking_up_are_limited(database):
    people = People(database, limits=None)
    owner = await people.owner()
    browser = people.browser()
    statuses = [(await browser.get("/api/v1/auth/invite/x")).status_code for _ in range(31)]
    assert (statuses[0], statuses[-1]) == (404, 429)
    statuses = [(await invite(owner, f"n{number}@letsbe.biz")).status_code for number in range(21)]
    assert statuses == [201] * 20 + [429]


async def test_tokens_are_nowhere_and_changes_are_told(people):
    owner = await people.owner()
    invitation = data(await invite(owner), 201)
    people.clock.advance(seconds=1)
    data(await owner.post(f"{STAFF}/invitations/{invitation['id']}/resend"))
    _, mail = await people.posted("invitation")
    data(await accept(people, mail.token), 201)
    other = data(await invite(owner, "other@letsbe.biz"), 201)
    data(await owner.delete(f"{STAFF}/invitations/{other['id']}"))

    def kept(connection):
        tables = ("staff_invitations", "mails", "audit_entries", "events")
        everything = "\n".join(
            str(row[0]) for table in tables for row in connection.execute(text(f"SELECT t::text FROM {table} t"))
        )
        audit = "SELECT action FROM audit_entries WHERE action LIKE 'staff.%' ORDER BY position"
        events = "SELECT kind FROM events WHERE kind LIKE 'staff.%' ORDER BY id"
        return everything, *(list(connection.execute(text(statement)).scalars()) for statement in (audit, events))

    everything, entries, kinds = await people.database.read(kept)
    assert mail.token not in everything
    assert entries[1:] == [
        *("staff.invited", "staff.invitation_resent", "staff.created", "staff.invitation_accepted"),
        *("staff.invited", "staff.invitation_revoked"),
    ]
    assert kinds[2:] == [
        *("staff.invited", "staff.invitationResent", "staff.created", "staff.invitationAccepted"),
        *("staff.invited", "staff.invitationRevoked"),
    ]
