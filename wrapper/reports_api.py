"""`POST /report/usage`, `/report/activity` and `/report/backup` of the local port: what programs of this server tell.

The answer is 201 once the report is in the journal, 200 for one whose id was taken before, and 202 for an activity that
was only counted because the Hub is away and too many wait. Where agents have tokens, usage and activity are told by the
agent they are of; a backup is no agent's, and is told by any program of this machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from protocol.faults import Forbidden, Overloaded, Unauthorized
from wrapper.agent_tokens import AgentTokens
from wrapper.daemon import Wrapper
from wrapper.local_api import LocalApi, LocalRequest, LocalResponse
from wrapper.reading import read_fields
from wrapper.reports import ActivityReport, BackupReport, Reports, Taken, UsageReport

log = structlog.get_logger()

R = TypeVar("R", UsageReport, ActivityReport, BackupReport)

BODY_BYTES: Final = 512 * 1024


class ReportsApi:
    """Takes reports for one wrapper.

    Args:
        wrapper: the running wrapper; None while it is still registering.
        tokens: by which agents are told apart; None: a caller is believed.
    """

    def __init__(self, wrapper: Callable[[], Wrapper | None], tokens: AgentTokens | None = None) -> None:
        self._find_wrapper = wrapper
        self._tokens = tokens

    def add_to(self, api: LocalApi) -> None:
        """Put the routes on the port, for programs of this machine alone."""
        self._add(api, "usage", UsageReport, lambda reports, report: reports.usage(report))
        self._add(api, "activity", ActivityReport, lambda reports, report: reports.activity(report))
        self._add(api, "backup", BackupReport, lambda reports, report: reports.backup_status(report))

    def _add(self, api: LocalApi, name: str, wanted: type[R], take: Callable[[Reports, R], Awaitable[Taken]]) -> None:
        async def handle(request: LocalRequest) -> LocalResponse:
            report = read_fields(request.json(), wanted)
            self._demand_agent(request, report)
            wrapper = self._find_wrapper()
            if wrapper is None:
                raise Overloaded("the wrapper is not registered with the Hub yet", retry_after_seconds=5)
            taken = await take(wrapper.reports, report)
            return LocalResponse(taken, 202 if not taken.kept else 200 if taken.repeated else 201)

        api.route("POST", f"/report/{name}", handle, body_limit_bytes=BODY_BYTES)

    def _demand_agent(self, request: LocalRequest, report: UsageReport | ActivityReport | BackupReport) -> None:
        if self._tokens is None or isinstance(report, BackupReport):
            return
        try:
            self._tokens.demand(request.headers, report.agent_id)
        except (Unauthorized, Forbidden) as fault:
            log.warning("report.refused", agent=report.agent_id, reason=fault.message)
            raise
        if report.id is not None:
            # An id is its agent's own: none can use another's up. No name holds a line break.
            report.id = f"{report.agent_id}\n{report.id}"
