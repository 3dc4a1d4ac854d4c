"""The Hub's settings over HTTP: shown by category, changed together or not at all, secrets never told again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from controlplane.secret import Secret
from controlplane.services.sealing import Sealer
from controlplane.services.setting_seals import seal_settings_anew
from controlplane.system_settings.own import Email, Hub
from controlplane.system_settings.registry import CATEGORIES, SETTINGS
from tests.integration.api.tenants import bad_fields, data, open_town, refusal
from tests.people import People

PATH = "/api/v1/admin/settings"
SPECIFIED = {
    "docker",
    "dockerhub",
    "gitea",
    "hub",
    "provisioning",
    "netcup",
    "email",
    "notifications",
    "storage",
}
MAIL = {"email.smtpHost": "mail.letsbe.biz", "email.fromAddress": "hub@letsbe.biz"}


async def shown(browser: Any) -> dict[str, Any]:
    """Every setting by its name."""
    found = data(await browser.get(PATH))
    return {one["name"]: one for settings in found.values() for one in settings}


async def test_all_settings_are_shown_by_category(people: People):
    owner = await people.owner()
    found = data(await owner.get(PATH))
    assert set(found) == SPECIFIED == set(CATEGORIES)
    names = [one["name"] for settings in found.values() for one in settings]
    assert names == list(SETTINGS)
    assert len(names) > 50
    assert all(one["name"].startswith(f"{category}.") for category, settings in found.items() for one in settings)
    build = (await shown(owner))["hub.tokensBuild"]
    assert build == {
        "name": "hub.tokensBuild",
        "type": "integer",
        "value": 7_500_000,
        "default": 7_500_000,
        "isSet": False,
        "description": build["description"],
        "minimum": 0,
        "maximum": 1_000_000_000_000,
        "maxLength": None,
        "pattern": None,
        "choices": None,
        "awaits": None,
        "lockedBy": None,
        "updatedAt": None,
        "updatedBy": None,
    }


async def test_a_change_counts_at_once_and_null_goes_back(people: People):
    owner = await people.owner()
    before = (await owner.get(PATH)).headers["etag"]
    answer = await owner.patch(
        PATH, json={"hub.tokensBuild": 8_000_000, "docker.cpus": 1.5, "storage.pathStyle": False}
    )
    data(answer)
    assert answer.headers["etag"] != before
    after = await shown(owner)
    assert (after["hub.tokensBuild"]["value"], after["hub.tokensBuild"]["isSet"]) == (8_000_000, True)
    assert after["hub.tokensBuild"]["updatedBy"] == "Olga Owner"
    assert after["docker.cpus"]["value"] == 1.5
    assert after["storage.pathStyle"]["value"] is False
    assert after["hub.tokensLite"]["value"] == 2_500_000
    data(await owner.patch(PATH, json={"hub.tokensBuild": None}))
    back = (await shown(owner))["hub.tokensBuild"]
    assert (back["value"], back["isSet"], back["updatedBy"]) == (7_500_000, False, None)


async def test_every_bad_field_is_named_and_nothing_is_changed(people: People):
    owner = await people.owner()
    body = {
        "hub.tokensBuild": -1,
        "hub.tokensLite": "many",
        "hub.tokensScale": 30_000_000,
        "hub.toolsLite": ["Not A Tool"],
        "email.smtpSecurity": "none",
        "netcup.apiUrl": "ftp://there",
        "hub.nothing": 1,
    }
    answer = await owner.patch(PATH, json=body)
    assert set(bad_fields(answer)) == {*body} - {"hub.tokensScale", "hub.toolsLite"} | {"hub.toolsLite.0"}
    assert not any(one["isSet"] for one in (await shown(owner)).values())


async def test_a_secret_is_sealed_and_never_told_again(people: People):
    owner = await people.owner()
    secret = "a mail password nobody sees"
    body = {**MAIL, "email.smtpUser": "hub", "email.smtpPassword": secret, "gitea.token": "gitea secret token"}
    answer = await owner.patch(PATH, json=body)
    entry = next(one for one in data(answer)["email"] if one["name"] == "email.smtpPassword")
    assert (entry["type"], entry["value"], entry["isSet"]) == ("secret", None, True)
    assert secret not in answer.text
    assert secret not in (await owner.get(PATH)).text
    everywhere = """
        SELECT coalesce(string_agg(t, ' '), '') FROM (
            SELECT CAST(s AS text) AS t FROM system_settings s UNION ALL
            SELECT CAST(a AS text) FROM audit_entries a UNION ALL
            SELECT CAST(e AS text) FROM events e) AS written"""
    written = await people.database.read(lambda connection: connection.execute(text(everywhere)).scalar_one())
    assert "email.smtpPassword" in written
    assert secret not in written
    assert "gitea secret token" not in written
    mail = await people.settings.of(Email)
    assert mail.smtp_password == Secret(secret)
    assert secret not in repr(mail)
    data(await owner.patch(PATH, json={"email.smtpPassword": None, "email.smtpUser": None}))
    assert (await people.settings.of(Email)).smtp_password is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email.smtpHost": "mail.letsbe.biz"}, "email.fromAddress"),
        ({**MAIL, "email.smtpUser": "hub"}, "email.smtpPassword"),
        ({**MAIL, "email.smtpPassword": "password"}, "email.smtpUser"),
        ({**MAIL, "email.smtpUser": "hub", "email.smtpPassword": "two\nlines"}, "email.smtpPassword"),
        ({"hub.defaultTimezone": "Mars/Olympus"}, "hub.defaultTimezone"),
    ],
)
async def test_what_does_not_go_together_is_refused(people: People, body, field):
    owner = await people.owner()
    assert bad_fields(await owner.patch(PATH, json=body)) == [field]
    assert not any(one["isSet"] for one in (await shown(owner)).values())


async def test_what_the_environment_decides_is_shown_and_refused(people: People):
    people.settings._locked = {"email.smtpHost": "HUB_SMTP_URL", "email.fromAddress": "HUB_SMTP_URL"}
    owner = await people.owner()
    assert (await shown(owner))["email.smtpHost"]["lockedBy"] == "HUB_SMTP_URL"
    answer = await owner.patch(PATH, json={**MAIL, "hub.tokensLite": 1})
    assert bad_fields(answer) == list(MAIL)
    assert "HUB_SMTP_URL" in answer.text
    assert (await shown(owner))["hub.tokensLite"]["isSet"] is False


async def test_of_two_who_change_the_same_the_second_reads_again(people: People):
    owner = await people.owner()
    tag = (await owner.get(PATH)).headers["etag"]
    data(await owner.patch(PATH, json={"hub.tokensLite": 1}, headers={"If-Match": tag}))
    answer = await owner.patch(PATH, json={"hub.tokensScale": 2}, headers={"If-Match": tag})
    assert refusal(answer, 409)["code"] == "CONFLICT"
    assert (await shown(owner))["hub.tokensScale"]["isSet"] is False


async def test_a_change_is_told_without_values_and_stands_in_the_audit_log(people: People):
    owner = await people.owner()
    data(await owner.patch(PATH, json={"hub.tokensLite": 3_000_000}))
    data(await owner.patch(PATH, json={"hub.tokensLite": 3_000_000}))  # nothing new: nothing told
    entries = "SELECT action, before, after, author_type FROM audit_entries WHERE action LIKE 'settings.%'"
    told = "SELECT kind, data FROM events WHERE kind LIKE 'settings.%'"
    rows = await people.database.read(lambda connection: connection.execute(text(entries)).all())
    assert [tuple(row) for row in rows] == [
        ("settings.changed", '{"hub.tokensLite":2500000}', '{"hub.tokensLite":3000000}', "staff")
    ]
    rows = await people.database.read(lambda connection: connection.execute(text(told)).all())
    assert [tuple(row) for row in rows] == [("settings.changed", '{"names":["hub.tokensLite"]}')]


async def test_a_tiers_tokens_and_tools_are_those_chosen(people: People):
    owner = await people.owner()
    data(await owner.patch(PATH, json={"hub.tokensBuild": 9_000_000, "hub.toolsBuild": ["ghost"]}))
    data(await owner.patch(PATH, json={"provisioning.sshPort": 2200}))
    customer = await people.customer()
    order = {"userId": customer.id, "tier": "Build", "domain": "acme.letsbe.biz"}
    made = data(await owner.post("/api/v1/admin/orders", json=order), 201)
    assert (made["tools"], made["sshPort"]) == (["ghost"], 2200)
    seen = data(await owner.get(f"/api/v1/admin/customers/{customer.id}"))
    assert seen["subscription"]["tokenLimit"] == 9_000_000


async def test_commands_and_tokens_wait_as_long_as_was_chosen(people: People):
    async with open_town(people) as town:
        data(await town.owner.patch(PATH, json={"hub.commandExpiryHours": 2, "hub.registrationTokenDays": 3}))
        tenant = await town.tenant()
        body = {"type": "RESTART_SERVICE", "payload": {}}
        path = f"/api/v1/admin/servers/{await tenant.server_id()}/command"
        made = data(await town.owner.post(path, json=body), 201)
        now = people.clock.now()
        assert made["expiresAt"][:19] == _later(now, hours=2)
        token = data(await town.owner.post(f"/api/v1/admin/orders/{tenant.order_id}/registration-token"), 201)
        assert token["expiresAt"][:19] == _later(now, days=3)


def _later(now: Any, **duration: int) -> str:
    return (now + timedelta(**duration)).strftime("%Y-%m-%dT%H:%M:%S")


async def test_customers_who_never_chose_have_what_was_chosen_for_all(people: People):
    async with open_town(people) as town:
        tenant = await town.tenant()
        body = {
            "hub.defaultTimezone": "Europe/Berlin",
            "hub.defaultLocale": "de",
            "notifications.approvalMail": "digest",
        }
        data(await town.owner.patch(PATH, json=body))
        browser = await tenant.signed_in()
        assert data(await browser.get("/api/v1/customer/settings")) == {
            "timezone": "Europe/Berlin",
            "locale": "de",
            "notifications": {"approvals": "digest"},
        }


async def test_a_value_of_another_release_is_read_as_the_default(people: People):
    owner = await people.owner()
    data(await owner.patch(PATH, json={"hub.tokensLite": 5}))
    spoil = text("UPDATE system_settings SET value = '\"five\"'")
    await people.database.write(lambda connection: connection.execute(spoil))
    assert (await people.settings.of(Hub)).tokens_lite == 2_500_000
    assert (await shown(owner))["hub.tokensLite"]["value"] == 2_500_000


async def test_a_test_mail_says_in_the_answer_why_it_did_not_go(people: People):
    owner = await people.owner()
    answer = data(await owner.post(f"{PATH}/test-email", json={}))
    assert (answer["sent"], answer["to"], answer["route"]) == (False, "owner@letsbe.biz", None)
    assert answer["message"].startswith("no mail goes out: mail is off")
    assert bad_fields(await owner.post(f"{PATH}/test-email", json={"to": "nobody"})) == ["to"]


async def test_secrets_are_sealed_anew_when_the_master_key_changes(people: People):
    owner = await people.owner()
    data(await owner.patch(PATH, json={"gitea.token": "first", "netcup.clientId": "scp"}))
    old, new = Fernet.generate_key(), Fernet.generate_key()
    stranger = Sealer([Secret(old.decode())])
    await people.database.write(
        lambda connection: connection.execute(
            text("UPDATE system_settings SET sealed = :sealed WHERE name = 'gitea.token'"),
            {"sealed": stranger.seal(b"first")},
        )
    )
    rotated = Sealer([Secret(new.decode()), Secret(old.decode())])
    assert await seal_settings_anew(people.settings, rotated) == 1
    assert await seal_settings_anew(people.settings, rotated) == 0
    [(name, sealed)] = await people.settings.sealed()
    assert (name, Sealer([Secret(new.decode())]).open(sealed)) == ("gitea.token", b"first")
    # What cannot be opened stays, and is told in the log.
    assert await seal_settings_anew(people.settings, stranger) == 0
