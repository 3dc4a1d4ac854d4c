"""Lists in portions: by page number or by cursor (specification section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")


class Page(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """Query mixin of offset lists: `?page=1&pageSize=25`."""

    page: Annotated[int, Meta(ge=1, le=1_000_000, description="Which page, from 1.")] = 1
    page_size: Annotated[int, Meta(ge=1, le=100, description="How many on a page.")] = 25

    @property
    def offset(self) -> int:
        """How many come before this page."""
        return (self.page - 1) * self.page_size


Cursor = Annotated[str, Meta(max_length=500, description="The `nextCursor` of the page before.")]
Limit = Annotated[int, Meta(ge=1, le=100, description="How many at most.")]


class CursorPage(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """Query mixin of cursor lists: `?cursor=…&limit=25`."""

    cursor: Cursor | None = None
    limit: Limit = 25


class Listing(msgspec.Struct, Generic[T]):
    """An offset list's answer: `data` is the array, `meta` is `{page, pageSize, total}`."""

    items: Sequence[T]
    page: int
    page_size: int
    total: int


class CursorListing(msgspec.Struct, Generic[T]):
    """A cursor list's answer: `data` is the array, `meta` is `{limit, nextCursor}`."""

    items: Sequence[T]
    limit: int
    next_cursor: str | None
