"""Jobs by the clock: when they fall due, and what is done about one whose database is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock

from actors.runtime.ports import SeededRandomness, SystemIds, VirtualClock
from controlplane.services.jobs import APPROVAL_EXPIRY, FORGETTING, STATS_CLEANUP, standing_jobs
from controlplane.services.upkeep import Daily, Hourly, Job, Upkeep
from protocol.faults import Overloaded

START = datetime(2026, 3, 15, 14, 22, 5, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{text}+00:00")


@pytest.mark.parametrize(
    ("schedule", "now", "latest", "following"),
    [
        (Hourly(), "15T14:22:05", "15T14:00:00", "15T15:00:00"),
        (Hourly(), "15T14:00:00", "15T14:00:00", "15T15:00:00"),
        (Hourly(), "15T23:59:59", "15T23:00:00", "16T00:00:00"),
        (Daily(3), "15T02:59:59", "14T03:00:00", "15T03:00:00"),
        (Daily(3), "15T03:00:00", "15T03:00:00", "16T03:00:00"),
        (Daily(0), "15T00:00:00", "15T00:00:00", "16T00:00:00"),
    ],
)
def test_when_a_job_falls_due(schedule: Hourly | Daily, now: str, latest: str, following: str):
    assert schedule.latest(at(now)) == at(latest)
    assert schedule.following(at(now)) == at(following)


class Runs:
    """The runs of one node, in memory."""

    def __init__(self, *, away: int = 0) -> None:
        self.done: dict[str, datetime] = {}
        self.away = away

    async def begin(self, job: str, run: UUID, *, due: datetime, now: datetime, forced: bool = False) -> bool:
        if self.away:
            self.away -= 1
            raise Overloaded("the database is away")
        fresh = forced or self.done.get(job, due - timedelta(1)) < due
        self.done[job] = due
        return fresh

    async def finish(self, job: str, run: UUID, *, now: datetime) -> None:
        pass

    async def give_back(self, job: str, run: UUID, *, now: datetime) -> None:
        del self.done[job]


async def run_for(hours: float, runs: Runs, clock: VirtualClock, *schedules: tuple[str, Hourly | Daily]) -> list[str]:
    """The runs of jobs in this time, each as its name and moment."""
    told: list[str] = []

    def job(name: str, schedule: Hourly | Daily) -> Job:
        async def sweep() -> int:
            told.append(f"{name} {clock.now():%d %H:%M}")
            return 0

        return Job(name, schedule, {"things": sweep})

    jobs = [job(name, schedule) for name, schedule in schedules]
    upkeep = Upkeep(jobs, runs, clock=clock, ids=SystemIds(clock, SeededRandomness(1)))  # type: ignore[arg-type]
    with trio.move_on_after(hours * 3600):
        await upkeep.run()
    return told


async def test_jobs_run_at_the_start_and_then_by_their_schedule(autojump_clock: MockClock):
    told = await run_for(13, Runs(), VirtualClock(START), ("hourly", Hourly()), ("daily", Daily(3)))
    assert [one for one in told if one.startswith("daily")] == ["daily 15 14:22", "daily 16 03:00"]
    hourly = [one.removeprefix("hourly ") for one in told if one.startswith("hourly")]
    assert hourly[:4] == ["15 14:22", "15 15:00", "15 16:00", "15 17:00"]
    assert len(hourly) == 14


async def test_a_database_that_is_away_is_asked_again_soon(autojump_clock: MockClock):
    told = await run_for(0.5, Runs(away=3), VirtualClock(START), ("hourly", Hourly()))
    assert told == ["hourly 15 14:25"]


def test_the_jobs_of_a_hub_have_the_schedules_of_the_specification():
    async def nothing() -> int:
        return 0

    jobs = standing_jobs(expiry=nothing, statistics={"s": nothing}, forgetting={"f": nothing})
    assert {job.name: job.schedule for job in jobs} == {
        APPROVAL_EXPIRY: Hourly(),
        STATS_CLEANUP: Daily(3),
        FORGETTING: Hourly(),
    }
