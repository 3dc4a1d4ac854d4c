"""Days, weeks and months of usage: whole ones, in order, without a gap, and never too many."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.store.pools import overage_cents
from controlplane.store.usage_spans import (
    MOST_POINTS,
    Period,
    Span,
    checked,
    month_of,
    months_on,
    points,
    series_span,
    span_around,
)
from controlplane.system_settings.own import Hub
from protocol.faults import ValidationError

TODAY = date(2026, 3, 15)
DAY = timedelta(days=1)
_days = st.dates(date(2020, 1, 1), date(2026, 3, 15))


@given(period=st.sampled_from(Period), day=_days, length=st.integers(0, 400))
def test_points_follow_one_another_and_cover_everything_asked_for(period: Period, day: date, length: int):
    asked = Span(day, day + timedelta(days=length))
    found = points(period, asked)
    assert found[0].first <= asked.first <= found[0].last
    assert found[-1].first <= asked.last <= found[-1].last
    assert all(after.first == before.last + DAY for before, after in pairwise(found))
    assert all(span_around(period, one.last) == one for one in found)


@given(period=st.sampled_from(Period), first=st.none() | _days, last=st.none() | _days)
def test_a_series_has_at_most_so_many_points_or_says_so(period: Period, first: date | None, last: date | None):
    backwards = first is not None and first > (last or TODAY)
    if backwards or (first is not None and len(points(period, Span(first, last or TODAY))) > MOST_POINTS):
        with pytest.raises(ValidationError):
            series_span(period, first, last, today=TODAY)
        return
    span = series_span(period, first, last, today=TODAY)
    assert len(points(period, span)) <= MOST_POINTS
    assert span.first.year >= 2019
    assert first is None or span.first <= first


@pytest.mark.parametrize(
    ("period", "first", "count"),
    [
        (Period.DAY, date(2026, 2, 14), 30),
        (Period.WEEK, date(2025, 12, 22), 12),
        (Period.MONTH, date(2025, 4, 1), 12),
    ],
)
def test_what_is_usual_ends_today(period: Period, first: date, count: int):
    span = series_span(period, None, None, today=TODAY)
    assert (span.first, len(points(period, span))) == (first, count)
    assert span.last >= TODAY


def test_four_hundred_points_are_taken_and_one_more_is_not():
    first = TODAY - (MOST_POINTS - 1) * DAY
    assert len(points(Period.DAY, series_span(Period.DAY, first, None, today=TODAY))) == MOST_POINTS
    with pytest.raises(ValidationError):
        series_span(Period.DAY, first - DAY, None, today=TODAY)


def test_months_are_whole_across_years_and_leap_days():
    assert month_of(date(2024, 2, 29)) == Span(date(2024, 2, 1), date(2024, 2, 29))
    assert month_of(date(2025, 12, 31)) == Span(date(2025, 12, 1), date(2025, 12, 31))
    assert (months_on(date(2026, 1, 1), -1), months_on(date(2025, 12, 1), 1)) == (date(2025, 12, 1), date(2026, 1, 1))
    assert checked(None, None, today=TODAY) == Span(date(2026, 3, 1), TODAY)


def test_overage_costs_what_it_costs_to_the_nearest_cent():
    prices = Hub(overage_cents_per_million=150)
    assert [overage_cents(tokens, prices) for tokens in (0, 3_333, 3_334, 1_000_000, 2**62)] == [
        0,
        0,
        1,
        150,
        (2**62 * 150 + 500_000) // 1_000_000,
    ]
