"""How SQLAlchemy's engine is set up: the pool, the session settings, and JSON left to the stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from controlplane.store.transaction import listen

# The server ends a slow statement itself; the client's own limit is for a server that no longer answers at all.
SERVER_SILENT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one Database."""

    pool_size: int
    pool_timeout_seconds: float
    statement_timeout_seconds: float
    connect_timeout_seconds: float
    max_waiting: int


def normalised(url: str) -> URL:
    """Any usual spelling of a PostgreSQL URL, for asyncpg.

    Raises:
        sqlalchemy.exc.ArgumentError, ValueError: it is not a URL, or not PostgreSQL's.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError(f"only PostgreSQL is supported, not {parsed.get_backend_name()!r}")
    parsed = parsed.set(drivername="postgresql+asyncpg")
    # What libpq calls sslmode, asyncpg calls ssl.
    if "sslmode" in parsed.query:
        mode = parsed.query["sslmode"]
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return parsed


def build_engine(url: URL, limits: Limits, *, opened: Callable[[], object]) -> AsyncEngine:
    """The engine for daily work; `opened` is called for each new connection."""
    statement = limits.statement_timeout_seconds
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_use_lifo=True,
        # Lanes keep the number of transactions at the pool's size, so nobody ever waits here.
        pool_timeout=limits.pool_timeout_seconds,
        hide_parameters=True,  # an error's text reaches the log, what was bound must not
        json_serializer=_as_it_is,
        json_deserializer=_as_it_is,
        connect_args={
            "timeout": limits.connect_timeout_seconds,
            "command_timeout": statement + SERVER_SILENT_SECONDS,
            "server_settings": {
                **_SESSION,
                "statement_timeout": _milliseconds(statement),
                "lock_timeout": _milliseconds(statement / 2),
                "idle_in_transaction_session_timeout": _milliseconds(statement * 2),
            },
        },
    )
    return _equipped(engine, opened)


def build_unlimited_engine(url: URL, limits: Limits, *, opened: Callable[[], object]) -> AsyncEngine:
    """The engine for migrations: a connection each, no time limit on statements.

    JSON is decoded here, since SQLAlchemy's reflection, which Alembic compares schemas with, asks for it.
    """
    engine = create_async_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"timeout": limits.connect_timeout_seconds, "server_settings": {**_SESSION}},
    )
    return _equipped(engine, opened)


_SESSION = {
    "application_name": "letsbe-hub",
    "timezone": "UTC",
    "jit": "off",  # compiling costs more than our short statements
}


def _equipped(engine: AsyncEngine, opened: Callable[[], object]) -> AsyncEngine:
    listen(engine)

    def count(_connection: Any, _record: Any) -> None:
        opened()

    event.listen(engine.sync_engine.pool, "connect", count)
    return engine


def _as_it_is(value: Any) -> Any:
    return value


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
