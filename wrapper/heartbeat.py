"""What a heartbeat says: the machine's resources, the agents, the last backup, the configuration in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # it ships no types
import structlog

from protocol.objects import AgentHealth, BackupSummary, Resources, TenantConfig
from protocol.tenant import Heartbeat
from wrapper.containers import ContainerCount

log = structlog.get_logger()

#: An agent that asked for nothing and reported nothing for this long is idle.
IDLE_AFTER: Final = timedelta(minutes=15)
_MB: Final = 1024 * 1024
#: Disks are sold, and told by the specification, in decimal gigabytes.
_GB: Final = 1e9


class ResourceMeter:
    """Reads the machine's load. A figure that the machine does not give is left out, and the log says so once.

    Args:
        disk: a path on the disk whose size is told.
        containers: how many run and how many stand still; None where no container engine is configured.
    """

    def __init__(self, disk: Path, containers: Callable[[], ContainerCount | None] = lambda: None) -> None:
        self._disk = disk
        self._containers = containers
        self._missing: set[str] = set()
        self._last: tuple[float, float] | None = self._ask("cpu", _cpu_seconds)

    def read(self) -> Resources:
        """The figures now; CPU is the share since the last reading."""
        resources = Resources(cpu_percent=self._cpu_percent())
        memory = self._ask("memory", psutil.virtual_memory)
        if memory is not None:
            resources.memory_total_mb = round(memory.total / _MB, 1)
            resources.memory_used_mb = round((memory.total - memory.available) / _MB, 1)
        disk = self._ask("disk", lambda: psutil.disk_usage(str(self._disk)))
        if disk is not None:
            resources.disk_total_gb = round(disk.total / _GB, 1)
            resources.disk_used_gb = round(disk.used / _GB, 1)
        count = self._containers()
        if count is not None:
            resources.containers_running, resources.containers_stopped = count.running, count.stopped
        return resources

    def _cpu_percent(self) -> float | None:
        before: tuple[float, float] | None = self._last
        now: tuple[float, float] | None = self._ask("cpu", _cpu_seconds)
        self._last = now
        if before is None or now is None or now[1] <= before[1]:
            return None
        return round(min(100.0, max(0.0, 100 * (1 - (now[0] - before[0]) / (now[1] - before[1])))), 1)

    def _ask(self, what: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (psutil.Error, OSError, NotImplementedError, RuntimeError, ValueError) as error:
            if what not in self._missing:
                self._missing.add(what)
                log.warning("resources.not_readable", what=what, reason=f"{type(error).__name__}: {error}")
            return None


def _cpu_seconds() -> tuple[float, float]:
    """Idle seconds and all seconds since boot; guests are counted as users already (proc(5))."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    return idle, sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)


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
