"""The state folder: private, its secrets made once, one Hub at a time."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from controlplane.secret import Secret
from controlplane.services.sealing import Sealer
from controlplane.state_folder import StateFolder, StateFolderError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder.open(tmp_path / "state")


def test_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = StateFolder.open(tmp_path / "deep" / "state")
        folder.master_keys()
    finally:
        os.umask(before)
    assert mode(folder.path) == 0o700
    assert mode(folder.secrets) == 0o700
    assert mode(folder.secrets / "master-key") == 0o600
    assert folder.problems() == []


def test_its_secrets_are_made_once(folder: StateFolder) -> None:
    again = StateFolder.open(folder.path)
    assert folder.master_keys() == again.master_keys()
    assert folder.cron_secret() == again.cron_secret()
    assert len(folder.cron_secret().reveal()) >= 32
    assert sorted(path.name for path in folder.secrets.iterdir()) == ["cron-secret", "master-key"]


def test_its_master_key_seals(folder: StateFolder) -> None:
    assert Sealer(folder.master_keys()).open(Sealer(folder.master_keys()).seal(b"x")) == b"x"


def test_an_operator_may_put_a_new_key_before_the_old(folder: StateFolder, tmp_path: Path) -> None:
    (old,) = folder.master_keys()
    (new,) = StateFolder.open(tmp_path / "other").master_keys()
    (folder.secrets / "master-key").write_text(f"{new.reveal()},{old.reveal()}\n")
    assert folder.master_keys() == (new, old)


def test_a_broken_master_key_is_told_without_being_shown(folder: StateFolder) -> None:
    path = folder.secrets / "master-key"
    path.touch(0o600)
    path.write_text("hunter2")
    with pytest.raises(StateFolderError) as refusal:
        folder.master_keys()
    assert str(path) in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("open_to", [0o640, 0o604, 0o660, 0o777])
def test_a_secret_others_may_read_is_refused(folder: StateFolder, open_to: int) -> None:
    folder.master_keys()
    path = folder.secrets / "master-key"
    path.chmod(open_to)
    with pytest.raises(StateFolderError, match=f"chmod 600 {path}"):
        folder.master_keys()
    assert len(folder.problems()) == 1


def test_a_secret_that_is_a_link_is_refused(folder: StateFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("value")
    elsewhere.chmod(0o600)
    (folder.secrets / "cron-secret").symlink_to(elsewhere)
    with pytest.raises(StateFolderError, match="not a plain file"):
        folder.cron_secret()


def test_an_empty_secret_is_refused(folder: StateFolder) -> None:
    (folder.secrets / "cron-secret").touch(0o600)
    with pytest.raises(StateFolderError, match="is empty"):
        folder.cron_secret()


def test_a_folder_with_things_in_it_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir()
    (path / "something").touch()
    path.chmod(0o755)
    with pytest.raises(StateFolderError, match=f"chmod 700 {path}"):
        StateFolder.open(path)


def test_an_empty_volume_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir()
    path.chmod(0o755)
    assert mode(StateFolder.open(path).path) == 0o700


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateFolderError, match="HUB_STATE_DIR"):
        StateFolder.open(tmp_path / "file" / "state")


def test_makers_at_once_end_with_the_same_secret(folder: StateFolder) -> None:
    together = threading.Barrier(16)
    seen: list[Secret] = []

    def take() -> None:
        together.wait(timeout=10)
        seen.append(folder.cron_secret())

    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(seen) == 16
    assert all(secret == seen[0] for secret in seen)


def test_a_secret_that_served_is_gone(folder: StateFolder) -> None:
    first = folder.secret("setup-token", lambda: "first")
    folder.forget("setup-token")
    folder.forget("setup-token")
    assert not folder.has("setup-token")
    assert folder.secret("setup-token", lambda: "second") != first


@pytest.mark.parametrize("name", ["../escape", "", "UPPER", "a/b", ".hidden"])
def test_a_secrets_name_cannot_leave_the_folder(folder: StateFolder, name: str) -> None:
    with pytest.raises(ValueError, match="not a secret's name"):
        folder.secret(name, lambda: "x")


def test_one_hub_at_a_time(folder: StateFolder) -> None:
    with folder.locked():
        assert folder.in_use()
        with pytest.raises(StateFolderError, match=rf"process {os.getpid()}\).*HUB_STATE_DIR"), folder.locked():
            raise AssertionError("both hold it")
    assert not folder.in_use()


def test_a_killed_hub_leaves_no_lock(folder: StateFolder) -> None:
    program = (
        "import sys, time; from pathlib import Path; from controlplane.state_folder import StateFolder\n"
        "with StateFolder(Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert folder.in_use()
        other.send_signal(signal.SIGKILL)
        other.wait(timeout=10)
        assert not folder.in_use()
