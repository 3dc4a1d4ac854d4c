"""Old promises and message ids are forgotten; what may still be needed is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from controlplane.store.database import Database
from controlplane.store.forgetting import Forgetting
from controlplane.system_settings.own import Hub
from tests.contract.shelves import NOW, PostgresShelf, asked, decide, registered

PROMISES_KEPT = timedelta(days=Hub().promises_kept_days)
MESSAGES_KEPT = timedelta(days=Hub().messages_kept_days)


class At:
    """A clock that stands still."""

    def __init__(self, at: Any) -> None:
        self._at = at

    def now(self) -> Any:
        return self._at

    def monotonic(self) -> float:
        return 0.0


async def test_only_old_promises_that_were_acknowledged_are_forgotten(database: Database) -> None:
    shelf = PostgresShelf(database)
    tenant = await registered(shelf)
    for name in ("first", "second", "third"):
        await decide(shelf, tenant, await asked(shelf, tenant, id=name))
    await shelf.run("UPDATE server_connections SET acked_seq = 2 WHERE order_id = :o", o=tenant.order_id)
    seqs = "SELECT seq FROM deliveries WHERE order_id = :o ORDER BY seq"
    early = Forgetting(database, clock=At(NOW + PROMISES_KEPT))
    assert await early.promises() == 0
    late = Forgetting(database, clock=At(NOW + PROMISES_KEPT + timedelta(seconds=1)))
    assert await late.promises() == 2
    assert [row.seq for row in await shelf.run(seqs, o=tenant.order_id)] == [3]
    assert await late.promises() == 0


async def test_message_ids_are_kept_for_as_long_as_a_wrapper_may_come_back(database: Database) -> None:
    shelf = PostgresShelf(database)
    tenant = await registered(shelf)
    await asked(shelf, tenant)
    assert await Forgetting(database, clock=At(NOW + MESSAGES_KEPT)).messages() == 0
    assert await Forgetting(database, clock=At(NOW + MESSAGES_KEPT + timedelta(seconds=1))).messages() == 1
