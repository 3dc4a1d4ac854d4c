"""A letter and how it is printed: one content, a text/plain and a text/html form that say the same."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, PackageLoader, StrictUndefined

from controlplane.integrations.mail_carrier import one_line

#: What is shown of words that are not ours.
LONGEST_QUOTE: Final = 400
_SCHEME: Final = re.compile(r"(?<=\w)://")
_BARE: Final = re.compile(r"\bwww\.", re.IGNORECASE)
_WIDTH: Final = 76


@dataclass(frozen=True, slots=True)
class Link:
    """A link of ours, under its label."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Item:
    """One thing a letter lists.

    Args:
        title: ours.
        quote: somebody else's words, already through `quoted`.
        facts: short lines below.
    """

    title: str
    quote: str
    facts: Sequence[str]
    link: Link


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says.

    Args:
        subject: of our own words only: no secret, and nothing an agent said.
        title: its first line.
        paragraphs: what it says.
        items: what it lists.
        link: what to do; stands alone where it can be seen.
        small: lines at the foot.
    """

    subject: str
    title: str
    paragraphs: Sequence[str] = ()
    items: Sequence[Item] = ()
    link: Link | None = None
    small: Sequence[str] = ()


class LetterPress:
    """Prints letters; of any thread, and the same letter always alike."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("controlplane.services.letters", "."),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("letter.html")

    def html(self, letter: Letter) -> str:
        """The letter as a page that loads nothing from anywhere."""
        return self._template.render(letter=letter)

    def text(self, letter: Letter) -> str:
        """The letter as plain text."""
        blocks = [letter.title, *(_wrapped(paragraph) for paragraph in letter.paragraphs)]
        blocks += [_item(item) for item in letter.items]
        if letter.link is not None:
            blocks.append(f"{letter.link.label}:\n{letter.link.url}")
        blocks.append("\n".join(["-- ", *(_wrapped(line) for line in letter.small)]))
        return "\n\n".join(blocks) + "\n"


def quoted(words: str, longest: int = LONGEST_QUOTE) -> str:
    """Somebody else's words, fit to stand in a letter: one line, cut, no control characters, no links.

    Mail programs make links of what looks like one, and what an agent says must not be one to follow.
    """
    line = " ".join(one_line(words[: longest * 4]).split())
    if len(line) > longest or len(words) > longest * 4:
        line = line[: longest - 1].rstrip() + "…"
    return _BARE.sub("www[.]", _SCHEME.sub("[:]//", line))


def moment(at: datetime, timezone: str) -> str:
    """A time as its reader's clocks show it; in UTC where this machine does not know their zone."""
    zone: tzinfo
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone, timezone = UTC, "UTC"
    return f"{at.astimezone(zone):%d %b %Y, %H:%M} ({timezone})"


def _item(item: Item) -> str:
    lines = [f"* {item.title}", _wrapped(item.quote, "    ")]
    return "\n".join([*lines, *(_wrapped(fact, "  ") for fact in item.facts), f"  {item.link.label}: {item.link.url}"])


def _wrapped(paragraph: str, indent: str = "") -> str:
    return textwrap.fill(
        paragraph,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
