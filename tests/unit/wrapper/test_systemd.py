"""The wrapper under systemd: what it tells the service manager, and the unit it prints."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner

from wrapper.cli import main
from wrapper.systemd.notify import ServiceManager
from wrapper.systemd.unit import UnfitForUnit, UnitWishes, unit_text

ANALYZE = shutil.which("systemd-analyze")


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address.replace("\0", "@")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        said = []
        while True:
            try:
                said.append(self.socket.recv(65536).decode())
            except BlockingIOError:
                return said


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify") if request.param == "path" else f"\0wrapper-{os.getpid()}")
    yield made
    made.socket.close()


async def _well() -> str:
    return "connected\nand more"


async def test_ready_alive_and_stopping_are_told(manager: Manager, nursery: Any, autojump_clock: Any) -> None:
    service = ServiceManager.of(manager.address, 90_000_000, os.getpid())
    service.ready()
    nursery.start_soon(service.run, _well)
    await trio.sleep(89)
    service.stopping()
    assert manager.heard() == [
        "READY=1",
        *["WATCHDOG=1\nSTATUS=connected"] * 3,
        "STOPPING=1\nSTATUS=stopping",
    ]


async def test_what_is_stuck_is_not_alive(manager: Manager, nursery: Any, autojump_clock: Any) -> None:
    nursery.start_soon(ServiceManager(manager.address, 90).run, trio.sleep_forever)
    await trio.sleep(600)
    assert manager.heard() == []


@pytest.mark.parametrize(("usec", "pid"), [(None, None), (90_000_000, 1)])
async def test_without_a_watchdog_only_the_state_is_told(
    manager: Manager, nursery: Any, autojump_clock: Any, usec: int | None, pid: int | None
) -> None:
    nursery.start_soon(ServiceManager.of(manager.address, usec, pid).run, _well)
    await trio.sleep(61)
    assert manager.heard() == ["STATUS=connected"] * 2


async def test_without_systemd_nothing_happens(tmp_path: Path, autojump_clock: Any) -> None:
    for address in (None, "", str(tmp_path / "nobody")):
        service = ServiceManager(address)
        service.ready()
        service.stopping()
        with trio.move_on_after(100):
            await service.run(_well)


# --- the unit ----------------------------------------------------------------------------------------------


def printed(*words: str) -> str:
    done = CliRunner().invoke(main, ["install", "--print-unit", "--hub", "https://hub.letsbe.biz", *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_unit_names_the_paths_it_was_asked_for() -> None:
    text = printed("--program", "/opt/letsbe/bin/safety-wrapper", "--registration-token-file", "/etc/letsbe/token")
    assert "ExecStart=/opt/letsbe/bin/safety-wrapper run \\\n    --hub https://hub.letsbe.biz \\\n" in text
    assert "    --registration-token-file %d/registration-token\n" in text
    assert "LoadCredential=registration-token:/etc/letsbe/token\n" in text
    assert "master-key" not in text
    assert "PrivateUsers=yes" in text
    for setting in ("DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "Type=notify", "WatchdogSec="):
        assert f"\n{setting}" in text


def test_the_unit_of_a_bridge_with_containers_and_executors() -> None:
    text = printed(
        *("--openclaw", "--gateway-token-file", "/etc/letsbe/gateway", "--group", "docker", "--name", "acme"),
        *("--container-engine", "/run/docker.sock", "--executors", "/etc/letsbe/executors.toml"),
    )
    assert "safety-wrapper openclaw \\\n" in text
    assert "--gateway-token-file %d/gateway-token \\\n    --executors /etc/letsbe/executors.toml \\\n" in text
    assert "SupplementaryGroups=docker\n" in text
    assert "PrivateUsers=no" in text
    assert "StateDirectory=acme\n" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"program": Path("bin/safety-wrapper")},
        {"program": Path("/opt/my programs/safety-wrapper")},
        {"master_key": Path("/etc/%n")},
        {"executors": Path("/etc/x\nExecStartPre=/bin/sh")},
        {"hub": "https://hub.letsbe.biz --state /"},
        {"hub": "ftp://hub.letsbe.biz"},
        {"name": "../etc"},
        {"groups": ("docker adm",)},
    ],
)
def test_what_a_unit_cannot_hold_is_refused(changes: dict[str, Any]) -> None:
    wishes = {"program": Path("/bin/safety-wrapper"), "hub": "https://hub.letsbe.biz", **changes}
    with pytest.raises(UnfitForUnit):
        unit_text(UnitWishes(**wishes))


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("words", [(), ("--openclaw", "--group", "daemon")])
def test_systemd_finds_nothing_wrong_with_the_unit_and_little_exposed(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert ANALYZE is not None
    credentials = ("--registration-token-file", "/etc/letsbe/token", "--master-key-file", "/etc/letsbe/master-key")
    unit = tmp_path / "safety-wrapper.service"
    unit.write_text(printed("--program", "/bin/true", *credentials, *words))
    verified = subprocess.run([ANALYZE, "verify", unit], capture_output=True, text=True, timeout=120, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    command = [ANALYZE, "security", "--offline=true", "--threshold=20", "--no-pager", unit]
    rated = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert rated.returncode == 0, rated.stdout[-2000:]
