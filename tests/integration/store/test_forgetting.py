"""Old promises and message ids are forgotten; what may still be needed is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from controlplane.store.database import Database
from controlplane.store.forgetting import HOURS_KEPT_AT_LEAST, Forgetting
from controlplane.system_settings.own import Hub
from protocol.objects import UsageBucket
from protocol.tenant import Usage
from tests.contract.shelves import NOW, PostgresShelf, asked, decide, registered, say

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


async def test_hours_of_usage_are_forgotten_and_their_days_stay(database: Database) -> None:
    shelf = PostgresShelf(database)
    one, other = await registered(shelf), await registered(shelf)
    noon = NOW.replace(hour=12)
    for tenant in (one, other):
        hours = [noon - timedelta(days=days, hours=hour) for days in range(3) for hour in (0, 1)]
        buckets = [UsageBucket(agent, "m", at, tokens_input=5) for at in hours for agent in ("a", "b")]
        assert (await say(shelf, tenant, Usage("u1", buckets))).code is None
    kept = timedelta(days=Hub().stats_kept_days)
    assert await Forgetting(database, clock=At(NOW + kept - timedelta(days=2))).usage_hours() == 0
    # The day of two days before, of two orders and two agents.
    late = Forgetting(database, clock=At(NOW + kept - timedelta(days=1)))
    assert await late.usage_hours() == 4
    assert await late.usage_hours() == 0
    buckets_left = "SELECT count(*), min(bucket_hour) FROM token_usage_buckets WHERE order_id = :o"
    [(count, oldest)] = await shelf.run(buckets_left, o=one.order_id)
    assert (count, oldest) == (8, noon - timedelta(days=1, hours=1))
    days = "SELECT day, agent_id, tokens_input, is_closed FROM token_usage_days WHERE order_id = :o ORDER BY 1, 2"
    first, second, *_ = told = await shelf.run(days, o=other.order_id)
    assert len(told) == 6
    assert {int(row.tokens_input) for row in told} == {10}
    assert (first.is_closed, second.is_closed, told[2].is_closed) == (True, True, False)
    # Sent again, corrected or new: nothing of it can be told from what was counted.
    again = UsageBucket("a", "m", noon - timedelta(days=2), tokens_input=99, revision=7)
    assert (await say(shelf, one, Usage("u2", [again]))).code is None
    assert {int(row.tokens_input) for row in await shelf.run(days, o=one.order_id)} == {10}


async def test_hours_of_this_month_and_the_last_are_kept_however_little_is_chosen(database: Database) -> None:
    shelf = PostgresShelf(database)
    tenant = await registered(shelf)
    assert (await say(shelf, tenant, Usage("u1", [UsageBucket("a", "m", NOW, tokens_input=5)]))).code is None
    await shelf.run(
        "INSERT INTO system_settings (id, name, value, updated_at, updated_by)"
        " VALUES (gen_random_uuid(), 'hub.statsKeptDays', '1', now(), 'test')"
    )
    assert await Forgetting(database, clock=At(NOW + HOURS_KEPT_AT_LEAST)).usage_hours() == 0
    assert await Forgetting(database, clock=At(NOW + HOURS_KEPT_AT_LEAST + timedelta(days=1))).usage_hours() == 1
