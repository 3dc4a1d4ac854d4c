"""Mail into a folder, a file each: for development, where nobody shall get it and everybody may read it."""

from __future__ import annotations

import os
from pathlib import Path

import trio

from controlplane.integrations.mail_carrier import CarrierDown, Message


class FolderCarrier:
    """Writes each mail as `<date>-<id>.eml`; one that is sent again overwrites itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return f"file://{self._folder}"

    async def send(self, message: Message) -> None:
        """See `Carrier`."""
        name = f"{message.date:%Y%m%d-%H%M%S}-{message.message_id.partition('@')[0]}.eml"
        try:
            await trio.to_thread.run_sync(self._write, name, message.email().as_bytes())
        except OSError as error:
            raise CarrierDown(f"{self._folder} cannot be written: {error.strerror}") from error

    async def check(self) -> str:
        """Look whether the folder is there and ours to write, or can be made."""
        there = next(folder for folder in (self._folder, *self._folder.parents) if folder.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise CarrierDown(f"{there} cannot be written")
        return f"mails are files in {self._folder}, and reach nobody"

    def _write(self, name: str, content: bytes) -> None:
        # Mode 0600 from the first byte on: the links in it are keys. Renamed when whole, for whoever watches.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self._folder / f".{name}"
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        unfinished.replace(self._folder / name)
