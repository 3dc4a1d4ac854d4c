"""The schema's steps: which are pending, and applying them under a lock that lets one node at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

import migrations
from controlplane.store.database import Database

ADVISORY_LOCK = 0x4C_42_48_55  # "LBHU": nobody else in this database takes it
_LOCK = text("SELECT pg_advisory_xact_lock(:key)")


class SchemaUnknown(Exception):
    """The database was migrated by a newer Hub; the message names the step."""


class SchemaBehind(Exception):
    """The database's schema is older than this Hub; the message says what to run."""


async def migrate(database: Database) -> list[str]:
    """Apply every pending step in one transaction.

    Nodes that start at once take turns: the later finds nothing to do.

    Returns:
        the steps applied, in order, such as `0001_accounts`.

    Raises:
        SchemaUnknown: the database bears a step that this Hub does not know.
        Overloaded: the database is not reachable.
    """
    return await database.overhaul(_apply)


async def pending(database: Database) -> list[str]:
    """The steps that `migrate` would apply, in order.

    Raises:
        SchemaUnknown: the database bears a step that this Hub does not know.
        Overloaded: the database is not reachable.
    """
    return await database.read(_pending)


def configuration() -> Config:
    """Alembic's configuration: the steps lie in the installed package `migrations`, wherever the Hub is started."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__path__[0])).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _apply(connection: Connection) -> list[str]:
    connection.execute(_LOCK, {"key": ADVISORY_LOCK})
    applied: list[str] = []

    def note(*, step: MigrationInfo, **_: Any) -> None:
        applied.extend(step.up_revision_ids)

    config = configuration()
    _steps_after(connection, config)
    config.attributes["connection"] = connection
    config.attributes["on_version_apply"] = note
    command.upgrade(config, "heads")
    return applied


def _pending(connection: Connection) -> list[str]:
    return _steps_after(connection, configuration())


def _steps_after(connection: Connection, config: Config) -> list[str]:
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_heads()
    try:
        steps = list(script.iterate_revisions("heads", current or "base"))
    except (CommandError, ResolutionError) as error:
        raise SchemaUnknown(
            f"the database was migrated by a newer Hub ({', '.join(current)} is unknown here): "
            "run that version or a later one"
        ) from error
    return [step.revision for step in reversed(steps)]
