"""The audit log over HTTP: found by filters, read page by page while it grows, exported whole, secrets left out."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet

from actors.people import Author
from controlplane.secret import Secret
from controlplane.store import audit
from controlplane.store.audit_chain import Signer
from controlplane.store.audit_log import PORTION
from controlplane.store.audit_sealing import AuditSealing
from protocol.ids import format_id, parse_id
from tests.integration.api.tenants import Town, bad_fields, data, open_town, refusal
from tests.people import PASSWORD, TESTER, People

AUDIT = "/api/v1/admin/audit"
CANARY = "canary-9f2e7c-never-shown"


@pytest.fixture
async def town(people: People) -> AsyncIterator[Town]:
    async with open_town(people) as town:
        yield town


async def write(town: Town, count: int, *, author: Author = TESTER, action: str = "test.written", **more: Any) -> None:
    """Entries by the way that every change writes its own, a millisecond apart."""
    now = town.people.clock.now()

    def record(connection: Any) -> None:
        for number in range(count):
            at = now + timedelta(milliseconds=number)
            named = {"target": f"thing-{number}", "after": {"number": number}} | more
            audit.record(connection, author, action, at=at, **named)

    await town.people.database.write(record)


async def listed(town: Town, **query: Any) -> list[Any]:
    """All entries of these filters, page by page."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        asked = {"limit": "100", **query} | ({} if cursor is None else {"cursor": cursor})
        answer = await town.owner.get(AUDIT, params=asked)
        found += data(answer)
        cursor = answer.json()["meta"]["nextCursor"]
        if cursor is None:
            return found


async def test_an_entry_says_who_changed_what_from_where(town: Town) -> None:
    tenant = await town.tenancy()
    path = f"/api/v1/admin/customers/{tenant.customer.id}"
    headers = {"x-request-id": "req-of-mine", "user-agent": "Test/1"}
    data(await town.owner.patch(path, json={"name": "Maria Braun"}, headers=headers))
    answer = await town.owner.get(AUDIT, params={"requestId": "req-of-mine"})
    assert answer.json()["meta"] == {"limit": 25, "nextCursor": None}
    [entry] = data(answer)
    owner = data(await town.owner.get("/api/v1/profile"))
    assert entry["id"].startswith("aud_")
    assert entry["author"] == {"type": "staff", "id": owner["id"], "name": "Olga Owner"}
    assert entry["action"] == "customer.changed"
    assert entry["target"] == entry["customerId"] == tenant.customer.id
    assert (entry["before"], entry["after"]) == ({"name": "Maria Weber"}, {"name": "Maria Braun"})
    assert (entry["address"], entry["userAgent"]) == ("127.0.0.1", "Test/1")
    assert (entry["orderId"], entry["chainNumber"]) == (None, None)


async def test_an_entry_tells_its_number_once_it_is_sealed(town: Town) -> None:
    sealing = AuditSealing(town.people.database, Signer([Secret(Fernet.generate_key().decode())]))
    sealed = await sealing.seal(at=town.people.clock.now())
    assert sealed is not None
    await write(town, 2)
    waiting, chained = await listed(town, action="test.written"), await listed(town, action="staff.created")
    assert [entry["chainNumber"] for entry in waiting] == [None, None]
    assert all(0 < entry["chainNumber"] <= sealed.count for entry in chained)
    assert chained


async def test_each_filter_finds_what_it_says_and_all_together_what_fits_all(town: Town) -> None:
    first, second = await town.tenant(), await town.tenant()
    every = await listed(town)
    owner = data(await town.owner.get("/api/v1/profile"))["id"]

    async def ids(**query: Any) -> set[str]:
        return {entry["id"] for entry in await listed(town, **query)}

    def those(fits: Any) -> set[str]:
        return {entry["id"] for entry in every if fits(entry)}

    for query, fits in (
        ({"action": "order.created"}, lambda one: one["action"] == "order.created"),
        ({"action": "order."}, lambda one: one["action"].startswith("order.")),
        ({"authorId": owner}, lambda one: one["author"]["id"] == owner),
        ({"target": first.order_id}, lambda one: one["target"] == first.order_id),
        ({"orderId": first.order_id}, lambda one: one["orderId"] == first.order_id),
        ({"customerId": second.customer.id}, lambda one: one["customerId"] == second.customer.id),
        ({"entryId": every[0]["id"]}, lambda one: one["id"] == every[0]["id"]),
        (
            {"orderId": first.order_id, "authorId": owner, "action": "order."},
            lambda one: (
                one["orderId"] == first.order_id and one["author"]["id"] == owner and one["action"].startswith("order.")
            ),
        ),
    ):
        wanted = those(fits)
        assert wanted, query
        assert await ids(**query) == wanted, query
    assert await ids(action="settings.") == set()
    assert {entry["action"] for entry in every} >= {"order.created", "server.registered", "order.fulfilled"}


