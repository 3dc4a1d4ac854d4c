"""Where the Hub keeps files that are no rows: a port, filled by a folder or by an object store."""

from __future__ import annotations

from typing import Protocol


class ObjectStorage(Protocol):
    """Keeps small objects by name; names are ours, never a caller's."""

    async def put(self, name: str, data: bytes) -> None:
        """Keep an object, on disk or its equal when this returns.

        Raises:
            Overloaded: the storage cannot be reached or is full.
        """
        ...

    async def get(self, name: str) -> bytes | None:
        """An object; None: there is none of this name.

        Raises:
            Overloaded: the storage cannot be reached.
        """
        ...

    async def delete(self, name: str) -> None:
        """Forget an object; nothing happens where there is none.

        Raises:
            Overloaded: the storage cannot be reached.
        """
        ...
