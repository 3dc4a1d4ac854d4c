"""Programs that an earlier life of this wrapper started and could not stop, because it was killed.

Every program carries a mark in its environment, and so does whatever it starts. Linux shows the environment of a
user's own processes (proc(5), /proc/PID/environ), so they are found again, even where they have left their group. Not
found are those of another user, those which have cleaned their environment, and all of them on other systems.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Final

import structlog
import trio

from wrapper.executors.declaration import MARK

log = structlog.get_logger()

STOP_SECONDS: Final = 5.0
#: Whoever is still there then is held by the kernel, and not waited for.
_KILL_SECONDS: Final = 2.0
_LOOK_AGAIN_SECONDS: Final = 0.05


class Leftovers:
    """Finds and ends them.

    Args:
        instance: this installation's id: other wrappers on the machine are left alone.
    """

    def __init__(self, instance: str, *, proc: Path = Path("/proc")) -> None:
        self._instance = instance
        self._proc = proc

    def mark(self, command_id: str) -> str:
        """What a command's program carries in its environment."""
        return f"{self._instance}/{command_id}"

    async def stop(self, command_ids: Collection[str]) -> None:
        """End what runs for these commands: TERM, and KILL for whoever is still there."""
        marks = {f"{MARK}={self.mark(command_id)}".encode() for command_id in command_ids}
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
            with trio.move_on_after(seconds):
                await self._until_gone(marks, number)
                return
        log.error("executor.leftovers_stay", commands=list(command_ids))

    async def _until_gone(self, marks: set[bytes], number: signal.Signals) -> None:
        """Signal each once; also those which the others start while they end."""
        told: set[int] = set()
        while found := await trio.to_thread.run_sync(self._find, marks):
            for process in found - told:
                log.warning("executor.leftover", process=process, signal=number.name)
                self._signal(process, marks, number)
            told |= found
            await trio.sleep(_LOOK_AGAIN_SECONDS)

    def _find(self, marks: set[bytes]) -> set[int]:
        if not marks or not self._proc.is_dir():
            return set()
        numbers = (int(folder.name) for folder in self._proc.iterdir() if folder.name.isdigit())
        # A program may have started this very wrapper.
        return {
            number for number in numbers if number != os.getpid() and self._carries(self._proc / str(number), marks)
        }

    def _carries(self, folder: Path, marks: set[bytes]) -> bool:
        try:
            return not marks.isdisjoint((folder / "environ").read_bytes().split(b"\x00"))
        except OSError:
            return False  # gone, or another user's

    def _signal(self, process: int, marks: set[bytes], number: signal.Signals) -> None:
        """Signal a process, and no other that has its number by now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            descriptor = os.pidfd_open(process)
            try:
                if self._carries(self._proc / str(process), marks):
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)
