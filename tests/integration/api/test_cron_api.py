"""Jobs by the clock: started from outside by the cron secret, by the Hub itself on schedule, by one node at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import trio
from sqlalchemy import insert, text

from controlplane.services.jobs import APPROVAL_EXPIRY
from controlplane.services.upkeep import Daily, Hourly, Job, Upkeep
from controlplane.store.job_runs import HELD, JobRunStore
from controlplane.store.tables.enterprise import server_stats_snapshots
from protocol.faults import Overloaded
from protocol.ids import parse_id
from tests.integration.api.tenants import Town, data, open_town, refusal
from tests.people import CRON_SECRET, People

EXPIRY = "/api/v1/cron/approval-expiry"
CLEANUP = "/api/v1/cron/stats-cleanup"


async def cron(town: Town, path: str, secret: str = CRON_SECRET.reveal()) -> httpx.Response:
    return await town.nobody.post(path, headers={"Authorization": f"Bearer {secret}".encode()})


@pytest.mark.parametrize("path", [EXPIRY, CLEANUP])
async def test_only_the_cron_secret_starts_a_job(people: People, path: str):
    async with open_town(people) as town:
        for wrong in ("", "x", CRON_SECRET.reveal()[:-1], f"{CRON_SECRET.reveal()}x", "é", town.people.public_url):
            assert refusal(await cron(town, path, wrong), 401)["code"] == "UNAUTHORIZED"
        assert refusal(await town.nobody.post(path), 401)
        assert refusal(await town.owner.post(path), 401)  # a session is no cron secret
        data(await cron(town, path))


async def test_an_overdue_approval_expires_is_counted_and_is_told_to_its_wrapper(people: People):
    async with open_town(people) as town:
        tenant = await town.tenant()
        await tenant.ask(id="late", expiresInSeconds=60)
        open_one = await tenant.ask(id="early", expiresInSeconds=86_400)
        nothing = data(await cron(town, EXPIRY))
        assert (nothing["job"], nothing["ran"], nothing["count"]) == (APPROVAL_EXPIRY, True, 0)
        people.clock.advance(minutes=2)
        assert data(await cron(town, EXPIRY))["count"] == 1
        assert data(await cron(town, EXPIRY))["count"] == 0
        states = "SELECT request_id, status FROM command_approvals ORDER BY request_id"
        rows = await people.database.read(lambda connection: connection.execute(text(states)).all())
        assert [tuple(row) for row in rows] == [("early", "PENDING"), ("late", "EXPIRED")]
        assert open_one["status"] == "PENDING"
        heartbeat = data(await tenant.call("POST", "heartbeat", {"status": "healthy", "configVersion": 0}))
        assert [one["action"] for one in heartbeat["pendingApprovals"]] == ["expire"]


async def test_a_job_that_runs_elsewhere_is_not_run_beside_it(people: People):
    async with open_town(people) as town:
        runs, other, now = JobRunStore(people.database), uuid4(), people.clock.now()
        assert await runs.begin(APPROVAL_EXPIRY, other, due=now, now=now)
        answer = data(await cron(town, EXPIRY))
        assert (answer["ran"], answer["count"]) == (False, 0)
        people.clock.advance(seconds=HELD.total_seconds())  # that node has died
        assert data(await cron(town, EXPIRY))["ran"] is True
        await runs.finish(APPROVAL_EXPIRY, other, now=now)  # it comes back too late to say anything


def upkeep(people: People, *jobs: Job) -> Upkeep:
    return Upkeep(jobs, JobRunStore(people.database), clock=people.clock, ids=people.hub.ids)


def counting(*results: int) -> tuple[list[int], Any]:
    """A sweep that does these, and what it did so far."""
    done: list[int] = []

    async def sweep() -> int:
        done.append(results[len(done)] if len(done) < len(results) else 0)
        return done[-1]

    return done, sweep


async def test_of_many_nodes_one_runs_a_job_for_each_time_of_its_schedule(people: People):
    done, sweep = counting()
    nodes = [upkeep(people, Job("hourly", Hourly(), {"things": sweep})) for _ in range(5)]

    async def all_at_once() -> None:
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(node.run_due)

    await all_at_once()
    assert len(done) == 1
    await all_at_once()
    assert len(done) == 1
    people.clock.advance(hours=1)
    await all_at_once()
    assert len(done) == 2


async def test_what_was_asked_for_needs_not_run_again_for_its_time(people: People):
    done, sweep = counting(3, 2)
    node = upkeep(people, Job("daily", Daily(3), {"things": sweep}))
    assert (await node.run_now("daily")).count == 5
    assert done == [3, 2, 0]
    await node.run_due()
    assert len(done) == 3
    people.clock.advance(days=1)
    await node.run_due()
    assert len(done) == 4


async def test_a_job_that_failed_is_run_again_by_whoever_looks_next(people: People):
    done, sweep = counting()

    async def away() -> int:
        raise Overloaded("the database is away")

    job = {"name": "hourly", "schedule": Hourly()}
    await upkeep(people, Job(**job, sweeps={"things": away})).run_due()
    assert done == []
    await upkeep(people, Job(**job, sweeps={"things": sweep})).run_due()
    assert done == [0]


async def test_a_run_that_was_cut_short_gives_its_job_back(people: People):
    begun = trio.Event()

    async def endless() -> int:
        begun.set()
        await trio.sleep_forever()
        return 0

    job = {"name": "hourly", "schedule": Hourly()}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(upkeep(people, Job(**job, sweeps={"things": endless})).run_due)
        await begun.wait()
        nursery.cancel_scope.cancel()
    done, sweep = counting()
    await upkeep(people, Job(**job, sweeps={"things": sweep})).run_due()
    assert done == [0]


async def test_statistics_go_after_as_many_days_as_was_chosen(people: People):
    async with open_town(people) as town:
        tenant = await town.tenant()
        now = people.clock.now()
        for days in (10, 89, 91):
            await measured(people, tenant.order_id, now - timedelta(days=days))
        assert data(await cron(town, CLEANUP))["count"] == 1
        data(await town.owner.patch("/api/v1/admin/settings", json={"hub.statsKeptDays": 30}))
        assert data(await cron(town, CLEANUP))["count"] == 1
        left = text("SELECT count(*) FROM server_stats_snapshots")
        assert await people.database.read(lambda connection: connection.execute(left).scalar_one()) == 1


async def measured(people: People, order_id: str, at: datetime) -> None:
    row = insert(server_stats_snapshots).values(id=uuid4(), order_id=parse_id("ord", order_id), at=at, cpu_percent=5)
    await people.database.write(lambda connection: connection.execute(row))
