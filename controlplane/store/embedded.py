"""The embedded PostgreSQL: a real server in the state folder, made, started, restarted and stopped by us."""

from __future__ import annotations

import fcntl
import math
import os
import shutil
import signal
import subprocess
import urllib.parse
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import structlog
import trio

from controlplane.store.household import open_household
from controlplane.store.postmaster import (
    FAST_STOP_SECONDS,
    FORCED_STOP_SECONDS,
    EmbeddedPostgresError,
    Programs,
    environment,
    find_programs,
    last_lines,
    run,
    stop_left_over,
)

log = structlog.get_logger()

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT_BYTES = 107  # sun_path of Linux, less its final zero; macOS has 103
READY_SECONDS = 120.0  # recovery after a crash replays the log first
BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_SECONDS = 1.0  # a life longer than this was none that failed to start

# Durability (fsync, full_page_writes, synchronous_commit) and data checksums are PostgreSQL's defaults and stay.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",  # no TCP: the socket's folder is the door
    "unix_socket_permissions": "0700",
    "cluster_name": "letsbe-hub",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "io_method": "sync",  # three worker processes less; the data fits into memory
    "random_page_cost": "1.1",  # no disk that turns: lists are counted in an index, not in the table
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A week of logs, one file a weekday.
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_file_mode": "0600",
    "log_checkpoints": "off",
    # Neither statements nor details (which quote rows): what is in the database stays out of logs.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


