"""What a heartbeat says: the machine's resources from /proc, the agents, the configuration in force."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from protocol.objects import AgentHealth, BackupSummary, Resources, TenantConfig
from protocol.tenant import Heartbeat

#: An agent that asked for nothing for this long is idle.
IDLE_AFTER: Final = timedelta(minutes=15)


class ResourceMeter:
    """Reads the machine's load. On systems without /proc the figures are left out.

    Args:
        disk: a path on the disk whose size is told.
    """

    def __init__(self, disk: Path, proc: Path = Path("/proc")) -> None:
        self._disk = disk
        self._proc = proc
        self._last = self._cpu_ticks()

    def read(self) -> Resources:
        """The figures now; CPU is the share since the last reading."""
        resources = Resources(cpu_percent=self._cpu_percent())
        memory = self._memory_kb()
        if memory is not None:
            total, available = memory
            resources.memory_total_mb = round(total / 1024, 1)
            resources.memory_used_mb = round((total - available) / 1024, 1)
        try:
            disk = shutil.disk_usage(self._disk)
        except OSError:
            return resources
        resources.disk_total_gb = round(disk.total / 1e9, 1)
        resources.disk_used_gb = round(disk.used / 1e9, 1)
        return resources

    def _cpu_percent(self) -> float | None:
        before, now = self._last, self._cpu_ticks()
        self._last = now
        if before is None or now is None or now[1] <= before[1]:
            return None
        return round(100 * (1 - (now[0] - before[0]) / (now[1] - before[1])), 1)

    def _cpu_ticks(self) -> tuple[int, int] | None:
        """Idle ticks and all ticks (proc(5), /proc/stat: user nice system idle iowait irq softirq steal)."""
        try:
            with (self._proc / "stat").open() as lines:
                ticks = [int(word) for word in lines.readline().split()[1:9]]
        except (OSError, ValueError):
            return None
        return (ticks[3] + ticks[4], sum(ticks)) if len(ticks) == 8 else None

    def _memory_kb(self) -> tuple[int, int] | None:
        try:
            text = (self._proc / "meminfo").read_text()
        except OSError:
            return None
        lines = (line.split() for line in text.splitlines())
        found = {words[0]: int(words[1]) for words in lines if words and words[0] in ("MemTotal:", "MemAvailable:")}
        if len(found) != 2:
            return None
        return found["MemTotal:"], found["MemAvailable:"]


def heartbeat(
    *,
    now: datetime,
    version: str,
    openclaw_version: str | None,
    config: TenantConfig | None,
    last_active: Mapping[str, datetime],
    resources: Resources | None,
    backup: BackupSummary | None,
    healthy: bool,
) -> Heartbeat:
    """Put a heartbeat together (specification section 6)."""
    names = {agent.agent_id for agent in config.agents if agent.is_active} if config else set()
    agents = {}
    for name in sorted(names | last_active.keys()):
        seen = last_active.get(name)
        active = seen is not None and now - seen < IDLE_AFTER
        agents[name] = AgentHealth(status="active" if active else "idle", last_active_at=seen)
    return Heartbeat(
        status="healthy" if healthy else "degraded",
        openclaw_version=openclaw_version,
        safety_wrapper_version=version,
        config_version=config.config_version if config else 0,
        config_hash=config.config_hash if config else None,
        agents=agents,
        resources=resources,
        backup_status=backup,
    )
