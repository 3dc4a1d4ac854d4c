"""Every endpoint of the specification that is due is declared, for its kind of caller; what is not due is not there."""

from __future__ import annotations

from functools import cache

import pytest

from controlplane.api.endpoint import Endpoint
from controlplane.api.guards import Public
from controlplane.api.guards_outside import Cron, OutsideCaller
from controlplane.api.guards_people import Customer, SignedIn, Staff, Visitors
from controlplane.api.guards_tenant import Tenant
from controlplane.api.routes import routers
from tests.contract.endpoints import NOW, Row, due, rows, shape
from tests.integration.api.route_table import allowed

#: What a row may wait for: a name that is not here is a slip of the pen.
OUTSIDE = {
    "Stripe",
    "Portainer",
    "Netcup",
    "DNS",
    "Docker",
    "S3",
    "SSH",
    "billing",
    "analytics",
    "enterprise",
}
GUARDS: dict[str, tuple[type, ...]] = {
    "none": (Public, Visitors),
    "none-once": (Public,),
    "session": (SignedIn,),
    "session-or-pending": (Visitors,),
    "staff": (Staff,),
    "customer": (Customer,),
    "registration-token": (Public,),
    "tenant": (Tenant,),
    "api-key": (OutsideCaller,),
    "cron-secret": (Cron,),
}
NEXT_AUTH = "/api/auth/[...nextauth]"

at_hub = [row for row in rows() if row.server == "hub"]


@cache
def mounted() -> dict[tuple[str, str], Endpoint]:
    return {(one.method, shape(one.path)): one for router in routers() for one in router.endpoints}


def declared(row: Row) -> list[Endpoint]:
    """What answers a row; next-auth's catch-all is a family of paths."""
    if row.path == NEXT_AUTH:
        return [
            one for (method, path), one in mounted().items() if method == row.method and path.startswith("/api/auth/")
        ]
    found = mounted().get((row.method, shape(row.path)))
    return [] if found is None else [found]


def test_the_table_is_whole() -> None:
    assert len(rows()) == 138
    assert len({row.key for row in rows()}) == 138
    assert {row.due for row in rows()} <= {NOW, *OUTSIDE}
    assert {row.server for row in rows()} == {"hub", "wrapper"}


@pytest.mark.parametrize("row", [row for row in at_hub if row.due == NOW], ids=lambda row: row.key)
def test_a_due_endpoint_is_mounted_for_its_caller(row: Row) -> None:
    found = declared(row)
    assert found, f"{row.key} is due and not mounted"
    for endpoint in found:
        if row.auth == "tenant-or-staff":
            ways = {name for way in endpoint.guard.openapi_security for name in way}
            assert ways >= {"hubApiKey", "sessionToken"}, f"{row.key} lets only {ways} in"
        else:
            assert isinstance(endpoint.guard, GUARDS[row.auth]), f"{row.key} is guarded by {endpoint.guard!r}"


@pytest.mark.parametrize("row", [row for row in at_hub if row.due != NOW], ids=lambda row: row.key)
def test_what_is_not_due_is_not_mounted_half(row: Row) -> None:
    assert not declared(row), f"{row.key} is mounted: say `{NOW}` in endpoints.tsv, and call it in the walk"


def test_what_is_due_never_becomes_less() -> None:
    assert len(due()) >= 77


own_ids = [
    one
    for router in routers()
    for one in router.endpoints
    if one.path_parameters and isinstance(one.guard, Customer | SignedIn | Tenant)
]


@pytest.mark.parametrize("endpoint", own_ids, ids=lambda one: f"{one.method} {one.path}")
def test_an_id_of_a_customer_or_a_tenant_is_in_the_isolation_walk(endpoint: Endpoint) -> None:
    """The walk takes its routes from the hand-written table: one that is not there would be walked past."""
    who = allowed(endpoint.method, endpoint.path)
    assert who is not None, "not in the hand-written table of routes"
    assert set(who) & set("CT"), f"the table lets in only {who}"
