"""The migrated database is the one that the tables declare, down to the words of every constraint and index."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from controlplane.store.database import Database
from controlplane.store.migrate import pending
from controlplane.store.tables import metadata
from tests.postgres import PostgresServer

#: Every constraint and index of the schema, as PostgreSQL itself says them. Which columns may be NULL stands in the
#: first comparison; PostgreSQL 18 has a constraint for each of those too.
_SAID = text("""
    SELECT conrelid::regclass::text || ': ' || conname || ': ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid <> 0
            AND conrelid::regclass::text <> 'alembic_version'
    UNION ALL
    SELECT tablename || ': ' || indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    UNION ALL
    SELECT table_name || ': ' || column_name || ': ' || data_type || ': ' || coalesce(column_default, '-') || ': '
        || is_nullable || ': ' || is_identity || ': ' || coalesce(generation_expression, '-')
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'""")


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


def _said(connection: Connection) -> set[str]:
    return set(connection.execute(_SAID).scalars())


@pytest.fixture
def empty_url(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.create(template="template0")
    yield postgres.url_for(name)
    postgres.drop(name)


async def test_the_migrated_schema_is_the_declared_one(database: Database):
    assert await database.overhaul(_differences) == []


async def test_every_constraint_and_index_is_word_for_word_the_declared_one(database: Database, empty_url: str):
    async with Database.open(empty_url) as declared:
        await declared.overhaul(metadata.create_all)
        wanted = await declared.read(_said)
    migrated = await database.read(_said)
    assert sorted(migrated - wanted) == []
    assert sorted(wanted - migrated) == []
    assert len(migrated) > 500


async def test_nothing_is_pending_after_migrating(database: Database):
    assert await pending(database) == []
