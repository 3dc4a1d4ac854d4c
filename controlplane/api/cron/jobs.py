"""Jobs that an outside clock may start (specification section 9); the Hub starts them itself all the same."""

from __future__ import annotations

from controlplane.api.call import Call
from controlplane.api.guards_outside import Cron, CronCaller
from controlplane.api.router import Router
from controlplane.services.jobs import APPROVAL_EXPIRY, STATS_CLEANUP
from controlplane.services.upkeep import Run

routes = Router("/api/v1/cron", guard=Cron(), tag="Cron")


@routes.post("/approval-expiry", deadline_seconds=120)
async def expire_approvals(call: Call[CronCaller]) -> Run:
    """Expire pending approvals whose time is over; the safety net of the tenants' own timers."""
    return await call.hub.upkeep.run_now(APPROVAL_EXPIRY)


@routes.post("/stats-cleanup", deadline_seconds=120)
async def clean_statistics(call: Call[CronCaller]) -> Run:
    """Delete statistics older than `hub.statsKeptDays`, 90 days unless chosen otherwise."""
    return await call.hub.upkeep.run_now(STATS_CLEANUP)
