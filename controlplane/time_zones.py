"""Names of time zones, as people and settings give them."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from protocol.faults import FieldProblem


def zone_problems(field: str, name: str) -> list[FieldProblem]:
    """What is wrong with a name that must be one of the IANA time zone database.

    Args:
        field: where the name was given, for the refusal.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return [FieldProblem(field, "must be a name of the IANA time zone database, as Europe/Berlin")]
    return []
