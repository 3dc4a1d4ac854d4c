"""The embedded PostgreSQL: made whole, kept alive, stopped clean, and taken over from a Hub that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from controlplane.store import embedded, postmaster
from controlplane.store.database import Database
from controlplane.store.embedded import EmbeddedPostgres
from controlplane.store.postmaster import EmbeddedPostgresError
from tests.postgres import roomy_memory

# A Hub of three lines for another process: starts the server, says so, and lives until it is ended.
OTHER_HUB = """
import sys, trio
from pathlib import Path
from controlplane.store.embedded import EmbeddedPostgres
async def main():
    async with EmbeddedPostgres.open(Path(sys.argv[1])) as postgres:
        print("ready", postgres.pid, flush=True)
        await trio.sleep_forever()
trio.run(main)
"""


def run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def scalar(connection: Connection, statement: str) -> object:
    return connection.execute(text(statement)).scalar()


@pytest.fixture
def state_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hub-", dir=roomy_memory()) as folder:
        yield Path(folder) / "state"


async def until(condition: object, limit_seconds: float = 10) -> None:
    """Wait for a fact about processes, of which nobody tells."""
    with trio.fail_after(limit_seconds):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.01)


def servers(state_dir: Path) -> list[int]:
    return postmaster._servers_of(state_dir / "postgres" / "data")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("PPid:")[1].split()[0])


def start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env=postmaster.environment(), start_new_session=True)


class OtherHub:
    """A Hub in another process, which can be killed."""

    def __init__(self, state_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER_HUB, str(state_dir)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(embedded.__file__).parents[2],
        )

    async def ready(self) -> int:
        with trio.fail_after(60):
            while True:
                line = await trio.to_thread.run_sync(self.process.stdout.readline)
                assert line, "the other Hub ended"
                if line.startswith("ready "):
                    return int(line.split()[1])

    async def end(self, sign: signal.Signals) -> None:
        self.process.send_signal(sign)
        await trio.to_thread.run_sync(self.process.wait)
        self.process.stdout.close()


async def test_data_outlives_the_hub_and_nothing_of_it_stays_running(state_dir: Path):
    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        await database.write(run, "CREATE TABLE kept AS SELECT 7 AS value")
        url = postgres.url
    await until(lambda: servers(state_dir) == [])
    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        assert postgres.url == url
        assert await database.read(scalar, "SELECT value FROM kept") == 7


async def test_it_is_durable_private_and_off_the_network(state_dir: Path):
    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        settings = {}
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums", "listen_addresses"):
            settings[name] = await database.read(scalar, f"SHOW {name}")
        assert settings == {
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "data_checksums": "on",
            "listen_addresses": "",
        }
        assert postgres.home.stat().st_mode & 0o777 == 0o700
        assert postgres.data.stat().st_mode & 0o777 == 0o700
        assert state_dir.parent.stat().st_mode & 0o777 == 0o700  # as tempfile made it: parents are left alone


async def test_its_log_does_not_quote_rows_or_statements(state_dir: Path):
    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        await database.write(run, "CREATE TABLE secrets (value text PRIMARY KEY)")
        await database.write(run, "INSERT INTO secrets VALUES ('canary')")
        with pytest.raises(IntegrityError):
            await database.write(run, "INSERT INTO secrets VALUES ('canary')")
    written = "".join(path.read_text() for path in (postgres.home / "log").iterdir())
    assert "duplicate key" in written
    assert "canary" not in written


async def test_a_start_that_is_cancelled_leaves_no_server(state_dir: Path):
    async with EmbeddedPostgres.open(state_dir):
        pass
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_open_for_ever, state_dir)
            await until(lambda: servers(state_dir) != [])
            scope.cancel()
    await until(lambda: servers(state_dir) == [])


async def _open_for_ever(state_dir: Path) -> None:
    async with EmbeddedPostgres.open(state_dir):
        await trio.sleep_forever()


async def test_a_killed_server_comes_back_by_itself(state_dir: Path):
    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        await database.write(run, "CREATE TABLE kept AS SELECT 7 AS value")
        for _ in range(3):
            before = postgres.pid
            os.kill(before, signal.SIGKILL)
            await until(lambda before=before: postgres.ready and postgres.pid != before)
            await until(lambda: database.healthy)
            assert await database.read(scalar, "SELECT value FROM kept") == 7
        assert postgres.restarts >= 3


async def test_two_hubs_on_one_folder_are_refused_with_a_sentence(state_dir: Path):
    async with EmbeddedPostgres.open(state_dir) as postgres:
        with pytest.raises(EmbeddedPostgresError, match=rf"another Hub \(process {os.getpid()}\) uses .*HUB_STATE_DIR"):
            async with EmbeddedPostgres.open(state_dir):
                pass
        async with EmbeddedPostgres.open(state_dir, join=True) as guest, Database.open(guest.url) as database:
            assert await database.check()
        assert postgres.pid is not None  # the guest leaves the host's server alone


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death")
async def test_the_server_ends_with_a_killed_hub(state_dir: Path):
    other = OtherHub(state_dir)
    await other.ready()
    await other.end(signal.SIGKILL)
    await until(lambda: servers(state_dir) == [])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death")
async def test_the_server_outlives_worker_threads(state_dir: Path):
    """The kernel counts the end of the starting *thread* as the parent's death."""
    async with EmbeddedPostgres.open(state_dir) as postgres:
        pid = postgres.pid
        # Run through trio's idle worker threads, as their ten seconds of idleness would end them.
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(trio.to_thread.run_sync, os.getpid)
        assert postgres.pid == pid
        assert parent_of(pid) == os.getpid()


