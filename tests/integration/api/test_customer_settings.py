"""A customer's preferences over HTTP: what is absent stays, what is unknown is refused by name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from controlplane.api.account import sign_in
from controlplane.api.customer import settings
from controlplane.api.mount import build_app
from controlplane.store.preferences import PreferenceStore
from tests.integration.api.tenants import bad_fields, data, refusal
from tests.people import People

MINE = "/api/v1/customer/settings"
DEFAULT = {"timezone": "UTC", "locale": "en", "notifications": {"approvals": "atOnce"}}


@pytest.fixture
async def maria(people: People) -> httpx.AsyncClient:
    people.hub.preferences = PreferenceStore(people.database, clock=people.clock)
    people.app = build_app([sign_in.routes, settings.routes], people.hub)
    return await people.signed_in("customer", (await people.customer()).email)


async def test_who_never_chose_has_the_defaults(maria: httpx.AsyncClient) -> None:
    assert data(await maria.get(MINE)) == DEFAULT


async def test_what_is_absent_stays(maria: httpx.AsyncClient) -> None:
    assert data(await maria.patch(MINE, json={"timezone": "Europe/Berlin"})) == DEFAULT | {"timezone": "Europe/Berlin"}
    changed = data(await maria.patch(MINE, json={"locale": "de-DE", "notifications": {"approvals": "digest"}}))
    assert changed == {"timezone": "Europe/Berlin", "locale": "de-DE", "notifications": {"approvals": "digest"}}
    for nothing in ({}, {"notifications": {}}, {"locale": "de-DE"}):
        assert data(await maria.patch(MINE, json=nothing)) == changed
    assert data(await maria.get(MINE)) == changed


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"timezone": "Europe"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "Europe/Berlin\n"}, "timezone"),
        ({"timezone": None}, "timezone"),
        ({"locale": "german"}, "locale"),
        ({"notifications": {"approvals": "hourly"}}, "notifications.approvals"),
        ({"notifications": {"sms": "never"}}, "notifications.sms"),
        ({"notifications": None}, "notifications"),
        ({"email": "other@acme.com"}, "email"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_changes(maria: httpx.AsyncClient, body: Any, field: str) -> None:
    assert bad_fields(await maria.patch(MINE, json=body | {"locale": body.get("locale", "fr")})) == [field]
    assert data(await maria.get(MINE)) == DEFAULT


async def test_each_has_their_own_and_staff_have_none(people: People, maria: httpx.AsyncClient) -> None:
    data(await maria.patch(MINE, json={"notifications": {"approvals": "never"}}))
    other = await people.signed_in("customer", (await people.customer()).email)
    assert data(await other.get(MINE)) == DEFAULT
    owner = await people.owner()
    assert refusal(await owner.patch(MINE, json={}), 403)["code"] == "FORBIDDEN"
    assert refusal(await people.browser().get(MINE), 401)["code"] == "UNAUTHORIZED"


async def test_a_change_stands_in_the_audit_log(people: People, maria: httpx.AsyncClient) -> None:
    data(await maria.patch(MINE, json={"notifications": {"approvals": "never"}}))
    [row] = await people.database.read(
        lambda connection: connection.exec_driver_sql(
            "SELECT author_type, before, after FROM audit_entries WHERE action = 'customer.preferences_changed'"
        ).all()
    )
    assert tuple(row) == ("customer", '{"approval_mail":"atOnce"}', '{"approval_mail":"never"}')
