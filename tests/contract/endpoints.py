"""The specification's endpoints as the project keeps them: `endpoints.tsv`, with what each one waits for."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NOW = "now"


@dataclass(frozen=True)
class Row:
    """One endpoint of the specification.

    Attributes:
        auth: the kind of caller.
        due: `now`, or the outside system it waits for.
    """

    section: str
    server: str
    method: str
    path: str
    auth: str
    due: str
    description: str

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"


@cache
def rows() -> tuple[Row, ...]:
    """Every row, in the specification's order."""
    with Path(__file__).with_name("endpoints.tsv").open(encoding="utf-8", newline="") as file:
        return tuple(Row(**row) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def due() -> list[Row]:
    """The rows that have to be there."""
    return [row for row in rows() if row.due == NOW]


def shape(path: str) -> str:
    """A path whose parameters have no names: the specification calls them differently from the code."""
    return re.sub(r"\{[^}]*\}", "{}", path)
