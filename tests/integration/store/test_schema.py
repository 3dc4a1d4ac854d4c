"""The migrated database is the one that the tables declare."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from controlplane.store.database import Database
from controlplane.store.migrate import pending
from controlplane.store.tables import metadata


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def test_the_migrated_schema_is_the_declared_one(database: Database):
    assert await database.overhaul(_differences) == []


async def test_nothing_is_pending_after_migrating(database: Database):
    assert await pending(database) == []
