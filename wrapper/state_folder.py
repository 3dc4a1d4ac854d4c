"""The state folder: private, locked by one daemon at a time, its small files written whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class StateFolderBusy(Exception):
    """Another daemon works on this folder."""


class StateFolderUnusable(Exception):
    """The folder cannot be made, or holds what another program wrote."""


class StateFolder:
    """Paths inside one wrapper's folder, and safe writing to them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    @contextlib.contextmanager
    def lock(cls, path: Path) -> Iterator[StateFolder]:
        """Make the folder (0700) where it is missing and hold it against other daemons, also across a kill -9.

        Raises:
            StateFolderBusy: another daemon holds it.
            StateFolderUnusable: it cannot be made or written to.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateFolderUnusable(f"the state folder {path} cannot be used: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StateFolderBusy(
                    f"another Safety Wrapper is running on the state folder {path}; stop it, or give this one its own"
                ) from error
            yield cls(path)
        finally:
            os.close(descriptor)

    @property
    def journal(self) -> Path:
        return self.path / "journal.sqlite"

    def read(self, name: str) -> bytes | None:
        """A small file's content, None when there is none."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a small file with mode 0600: after a crash it is the old one or the new one, whole."""
        target, draft = self.path / name, self.path / f".{name}.new"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(target)
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
