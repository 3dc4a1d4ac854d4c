"""Two-factor authentication: enrolled, asked at sign-in, each code once, backup codes, turned off."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pyotp
import pytest
import trio
from cryptography.fernet import Fernet
from sqlalchemy import select, text

from controlplane.secret import Secret
from controlplane.services.one_time_codes import BACKUP_CODES
from controlplane.services.sealing import Sealer
from controlplane.services.two_factor import PENDING_LIVES
from controlplane.store.tables.accounts import audit_entries
from controlplane.store.tables.credentials import pending_2fa_sessions
from controlplane.store.two_factor import TRIES
from tests.integration.api.tenants import bad_fields, data, refusal
from tests.people import PASSWORD, PUBLIC_URL, TESTER, People

SESSION = "next-auth.session-token"
EMAIL = "both@acme.com"
both = pytest.mark.parametrize("provider", ["credentials", "customer"])


class Enrolled:
    """Somebody with a second factor, and their authenticator app."""

    def __init__(self, people: People, provider: str, browser: httpx.AsyncClient, secret: str) -> None:
        self.people = people
        self.provider = provider
        self.browser = browser
        self.app = pyotp.TOTP(secret)
        self.backup_codes: list[str] = []

    def code(self, *, steps: int = 0) -> str:
        """What the app shows, or showed."""
        return self.app.at(self.people.clock.now() + timedelta(seconds=30 * steps))

    async def begin(self, browser: httpx.AsyncClient | None = None) -> str:
        """Sign in with the password alone; the token of what is pending."""
        browser = browser or self.people.browser()
        body = {"email": EMAIL, "password": PASSWORD}
        answer = (await browser.post(f"/api/auth/callback/{self.provider}", json=body)).json()
        assert answer["requires2FA"] is True
        return str(answer["pendingToken"])

    async def finish(self, token: str, code: str, browser: httpx.AsyncClient | None = None) -> httpx.Response:
        browser = browser or self.people.browser()
        return await browser.post("/api/v1/auth/2fa/verify", json={"token": token, "code": code})


async def enrol(people: People, provider: str) -> Enrolled:
    if provider == "customer":
        await people.customer(EMAIL)
    else:
        await people.accounts.create_owner(TESTER, email=EMAIL, name="Both", password=PASSWORD)
    browser = await people.signed_in(provider, EMAIL)
    assert data(await browser.get("/api/v1/auth/2fa/status"))["enabled"] is False
    offered = data(await browser.post("/api/v1/auth/2fa/setup"))
    assert offered["otpauthUri"] == pyotp.parse_uri(offered["otpauthUri"]).provisioning_uri()
    assert offered["qrCode"].startswith("<svg ")
    enrolled = Enrolled(people, provider, browser, offered["secret"])
    verified = data(await browser.post("/api/v1/auth/2fa/verify", json={"code": enrolled.code()}))
    enrolled.backup_codes = verified["backupCodes"]
    people.clock.advance(seconds=30)
    return enrolled


@both
async def test_the_walk_of_the_specification(people, provider):
    enrolled = await enrol(people, provider)
    status = data(await enrolled.browser.get("/api/v1/auth/2fa/status"))
    assert (status["enabled"], status["backupCodesLeft"]) == (True, BACKUP_CODES)
    browser = people.browser()
    body = {"email": EMAIL, "password": PASSWORD}
    answer = await browser.post(f"/api/auth/callback/{provider}", json=body)
    assert answer.status_code == 200
    assert answer.json().keys() == {"url", "requires2FA", "pendingToken"}
    assert answer.json()["url"] == f"{PUBLIC_URL}/api/auth/two-factor"
    assert SESSION not in browser.cookies
    assert (await browser.get("/api/auth/session")).json() == {}
    done = await enrolled.finish(answer.json()["pendingToken"], enrolled.code(), browser)
    assert data(done)["verified"] is True
    assert data(done)["backupCodes"] is None
    assert SESSION in browser.cookies
    assert (await browser.get("/api/auth/session")).json()["user"]["email"] == EMAIL


async def test_a_wrong_password_is_told_alike_with_and_without_a_second_factor(people):
    await enrol(people, "customer")
    await people.customer("other@acme.com")
    answers = set()
    for email in (EMAIL, "other@acme.com", "nobody@acme.com"):
        body = {"email": email, "password": "wrong password"}
        answer = await people.browser().post("/api/auth/callback/customer", json=body)
        answers.add((answer.status_code, answer.text))
    assert len(answers) == 1


@both
async def test_of_twenty_submits_of_one_code_one_succeeds(people, provider):
    enrolled = await enrol(people, provider)
    tokens = [await enrolled.begin() for _ in range(20)]
    code, statuses = enrolled.code(), []

    async def submit(token: str) -> None:
        statuses.append((await enrolled.finish(token, code)).status_code)

    async with trio.open_nursery() as nursery:
        for token in tokens:
            nursery.start_soon(submit, token)
    assert sorted(statuses) == [200] + [401] * 19


async def test_of_twenty_submits_of_one_token_one_succeeds(people):
    enrolled = await enrol(people, "customer")
    token = await enrolled.begin()
    codes = [enrolled.code(), *enrolled.backup_codes]
    statuses = []

    async def submit(code: str) -> None:
        statuses.append((await enrolled.finish(token, code)).status_code)

    async with trio.open_nursery() as nursery:
        for code in codes:
            nursery.start_soon(submit, code)
    assert sorted(statuses) == [200] + [401] * (len(codes) - 1)
    status = data(await enrolled.browser.get("/api/v1/auth/2fa/status"))
    assert status["backupCodesLeft"] >= BACKUP_CODES - 1, "a lost race uses no code up"


async def test_a_code_is_not_taken_again_nor_one_older_than_one_that_was(people):
    enrolled = await enrol(people, "customer")
    now, former = enrolled.code(), enrolled.code(steps=-1)
    assert (await enrolled.finish(await enrolled.begin(), now)).status_code == 200
    assert refusal(await enrolled.finish(await enrolled.begin(), now), 401)["code"] == "UNAUTHORIZED"
    assert (await enrolled.finish(await enrolled.begin(), former)).status_code == 401
    people.clock.advance(seconds=30)
    assert (await enrolled.finish(await enrolled.begin(), now)).status_code == 401
    assert (await enrolled.finish(await enrolled.begin(), enrolled.code())).status_code == 200


async def test_the_code_that_enrolled_does_not_sign_in(people):
    enrolled = await enrol(people, "customer")
    people.clock.advance(seconds=-30)
    assert (await enrolled.finish(await enrolled.begin(), enrolled.code())).status_code == 401


@pytest.mark.parametrize("steps", [-2, 2, 100])
async def test_a_code_of_another_time_is_refused(people, steps):
    enrolled = await enrol(people, "customer")
    assert (await enrolled.finish(await enrolled.begin(), enrolled.code(steps=steps))).status_code == 401


async def test_a_backup_code_signs_in_once(people):
    enrolled = await enrol(people, "customer")
    code = enrolled.backup_codes[3]
    assert (await enrolled.finish(await enrolled.begin(), code.upper().replace("-", " "))).status_code == 200
    assert (await enrolled.finish(await enrolled.begin(), code)).status_code == 401
    left = data(await enrolled.browser.get("/api/v1/auth/2fa/backup-codes"))
    assert left == {"remaining": BACKUP_CODES - 1, "codes": None}


async def test_backup_codes_are_made_anew_with_proof_and_shown_once(people):
    enrolled = await enrol(people, "customer")
    browser = enrolled.browser
    assert bad_fields(await browser.post("/api/v1/auth/2fa/backup-codes", json={})) == ["code"]
    wrong = await browser.post("/api/v1/auth/2fa/backup-codes", json={"password": "wrong password"})
    assert bad_fields(wrong) == ["password"]
    made = data(await browser.post("/api/v1/auth/2fa/backup-codes", json={"code": enrolled.code()}))
    assert (made["remaining"], len(set(made["codes"]))) == (BACKUP_CODES, BACKUP_CODES)
    assert (await enrolled.finish(await enrolled.begin(), enrolled.backup_codes[0])).status_code == 401
    assert (await enrolled.finish(await enrolled.begin(), made["codes"][0])).status_code == 200


@both
async def test_a_pending_token_opens_nothing_but_its_sign_in(people, provider):
    enrolled = await enrol(people, provider)
    token = await enrolled.begin()
    bearer = people.browser(headers={"authorization": f"Bearer {token}"})
    cookie = people.browser(cookies={SESSION: token})
    for path in ("/api/v1/auth/2fa/status", "/api/v1/profile", "/api/v1/auth/sessions", "/api/v1/admin/customers"):
        assert (await bearer.get(path)).status_code == 401
        assert (await cookie.get(path)).status_code == 401
    assert (await bearer.get("/api/auth/session")).json() == {}
    for path in ("setup", "disable", "backup-codes"):
        assert (await bearer.post(f"/api/v1/auth/2fa/{path}", json={"code": "123456"})).status_code == 401
    reset = await people.browser().post("/api/v1/auth/password/reset", json={"token": token, "password": PASSWORD})
    assert reset.status_code == 404
    assert (await people.browser().get(f"/api/v1/auth/invite/{token}")).status_code == 404
    session = enrolled.browser.cookies[SESSION]
    assert (await enrolled.finish(session, enrolled.code())).status_code == 401
    assert (await enrolled.finish(token, enrolled.code())).status_code == 200


async def test_a_pending_token_lives_five_minutes_and_has_five_tries(people):
    enrolled = await enrol(people, "customer")
    late = await enrolled.begin()
    people.clock.advance(seconds=PENDING_LIVES.total_seconds())
    assert "begin again" in refusal(await enrolled.finish(late, enrolled.code()), 401)["message"]
    tried = await enrolled.begin()
    for _ in range(TRIES):
        assert "wrong" in refusal(await enrolled.finish(tried, "000000"), 401)["message"]
    assert "begin again" in refusal(await enrolled.finish(tried, enrolled.code()), 401)["message"]
    assert (await enrolled.finish(await enrolled.begin(), enrolled.code())).status_code == 200


async def test_codes_are_limited_by_account_and_by_address(database):
    people = People(database, limits=None)
    enrolled = await enrol(people, "customer")
    for _ in range(5):
        assert (await enrolled.finish(await enrolled.begin(), "000000")).status_code == 401
    refused = await enrolled.finish(await enrolled.begin(), enrolled.code())
    assert refusal(refused, 429)["code"] == "RATE_LIMITED"
    assert int(refused.headers["retry-after"]) == 60
    answers = [(await enrolled.finish("p2fa_" + "x" * 43, "000000")).status_code for _ in range(25)]
    assert answers[0] == 401
    assert answers[-1] == 429


async def test_a_token_is_kept_as_a_hash_and_the_secret_sealed(people):
    enrolled = await enrol(people, "customer")
    token = await enrolled.begin()

    def everything(connection):
        tables = ("pending_2fa_sessions", "second_factors", "backup_codes", "sessions", "audit_entries", "events")
        return "\n".join(
            str(row[0]) for table in tables for row in connection.execute(text(f"SELECT t::text FROM {table} t"))
        )

    kept = await people.database.read(everything)
    assert kept
    for secret in (token, token.removeprefix("p2fa_"), enrolled.app.secret, *enrolled.backup_codes):
        assert secret not in kept
        assert secret.encode().hex() not in kept


@both
async def test_turning_it_on_rotates_the_token_and_ends_the_others(people, provider):
    if provider == "customer":
        await people.customer(EMAIL)
    else:
        await people.accounts.create_owner(TESTER, email=EMAIL, name="Both", password=PASSWORD)
    browser, other = await people.signed_in(provider, EMAIL), await people.signed_in(provider, EMAIL)
    former = browser.cookies[SESSION]
    secret = data(await browser.post("/api/v1/auth/2fa/setup"))["secret"]
    code = pyotp.TOTP(secret).at(people.clock.now())
    data(await browser.post("/api/v1/auth/2fa/verify", json={"code": code}))
    assert browser.cookies[SESSION] != former
    assert (await browser.get("/api/v1/auth/2fa/status")).status_code == 200
    assert (await other.get("/api/v1/auth/2fa/status")).status_code == 401
    stolen = people.browser(cookies={SESSION: former})
    assert (await stolen.get("/api/v1/auth/2fa/status")).status_code == 401


async def test_a_bearer_keeps_its_token(people):
    await people.customer(EMAIL)
    token = (await people.signed_in("customer", EMAIL)).cookies[SESSION]
    bearer = people.browser(headers={"authorization": f"Bearer {token}"})
    secret = data(await bearer.post("/api/v1/auth/2fa/setup"))["secret"]
    answer = await bearer.post("/api/v1/auth/2fa/verify", json={"code": pyotp.TOTP(secret).at(people.clock.now())})
    assert len(data(answer)["backupCodes"]) == BACKUP_CODES
    assert "set-cookie" not in answer.headers
    assert (await bearer.get("/api/v1/auth/2fa/status")).status_code == 200


async def test_what_was_set_up_guards_nothing_before_its_first_code(people):
    await people.customer(EMAIL)
    browser = await people.signed_in("customer", EMAIL)
    first = data(await browser.post("/api/v1/auth/2fa/setup"))["secret"]
    second = data(await browser.post("/api/v1/auth/2fa/setup"))["secret"]
    assert first != second
    now = people.clock.now()
    former = await browser.post("/api/v1/auth/2fa/verify", json={"code": pyotp.TOTP(first).at(now)})
    assert bad_fields(former) == ["code"]
    await people.signed_in("customer", EMAIL)
    assert refusal(await browser.post("/api/v1/auth/2fa/disable", json={"code": "123456"}), 409)
    assert refusal(await browser.post("/api/v1/auth/2fa/backup-codes", json={"code": "123456"}), 409)
    data(await browser.post("/api/v1/auth/2fa/verify", json={"code": pyotp.TOTP(second).at(now)}))
    assert refusal(await browser.post("/api/v1/auth/2fa/setup"), 409)["code"] == "CONFLICT"


async def test_verifying_without_anything_to_verify(people):
    await people.customer(EMAIL)
    browser = await people.signed_in("customer", EMAIL)
    assert refusal(await browser.post("/api/v1/auth/2fa/verify", json={"code": "123456"}), 409)
    assert refusal(await people.browser().post("/api/v1/auth/2fa/verify", json={"code": "123456"}), 401)


async def test_where_it_is_on_a_code_is_only_checked_and_used_up(people):
    enrolled = await enrol(people, "customer")
    code = {"code": enrolled.code()}
    checked = data(await enrolled.browser.post("/api/v1/auth/2fa/verify", json=code))
    assert (checked["verified"], checked["backupCodes"]) == (True, None)
    assert bad_fields(await enrolled.browser.post("/api/v1/auth/2fa/verify", json=code)) == ["code"]


@pytest.mark.parametrize("proof", ["code", "backup", "password"])
async def test_turning_it_off_needs_proof(people, proof):
    enrolled = await enrol(people, "customer")
    browser = enrolled.browser
    assert bad_fields(await browser.post("/api/v1/auth/2fa/disable", json={})) == ["code"]
    assert bad_fields(await browser.post("/api/v1/auth/2fa/disable", json={"code": "000000"})) == ["code"]
    wrong = await browser.post("/api/v1/auth/2fa/disable", json={"password": "wrong password"})
    assert bad_fields(wrong) == ["password"]
    right = {
        "code": {"code": enrolled.code()},
        "backup": {"code": enrolled.backup_codes[0]},
        "password": {"password": PASSWORD},
    }[proof]
    waiting = await enrolled.begin()
    assert data(await browser.post("/api/v1/auth/2fa/disable", json=right))["enabled"] is False
    assert (await enrolled.finish(waiting, enrolled.code(steps=1))).status_code == 401
    await people.signed_in("customer", EMAIL)
    assert [mail.subject for mail in await people.posted("security_notice")] == [
        "Two-factor authentication was turned on: LetsBe",
        "Two-factor authentication was turned off: LetsBe",
    ]


async def test_each_step_has_its_audit_entry_and_names_no_secret(people):
    enrolled = await enrol(people, "customer")
    await enrolled.finish(await enrolled.begin(), enrolled.backup_codes[0])
    await enrolled.browser.post("/api/v1/auth/2fa/backup-codes", json={"code": enrolled.code()})
    await enrolled.browser.post("/api/v1/auth/2fa/disable", json={"password": PASSWORD})
    wanted = select(audit_entries).where(audit_entries.c.action.like("two_factor%")).order_by(audit_entries.c.position)
    entries = await people.database.read(lambda connection: connection.execute(wanted).mappings().all())
    assert [entry["action"] for entry in entries] == [
        "two_factor.offered",
        "two_factor.enabled",
        "two_factor.backup_code_used",
        "two_factor.backup_codes_made",
        "two_factor.disabled",
    ]
    assert {entry["author_type"] for entry in entries} == {"customer"}
    assert all(entry["customer_id"] is not None and entry["request_id"] for entry in entries)
    kinds = await people.database.read(
        lambda connection: connection.execute(text("SELECT kind FROM events ORDER BY id")).scalars().all()
    )
    assert [kind for kind in kinds if "two" in kind.lower() or "backup" in kind] == [
        "account.twoFactorEnabled",
        "account.backupCodeUsed",
        "account.backupCodesMade",
        "account.twoFactorDisabled",
    ]


async def test_pending_sign_ins_that_are_over_are_swept(people):
    enrolled = await enrol(people, "customer")
    await enrolled.begin()
    store = people.identity.two_factor_store
    assert await store.sweep() == 0
    people.clock.advance(seconds=(PENDING_LIVES + timedelta(seconds=1)).total_seconds())
    assert await store.sweep() == 1
    left = await people.database.read(lambda connection: connection.execute(select(pending_2fa_sessions)).all())
    assert left == []


async def test_secrets_are_sealed_anew_and_work_throughout(people):
    enrolled = await enrol(people, "customer")
    old, new = (Secret(Fernet.generate_key().decode()) for _ in range(2))
    service, store = people.identity.two_factor, people.identity.two_factor_store
    [(factor, first)] = await store.secrets_after(None)
    secret = people.sealer.open(first)
    await store.reseal(factor, first, Sealer([old]).seal(secret))
    service._sealer = Sealer([new, old])
    assert (await enrolled.finish(await enrolled.begin(), enrolled.code())).status_code == 200
    assert await service.seal_anew() == 1
    assert await service.seal_anew() == 0
    people.clock.advance(seconds=30)
    service._sealer = Sealer([new])
    assert (await enrolled.finish(await enrolled.begin(), enrolled.code())).status_code == 200
