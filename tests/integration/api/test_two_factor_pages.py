"""Two-factor authentication in browsers: pages without scripts, next-auth's form, and foreign pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.integration.api.tenants import data, refusal
from tests.integration.api.test_two_factor import EMAIL, enrol
from tests.people import PASSWORD, PUBLIC_URL


async def test_a_foreign_page_cannot_complete_or_turn_on_anything(people):
    enrolled = await enrol(people, "customer")
    token = await enrolled.begin()
    headers = {"origin": "https://evil.example"}
    body = {"token": token, "code": enrolled.code()}
    answer = await people.browser().post("/api/v1/auth/2fa/verify", json=body, headers=headers)
    assert refusal(answer, 403)["code"] == "FORBIDDEN"
    answer = await people.browser().post(
        "/api/v1/auth/2fa/verify", content=b'{"code": "123456"}', headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 415
    for path in ("setup", "disable", "backup-codes"):
        answer = await enrolled.browser.post(f"/api/v1/auth/2fa/{path}", json={"password": PASSWORD}, headers=headers)
        assert answer.status_code == 403


async def test_a_browser_without_scripts_is_asked_on_a_page(people):
    enrolled = await enrol(people, "customer")
    browser = people.browser()
    assert (await browser.get("/api/auth/two-factor")).headers["location"] == f"{PUBLIC_URL}/api/auth/signin"
    token = (await browser.get("/api/auth/csrf")).json()["csrfToken"]
    form = {"email": EMAIL, "password": PASSWORD, "csrfToken": token, "callbackUrl": "/inbox"}
    answer = await browser.post("/api/auth/callback/customer", data=form)
    assert (answer.status_code, urlsplit(answer.headers["location"]).path) == (302, "/api/auth/two-factor")
    [kept] = [value for value in answer.headers.get_list("set-cookie") if "pending" in value]
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/api/auth", "Max-Age=300"):
        assert attribute in kept
    page = await browser.get("/api/auth/two-factor")
    assert 'name="code"' in page.text
    assert "script" not in page.text
    unmarked = await browser.post("/api/auth/two-factor", data={"code": enrolled.code()})
    assert "csrf=true" in unmarked.headers["location"]
    wrong = await browser.post("/api/auth/two-factor", data={"csrfToken": token, "code": "000000"})
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (401, True)
    right = await browser.post("/api/auth/two-factor", data={"csrfToken": token, "code": enrolled.code()})
    assert (right.status_code, right.headers["location"]) == (302, f"{PUBLIC_URL}/inbox")
    assert (await browser.get("/api/auth/session")).json()["user"]["email"] == EMAIL
    assert not [cookie for cookie in browser.cookies.jar if "pending" in cookie.name]


async def test_next_auths_form_is_sent_to_the_page_too(people):
    await enrol(people, "customer")
    browser = people.browser()
    token = (await browser.get("/api/auth/csrf")).json()["csrfToken"]
    form = {"email": EMAIL, "password": PASSWORD, "csrfToken": token, "json": "true"}
    answer = (await browser.post("/api/auth/callback/customer", data=form)).json()
    assert answer["url"] == f"{PUBLIC_URL}/api/auth/two-factor"
    assert answer["requires2FA"] is True
    assert (await browser.get("/api/auth/two-factor")).status_code == 200


async def test_who_was_suspended_meanwhile_does_not_come_in(people):
    enrolled = await enrol(people, "customer")
    owner = await people.owner()
    token = await enrolled.begin()
    customer = data(await owner.get("/api/v1/admin/customers?search=both"))[0]
    await owner.patch(f"/api/v1/admin/customers/{customer['id']}", json={"status": "SUSPENDED"})
    assert (await enrolled.finish(token, enrolled.code())).status_code == 401
