"""`POST /report/usage`, `/report/activity` and `/report/backup` of the local port: what programs of this server tell.

The answer is 201 once the report is in the journal, 200 for one whose id was taken before, and 202 for an activity that
was only counted because the Hub is away and too many wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from protocol.faults import Overloaded
from wrapper.daemon import Wrapper
from wrapper.local_api import LocalApi, LocalRequest, LocalResponse
from wrapper.reading import read_fields
from wrapper.reports import ActivityReport, BackupReport, Reports, Taken, UsageReport

R = TypeVar("R", bound=msgspec.Struct)

BODY_BYTES: Final = 512 * 1024


class ReportsApi:
    """Takes reports for one wrapper.

    Args:
        wrapper: the running wrapper; None while it is still registering.
    """

    def __init__(self, wrapper: Callable[[], Wrapper | None]) -> None:
        self._find_wrapper = wrapper

    def add_to(self, api: LocalApi) -> None:
        """Put the routes on the port, for programs of this machine alone."""
        self._add(api, "usage", UsageReport, lambda reports, report: reports.usage(report))
        self._add(api, "activity", ActivityReport, lambda reports, report: reports.activity(report))
        self._add(api, "backup", BackupReport, lambda reports, report: reports.backup_status(report))

    def _add(self, api: LocalApi, name: str, wanted: type[R], take: Callable[[Reports, R], Awaitable[Taken]]) -> None:
        async def handle(request: LocalRequest) -> LocalResponse:
            report = read_fields(request.json(), wanted)
            wrapper = self._find_wrapper()
            if wrapper is None:
                raise Overloaded("the wrapper is not registered with the Hub yet", retry_after_seconds=5)
            taken = await take(wrapper.reports, report)
            return LocalResponse(taken, 202 if not taken.kept else 200 if taken.repeated else 201)

        api.route("POST", f"/report/{name}", handle, body_limit_bytes=BODY_BYTES)
