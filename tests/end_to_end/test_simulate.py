"""`hub simulate` against a real Hub: it makes tenants, runs them, goes on with their keys, and says what is wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.hub_process import HubProcess
from tests.end_to_end.world import OWNER, PASSWORD

#: On a machine that has much else to do.
LIMIT_SECONDS = 120


class Terminal:
    """Types `hub simulate` for one Hub."""

    def __init__(self, hub: HubProcess, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.keys = folder / "keys"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "DATABASE_"))}
        self.environment = {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def words(self, *options: str) -> list[str]:
        given = ["--hub", self.hub.url, "--keys", str(self.keys), *options]
        return [sys.executable, "-m", "controlplane", "simulate", *given]

    def types(self, *options: str, password: str | None = None) -> subprocess.CompletedProcess[str]:
        given = {} if password is None else {"SIMULATE_PASSWORD": password}
        return subprocess.run(
            self.words(*options),
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**self.environment, **given},
            stdin=subprocess.DEVNULL,
            timeout=LIMIT_SECONDS,
            check=False,
        )


@pytest.fixture
def terminal(own_hub: HubProcess, tmp_path: Path) -> Terminal:
    return Terminal(own_hub, tmp_path)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.1)


@pytest.mark.slow
def test_it_makes_tenants_runs_them_and_goes_on_with_their_keys(terminal: Terminal) -> None:
    hub = terminal.hub
    (terminal.folder / "password").write_text(f"{PASSWORD}\n")
    journals = terminal.folder / "journals"
    staff = ["--email", OWNER, "--password-file", str(terminal.folder / "password")]
    process = subprocess.Popen(
        terminal.words(
            *("--tenants", "3", "--pace", "0.5", "--decide", "--commands", "120", "--state", str(journals)), *staff
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=terminal.folder,
        env=terminal.environment,
    )
    try:
        done = "SELECT count(*) FROM remote_commands WHERE status = 'SUCCEEDED'"
        executed = "SELECT count(DISTINCT order_id) FROM command_approvals WHERE outcome = 'executed'"
        until(lambda: process.poll() is not None or (hub.value(executed) == 3 and hub.value(done) > 0))
        process.send_signal(signal.SIGINT)
        said, told = process.communicate(timeout=LIMIT_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, told
    assert "making 3 tenants" in told
    assert said.startswith("3 of 3 wrappers were connected at once"), said
    figures = re.search(r"(\d+) approvals asked, (\d+) decided, (\d+) things done, (\d+) commands done", said)
    assert figures is not None, said
    assert min(map(int, figures.groups())) > 0
    assert terminal.keys.stat().st_mode & 0o777 == 0o600
    lines = terminal.keys.read_text()
    assert len(lines.splitlines()) == 3
    assert len(list(journals.glob("sim-*/journal.sqlite"))) == 3
    assert PASSWORD not in said + told
    assert "hk_" not in said + told

    again = terminal.types("--tenants", "3", "--for", "3", "--scenario", "agency")
    assert again.returncode == 0, again.stderr
    assert "making" not in again.stderr
    assert again.stdout.startswith("3 of 3 wrappers"), again.stdout
    assert terminal.keys.read_text() == lines

    more = terminal.types("--tenants", "4", "--for", "3", "--email", OWNER, password=PASSWORD)
    assert more.returncode == 0, more.stderr
    assert "making 1 tenants" in more.stderr
    kept = terminal.keys.read_text()
    assert kept.startswith(lines)
    assert len(kept.splitlines()) == 4

    # Keys that were lost are made anew, for the same tenants.
    terminal.keys.unlink()
    lost = terminal.types("--tenants", "1", "--for", "3", "--email", OWNER, password=PASSWORD)
    assert lost.returncode == 0, lost.stderr
    assert lost.stdout.startswith("1 of 1 wrappers"), lost.stdout
    assert hub.value("SELECT count(*) FROM orders WHERE domain LIKE 'sim-%'") == 4


def test_what_is_wrong_is_said_in_a_sentence(terminal: Terminal) -> None:
    said = terminal.types("--tenants", "2")
    assert (said.returncode, said.stderr) == (
        1,
        "hub: 2 tenants are missing: give --email, and the password when asked or by --password-file\n",
    )
    said = terminal.types("--email", OWNER)
    assert (said.returncode, "there is no terminal to ask for the password" in said.stderr) == (2, True)
    said = terminal.types("--email", OWNER, password="a wrong passphrase")
    assert (said.returncode, said.stderr.startswith(f"hub: the Hub refused the sign-in of {OWNER}")) == (1, True)
    assert "a wrong passphrase" not in said.stderr
    said = terminal.types("--scenario", "bank")
    assert (said.returncode, "there is no scenario 'bank'" in said.stderr) == (2, True)
    assert not terminal.keys.exists()
    for text, mode, words in (
        ('{"hub":"https://other.example","domain":"d","orderId":"o","key":"hk_x"}\n', 0o600, "keys of https://other"),
        ("not json\n", 0o600, "is no file of keys"),
        ("", 0o644, "chmod 600"),
    ):
        terminal.keys.write_text(text)
        terminal.keys.chmod(mode)
        said = terminal.types("--tenants", "1")
        assert (said.returncode, words in said.stderr, "Traceback" in said.stderr) == (1, True, False), said.stderr
