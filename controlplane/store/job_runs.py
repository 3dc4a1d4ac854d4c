"""Which job by the clock ran when, so that of all nodes one runs it, once for each time of its schedule.

A job goes through many transactions and through actors, so no lock of one transaction can cover it. Beginning is one
step under an advisory lock that takes the job for a while; a node that dies with it leaves it to the others then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from controlplane.store.database import Database

#: How long nobody else begins a job that was begun and not finished.
HELD: Final = timedelta(minutes=10)

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('hub job ' || CAST(:job AS text), 0))")
_BEGIN = text("""
    INSERT INTO job_runs AS r (job, run_id, due_at, started_at, held_until)
    VALUES (CAST(:job AS text), CAST(:run AS uuid), CAST(:due AS timestamptz), CAST(:now AS timestamptz),
            CAST(:until AS timestamptz))
    ON CONFLICT (job) DO UPDATE SET run_id = excluded.run_id, due_at = greatest(r.due_at, excluded.due_at),
        started_at = excluded.started_at, held_until = excluded.held_until, finished_at = NULL
    WHERE (r.held_until IS NULL OR r.held_until <= CAST(:now AS timestamptz))
      AND (CAST(:forced AS boolean) OR r.due_at < excluded.due_at)
    RETURNING run_id""")
_FINISH = text("""
    UPDATE job_runs SET held_until = NULL, finished_at = CAST(:now AS timestamptz)
    WHERE job = CAST(:job AS text) AND run_id = CAST(:run AS uuid) AND held_until IS NOT NULL""")
# As if it had not been due yet: whoever looks next begins it again.
_GIVE_BACK = text("""
    UPDATE job_runs SET held_until = NULL, finished_at = CAST(:now AS timestamptz),
        due_at = due_at - interval '1 second'
    WHERE job = CAST(:job AS text) AND run_id = CAST(:run AS uuid) AND held_until IS NOT NULL""")


class JobRunStore:
    """The runs of jobs in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, job: str, run: UUID, *, due: datetime, now: datetime, forced: bool = False) -> bool:
        """Take a job for `HELD`; False: somebody has it, or it was run for this time already.

        Args:
            due: the time of its schedule it runs for.
            forced: run it even if it was run for this time.
        """
        return await self._database.write(_begin, job, run, due, now, forced)

    async def finish(self, job: str, run: UUID, *, now: datetime) -> None:
        """It is done for its time."""
        await self._database.write(_end, False, job, run, now)

    async def give_back(self, job: str, run: UUID, *, now: datetime) -> None:
        """It was not done: somebody shall, soon."""
        await self._database.write(_end, True, job, run, now)


def _begin(connection: Connection, job: str, run: UUID, due: datetime, now: datetime, forced: bool) -> bool:
    connection.execute(_LOCK, {"job": job})
    values = {"job": job, "run": run, "due": due, "now": now, "until": now + HELD, "forced": forced}
    return connection.execute(_BEGIN, values).one_or_none() is not None


def _end(connection: Connection, undone: bool, job: str, run: UUID, now: datetime) -> None:
    connection.execute(_GIVE_BACK if undone else _FINISH, {"job": job, "run": run, "now": now})
