"""From what a person types to a query that PostgreSQL can only read as words."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from controlplane.store.tables.search import prefix_query


def test_words_begin_words():
    assert prefix_query("acme mar") == "'acme':* & 'mar':*"
    assert prefix_query("maria@acme.com") == "'maria':* & 'acme':* & 'com':*"
    assert prefix_query("  ") is None
    assert prefix_query("'&|!<->") is None


@given(st.text())
def test_no_sign_of_the_query_language_gets_through(typed):
    query = prefix_query(typed)
    if query is not None:
        words = query.split(" & ")
        assert len(words) <= 10
        for word in words:
            inside = word.removeprefix("'").removesuffix("':*")
            assert word == f"'{inside}':*"
            assert not set(inside) & {*string.punctuation, *string.whitespace, "\0"}
