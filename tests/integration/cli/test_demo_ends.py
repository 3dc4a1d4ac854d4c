"""How a demo keeps others out while it ends, and who ends what it has left."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from controlplane.demo.failure import DemoFailed
from controlplane.demo.home import Home
from controlplane.state_folder import StateFolder


async def test_a_start_waits_for_what_a_killed_demo_left(tmp_path: Path) -> None:
    home = Home(StateFolder.open(tmp_path / "state"))
    home.make()
    told = trio.Event()
    async with trio.open_nursery() as nursery:
        with (home.path / "ending.lock").open("w") as left:
            fcntl.flock(left, fcntl.LOCK_EX)

            async def start() -> None:
                async with home.alone(lambda _: told.set()):
                    with pytest.raises(DemoFailed, match="another demo runs on"):
                        async with home.alone(lambda _: None):
                            pass

            nursery.start_soon(start)
            await told.wait()


def test_the_undertaker_ends_those_who_were_not_taken_back() -> None:
    # Whoever runs the suite in a shell's background has it ignore SIGINT, and children inherit that.
    heeding = ["env", "--default-signal=INT", "sleep", "60"]
    sleepers = [subprocess.Popen(heeding, start_new_session=True) for _ in range(2)]
    try:
        undertaker = subprocess.Popen([sys.executable, "-m", "controlplane.demo.undertaker"], stdin=subprocess.PIPE)
        known, forgotten = sleepers
        undertaker.communicate(b"+%d\n+%d\n-%d\n" % (known.pid, forgotten.pid, forgotten.pid), timeout=30)
        assert undertaker.returncode == 0
        assert known.wait(timeout=30) == -signal.SIGINT
        assert forgotten.poll() is None
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
