"""What wrappers report in tests of the pages that show it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from tests.integration.api.tenants import Tenancy, Town, data, open_town
from tests.people import People

DEEPSEEK, CLAUDE = "deepseek/deepseek-v3.2", "anthropic/claude-sonnet-4.5"
#: A Sunday, whose week began on the 9th. Ahead of the true time, by which cookie jars judge.
NOW = datetime(2037, 3, 15, 14, 30, tzinfo=UTC)


@asynccontextmanager
async def sunday(people: People) -> AsyncIterator[Town]:
    """A Hub with its tenants, at that time."""
    people.clock.moment = NOW
    async with open_town(people) as town:
        yield town


def bucket(hour: datetime | None = None, **values: Any) -> dict[str, Any]:
    """An hour of the marketing agent; unless said otherwise the running one."""
    names = {"agentId": "marketing", "model": DEEPSEEK, "bucketHour": said(hour or NOW.replace(minute=0))}
    return {**names, "tokensInput": 100, **values}


def said(moment: datetime) -> str:
    """A moment as wrappers say it."""
    return moment.isoformat().replace("+00:00", "Z")


async def report(tenancy: Tenancy, *buckets: dict[str, Any]) -> None:
    """Usage, in one report."""
    data(await tenancy.call("POST", "usage", {"buckets": list(buckets)}))


async def second_order(town: Town, first: Tenancy) -> Tenancy:
    """Another server of the same customer."""
    body = {"userId": first.customer.id, "tier": "Build", "domain": "second.test"}
    made = data(await town.owner.post("/api/v1/admin/orders", json=body), 201)
    return await Tenancy(town, first.customer, made["id"]).register()
