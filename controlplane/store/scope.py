"""Whose things a caller may see: every store method on customer-owned things takes a Scope into its WHERE."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, true

from actors.people import Scope

__all__ = ["Scope", "covers"]


def covers(scope: Scope, owner: ColumnElement[UUID]) -> ColumnElement[bool]:
    """The condition a statement needs; `owner` is the column that holds the owning customer's id."""
    return true() if scope.customer_id is None else owner == scope.customer_id