async def test_a_span_holds_its_beginning_and_not_its_end(town: Town) -> None:
    await write(town, 4)
    times = [entry["at"] for entry in reversed(await listed(town, action="test."))]
    found = await listed(town, **{"action": "test.", "from": times[1], "to": times[3]})
    assert [entry["target"] for entry in found] == ["thing-2", "thing-1"]
    moved = times[3].replace("Z", "+00:00")
    assert [one["target"] for one in await listed(town, **{"action": "test.", "from": moved})] == ["thing-3"]


@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "at one moment"])
async def test_pages_have_no_hole_and_no_double_while_the_log_grows(town: Town, together: bool) -> None:
    await write(town, 9)
    if together:  # of one moment, so that only their position tells them apart
        for number in range(9):
            await write(town, 1, action="test.again", target=f"same-{number}")
    action = "test.again" if together else "test.written"
    wanted = [entry["id"] for entry in await listed(town, action=action)]
    found: list[str] = []
    cursor: str | None = None
    for _ in range(5):
        query = {"action": action, "limit": "2"} | ({} if cursor is None else {"cursor": cursor})
        answer = await town.owner.get(AUDIT, params=query)
        found += [entry["id"] for entry in data(answer)]
        cursor = answer.json()["meta"]["nextCursor"]
        town.people.clock.advance(seconds=1)
        await write(town, 3, action=action, target="later")
    assert found == wanted
    assert cursor is None
    assert len(await listed(town, action=action)) == len(wanted) + 15


async def test_owners_and_admins_read_it_and_nobody_else(town: Town) -> None:
    people = town.people
    customer = await people.customer("c@acme.com")
    readers = {"OWNER": True, "ADMIN": True, "MANAGER": False, "SUPPORT": False}
    for role, allowed in readers.items():
        browser = await people.member(role, f"{role.lower()}@audit.test")
        for path in (AUDIT, f"{AUDIT}/export"):
            assert (await browser.get(path)).status_code == (200 if allowed else 403), (role, path)
    signed_in = await people.signed_in("customer", customer.email)
    for path in (AUDIT, f"{AUDIT}/export"):
        assert (await signed_in.get(path)).status_code == 403
        assert (await people.browser().get(path)).status_code == 401
    exports = await listed(town, action="audit.exported")
    assert {entry["author"]["name"] for entry in exports} == {"Owner Member", "Admin Member"}


async def test_no_secret_is_told_by_list_or_file(town: Town) -> None:
    owner = town.owner
    data(await owner.patch("/api/v1/admin/settings", json={"email.smtpUser": "hub", "email.smtpPassword": CANARY}))
    body = {"email": "canary@acme.com", "name": "C", "company": "C", "password": f"{CANARY} and long"}
    data(await owner.post("/api/v1/admin/customers", json=body), 201)
    key = data(await owner.post("/api/v1/admin/api-keys", json={"name": "website"}), 201)["key"]
    tenant = await town.tenant()
    command = {"type": "ECHO", "payload": {"dbPassword": CANARY, "nested": [{"apiToken": CANARY}], "user": "u"}}
    await write(town, 1, action="test.command", target=tenant.order_id, before=command, after={"secret": CANARY})
    session = town.owner.cookies.get("next-auth.session-token")
    told = [(await owner.get(AUDIT, params={"limit": "100"})).text]
    told += [(await owner.get(f"{AUDIT}/export", params={"format": form})).text for form in ("ndjson", "csv")]
    for text in told:
        for secret in (CANARY, key, tenant.key, PASSWORD, session):
            assert secret
            assert secret not in text
        assert "settings.changed" in text
        assert audit.REDACTED in text


