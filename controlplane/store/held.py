"""Connections kept out of SQLAlchemy's pool, for statements that are asked of the driver itself."""

from __future__ import annotations

from sqlalchemy.pool import Pool, PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn


class HeldConnections:
    """A stack of idle connections; everything here runs on the database thread.

    To check one out and in again costs SQLAlchemy as much as a short statement does. What is held lacks in the pool:
    whoever needs a connection from there makes room first.

    Args:
        pool: where they come from.
        most: how many are held while nobody uses them.
    """

    def __init__(self, pool: Pool, *, most: int) -> None:
        self._pool = pool
        self._most = most
        self._idle: list[PoolProxiedConnection] = []

    async def take(self) -> PoolProxiedConnection:
        """One to be given back, or dropped."""
        while self._idle:
            connection = self._idle.pop()
            driver = connection.driver_connection
            if driver is not None and not driver.is_closed():
                return connection
            connection.invalidate()
            connection.close()
        fresh: PoolProxiedConnection = await greenlet_spawn(self._pool.connect)
        return fresh

    def give_back(self, connection: PoolProxiedConnection) -> None:
        """It is as it was taken: in no transaction, in the middle of nothing."""
        if len(self._idle) < self._most:
            self._idle.append(connection)
        else:
            connection.close()

    def drop(self, connection: PoolProxiedConnection, error: BaseException) -> None:
        """It serves nobody any more."""
        connection.invalidate(error)
        connection.close()

    def keep_at_most(self, count: int) -> None:
        """Let the pool have the others."""
        while len(self._idle) > max(count, 0):
            self._idle.pop(0).close()