class EmbeddedPostgres:
    """The server on one state folder. `url` stays the same across restarts."""

    def __init__(self, state_dir: Path, settings: Mapping[str, str]) -> None:
        self.home = state_dir.absolute() / "postgres"
        self.data = self.home / "data"
        self.restarts = 0
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._ready = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls, state_dir: Path, *, join: bool = False, settings: Mapping[str, str] | None = None
    ) -> AsyncIterator[EmbeddedPostgres]:
        """Run PostgreSQL on `state_dir/postgres`, made at the first start, until the context ends.

        Anyone who reaches the socket is let in (`trust`): the folder's mode 0700 is the lock. The `peer` method would
        add nothing, since a server in a user namespace sees every user it does not know as the same nobody.

        Args:
            state_dir: the Hub's state folder; made if it is missing.
            join: when another Hub runs the server on this folder already, use its server instead of refusing: for
                commands beside a running Hub.
            settings: PostgreSQL settings that win over ours.

        Raises:
            EmbeddedPostgresError: it cannot run here; the message says what to do.
        """
        postgres = cls(state_dir, {**SETTINGS, **(settings or {})})
        postgres._check_socket_path()
        try:
            postgres.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            postgres.home.chmod(0o700)
        except OSError as error:
            raise EmbeddedPostgresError(f"the state folder cannot be used: {error}") from None
        lock = postgres._lock(join)
        if lock is None:
            yield postgres
            return
        with lock:
            programs = await trio.to_thread.run_sync(find_programs)
            await trio.to_thread.run_sync(postgres._prepare, programs)
            if await stop_left_over(postgres.data):
                log.warning("postgres.left_over_stopped", folder=str(postgres.data))
            async with open_household() as nursery:
                try:
                    await nursery.start(postgres._supervise, programs)
                    yield postgres
                finally:
                    postgres._stopping = True
                    with trio.CancelScope(shield=True):
                        await postgres._stop()
                    nursery.cancel_scope.cancel()

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the Hub's database."""
        return self.url_for("hub")

    def url_for(self, database: str) -> str:
        """The SQLAlchemy URL of any database of this server."""
        host = urllib.parse.quote(str(self.home), safe="")
        return f"postgresql+asyncpg://hub@/{urllib.parse.quote(database, safe='')}?host={host}"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs under us."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def ready(self) -> bool:
        """Whether the server runs under us and takes connections."""
        return self._ready and self.pid is not None

    def _check_socket_path(self) -> None:
        path = self.home / SOCKET_NAME
        size = len(os.fsencode(path))
        if size > SOCKET_PATH_LIMIT_BYTES:
            raise EmbeddedPostgresError(
                f"the state folder's path is too long: PostgreSQL's socket {path} would have {size} bytes, "
                f"{SOCKET_PATH_LIMIT_BYTES} are possible. Set HUB_STATE_DIR to a shorter path"
            )

    def _lock(self, join: bool) -> IO[str] | None:
        # The kernel frees the lock with the process, however it ends; PostgreSQL does not inherit it.
        lock = (self.home / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with lock:
                lock.seek(0)
                holder = lock.read().strip() or "unknown"
            if join:
                return None
            raise EmbeddedPostgresError(
                f"another Hub (process {holder}) uses the state folder {self.home.parent}: "
                "stop it, or set HUB_STATE_DIR to another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock

    def _prepare(self, programs: Programs) -> None:
        """Make the data folder at the first start, under another name first: what bears its name is whole."""
        for unfinished in self.home.glob("making-*"):
            shutil.rmtree(unfinished)
        if self.data.exists():
            self._check_version(programs)
            return
        making = self.home / f"making-{os.getpid()}"
        run(
            programs.command(
                "initdb",
                f"--pgdata={making}",
                "--username=hub",
                "--auth-local=trust",
                "--auth-host=reject",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",  # sorts the same on every system, so no index breaks on a move
                "--builtin-locale=C.UTF-8",
            )
        )
        run(
            programs.command("postgres", "--single", "-D", str(making), "postgres"),
            given="CREATE DATABASE hub\n",
        )
        making.rename(self.data)
        folder = os.open(self.home, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        log.info("postgres.made", folder=str(self.data))

    def _check_version(self, programs: Programs) -> None:
        try:
            made_by = (self.data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise EmbeddedPostgresError(f"{self.data} is not a PostgreSQL data folder: {error}") from None
        ours = programs.major_version()
        if made_by != ours:
            raise EmbeddedPostgresError(
                f"{self.data} was made by PostgreSQL {made_by} and this Hub carries {ours}: "
                "dump it with the Hub that made it and restore into a new state folder, "
                "or set HUB_DATABASE_URL to a PostgreSQL server"
            )

    async def _supervise(
        self, programs: Programs, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        announced = False
        failures = 0
        while True:
            started_at = trio.current_time()
            ready = False
            try:
                process = self._start(programs)
            except OSError as error:  # no memory, no process to be had: later perhaps
                if not announced:
                    raise EmbeddedPostgresError(f"the embedded PostgreSQL does not start: {error}") from None
                log.error("postgres.not_started", reason=str(error))
                failures += 1
                await trio.sleep(_backoff_seconds(failures))
                continue
            with trio.move_on_after(math.inf if announced else READY_SECONDS):
                ready = await self._wait_ready(process)
            if ready and not announced:
                announced = True
                task_status.started()
            if ready:
                log.info("postgres.ready", process=process.pid, restarts=self.restarts)
                self._ready = True
                await _ended(process)
                self._ready = False
            if self._stopping:
                return
            if not announced:
                await self._stop()
                raise EmbeddedPostgresError(f"the embedded PostgreSQL does not start: {self._last_words()}")
            failures = 0 if trio.current_time() - started_at > STEADY_SECONDS else failures + 1
            delay = _backoff_seconds(failures)
            log.error(
                "postgres.ended",
                process=process.pid,
                exit_status=process.poll(),
                restart_in_seconds=delay,
                last_words=self._last_words(),
            )
            await trio.sleep(delay)
            self.restarts += 1

    def _start(self, programs: Programs) -> subprocess.Popen[bytes]:
        settings = {
            **self._settings,
            "unix_socket_directories": str(self.home),
            "log_directory": str(self.home / "log"),
        }
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # Started from this very thread and not trio's: the server would be ended with a worker thread.
        with (self.home / "start.log").open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                programs.server("-D", str(self.data), *arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(),
                cwd="/",
                start_new_session=True,  # a Ctrl-C in the terminal is the Hub's to handle
            )
        return self._process

    async def _wait_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether it came up; the server writes its state into its pid file."""
        while process.poll() is None:
            if self._is_ready(process.pid):
                return True
            await trio.sleep(0.02)
        return False

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    async def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        for sign, patience_seconds in (
            (signal.SIGINT, FAST_STOP_SECONDS),
            (signal.SIGQUIT, FORCED_STOP_SECONDS),
            (signal.SIGKILL, FORCED_STOP_SECONDS),
        ):
            if process.poll() is not None:
                break
            process.send_signal(sign)
            with trio.move_on_after(patience_seconds):
                await _ended(process)
        log.info("postgres.stopped", process=process.pid, exit_status=process.poll())

    def _last_words(self) -> str:
        # Early words go to start.log, later ones to the log collector's file of the day: the fresher one tells.
        freshest = max([self.home / "start.log", *(self.home / "log").glob("*.log")], key=_modified_at)
        try:
            with freshest.open("rb") as file:
                file.seek(max(0, freshest.stat().st_size - 4096))
                return last_lines(file.read().decode(errors="replace"), 3)
        except OSError as error:
            return str(error)


def _backoff_seconds(failures: int) -> float:
    return BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)]


def _modified_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


async def _ended(process: subprocess.Popen[bytes]) -> None:
    # A worker thread waits and is left behind when cancelled: it ends with the process.
    wait: Callable[[], int] = process.wait
    await trio.to_thread.run_sync(wait, abandon_on_cancel=True)
