"""Invented usage of past weeks, always the same: agents work by day, less at weekends, and more each week."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from wrapper.reports import UsageReport

#: So far back it goes; calls of more than a month ago would not be counted.
PAST: Final = timedelta(days=28)

_MODELS: Final = {"marketing": "anthropic/claude-sonnet-4.5", "dispatcher": "openai/gpt-5-mini"}
_MODEL: Final = "deepseek/deepseek-v3.2"
_CENTS_PER_TOKEN: Final = {"anthropic": 0.001, "openai": 0.000_06, "deepseek": 0.000_035}
#: Tokens of a busy hour; of agents that are not named, the last.
_BUSY: Final = {"dispatcher": 9_000, "secretary": 8_000, "marketing": 6_500, "it-admin": 5_000}
_BUSY_OTHERS: Final = 6_000
#: How busy an hour of the day is (UTC), in hundredths, from midnight on.
_DAY: Final = (0, 0, 8, 4, 0, 4, 18, 45, 80, 100, 95, 85, 55, 70, 95, 90, 75, 50, 28, 14, 8, 5, 0, 0)
_WEEKEND: Final = 0.18
_GROWTH_A_WEEK: Final = 0.07
#: Hours of less than this are not worth a call.
_FEWEST_TOKENS: Final = 300


def past_usage(company: str, agents: Iterable[str], until: datetime) -> Iterator[UsageReport]:
    """What a company's agents used in the hours before one, the oldest first.

    Args:
        company: whatever tells one from another.
        until: the first hour that is not told any more.
    """
    named = sorted(agents)
    hour = until - PAST
    while hour < until:
        for agent_id in named:
            tokens = _tokens(company, agent_id, hour, (hour - until + PAST) / timedelta(weeks=1))
            if tokens >= _FEWEST_TOKENS:
                searches = tokens // 1_000 % 3 if agent_id in ("marketing", "sales") else 0
                yield used(agent_id, tokens, hour, web_searches=searches)
        hour += timedelta(hours=1)


def used(agent_id: str, tokens: int, at: datetime, *, web_searches: int = 0) -> UsageReport:
    """So many tokens as a call of an agent's model."""
    model = _MODELS.get(agent_id, _MODEL)
    return UsageReport(
        agent_id=agent_id,
        model=model,
        tokens_input=tokens - tokens * 2 // 10 - tokens // 10,
        tokens_output=tokens * 2 // 10,
        tokens_cache_read=tokens // 10,
        web_search_count=web_searches,
        web_fetch_count=web_searches // 2,
        cost_cents=tokens * _CENTS_PER_TOKEN[model.partition("/")[0]],
        at=at,
    )


def _tokens(company: str, agent_id: str, hour: datetime, weeks: float) -> int:
    busy = _DAY[hour.hour] / 100 * (_WEEKEND if hour.weekday() >= 5 else 1.0) * (1 + _GROWTH_A_WEEK * weeks)
    # A day has its mood, and an hour its own.
    mood = _chance(company, agent_id, hour.date()) * 0.6 + _chance(company, agent_id, hour.isoformat()) * 0.9 + 0.25
    return int(_BUSY.get(agent_id, _BUSY_OTHERS) * busy * mood)


def _chance(*of: object) -> float:
    """A number from 0 to 1 that is always the same for the same."""
    return zlib.crc32("|".join(str(one) for one in of).encode()) / 0xFFFF_FFFF
