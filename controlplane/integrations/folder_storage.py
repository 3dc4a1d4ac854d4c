"""Objects as files in a folder of this machine: for one node, or a folder that all nodes mount."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import structlog
import trio

from protocol.faults import Overloaded

T = TypeVar("T")
log = structlog.get_logger()

_NAME: Final = re.compile(r"[a-z0-9]{1,40}/[a-z0-9]{8,80}\.[a-z]{2,5}")


class FolderStorage:
    """Objects under a folder that nobody else may read.

    Args:
        folder: made, with mode 0700, when the first object is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, data: bytes) -> None:
        """Keep an object; it is on disk when this returns."""
        await _in_thread(_put, self._path(name), data)

    async def get(self, name: str) -> bytes | None:
        """An object; None: there is none of this name."""
        return await _in_thread(_get, self._path(name))

    async def delete(self, name: str) -> None:
        """Forget an object; nothing happens where there is none."""
        await _in_thread(_delete, self._path(name))

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of an object")
        return self._folder / name


async def _in_thread(work: Callable[..., T], *arguments: object) -> T:
    try:
        return await trio.to_thread.run_sync(work, *arguments)
    except OSError as error:
        log.error("storage.failed", reason=str(error))
        raise Overloaded("files cannot be kept or read at this moment; nothing was changed") from error


def _put(path: Path, data: bytes) -> None:
    # Under another name first: nobody ever reads half an object.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _get(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
