"""What a heartbeat says of the machine and its agents, and what it leaves out where the machine does not tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from protocol.objects import BackupSummary, Resources
from wrapper import heartbeat as module
from wrapper.containers import ContainerCount
from wrapper.heartbeat import ResourceMeter, heartbeat

NOW = datetime(2026, 3, 15, 14, 22, tzinfo=UTC)


def test_the_machine_is_measured(tmp_path: Path) -> None:
    resources = ResourceMeter(tmp_path).read()
    assert resources.memory_total_mb == round(psutil.virtual_memory().total / 1024**2, 1)
    assert resources.memory_used_mb is not None
    assert 0 < resources.memory_used_mb < resources.memory_total_mb
    assert resources.disk_total_gb == round(psutil.disk_usage(str(tmp_path)).total / 1e9, 1)
    assert (resources.containers_running, resources.containers_stopped) == (None, None)


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        ({"user": 10, "idle": 90}, {"user": 33, "idle": 167}, 23.0),
        ({"user": 10, "idle": 80, "iowait": 10}, {"user": 10, "idle": 90, "iowait": 100}, 0.0),
        ({"user": 10, "idle": 10, "guest": 10}, {"user": 110, "idle": 110, "guest": 110}, 50.0),
        ({"user": 10, "idle": 90}, {"user": 10, "idle": 90}, None),
        ({"user": 10, "idle": 90}, {"user": 20, "idle": 70}, None),
    ],
)
def test_cpu_is_the_share_since_the_last_reading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: Any, after: Any, percent: float | None
) -> None:
    readings = iter([before, after])
    monkeypatch.setattr(psutil, "cpu_times", lambda: _Times(next(readings)))
    assert ResourceMeter(tmp_path).read().cpu_percent == percent


class _Times(tuple[float, ...]):
    """As psutil's: a tuple with names."""

    def __new__(cls, values: dict[str, float]) -> _Times:
        made = super().__new__(cls, values.values())
        made.__dict__.update(values)
        return made


def test_what_the_machine_does_not_tell_is_left_out_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: Any) -> Any:
        raise PermissionError("hidden")

    said: list[dict[str, Any]] = []
    monkeypatch.setattr(module, "log", SimpleNamespace(warning=lambda _, **words: said.append(words)))
    for name in ("cpu_times", "virtual_memory", "disk_usage"):
        monkeypatch.setattr(psutil, name, refuse)
    meter = ResourceMeter(tmp_path, lambda: ContainerCount(18, 2))
    for _ in range(3):
        assert meter.read() == Resources(containers_running=18, containers_stopped=2)
    assert sorted(words["what"] for words in said) == ["cpu", "disk", "memory"]


def test_agents_rest_after_a_while() -> None:
    backup = BackupSummary(NOW - timedelta(hours=12), "success", 4.2)
    beat = heartbeat(
        now=NOW,
        version="1",
        openclaw_version=None,
        config=None,
        last_active={"sales": NOW - timedelta(minutes=15), "it-admin": NOW - timedelta(minutes=14)},
        resources=None,
        backup=backup,
        healthy=False,
    )
    assert {name: agent.status for name, agent in beat.agents.items()} == {"it-admin": "active", "sales": "idle"}
    assert (beat.status, beat.backup_status, beat.config_version) == ("degraded", backup, 0)
