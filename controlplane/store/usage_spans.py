"""Spans of usage: days, weeks and months of UTC, and which of them a question is about."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from controlplane.store.usage_buckets import EARLIEST
from protocol.faults import FieldProblem, ValidationError

#: So many points a series has at most.
MOST_POINTS: Final = 400
_DAY: Final = timedelta(days=1)


class Period(StrEnum):
    """What a point of a series adds up."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


#: How many points there are unless asked otherwise, the running one included.
_USUAL: Final = {Period.DAY: 30, Period.WEEK: 12, Period.MONTH: 12}


class Span(NamedTuple):
    """Days, both included."""

    first: date
    last: date


def month_of(day: date) -> Span:
    """The calendar month of a day."""
    first = day.replace(day=1)
    return Span(first, months_on(first, 1) - _DAY)


def months_on(first: date, months: int) -> date:
    """The first of a month so many months later, or earlier where negative."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return date(year, month + 1, 1)


def span_around(period: Period, day: date) -> Span:
    """The day, the week from Monday (ISO 8601) or the month around a day."""
    if period is Period.DAY:
        return Span(day, day)
    if period is Period.WEEK:
        monday = day - timedelta(days=day.weekday())
        return Span(monday, monday + timedelta(days=6))
    return month_of(day)


def points(period: Period, span: Span) -> list[Span]:
    """The days, weeks or months of a span, oldest first."""
    found = [span_around(period, span.first)]
    while found[-1].last < span.last:
        found.append(span_around(period, found[-1].last + _DAY))
    return found


def series_span(period: Period, first: date | None, last: date | None, *, today: date) -> Span:
    """What a series is about: whole periods, as many as usual where nobody says from when.

    Raises:
        ValidationError: as `checked` says, or more than `MOST_POINTS`.
    """
    wanted = checked(first, last, today=today)
    end = span_around(period, wanted.last)
    if first is None:
        begin = _back(period, end.first, _USUAL[period] - 1)
    else:
        begin = span_around(period, wanted.first).first
        if begin < _back(period, end.first, MOST_POINTS - 1):
            raise ValidationError.of(
                "from", f"makes more than {MOST_POINTS} points of a {period}: choose fewer or longer"
            )
    return Span(max(begin, span_around(period, EARLIEST.date()).first), end.last)


def checked(first: date | None, last: date | None, *, today: date) -> Span:
    """The days asked for, from the month's first to today unless said otherwise.

    Raises:
        ValidationError: they lie before all usage or far in the future, or end before they begin.
    """
    earliest, latest = EARLIEST.date(), today + timedelta(days=366)
    problems = [
        FieldProblem(name, f"must lie between {earliest} and {latest}")
        for name, day in (("from", first), ("to", last))
        if day is not None and not earliest <= day <= latest
    ]
    if not problems and first is not None and first > (last or today):
        problems.append(FieldProblem("from", "must not lie after `to`"))
    if problems:
        raise ValidationError(details=problems)
    end = last or today
    return Span(first or month_of(end).first, end)


def _back(period: Period, first: date, count: int) -> date:
    if period is Period.MONTH:
        return months_on(first, -count) if first.year * 12 - count > 12 else date.min
    return first - timedelta(days=count * (7 if period is Period.WEEK else 1))
