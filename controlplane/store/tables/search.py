"""Search by the beginnings of words: the document a table keeps, the query made of what a person typed."""

from __future__ import annotations

import string
from typing import Any, Final

from sqlalchemy import ColumnElement, func, text

# Everything of ASCII that is neither letter nor digit separates words, in the document and in the query
# alike, so that `maria@acme.com` is found by `acme`; PostgreSQL's parser would keep an address as one word.
_SEPARATORS: Final = string.punctuation
_SPACES: Final = " " * len(_SEPARATORS)
_MOST_WORDS: Final = 10


def searchable(expression: str) -> str:
    """The SQL of a generated `tsvector` over a text expression; immutable, no extension needed."""
    quoted = _SEPARATORS.replace("'", "''")
    return f"to_tsvector('simple'::regconfig, translate({expression}, '{quoted}', '{_SPACES}'))"


def prefix_query(typed: str) -> str | None:
    """The text for `to_tsquery('simple', …)`: every word typed must begin a word of the document.

    Returns:
        None when nothing typed is a word: nothing can be found by it.
    """
    spaced = typed.translate(str.maketrans(_SEPARATORS + "\0", _SPACES + " "))
    words = [word for word in spaced.split() if any(letter.isalnum() for letter in word)]
    return " & ".join(f"'{word}':*" for word in words[:_MOST_WORDS]) or None


def matches(document: ColumnElement[Any], words: str) -> ColumnElement[bool]:
    """Whether the document has all the words of a `prefix_query`."""
    return document.op("@@", is_comparison=True)(func.to_tsquery(text("'simple'"), words))
