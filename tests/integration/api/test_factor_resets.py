"""A second factor taken off somebody's account by the staff, and customers who are sent away for good."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from controlplane.store.tables.accounts import audit_entries
from protocol.words import UserType
from tests.integration.api.tenants import data, refusal
from tests.integration.api.test_two_factor import EMAIL, both, enrol
from tests.people import PASSWORD, People

STAFF = "/api/v1/admin/staff"
CUSTOMERS = "/api/v1/admin/customers"


async def url_of(browser, email: str, provider: str) -> str:
    room = STAFF if provider == "credentials" else CUSTOMERS
    [found] = [one["id"] for one in data(await browser.get(f"{room}?pageSize=100")) if one["email"] == email]
    return f"{room}/{found}"


async def actions(people: People) -> list[str]:
    statement = select(audit_entries.c.action).order_by(audit_entries.c.position)
    return list(await people.database.read(lambda connection: connection.execute(statement).scalars().all()))


@both
async def test_who_has_lost_their_device_gets_in_by_the_password_again_and_is_told(people, provider):
    enrolled = await enrol(people, provider)
    pending = await enrolled.begin()
    owner = await people.owner()
    url = await url_of(owner, EMAIL, provider)
    assert data(await owner.delete(f"{url}/two-factor"))["email"] == EMAIL
    # Neither the old sessions nor what was half done: whoever has the device has nothing.
    assert (await enrolled.browser.get("/api/v1/auth/sessions")).status_code == 401
    assert (await enrolled.finish(pending, enrolled.code())).status_code == 401
    fresh = await people.signed_in(provider, EMAIL)
    assert data(await fresh.get("/api/v1/auth/2fa/status"))["enabled"] is False
    told = [mail for mail in await people.posted("security_notice") if "by the staff" in mail.text]
    assert [mail.recipient for mail in told] == [EMAIL]
    assert (await actions(people)).count("two_factor.reset") == 1
    kind = "staff.twoFactorDisabled" if provider == "credentials" else "account.twoFactorDisabled"
    counted = text("SELECT count(*) FROM events WHERE kind = :kind")
    read = await people.database.read(lambda connection: connection.execute(counted, {"kind": kind}).scalar_one())
    assert read == 1
    assert refusal(await owner.delete(f"{url}/two-factor"), 409)["code"] == "CONFLICT"


async def test_nobody_takes_off_their_own(people):
    enrolled = await enrol(people, "credentials")
    url = await url_of(enrolled.browser, EMAIL, "credentials")
    refusal(await enrolled.browser.delete(f"{url}/two-factor"), 403)
    assert data(await enrolled.browser.get("/api/v1/auth/2fa/status"))["enabled"] is True


async def test_an_owners_is_taken_off_by_owners_alone(people):
    enrolled = await enrol(people, "credentials")
    admin = await people.member("ADMIN", "adam@letsbe.biz")
    url = await url_of(admin, EMAIL, "credentials")
    assert "only an owner" in refusal(await admin.delete(f"{url}/two-factor"), 403)["message"]
    assert data(await enrolled.browser.get("/api/v1/auth/2fa/status"))["enabled"] is True
    assert "two_factor.reset" not in await actions(people)
    demote = text("UPDATE staff SET role = 'MANAGER' WHERE email = :email")
    await people.database.write(lambda connection: connection.execute(demote, {"email": EMAIL}))
    assert data(await admin.delete(f"{url}/two-factor"))["twoFactorEnabled"] is False


@both
async def test_who_is_not_there_has_nothing_to_lose(people, provider):
    owner = await people.owner()
    room, prefix = (STAFF, "stf") if provider == "credentials" else (CUSTOMERS, "cust")
    refusal(await owner.delete(f"{room}/{prefix}_{'0' * 26}/two-factor"), 404)


@pytest.mark.parametrize("status", ["SUSPENDED", "DEACTIVATED"])
async def test_a_customers_sessions_do_not_come_back_with_them(people, status):
    owner = await people.owner()
    customer = await people.customer("maria@acme.com")
    url = f"{CUSTOMERS}/{customer.id}"
    browser = await people.signed_in("customer", "maria@acme.com")
    forgot = {"email": "maria@acme.com", "userType": UserType.CUSTOMER}
    await people.browser().post("/api/v1/auth/password/forgot", json=forgot)
    [mail] = await people.posted("password_reset")
    assert data(await owner.patch(url, json={"status": status}))["status"] == status
    assert (await browser.get("/api/v1/auth/sessions")).status_code == 401
    assert data(await owner.patch(url, json={"status": "ACTIVE"}))["status"] == "ACTIVE"
    assert (await browser.get("/api/v1/auth/sessions")).status_code == 401
    reset = {"token": mail.token, "password": f"{PASSWORD} anew"}
    assert (await people.browser().post("/api/v1/auth/password/reset", json=reset)).status_code != 200
    again = await people.signed_in("customer", "maria@acme.com")
    assert len(data(await again.get("/api/v1/auth/sessions"))) == 1
    assert (await actions(people)).count("sessions.ended") == 1


async def test_two_people_edit_one_customer_and_the_second_is_told(people):
    owner = await people.owner()
    customer = await people.customer("maria@acme.com")
    url = f"{CUSTOMERS}/{customer.id}"
    seen = {"If-Match": (await owner.get(url)).headers["etag"]}
    # An order, and what is billed for it, is no edit of the customer.
    order = {"userId": customer.id, "tier": "Build", "domain": "acme.letsbe.biz"}
    data(await owner.post("/api/v1/admin/orders", json=order), 201)
    first = await owner.patch(url, json={"name": "Maria Huber"}, headers=seen)
    assert data(first)["name"] == "Maria Huber"
    second = refusal(await owner.patch(url, json={"name": "Maria Maier"}, headers=seen), 409)
    assert (second["code"], second["details"]["name"]) == ("CONFLICT", "Maria Huber")
    third = await owner.patch(url, json={"company": None}, headers={"If-Match": first.headers["etag"]})
    assert (data(third)["name"], data(third)["company"]) == ("Maria Huber", None)
    assert [one["id"] for one in data(await owner.get(f"{CUSTOMERS}?status=ACTIVE"))] == [customer.id]
    assert data(await owner.get(f"{CUSTOMERS}?status=SUSPENDED")) == []
