"""The doctor's judgements, each on its good and its bad side."""

from __future__ import annotations

import base64
import datetime
import resource
import shutil
from pathlib import Path

import pytest

from controlplane import doctor
from controlplane.doctor import Finding, Server
from controlplane.integrations.mail_folder import FolderCarrier
from controlplane.secret import Secret
from controlplane.services.sealing import Sealer
from controlplane.settings import Settings
from controlplane.state_folder import StateFolder
from controlplane.store.mail import Backlog

SOUND = Server(
    version="18.1",
    version_number=180_001,
    durability={"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"},
    free_connections=97,
    skew_seconds=-0.02,
)
OLD = Secret(base64.urlsafe_b64encode(bytes(32)).decode())
NEW = Secret(base64.urlsafe_b64encode(bytes(range(32))).decode())


def judge(**found: object) -> dict[str, Finding]:
    server = Server(**{**{name: getattr(SOUND, name) for name in SOUND.__struct_fields__}, **found})  # type: ignore[arg-type]
    return {finding.check: finding for finding in doctor.judge_server(server, Settings.read({}))}


def test_a_sound_server_is_well() -> None:
    assert all(finding.ok and not finding.next for finding in judge().values())


@pytest.mark.parametrize(
    ("check", "found", "remedy"),
    [
        ("database", {"version_number": 150_009, "version": "15.9"}, "16 or newer"),
        ("durability", {"durability": {**SOUND.durability, "fsync": "off"}}, "fsync"),
        ("durability", {"durability": {**SOUND.durability, "synchronous_commit": "off"}}, "synchronous_commit"),
        ("connections", {"free_connections": 19}, "HUB_POOL_SIZE"),
        ("clock", {"skew_seconds": 1.5}, "NTP"),
        ("clock", {"skew_seconds": -1.5}, "NTP"),
    ],
)
def test_an_unsound_server_is_named_with_a_remedy(check: str, found: dict[str, object], remedy: str) -> None:
    findings = judge(**found)
    assert [name for name, finding in findings.items() if finding.ok is False] == [check]
    assert remedy in findings[check].next


def test_a_stricter_commit_is_durable_too() -> None:
    assert judge(durability={**SOUND.durability, "synchronous_commit": "remote_apply"})["durability"].ok


def test_keys_that_open_everything_are_well_and_old_ones_are_counted() -> None:
    sealed = [Sealer([OLD]).seal(b"a"), Sealer([NEW]).seal(b"b")]
    finding = doctor.judge_keys([NEW, OLD], sealed)
    assert finding.ok
    assert "all 2 sealed secrets, 1 of them by an older key" in finding.found


def test_a_lost_key_is_named() -> None:
    finding = doctor.judge_keys([NEW], [Sealer([OLD]).seal(b"a"), Sealer([NEW]).seal(b"b")])
    assert finding.ok is False
    assert finding.found.startswith("1 of 2")
    assert "HUB_MASTER_KEY" in finding.next
    assert doctor.judge_keys([], [Sealer([OLD]).seal(b"a")]).ok is False


def test_nothing_sealed_needs_no_key() -> None:
    assert doctor.judge_keys([], []).ok


def test_few_open_files_are_named_for_a_large_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1024, 20_000))
    settings = Settings.read({})
    assert doctor.examine_files(9_000, settings).ok
    finding = doctor.examine_files(10_000, settings)
    assert finding.ok is False
    assert "LimitNOFILE=21016" in finding.next
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1024, resource.RLIM_INFINITY))
    assert doctor.examine_files(1_000_000, settings).ok


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(100 * 1024**3, 99 * 1024**3, 1024**3 // 2))
    assert doctor.examine_disk(tmp_path / "not" / "there").ok is False
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(100 * 1024**3, 50 * 1024**3, 50 * 1024**3))
    assert doctor.examine_disk(tmp_path / "not" / "there").ok


def test_a_private_folder_is_well_and_an_open_secret_is_not(tmp_path: Path) -> None:
    path = tmp_path / "state"
    assert doctor.examine_folder(path).ok is None
    StateFolder.open(path).cron_secret()
    assert doctor.examine_folder(path).ok
    (path / "secrets" / "cron-secret").chmod(0o640)
    finding = doctor.examine_folder(path)
    assert finding.ok is False
    assert "chmod 600" in finding.found


async def test_mail_that_is_off_is_said_and_no_fault(tmp_path: Path) -> None:
    off = await doctor.examine_mail(None)
    assert off.ok is None
    assert "HUB_SMTP_URL" in off.next
    assert (await doctor.examine_mail(FolderCarrier(tmp_path / "mail"))).ok
    (tmp_path / "file").write_text("")
    assert (await doctor.examine_mail(FolderCarrier(tmp_path / "file"))).ok is False


@pytest.mark.parametrize(
    ("waiting", "minutes", "ok"), [(0, None, True), (3, 59, True), (3, 61, False)], ids=["nothing", "a while", "long"]
)
def test_mails_that_wait_for_long_are_told_with_the_last_error(waiting: int, minutes: int | None, ok: bool) -> None:
    now = datetime.datetime(2026, 3, 15, 10, tzinfo=datetime.UTC)
    oldest = None if minutes is None else now - datetime.timedelta(minutes=minutes)
    found = doctor.judge_outbox(Backlog(waiting, oldest, "421 not now", 2), now)
    assert (found.ok, bool(found.next)) == (ok, not ok)
    assert "2 refused" in found.found
    assert ("421 not now" in found.found) == (waiting > 0)
