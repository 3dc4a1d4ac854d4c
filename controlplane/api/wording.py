"""msgspec's complaints in words for the person whose request was refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PLACE: Final = re.compile(r"^(?P<message>.*?) - at (?:`key` in )?`\$(?P<path>.*)`$", re.DOTALL)
_STEP: Final = re.compile(r"\[(\d+)\]|\.([^.\[\]]+)")
_TYPE: Final = re.compile(r"^Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`$")
_LENGTH: Final = re.compile(r"^Expected `(?P<kind>str|array|object|bytes)` of length (?P<sign>>=|<=|==) (?P<n>\d+)$")
_BOUND: Final = re.compile(r"^Expected `(?:int|float|decimal)` (?P<sign>>=|<=|>|<) (?P<n>\S+)$")
_PATTERN: Final = re.compile(r"^Expected `str` matching regex (?P<pattern>.+)$", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>[^`]+)`$")
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<name>[^`]+)`$")

_KINDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "str": "text",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
    "datetime": "a time as in RFC 3339",
    "bytes": "base64 text",
    "uuid": "a UUID",
}
_SIGNS: Final = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than", "==": "exactly"}
_COUNTED: Final = {"str": "characters", "array": "items", "object": "fields", "bytes": "bytes"}


def worded(complaint: str, choices: Sequence[str] = ()) -> tuple[str, str]:
    """Where inside the value, as a dotted path, and what the value must be.

    Args:
        complaint: the text of a `msgspec.ValidationError`.
        choices: what an enumeration takes.
    """
    place = _PLACE.match(complaint)
    if place is None:
        return "", _message(complaint, choices)
    path = ".".join(index or name for index, name in _STEP.findall(place["path"]))
    complaint = place["message"]
    named = _MISSING.match(complaint) or _UNKNOWN.match(complaint)
    if named is not None:
        path = f"{path}.{named['name']}" if path else named["name"]
    return path, _message(complaint, choices)


def _message(complaint: str, choices: Sequence[str]) -> str:
    if complaint.startswith("Invalid enum value"):
        return f"must be one of {', '.join(choices)}" if choices else "is not one of the allowed values"
    if match := _TYPE.match(complaint):
        kinds = [_KINDS.get(kind, kind) for kind in match["wanted"].split(" | ")]
        return f"must be {' or '.join(kinds)}, not {_KINDS.get(match['got'], match['got'])}"
    if match := _LENGTH.match(complaint):
        counted = _COUNTED[match["kind"]].removesuffix("s" if match["n"] == "1" else "")
        return f"must have {_SIGNS[match['sign']]} {match['n']} {counted}"
    if match := _BOUND.match(complaint):
        return f"must be {_SIGNS[match['sign']]} {match['n'].removesuffix('.0')}"
    if match := _PATTERN.match(complaint):
        return f"must match {match['pattern']}"
    if "timezone" in complaint:
        return "must be a time with its zone, as 2026-03-15T10:00:00Z"
    if complaint.startswith("Invalid RFC3339"):
        return "must be a time as in RFC 3339, as 2026-03-15T10:00:00Z"
    if _MISSING.match(complaint):
        return "is required"
    if _UNKNOWN.match(complaint):
        return "is not a known field"
    return complaint[:1].lower() + complaint[1:]