async def test_a_file_holds_what_the_list_holds(town: Town) -> None:
    await town.tenant()
    await write(town, PORTION + 20)
    query = {"action": "test."}
    answer = await town.owner.get(f"{AUDIT}/export", params=query)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"].startswith('attachment; filename="audit-')
    assert "content-length" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    lines = [msgspec.json.decode(line) for line in answer.text.splitlines()]
    assert lines == await listed(town, **query)
    assert len(lines) == PORTION + 20
    whole = await town.owner.get(f"{AUDIT}/export")
    assert [msgspec.json.decode(line) for line in whole.text.splitlines()] == await listed(town)


async def test_a_table_has_the_same_entries_and_no_formula(town: Town) -> None:
    bad = Author(type="staff", id="stf_x", name="=cmd|' /C calc'!A0", user_agent='@SUM(1,"2")', address="-1")
    await write(town, 3, author=bad, before={"text": 'a "quoted", one\r\nand a line'})
    answer = await town.owner.get(f"{AUDIT}/export", params={"format": "csv", "action": "test."})
    assert answer.headers["content-disposition"].endswith('.csv"')
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    entries = await listed(town, action="test.")
    assert [row["id"] for row in rows] == [entry["id"] for entry in entries]
    for row, entry in zip(rows, entries, strict=True):
        assert row["authorName"] == f"'{entry['author']['name']}"
        assert row["userAgent"] == f"'{entry['userAgent']}"
        assert row["address"] == "'-1"
        assert msgspec.json.decode(row["before"]) == entry["before"]
        assert (row["orderId"], row["chainNumber"]) == ("", "")
        assert row["at"] == entry["at"]
        assert all(not value.startswith(("=", "+", "-", "@")) for value in row.values())


async def test_an_export_stands_in_the_log_with_its_filters(town: Town) -> None:
    order = (await town.tenancy()).order_id
    query = {"orderId": order, "from": "2026-01-01T00:00:00Z", "format": "csv"}
    assert (await town.owner.get(f"{AUDIT}/export", params=query)).status_code == 200
    [entry] = await listed(town, action="audit.exported")
    assert entry["author"]["name"] == "Olga Owner"
    assert entry["target"] == "audit"
    assert entry["after"] == {"format": "csv", "filters": {"orderId": order, "from": "2026-01-01T00:00:00Z"}}
    refused = await town.owner.get(f"{AUDIT}/export", params={"format": "xls"})
    assert bad_fields(refused) == ["format"]
    assert (await town.owner.head(f"{AUDIT}/export")).status_code == 200
    assert len(await listed(town, action="audit.exported")) == 1, "a refusal is no export, nor is a look at the head"


async def test_every_bad_field_is_named(town: Town) -> None:
    query = {
        "action": "Order",
        "authorId": "olga",
        "target": "a b",
        "requestId": "a b",
        "from": "2026-03-15T10:00:00",
        "to": "yesterday",
        "limit": "101",
        "who": "me",
    }
    assert set(bad_fields(await town.owner.get(AUDIT, params=query))) == set(query)
    ids = {"entryId": "aud_1", "customerId": format_id("ord", parse_id("ord", f"ord_{'0' * 26}")), "orderId": "x"}
    assert set(bad_fields(await town.owner.get(AUDIT, params=ids))) == set(ids)
    assert set(bad_fields(await town.owner.get(f"{AUDIT}/export", params=ids))) == set(ids)
    backwards = {"from": "2026-03-15T10:00:00Z", "to": "2026-03-15T10:00:00+00:00"}
    assert bad_fields(await town.owner.get(AUDIT, params=backwards)) == ["to"]
    assert bad_fields(await town.owner.get(AUDIT, params={"from": "0001-01-01T00:00:00+14:00"})) == ["from"]
    for cursor in ("1", "1.x", "1.-1", f"1.{2**63}", f"{'9' * 40}.1", "", "٣.٣x"):
        assert bad_fields(await town.owner.get(AUDIT, params={"cursor": cursor})) == ["cursor"], cursor
    assert refusal(await town.owner.post(AUDIT), 405)["code"] == "METHOD_NOT_ALLOWED"


async def test_the_document_says_what_a_file_may_be(town: Town) -> None:
    operation = town.people.app.openapi["paths"][f"{AUDIT}/export"]["get"]
    assert set(operation["responses"]["200"]["content"]) == {"application/x-ndjson", "text/csv"}
    named = {one["name"] for one in operation["parameters"]}
    assert named >= {"action", "authorId", "target", "customerId", "orderId", "requestId", "from", "to", "format"}
    assert "cursor" not in named
