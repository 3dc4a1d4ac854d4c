"""What need not be kept for ever: promises long acknowledged, and the ids of messages that nobody sends again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, TextClause, text

from actors.runtime.ports import Clock
from controlplane.store.database import Database
from controlplane.store.events import EventStore

#: Long enough for a timeline, and for whoever comes back from a holiday weekend.
EVENTS_KEPT: Final = timedelta(days=7)
#: An acknowledged promise is sent no more; what became of it stands with its command or approval.
PROMISES_KEPT: Final = timedelta(days=30)
#: A wrapper sends a message again until it is accepted; one that was away for longer than this may be taken twice.
MESSAGES_KEPT: Final = timedelta(days=180)
_PAGE: Final = 5_000

# Skips what others hold: whoever holds it has a later chance, and two nodes share the work.
_PROMISES = text("""
    DELETE FROM deliveries WHERE (order_id, seq) IN (
        SELECT d.order_id, d.seq FROM deliveries d JOIN server_connections s ON s.order_id = d.order_id
        WHERE d.created_at < :before AND d.seq <= s.acked_seq
        ORDER BY d.created_at LIMIT :most FOR UPDATE OF d SKIP LOCKED)""")

_MESSAGES = text("""
    DELETE FROM tenant_inbox WHERE (order_id, message_id) IN (
        SELECT order_id, message_id FROM tenant_inbox WHERE received_at < :before
        ORDER BY received_at LIMIT :most FOR UPDATE SKIP LOCKED)""")


class Forgetting:
    """Deletes a bounded number of old rows at a time."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def events(self) -> int:
        """Forget events older than `EVENTS_KEPT`; returns how many."""
        return await EventStore(self._database).sweep(before=self._clock.now() - EVENTS_KEPT)

    async def promises(self) -> int:
        """Forget promises that were acknowledged and are older than `PROMISES_KEPT`; returns how many."""
        return await self._database.write(_delete, _PROMISES, self._clock.now() - PROMISES_KEPT)

    async def messages(self) -> int:
        """Forget the ids of messages taken longer than `MESSAGES_KEPT` ago; returns how many."""
        return await self._database.write(_delete, _MESSAGES, self._clock.now() - MESSAGES_KEPT)


def _delete(connection: Connection, statement: TextClause, before: datetime) -> int:
    return connection.execute(statement, {"before": before, "most": _PAGE}).rowcount