async def test_a_server_left_running_is_taken_over(state_dir: Path, monkeypatch: pytest.MonkeyPatch):
    """As on systems where the server outlives a killed Hub."""
    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        await database.write(run, "CREATE TABLE kept AS SELECT 7 AS value")
    programs = postmaster.find_programs()
    sockets = f"unix_socket_directories={postgres.home}"
    left = start(programs.command("postgres", "-D", str(postgres.data), "-c", "listen_addresses=", "-c", sockets))
    await until(lambda: postgres._is_ready(left.pid))
    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        assert left.wait() == 0  # ended by a fast shutdown, not by force
        assert await database.read(scalar, "SELECT value FROM kept") == 7
        assert postgres.pid != left.pid
    await until(lambda: servers(state_dir) == [])


async def test_a_hub_killed_again_and_again_starts_again(state_dir: Path):
    for _ in range(3):
        other = OtherHub(state_dir)
        await other.ready()
        await other.end(signal.SIGKILL)
    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        assert await database.check()
        children = len(servers(state_dir))
        assert children >= 1
    await until(lambda: servers(state_dir) == [])


async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(state_dir: Path):
    async with EmbeddedPostgres.open(state_dir) as postgres:
        pass
    stranger = start(["sleep", "60"])
    try:
        (postgres.data / "postmaster.pid").write_text(f"{stranger.pid}\n{postgres.data}\n1\n5432\n/x\n\n1 1\nready\n")
        async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
            assert await database.check()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_first_start_cut_short_is_made_good(state_dir: Path):
    half = state_dir / "postgres" / "making-123"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres.open(state_dir) as postgres, Database.open(postgres.url) as database:
        assert await database.check()
    assert not half.exists()


async def test_too_long_a_path_is_refused_with_a_sentence(tmp_path: Path):
    with pytest.raises(EmbeddedPostgresError, match=r"too long.*107.*HUB_STATE_DIR"):
        async with EmbeddedPostgres.open(tmp_path / ("x" * 100)):
            pass


async def test_a_folder_of_another_version_is_refused_with_a_sentence(state_dir: Path):
    data = state_dir / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedPostgresError, match=r"PostgreSQL 15 and this Hub carries 18.*HUB_DATABASE_URL"):
        async with EmbeddedPostgres.open(state_dir):
            pass


async def test_a_broken_data_folder_is_refused_with_the_servers_words(state_dir: Path):
    async with EmbeddedPostgres.open(state_dir) as postgres:
        pass
    (postgres.data / "global" / "pg_control").unlink()
    with trio.fail_after(30), pytest.raises(EmbeddedPostgresError, match=r"does not start.*could not open file"):
        async with EmbeddedPostgres.open(state_dir):
            pass


async def test_root_without_user_namespaces_is_told_what_to_do(state_dir: Path, monkeypatch: pytest.MonkeyPatch):
    forbidding = state_dir / "bin"
    forbidding.mkdir(parents=True)
    (forbidding / "unshare").write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    (forbidding / "unshare").chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postmaster, "SYSTEM_PATH", str(forbidding))
    with pytest.raises(EmbeddedPostgresError, match=r"forbids user namespaces.*unprivileged user.*HUB_DATABASE_URL"):
        async with EmbeddedPostgres.open(state_dir):
            pass
    (forbidding / "unshare").unlink()
    with pytest.raises(EmbeddedPostgresError, match=r"`unshare`.*is missing"):
        async with EmbeddedPostgres.open(state_dir):
            pass


async def test_exceptions_pass_through_the_running_server_unwrapped(state_dir: Path):
    with pytest.raises(KeyError):
        async with EmbeddedPostgres.open(state_dir):
            raise KeyError("mine")
    await until(lambda: servers(state_dir) == [])
