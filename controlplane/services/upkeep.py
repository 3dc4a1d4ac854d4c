"""Jobs by the clock: each runs once for each time of its schedule, on one node, and whenever somebody asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog
import trio

from actors.runtime.ports import Clock, Ids
from controlplane.store.job_runs import HELD, JobRunStore
from protocol.faults import Overloaded

log = structlog.get_logger()

#: How often to look whether something is due; the wall clock may jump, and other nodes may have failed.
LOOK_SECONDS: Final = 60.0
#: How long one run works before it leaves the rest to the next; ends before others may begin it.
WORK_SECONDS: Final = HELD.total_seconds() * 0.8
#: How long it may take to write that a run was cut short.
_LAST_SECONDS: Final = 5.0

#: Does a bounded piece of a job; returns how many things that were, 0 when nothing is left.
Sweep = Callable[[], Awaitable[int]]


class Run(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What became of a job that was asked for.

    Args:
        ran: False: it runs already, here or on another node.
        count: how many things were done.
    """

    job: str
    ran: bool
    count: int
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Hourly:
    """At the beginning of every hour."""

    def latest(self, now: datetime) -> datetime:
        """The last time that is not after `now`."""
        return now.replace(minute=0, second=0, microsecond=0)

    def following(self, now: datetime) -> datetime:
        """The first time after `now`."""
        return self.latest(now) + timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Daily:
    """Every day at this hour (UTC)."""

    hour: int

    def latest(self, now: datetime) -> datetime:
        """The last time that is not after `now`."""
        today = now.replace(hour=self.hour, minute=0, second=0, microsecond=0)
        return today if today <= now else today - timedelta(days=1)

    def following(self, now: datetime) -> datetime:
        """The first time after `now`."""
        return self.latest(now) + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Job:
    """A job.

    Args:
        sweeps: what it does, by the name of what is done, for the log; each is repeated until nothing is left.
    """

    name: str
    schedule: Hourly | Daily
    sweeps: Mapping[str, Sweep]


class Upkeep:
    """Runs the jobs of a Hub."""

    def __init__(self, jobs: Sequence[Job], runs: JobRunStore, *, clock: Clock, ids: Ids) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._runs = runs
        self._clock = clock
        self._ids = ids

    async def run(self) -> None:
        """Run what is due, until cancelled: at the start what was missed, then by the schedule."""
        while True:
            await self.run_due()
            now = self._clock.now()
            following = min((job.schedule.following(now) for job in self._jobs.values()), default=now)
            await trio.sleep(min(max((following - now).total_seconds(), 1.0), LOOK_SECONDS))

    async def run_due(self) -> None:
        """Run every job that no node has run for its latest time; a database that is away is asked again soon."""
        for job in self._jobs.values():
            try:
                await self._attempt(job, forced=False)
            except Overloaded as fault:
                log.warning("upkeep.waits", job=job.name, reason=fault.message)

    async def run_now(self, name: str) -> Run:
        """Run a job because somebody asks for it; for its time it then needs not run again.

        Raises:
            Overloaded: the database is away.
        """
        return await self._attempt(self._jobs[name], forced=True)

    async def _attempt(self, job: Job, *, forced: bool) -> Run:
        started, run = self._clock.now(), self._ids.uuid7()
        if not await self._runs.begin(job.name, run, due=job.schedule.latest(started), now=started, forced=forced):
            return Run(job=job.name, ran=False, count=0, started_at=started, finished_at=started)
        done = False
        try:
            count = await self._work(job)
            await self._runs.finish(job.name, run, now=self._clock.now())
            done = True
        finally:
            if not done:
                await self._give_back(job, run)
        return Run(job=job.name, ran=True, count=count, started_at=started, finished_at=self._clock.now())

    async def _work(self, job: Job) -> int:
        count = 0
        with trio.move_on_after(WORK_SECONDS):
            for what, sweep in job.sweeps.items():
                while done := await sweep():
                    count += done
                    log.info("upkeep.done", job=job.name, what=what, count=done)
        return count

    async def _give_back(self, job: Job, run: UUID) -> None:
        with trio.move_on_after(_LAST_SECONDS, shield=True):
            try:
                await self._runs.give_back(job.name, run, now=self._clock.now())
            except Overloaded as fault:
                log.warning("upkeep.not_given_back", job=job.name, reason=fault.message)
