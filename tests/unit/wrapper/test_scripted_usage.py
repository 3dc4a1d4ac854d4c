"""The invented past of the demo's agents: always the same, within what is counted, and shaped like work."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from wrapper.journal.reports import KEPT
from wrapper.scripted_usage import PAST, past_usage

AGENTS = ["dispatcher", "it-admin", "marketing", "secretary", "sales"]
#: A Monday.
NOW = datetime(2026, 3, 16, 9, tzinfo=UTC)


def tokens(report) -> int:
    return report.tokens_input + report.tokens_output + report.tokens_cache_read


def test_the_past_is_always_the_same_and_anothers_is_another():
    assert list(past_usage("bakery", AGENTS, NOW)) == list(past_usage("bakery", reversed(AGENTS), NOW))
    assert list(past_usage("bakery", AGENTS, NOW)) != list(past_usage("garage", AGENTS, NOW))
    # An hour stays what it was, whenever the past is told: only its week's growth is counted from the beginning.
    today = {(one.agent_id, one.at) for one in past_usage("bakery", AGENTS, NOW)}
    assert all(NOW - PAST <= at < NOW for _, at in today)
    assert PAST + timedelta(hours=1) < KEPT


def test_agents_work_by_day_and_less_at_weekends():
    by_hour, by_day = Counter[int](), Counter[datetime]()
    for one in past_usage("bakery", AGENTS, NOW):
        by_hour[one.at.hour] += tokens(one)
        by_day[one.at.replace(hour=0)] += tokens(one)
    assert by_hour[10] > 5 * by_hour[20]
    workdays = [count for day, count in by_day.items() if day.weekday() < 5]
    weekends = [count for day, count in by_day.items() if day.weekday() >= 5]
    assert sum(weekends) / len(weekends) < 0.4 * sum(workdays) / len(workdays)
    # A month of it is neither nothing nor more than any tier holds.
    assert 2_000_000 < sum(by_day.values()) < 15_000_000


def test_all_agents_and_several_models_have_a_part_and_a_cost():
    told = list(past_usage("bakery", AGENTS, NOW))
    assert {one.agent_id for one in told} == set(AGENTS)
    assert len({one.model for one in told}) == 3
    assert all(one.cost_cents > 0 for one in told)
    assert len(told) < 2_500
