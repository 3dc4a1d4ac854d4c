"""What the demo keeps in the Hub's state folder: its passwords, curl files, logs, wrappers' folders, and its locks."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import shlex
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from controlplane.demo import newest_letter
from controlplane.demo.failure import DemoFailed
from controlplane.secret import Secret
from controlplane.state_folder import FILE_MODE, FOLDER_MODE, StateFolder

#: How long a killed demo's processes may take to end before a new one gives up waiting for them.
_ENDING_SECONDS: Final = 30.0
_SETUP_TOKEN: Final = "demo-setup-token"  # noqa: S105 - its file's name


class Home:
    """The demo's part of a state folder: `demo/`, and its passwords among the folder's secrets.

    Attributes:
        mail: where the Hub's mail goes, unless its settings send it elsewhere.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self.path = folder.path.absolute() / "demo"
        self.mail = self.path / "mail"

    def make(self) -> None:
        """Make the folders that are missing, for this user alone."""
        for folder in (self.path, self.path / "logs", self.path / "wrappers", self.mail):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        newest_letter.forget_old(self.mail)

    @asynccontextmanager
    async def alone(self, say: Callable[[str], None]) -> AsyncIterator[int]:
        """Hold the demo's part against other demos, once what a killed one left has ended.

        Yields:
            the descriptor whose holders are the demo's processes: as long as one has it, no other demo starts.

        Raises:
            DemoFailed: another demo runs here.
        """
        running = os.open(self.path / "running.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        ending = os.open(self.path / "ending.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            if not _locked(running):
                raise DemoFailed(
                    f"another demo runs on {self._folder.path}: end it with Ctrl-C, or set HUB_STATE_DIR and HUB_BIND"
                )
            if not _locked(ending):
                say("waiting for what a killed demo left behind to end …")
                await self._wait_for(ending)
            yield ending
        finally:
            os.close(ending)
            os.close(running)

    async def _wait_for(self, lock: int) -> None:
        with trio.move_on_after(_ENDING_SECONDS):
            while not _locked(lock):  # noqa: ASYNC110 - nobody tells when a lock is free
                await trio.sleep(0.1)
            return
        raise DemoFailed(f"the processes of a killed demo on {self._folder.path} do not end: end them by hand")

    def password(self, who: str) -> Secret:
        """The password of one of the demo's people, made at the first start."""
        return self._folder.secret(f"demo-{who}-password", _new_password)

    def keep_setup_token(self, token: str) -> None:
        """Keep the Hub's setup token, which it says once, until the owner has been made."""
        self._folder.secret(_SETUP_TOKEN, lambda: token)

    def setup_token(self) -> str | None:
        """The setup token, where the Hub wanted one and its owner is still to be made."""
        return self._folder.secret(_SETUP_TOKEN, str).reveal() if self._folder.has(_SETUP_TOKEN) else None

    def forget_setup_token(self) -> None:
        """The owner has been made."""
        self._folder.forget(_SETUP_TOKEN)

    def wrapper(self, name: str, order_id: str) -> Path:
        """The state folder of an order's wrapper: another order's journal would not be its own."""
        folder = self.path / "wrappers" / f"{name}-{order_id}"
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        return folder

    def log(self, name: str) -> Path:
        """A fresh log for one process; that of the start before is kept beside it."""
        path = self.path / "logs" / f"{name}.log"
        if path.exists():
            path.replace(path.with_suffix(".before.log"))
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        return path

    def curl_file(self, who: str) -> Path:
        """The file from which curl takes somebody's session."""
        return self.path / f"{who}.curl"

    def write_reader(self) -> Path:
        """The script that shows the newest letter."""
        path = self.path / "newest-mail"
        command = shlex.join([sys.executable, "-m", newest_letter.__name__, str(self.mail)])
        write_privately(path, f"#!/bin/sh\n# Shows the newest letter that the demo's Hub has sent.\nexec {command}\n")
        return path

    def keep_session(self, who: str, token: Secret) -> None:
        """Write a session where curl finds it, and neither a process list nor a shell's history does."""
        write_privately(
            self.curl_file(who),
            f"# The session of the demo's {who}, for `curl -K`.\n"
            "silent\nshow-error\n"
            f'header = "Authorization: Bearer {token.reveal()}"\n'
            'header = "Content-Type: application/json"\n',
        )


def write_privately(path: Path, text: str) -> None:
    """Write a file with mode 0600: whoever reads it finds the old text or the new one, whole."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _new_password() -> str:
    """80 random bits in four groups that can be typed."""
    letters = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(letters[start : start + 4] for start in range(0, 16, 4))
