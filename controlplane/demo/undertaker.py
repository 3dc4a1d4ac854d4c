"""A process beside the demo which ends the demo's children when the demo itself was killed and cannot.

`python -m controlplane.demo.undertaker` reads `+<process id>` and `-<process id>` lines from its standard input. The
demo holds the other end of that pipe, so the kernel closes it whatever way the demo ends: then whoever was not taken
back is told to end, and killed if that takes too long. Standard library only: it must be there at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

# SIGINT, because a Hub that has not begun to handle signals then still unwinds and ends its database.
_STEPS: Final = ((signal.SIGINT, 6.0), (signal.SIGTERM, 6.0), (signal.SIGKILL, 5.0))


def main() -> None:
    """Keep the list until the pipe ends, then end who is left on it."""
    # Only the end of the pipe counts: a signal to all of the demo's processes must not take this one first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left: set[int] = set()
    for line in sys.stdin.buffer:
        (left.add if line[:1] == b"+" else left.discard)(int(line[1:]))
    for number, patience_seconds in _STEPS:
        end(left, number, patience_seconds)


def end(pids: set[int], number: signal.Signals, patience_seconds: float) -> None:
    """Send a signal to those that live, and wait until none does or the time is up."""
    for pid in filter(_lives, pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + patience_seconds
    while any(map(_lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    """Whether this is still the process that was started, and not a dead one that nobody has reaped."""
    try:
        # The demo's children lead sessions of their own; a stranger who got the number later hardly does.
        if os.getsid(pid) != pid:
            return False
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except ProcessLookupError:
        return False
    except OSError:
        return True  # no /proc here
    return state != b"Z"


if __name__ == "__main__":
    main()
