"""Roles × routes: every caller on every mounted route, held against a table that was written by hand."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from sqlalchemy import update

from actors.people import Author
from controlplane.api.endpoint import Endpoint
from controlplane.store.account_rows import Account
from controlplane.store.tables.accounts import staff
from protocol.ids import parse_id
from protocol.words import Role, UserType
from tests.integration.api.route_table import EVERYBODY, ROUTES, allowed
from tests.integration.api.tenants import Town, open_town
from tests.people import CRON_SECRET, PASSWORD, TESTER, People

ROLES = {"O": Role.OWNER, "A": Role.ADMIN, "M": Role.MANAGER, "S": Role.SUPPORT}
#: The letters of those who sign in.
PERSONS = "OAMSC"


@dataclass
class Callers:
    """One caller of each kind, by letter; `-` is nobody, `p` a sign-in that waits for its code."""

    town: Town
    accounts: dict[str, str]
    key: str
    pending: str
    outside: str

    async def token(self, letter: str) -> str | None:
        """A fresh token each time: some routes end sessions."""
        if letter == "-":
            return None
        if letter == "T":
            return self.key
        if letter == "K":
            return self.outside
        if letter == "Z":
            return CRON_SECRET.reveal()
        if letter == "p":
            return self.pending
        account = self.accounts[letter]
        kind, prefix = (UserType.CUSTOMER, "cust") if letter == "C" else (UserType.STAFF, "stf")
        author = Author(type=kind, id=account, name="matrix")
        return (await self.town.people.sessions.start(author, kind, parse_id(prefix, account))).token

    async def call(self, letter: str, endpoint: Endpoint) -> httpx.Response:
        """As this caller, with ids of nothing and a body of nothing."""
        token = await self.token(letter)
        path = endpoint.path
        for parameter in endpoint.path_parameters:
            value = f"{parameter.prefix}_{'0' * 26}" if parameter.prefix else "credentials"
            path = path.replace(f"{{{parameter.name}}}", value)
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        body = {} if endpoint.method == "GET" else {"json": {}}
        async with self.town.people.browser() as browser:
            return await browser.request(endpoint.method, path, headers=headers, **body)


async def gather(town: Town) -> Callers:
    people = town.people
    accounts = {}
    for letter, role in ROLES.items():
        email = f"{role.lower()}@matrix.test"
        member = await people.accounts.create_owner(TESTER, email=email, name=role, password=PASSWORD)
        key = parse_id("stf", member.id)
        change = update(staff).where(staff.c.id == key).values(role=role)
        await people.database.write(lambda connection, change=change: connection.execute(change))
        accounts[letter] = member.id
    tenant = await town.tenant()
    accounts["C"] = tenant.customer.id
    account = Account(UserType.CUSTOMER, parse_id("cust", tenant.customer.id))
    outside = await people.hub.api_keys.create(TESTER, "matrix", None, may_order=True)
    pending = await people.identity.two_factor.begin_sign_in(account)
    return Callers(town, accounts, tenant.key, pending, outside.key)


def refusal_of(letter: str, who: str) -> int | None:
    """The status by which a caller is refused; None: they pass."""
    if who == EVERYBODY or letter in who:
        return None
    # Whoever is known but not allowed is told so; whom this door does not know is asked who they are.
    return 403 if letter in PERSONS and set(who) & set(PERSONS) else 401


async def test_every_caller_on_every_route(people: People):
    async with open_town(people) as town:
        callers = await gather(town)
        wrong = []
        routes = [endpoint for endpoint in town.people.app.endpoints if not endpoint.path.startswith("/console/")]
        assert len(routes) > 90
        for endpoint in routes:
            who = allowed(endpoint.method, endpoint.path)
            if who is None:
                wrong.append(f"{endpoint.method} {endpoint.path} is not in the hand-written table")
                continue
            for letter in (*PERSONS, "T", "K", "Z", "-", "p"):
                status = (await callers.call(letter, endpoint)).status_code
                wanted = refusal_of(letter, who)
                right = status == wanted if wanted is not None else status not in {401, 403, 405, 500}
                if not right:
                    wrong.append(
                        f"{letter} on {endpoint.method} {endpoint.path}: {status}, wanted {wanted or 'to pass'}"
                    )
        assert wrong == []


async def test_the_table_names_no_route_that_is_not_there(people: People):
    async with open_town(people) as town:
        mounted = {f"{endpoint.method} {endpoint.path}" for endpoint in town.people.app.endpoints}
        assert ROUTES.keys() - mounted == set()


def test_a_route_that_is_missing_from_the_table_is_found():
    assert allowed("GET", "/api/v1/admin/nothing") is None
    assert allowed("POST", "/admin") is None
    assert allowed("GET", "/administration") is None
