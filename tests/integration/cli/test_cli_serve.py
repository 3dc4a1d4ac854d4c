"""`hub serve` as a process: it says when it is ready, shares with nobody, and ends when it is told to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Run
from tests.postgres import PostgresServer

READY = "LetsBe Hub is ready on "


@pytest.fixture
def serving(state_dir: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A Hub on a free port with its embedded database; killed at the end, should it still live."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "DATABASE_", "PORT"))}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "controlplane", "serve", "--bind", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=tmp_path,
            env={**kept, "HUB_STATE_DIR": str(state_dir), "HUB_SHUTDOWN_SECONDS": "6"},
        ) as process,
    ):
        yield process
        process.kill()


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith(READY), line
    return line.removeprefix(READY).strip()


def test_it_serves_beside_other_commands_and_ends_on_a_signal(
    serving: subprocess.Popen[str], hub: Run, tmp_path: Path
) -> None:
    address = address_of(serving)
    with urllib.request.urlopen(f"{address}/readyz", timeout=10) as answer:
        assert answer.status == 200
    second = hub("serve", "--bind", "127.0.0.1:0")
    assert second.returncode == 1
    assert f"hub: another Hub (process {serving.pid}) runs on the state folder" in second.stderr
    doctor = hub("doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert hub("migrate").stdout == "the schema is current\n"
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(timeout=20) == 0, (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_ctrl_c_ends_it_as_well(serving: subprocess.Popen[str], tmp_path: Path) -> None:
    address_of(serving)
    serving.send_signal(signal.SIGINT)
    assert serving.wait(timeout=20) == 0, (tmp_path / "log").read_text()


def test_a_taken_address_is_told_in_a_sentence(hub: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = hub("serve", "--bind", f"127.0.0.1:{taken.getsockname()[1]}")
    assert run.returncode == 1
    assert "hub: HUB_BIND cannot be listened on (Address already in use)" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_given_database_whose_schema_is_behind_stops_the_start(hub: Run, postgres: PostgresServer) -> None:
    name = postgres.create(template="template0")
    run = hub("serve", "--bind", "127.0.0.1:0", HUB_DATABASE_URL=postgres.url_for(name))
    postgres.drop(name)
    assert run.returncode == 1
    assert "run `hub migrate` first" in run.stderr
    assert "Traceback" not in run.stderr
