"""What a serving process asks of its interpreter and of the kernel, once, after it has started."""

from __future__ import annotations

import gc
import sys

if sys.platform != "win32":
    import resource


def tune_gc() -> None:
    """Take everything built at start out of the collector's sight, and let it look less often.

    Call it when the process is ready to serve. Each message makes a few short-lived objects; the default
    thresholds then walk thousands of idle connections again and again (worth up to twice the throughput).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; each connection is an open file.

    Returns:
        The limit that now applies.
    """
    if sys.platform == "win32":
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # some systems announce a hard limit they do not grant
            return soft
    return hard
