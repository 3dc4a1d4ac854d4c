"""Reads what somebody wrote by hand into a Struct, and names every field that is wrong, not the first only."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from protocol.faults import FieldProblem, ValidationError

T = TypeVar("T", bound=msgspec.Struct)


def read_fields(value: Any, wanted: type[T], *, where: str = "") -> T:
    """Convert a decoded JSON or TOML object.

    Args:
        wanted: a Struct; fields that it does not know are refused.
        where: what to put before the fields' names, as `commands.RUN_BACKUP.`.

    Raises:
        ValidationError: with every bad field.
    """
    if not isinstance(value, dict):
        raise ValidationError.of(where.rstrip(".") or "body", "must be an object")
    problems = []
    known: dict[str, Any] = {}
    fields = {entry.encode_name: entry for entry in msgspec.structs.fields(wanted)}
    for name, entry in fields.items():
        if name not in value:
            if entry.required:
                problems.append(FieldProblem(where + name, "is required"))
            continue
        try:
            known[entry.name] = msgspec.convert(value[name], entry.type)
        except msgspec.ValidationError as error:
            words, _, place = str(error).partition(" - at `$")
            problems.append(FieldProblem(where + name + place.rstrip("`"), _plainly(words)))
    problems += [
        FieldProblem(where + str(name)[:200], f"is unknown; there is {', '.join(fields)}")
        for name in value
        if name not in fields
    ]
    if problems:
        raise ValidationError(details=problems)
    return wanted(**known)


def _plainly(words: str) -> str:
    """msgspec's complaint as what the field must be."""
    return words.replace("Expected", "must be", 1) if words.startswith("Expected") else words
