"""Probes for whoever runs the Hub: alive, ready, figures."""

from __future__ import annotations

import msgspec
import structlog
import trio

from controlplane.api.call import Call
from controlplane.api.envelope import Raw
from controlplane.api.guards import Anyone, Public
from controlplane.api.hub import ReadinessCheck
from controlplane.api.router import Rate, Router

log = structlog.get_logger()

_CHECKED_WITHIN_SECONDS = 2.0


class Alive(msgspec.Struct):
    """The process answers."""

    status: str = "alive"


class Ready(msgspec.Struct):
    """Whether requests should be sent here, and if not, why."""

    status: str
    reasons: list[str]


def probe_router() -> Router:
    """`/healthz`, `/readyz` and `/metrics`: no envelope, no limit, nobody asked for a name."""
    routes = Router("", guard=Public(), tag="Probes", rate=Rate.NONE, forgive_unknown=True)

    @routes.get("/healthz", envelope=False, quiet=True)
    async def healthz(call: Call[Anyone]) -> Alive:
        """Say that the process lives and its event loop turns."""
        return Alive()

    @routes.get("/readyz", envelope=False, quiet=True)
    async def readyz(call: Call[Anyone]) -> Ready:
        """Say whether requests should be sent here; 503 with reasons when not."""
        reasons = ["this process is draining"] if call.hub.draining else []
        for check in call.hub.readiness:
            reason = await _ask(check)
            if reason is not None:
                reasons.append(reason)
        if reasons:
            call.response.status = 503
        return Ready(status="not ready" if reasons else "ready", reasons=reasons)

    @routes.get("/metrics", envelope=False, quiet=True)
    async def metrics(call: Call[Anyone]) -> Raw:
        """Show figures in the Prometheus text format."""
        return Raw(body=call.hub.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")

    return routes


async def _ask(check: ReadinessCheck) -> str | None:
    name = getattr(check, "__name__", "a check")
    with trio.move_on_after(_CHECKED_WITHIN_SECONDS):
        try:
            return await check()
        except Exception:  # whatever is wrong with a check, the answer is "not ready"
            log.exception("readiness.check_failed", check=name)
            return f"{name} failed"
    return f"{name} did not answer within {_CHECKED_WITHIN_SECONDS:g} s"
