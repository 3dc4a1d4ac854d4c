"""The state folder: where a Hub keeps its own secrets and its embedded database, for itself alone."""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from controlplane.secret import Secret
from controlplane.setting_kinds import Unfit, fernet_key, several

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_SECRET_LIMIT_BYTES: Final = 64 * 1024
_SECRET_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")


class StateFolderError(Exception):
    """The state folder cannot be used; the message is a sentence that says what to do."""


class StateFolder:
    """A private folder of one Hub. `StateFolder.open` makes or checks it.

    Layout: `secrets/<name>` (one secret a file, mode 0600), `postgres/` (the embedded database), `hub.lock`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path) -> StateFolder:
        """Make the folder with mode 0700 where it is missing, check it where it is there.

        Raises:
            StateFolderError: it cannot be made, is not ours, or others may read it.
        """
        for folder in (path, path / "secrets"):
            try:
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
                if _is_ours_and_empty(folder):
                    folder.chmod(FOLDER_MODE)  # a fresh volume: nobody can have read what is not there yet
                problem = folder_problem(folder)
            except OSError as error:
                raise StateFolderError(
                    f"the state folder {folder} cannot be made ({error.strerror}): "
                    "set HUB_STATE_DIR to a folder this user may write to"
                ) from None
            if problem:
                raise StateFolderError(problem)
        return cls(path)

    @property
    def secrets(self) -> Path:
        """The folder of the secrets."""
        return self.path / "secrets"

    @property
    def lock_file(self) -> Path:
        """The file whose lock says that a Hub runs on this folder."""
        return self.path / "hub.lock"

    def secret(self, name: str, make: Callable[[], str]) -> Secret:
        """Read a secret; the first time, make it, mode 0600 and on disk before this returns.

        Two processes which make it at once end with the same one.

        Args:
            name: lower-case words with hyphens; the file's name.
            make: a fresh value, called only when there is none.

        Raises:
            StateFolderError: the file is unreadable, empty, or open to others.
        """
        path = self._path_of(name)
        try:
            if not path.exists():
                self._make(path, make())
            return self._read(path)
        except OSError as error:
            raise StateFolderError(
                f"the secret {path} cannot be used ({error.strerror}): "
                "give it to the Hub's user, or restore it from a backup"
            ) from None

    def forget(self, name: str) -> None:
        """Remove a secret that has served, such as a setup token; nothing happens where there is none."""
        self._path_of(name).unlink(missing_ok=True)
        _flush_folder(self.secrets)

    def has(self, name: str) -> bool:
        """Whether a secret was made."""
        return self._path_of(name).exists()

    def master_keys(self) -> tuple[Secret, ...]:
        """The folder's own Fernet keys, newest first, for where HUB_MASTER_KEY is not set.

        The file holds one at first; an operator who rotates writes the new one before it, with a comma.

        Raises:
            StateFolderError: the file holds something else, or is open to others.
        """
        text = self.secret("master-key", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
        try:
            return several(fernet_key)(text.reveal())
        except Unfit as unfit:
            raise StateFolderError(
                f"the secret {self._path_of('master-key')} {unfit.problem}: restore it from a backup"
            ) from None

    def cron_secret(self) -> Secret:
        """The folder's own cron secret, for where HUB_CRON_SECRET is not set."""
        return self.secret("cron-secret", lambda: secrets.token_urlsafe(32))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one Hub: its embedded database stands only one master.

        The lock is the kernel's and ends with the process, however that ends.

        Raises:
            StateFolderError: another Hub holds it.
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                who = f"another Hub (process {holder})" if holder else "another Hub"
                raise StateFolderError(
                    f"{who} runs on the state folder {self.path}: stop it, "
                    "set HUB_STATE_DIR to another folder, or give both a DATABASE_URL"
                ) from None
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def in_use(self) -> bool:
        """Whether a Hub holds the folder at this moment."""
        try:
            with self.locked():
                return False
        except StateFolderError:
            return True

    def problems(self) -> list[str]:
        """What is wrong with the modes and owners of the folder and its secrets, each a sentence."""
        found = [folder_problem(self.path), folder_problem(self.secrets)]
        found += [file_problem(path) for path in sorted(self.secrets.iterdir())]
        return [problem for problem in found if problem]

    def _path_of(self, name: str) -> Path:
        if not _SECRET_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a secret's name")
        return self.secrets / name

    def _make(self, path: Path, value: str) -> None:
        # Written in full under another name and linked into place, so that nobody ever reads half a secret;
        # link refuses a name that exists, so the first of two makers wins.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(value.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _flush_folder(self.secrets)

    def _read(self, path: Path) -> Secret:
        problem = file_problem(path)
        if problem:
            raise StateFolderError(problem)
        with path.open("rb") as file:
            data = file.read(_SECRET_LIMIT_BYTES)
        value = data.decode(errors="replace").strip()
        if not value:
            raise StateFolderError(
                f"the secret {path} is empty: restore it from a backup, or remove the file if nothing depends on it"
            )
        return Secret(value)


def folder_problem(path: Path) -> str | None:
    """What keeps a folder from being private, as a sentence; None when nothing does."""
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is a file: set HUB_STATE_DIR to a folder"
    if found.st_uid != os.geteuid():
        return f"{path} belongs to another user (id {found.st_uid}): run the Hub as that user, or chown it"
    if found.st_mode & 0o077:
        return f"{path} is open to other users ({stat.S_IMODE(found.st_mode):04o}): chmod 700 {path}"
    return None


def file_problem(path: Path) -> str | None:
    """What keeps a secret's file from being private, as a sentence; None when nothing does."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is not a plain file: replace it by the secret itself"
    if found.st_uid != os.geteuid():
        return f"{path} belongs to another user (id {found.st_uid}): chown it to the Hub's user"
    if found.st_mode & 0o077:
        return (
            f"{path} is open to other users ({stat.S_IMODE(found.st_mode):04o}), who may have read it: "
            f"chmod 600 {path}, and replace the secret if they should not know it"
        )
    return None


def _is_ours_and_empty(path: Path) -> bool:
    return path.stat().st_uid == os.geteuid() and not any(path.iterdir())


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
