"""Mail for what waits: customers are told of pending approvals, at once or in a digest, once each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
import trio

from actors.runtime.ports import Clock
from controlplane.services.letters.approvals import approvals_letter
from controlplane.services.mail import MailService
from controlplane.store.approval_mail import FOUND, ApprovalMailStore, Notice, Rules
from controlplane.store.mail import APPROVALS, Mail
from protocol.faults import Overloaded

log = structlog.get_logger()

#: At most one mail in this time; what comes meanwhile goes into the next.
PAUSE: Final = timedelta(minutes=1)
#: Somebody whose console is open is given this many times as long before a mail: an open tab may be unattended.
WATCHED_FACTOR: Final = 10
#: How often to look without having been told: for other nodes' requests.
SAFETY_SECONDS: Final = 60.0
#: After news, the least time since the last look: first of all events of all kinds are news.
LEAST_SECONDS: Final = 0.05
MOST_SECONDS: Final = 5.0


def rules(*, grace_seconds: float, digest_minutes: float) -> Rules:
    """When customers are told, from the settings."""
    grace = timedelta(seconds=grace_seconds)
    return Rules(
        grace=grace, watched_grace=grace * WATCHED_FACTOR, pause=PAUSE, digest=timedelta(minutes=digest_minutes)
    )


class ApprovalMailer:
    """Looks for approvals that nobody was told of, when something happened or one falls due.

    Args:
        watching: the customers whose console is open on this node.
        grace_seconds: how long an approval waits before a mail; sets how often it looks.
    """

    def __init__(
        self,
        store: ApprovalMailStore,
        mail: MailService,
        *,
        watching: Callable[[], Sequence[UUID]],
        clock: Clock,
        public_url: str,
        grace_seconds: float,
    ) -> None:
        self._store = store
        self._mail = mail
        self._watching = watching
        self._clock = clock
        self._public_url = public_url
        self._gap_seconds = min(max(grace_seconds / 6, LEAST_SECONDS), MOST_SECONDS)
        self._poked = trio.Event()

    def poke(self) -> None:
        """Something was committed; whether that is an approval shows by looking."""
        self._poked.set()

    async def run(self) -> None:
        """Tell customers, until cancelled."""
        while True:
            self._poked = trio.Event()
            try:
                rest = await self.look()
            except Overloaded as fault:
                log.warning("mail.approvals_wait", reason=fault.message)
                rest = MOST_SECONDS
            await trio.sleep(self._gap_seconds)
            with trio.move_on_after(max(rest - self._gap_seconds, 0.0)):
                await self._poked.wait()

    async def look(self) -> float:
        """Write the mails that are due; returns in how many seconds to look again at the latest."""
        if await self._mail.way() is None:
            return SAFETY_SECONDS  # nobody could be told
        now = self._clock.now()
        found = await self._store.due(now=now, watching=self._watching())
        for due in found:
            wait = (due.due_at - now).total_seconds()
            if wait > 0:
                return min(wait, SAFETY_SECONDS)
            await self._store.tell(due.customer_id, now=now, compose=self._compose)
        return SAFETY_SECONDS if len(found) < FOUND else 0.0

    def _compose(self, notice: Notice) -> Mail:
        """The mail for a notice; not worth sending once all it tells of has expired."""
        return self._mail.draft(
            APPROVALS,
            notice.email,
            approvals_letter(notice, self._public_url),
            dedupe_key=f"{APPROVALS}:{notice.first}",
            expires_at=notice.until,
            customer_id=notice.customer_id,
        )
