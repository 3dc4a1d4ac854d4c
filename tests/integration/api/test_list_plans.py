"""At a hundred thousand customers and orders no list reads or sorts a whole table: what it sends is explained."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
import trio
from sqlalchemy import Connection, Engine, event

from bench.crowd import MANY, fill, statements
from controlplane.api.endpoint import Endpoint, items_of
from controlplane.api.paging import CursorListing, Listing
from controlplane.api.schemas import alternatives
from controlplane.store.database import Database
from controlplane.store.fetching import Fetch, Record
from protocol.ids import PREFIXES, parse_id
from tests.integration.api.route_table import allowed
from tests.integration.api.tenants import Tenancy, Town, open_town
from tests.people import People

#: A table is big from here on: what grows with the customers, not what the staff make by hand.
BIG_ROWS = 10_000
#: What adds up a customer's own things, and has no page.
SUMS = {f"/api/v1/customer/{name}" for name in ("dashboard", "usage", "billing")}
#: What `search` and other free text is tried with.
WORDS = {
    "search": ["acme7"],
    "agentId": ["it-admin"],
    "action": ["order.created", "order."],
    "target": ["ord_7"],
    "authorId": ["stf_7"],
    "requestId": ["req_7"],
}
#: Lists whose filters are tried by twos as well.
TOGETHER = {"/api/v1/admin/audit"}
#: Seals of nothing, for no sealer runs here: what counts is how many there are.
SEALS = """INSERT INTO audit_seals (number, entry_id, digest, sealed_at)
    SELECT position, id, decode(repeat('00', 32), 'hex'), at FROM audit_entries"""

Sent = tuple[str, Any]


@contextmanager
def overheard() -> Iterator[list[Sent]]:
    """Every statement that is sent meanwhile, with its values: by SQLAlchemy, or by the driver itself."""
    sent: list[Sent] = []
    fetching = Fetch._ask

    def hear(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        sent.append((statement, parameters))

    async def ask(fetch: Fetch, driver: Any) -> list[Record]:
        sent.append((fetch.query.sql, tuple(fetch.values)))
        return await fetching(fetch, driver)

    event.listen(Engine, "before_cursor_execute", hear)
    Fetch._ask = ask  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        Fetch._ask = fetching  # type: ignore[method-assign]
        event.remove(Engine, "before_cursor_execute", hear)


def lists(town: Town) -> list[Endpoint]:
    return [
        endpoint
        for endpoint in town.people.app.endpoints
        if endpoint.method == "GET"
        and (items_of(endpoint.answer)[0] in (Listing, CursorListing) or endpoint.path in SUMS)
    ]


def values_of(field: Any, ids: dict[str, str]) -> list[str]:
    """What a parameter of a query is tried with."""
    found: list[str] = []
    for wanted in alternatives(field.type):
        prefix = PREFIXES.get(getattr(wanted, "__name__", ""))
        if prefix is not None:
            found += [value for value in ids.values() if value.startswith(f"{prefix}_")][:1]
        elif isinstance(wanted, type) and issubclass(wanted, enum.Enum):
            found += [str(member.value) for member in wanted]
        elif wanted is bool:
            found += ["true", "false"]
        elif wanted is date:
            found.append((datetime.now(UTC).date() - timedelta(days=40)).isoformat())
        elif wanted is datetime:
            before = timedelta(days=40 if field.encode_name == "from" else 0)
            found.append((datetime.now(UTC) - before).isoformat().replace("+00:00", "Z"))
        elif wanted is str and field.encode_name in WORDS:
            found += WORDS[field.encode_name]
    return found


def queries(endpoint: Endpoint, ids: dict[str, str]) -> list[dict[str, str]]:
    """The first page, a page in the deep, each filter by itself, and where it is so wanted with each other one."""
    found: list[dict[str, str]] = [{}]
    if endpoint.query is None:
        return found
    for field in msgspec.structs.fields(endpoint.query):
        if field.encode_name == "page":
            found.append({"page": str(MANY // 25)})
        elif field.encode_name not in ("pageSize", "limit", "cursor"):
            found += [{field.encode_name: value} for value in values_of(field, ids)]
    if endpoint.path in TOGETHER:
        found += [
            one | other for one, other in combinations(found, 2) if one and other and not one.keys() & other.keys()
        ]
    return found


def faults_in(plan: dict[str, Any], rows: dict[str, int]) -> list[str]:
    """Where a plan reads or sorts a big table."""
    found = []
    node, table = plan["Node Type"], plan.get("Relation Name", "")
    if node == "Seq Scan" and rows.get(table, 0) >= BIG_ROWS:
        found.append(f"{node} on {table}")
    # Sorting a few rows that an index found is what a sort is for.
    if node in ("Sort", "Incremental Sort") and plan["Plans"][0]["Plan Rows"] >= MANY / 2:
        found.append(f"{node} of {plan['Plans'][0]['Plan Rows']} rows by {plan['Sort Key']}")
    return found + [fault for part in plan.get("Plans", ()) for fault in faults_in(part, rows)]


def _explain(connection: Connection, sent: list[Sent]) -> dict[str, list[str]]:
    counted = connection.exec_driver_sql("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r'").all()
    rows = {name: int(count) for name, count in counted}
    bad = {}
    for statement, parameters in sent:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            told = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
            plans = msgspec.json.decode(told) if isinstance(told, str) else told
            faults = faults_in(plans[0]["Plan"], rows)
            if faults:
                bad[" ".join(statement.split())[:400]] = faults
    return bad


def caller_of(endpoint: Endpoint, town: Town, customer: httpx.AsyncClient) -> httpx.AsyncClient | None:
    """Who reads a list; None: nobody who signs in."""
    who = allowed("GET", endpoint.path) or ""
    return town.owner if "O" in who else customer if "C" in who else None


async def _run(url: str, made: list[str]) -> None:
    await fill(await asyncpg.connect(url.replace("postgresql+asyncpg://", "postgresql://")), made)


async def furnish(town: Town, database_url: str) -> tuple[Tenancy, dict[str, str]]:
    """A tenant, and the crowd around it."""
    tenancy = await town.tenant()
    server = await tenancy.server_id()
    made = await town.owner.post(f"/api/v1/admin/orders/{tenancy.order_id}/agents", json={"role": "it-admin"})
    assert made.status_code == 201, made.text
    [entry] = (await town.owner.get("/api/v1/admin/audit?limit=1")).json()["data"]
    ids = {
        "entry_id": entry["id"],
        "order_id": tenancy.order_id,
        "customer_id": tenancy.customer.id,
        "server_id": server,
        "agent_config_id": made.json()["data"]["id"],
        "agent_id": "it-admin",
        "conversation_id": "main",
    }
    places = {
        name: parse_id(prefix, ids[name])
        for name, prefix in (("order_id", "ord"), ("customer_id", "cust"), ("server_id", "srv"))
    }
    made = [SEALS if statement == "ANALYZE" else statement for statement in statements(**places)]
    await trio.to_thread.run_sync(asyncio.run, _run(database_url, made))
    return tenancy, ids


@pytest.mark.slow
async def test_no_list_reads_or_sorts_a_whole_table(people: People, database: Database, database_url: str) -> None:
    async with open_town(people) as town:
        tenancy, ids = await furnish(town, database_url)
        customer = await tenancy.signed_in()
        bad: dict[str, dict[str, list[str]]] = {}
        tried = 0
        for endpoint in lists(town):
            caller = caller_of(endpoint, town, customer)
            if caller is None or "conversations" in endpoint.path:  # those are asked of the tenant's server
                continue
            path = endpoint.path
            for parameter in endpoint.path_parameters:
                assert parameter.name in ids, f"{path}: say in `furnish` what {parameter.name} is"
                path = path.replace(f"{{{parameter.name}}}", ids[parameter.name])
            for query in queries(endpoint, ids):
                with overheard() as sent:
                    answer = await caller.get(path, params=query)
                assert answer.status_code == 200, f"{path} {query}: {answer.text}"
                tried += 1
                # A page in the deep is read past everything before it, which offset pages cost; it is only tried.
                faults = {} if "page" in query else await database.read(_explain, sent)
                if faults:
                    bad[f"{endpoint.path} {query}"] = faults
        assert tried > 140
        assert {one.path for one in lists(town)} >= SUMS | TOGETHER
        told = "\n".join(
            f"{where}\n    {what}\n    {why}" for where, found in bad.items() for what, why in found.items()
        )
        assert not bad, told


def test_a_plan_that_reads_a_table_is_found() -> None:
    scan = {"Node Type": "Seq Scan", "Relation Name": "orders", "Plan Rows": MANY}
    assert faults_in(scan, {"orders": MANY}) == ["Seq Scan on orders"]
    assert faults_in(scan, {"orders": 3}) == []
    sort = {"Node Type": "Sort", "Sort Key": ["at"], "Plans": [{"Node Type": "Index Scan", "Plan Rows": MANY}]}
    assert len(faults_in({"Node Type": "Limit", "Plans": [sort]}, {})) == 1
