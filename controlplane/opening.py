"""What every command opens before its work: the log, the state folder, the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from controlplane import logs
from controlplane.settings import Settings
from controlplane.state_folder import StateFolder
from controlplane.store.database import Database
from controlplane.store.embedded import EmbeddedPostgres


def open_ground(settings: Settings) -> StateFolder:
    """Start the log and open the state folder.

    Raises:
        StateFolderError: the folder cannot be used.
    """
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    return StateFolder.open(settings.state_dir)


@asynccontextmanager
async def open_database(settings: Settings, folder: StateFolder, *, join: bool = False) -> AsyncIterator[Database]:
    """Open the database the settings name: PostgreSQL at its URL, or the embedded one in the state folder.

    Args:
        settings: where the database is, and its limits.
        folder: the state folder, for the embedded one.
        join: use the embedded one of a Hub that runs on the folder already, where there is one.

    Raises:
        EmbeddedPostgresError: the embedded one cannot run here, or another Hub runs it and `join` is off.
        DatabaseMisconfigured: the server refuses the URL's user, password or database.
    """
    async with AsyncExitStack() as stack:
        if settings.database_url is not None:
            url = settings.database_url.reveal()
        else:
            postgres = await stack.enter_async_context(EmbeddedPostgres.open(folder.path, join=join))
            url = postgres.url
        yield await stack.enter_async_context(
            Database.open(
                url,
                pool_size=settings.pool_size,
                pool_timeout_seconds=settings.pool_timeout_seconds,
                statement_timeout_seconds=settings.statement_timeout_seconds,
                connect_timeout_seconds=settings.connect_timeout_seconds,
            )
        )
