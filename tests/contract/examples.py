"""The JSON examples of the specification, a file each, and how an answer is held against one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("spec_examples")


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes:
        name: the file's name.
        endpoint: the row it belongs to, as `METHOD path`.
        part: `request`; or where it stands in the answer: `answer`, `data`, or `item`, one of a list.
        value: the example itself.
    """

    name: str
    section: str
    endpoint: str
    part: str
    value: Any


@cache
def examples() -> dict[str, Example]:
    """Every example by its name."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = Example(
            path.stem, content["section"], content["endpoint"], content["part"], content["value"]
        )
    return found


def example(name: str) -> Any:
    """The value of one."""
    return examples()[name].value


def lacks(wanted: Any, shown: Any, place: str = "$") -> list[str]:
    """What an answer lacks of an example: fields, and types. More fields are allowed, other values too.

    An id of the example is an id of the same kind in the answer, and a time is a time.
    """
    if wanted is None:
        return []
    if isinstance(wanted, dict):
        if not isinstance(shown, dict):
            return [f"{place} is {_kind(shown)}, not an object"]
        missing = [f"{place}.{name} is not there" for name in wanted.keys() - shown.keys()]
        return missing + [
            lack
            for name in wanted.keys() & shown.keys()
            for lack in lacks(wanted[name], shown[name], f"{place}.{name}")
        ]
    if isinstance(wanted, list):
        if not isinstance(shown, list):
            return [f"{place} is {_kind(shown)}, not a list"]
        if wanted and not shown:
            return [f"{place} is empty: nothing to compare with"]
        return (
            [lack for number, one in enumerate(shown) for lack in lacks(wanted[0], one, f"{place}[{number}]")]
            if wanted
            else []
        )
    if isinstance(wanted, str):
        return _lacks_text(wanted, shown, place)
    if _kind(wanted) != _kind(shown):
        return [f"{place} is {_kind(shown)}, not {_kind(wanted)}"]
    return []


def _lacks_text(wanted: str, shown: Any, place: str) -> list[str]:
    if not isinstance(shown, str):
        return [f"{place} is {_kind(shown)}, not text"]
    if _time(wanted) and not _time(shown):
        return [f"{place} is {shown!r}, not a time"]
    prefix, mark, rest = wanted.partition("_")
    if mark and rest in ("abc123", "123", "456") and not shown.startswith(f"{prefix}_"):
        return [f"{place} is {shown!r}, not an id of the form {prefix}_…"]
    return []


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    return {str: "text", list: "a list", dict: "an object", type(None): "null"}[type(value)]


def _time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
