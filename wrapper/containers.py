"""The container engine of this server, by Docker's API on its local socket: who runs, who stands still."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import structlog
import trio

from protocol.queries import Tools, ToolState
from protocol.tenant import Unanswered
from wrapper.answerers import NoAnswer

log = structlog.get_logger()

ENGINE_SECONDS: Final = 10.0
COUNT_EVERY_SECONDS: Final = 60.0
ANSWER_BYTES: Final = 16 * 1024 * 1024
#: By which label a container says what tool it is a part of; the first that is there counts.
TOOL_LABELS: Final = ("biz.letsbe.tool", "com.docker.compose.project", "io.podman.compose.project")
_DETAIL_CHARACTERS: Final = 500


class EngineAway(Exception):
    """The engine does not answer, or with something else than containers."""


class ContainerCount(msgspec.Struct, frozen=True):
    """How many containers run, and how many do not."""

    running: int
    stopped: int


class _Container(msgspec.Struct):
    """One of `GET /containers/json` (Docker Engine API 1.41)."""

    names: list[str] | None = msgspec.field(default=None, name="Names")
    labels: dict[str, str] | None = msgspec.field(default=None, name="Labels")
    state: str = msgspec.field(default="", name="State")
    status: str = msgspec.field(default="", name="Status")

    @property
    def name(self) -> str:
        return (self.names or ["?"])[0].lstrip("/")

    @property
    def tool(self) -> str:
        """What it is a part of; a container of no project is a tool by itself."""
        labels = self.labels or {}
        return next((labels[label] for label in TOOL_LABELS if labels.get(label)), self.name)

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def trouble(self) -> str | None:
        """What is the matter with it; one that ended by itself and well has done its work."""
        if self.running:
            return f"{self.name} is unhealthy" if "(unhealthy)" in self.status else None
        return None if self.status.startswith("Exited (0)") else f"{self.name} is {self.state or 'not running'}"


class ContainerEngine:
    """Asks the engine, and keeps its last count for heartbeats.

    Args:
        socket: the engine's Unix socket. Whoever may write to it is root of this server.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._away = False
        self.count: ContainerCount | None = None

    async def run(self) -> None:
        """Count, for ever; while the engine is away there is no count."""
        while True:
            try:
                containers = await self._containers()
            except EngineAway as error:
                self.count = None
                if not self._away:
                    log.warning("containers.engine_away", reason=str(error))
                self._away = True
            else:
                running = sum(container.running for container in containers)
                self.count = ContainerCount(running, len(containers) - running)
                self._away = False
            await trio.sleep(COUNT_EVERY_SECONDS)

    async def answer_tools(self, _: dict[str, Any]) -> Tools:
        """Answers `tools`.

        Raises:
            NoAnswer: the engine is away.
        """
        try:
            return Tools(tools_of(await self._containers()))
        except EngineAway as error:
            raise NoAnswer(Unanswered.FAILED, f"the container engine does not answer: {error}") from error

    async def _containers(self) -> list[_Container]:
        transport = httpx.AsyncHTTPTransport(uds=str(self._socket))
        try:
            with trio.fail_after(ENGINE_SECONDS):
                async with (
                    httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=ENGINE_SECONDS) as client,
                    client.stream("GET", "/containers/json", params={"all": "true"}) as answer,
                ):
                    body = bytearray()
                    async for chunk in answer.aiter_bytes():
                        body += chunk
                        if len(body) > ANSWER_BYTES:
                            raise EngineAway(f"its answer is larger than {ANSWER_BYTES} bytes")
        except (httpx.HTTPError, OSError, trio.TooSlowError) as error:
            raise EngineAway(f"{type(error).__name__}: {error}"[:300]) from error
        if answer.status_code != 200:
            raise EngineAway(f"it answers HTTP {answer.status_code}")
        try:
            return msgspec.json.decode(body, type=list[_Container])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise EngineAway(f"its answer is no list of containers: {error}"[:300]) from error


def tools_of(containers: Iterable[_Container]) -> list[ToolState]:
    """The tools that these containers make, by name."""
    parts: dict[str, list[_Container]] = {}
    for container in containers:
        parts.setdefault(container.tool, []).append(container)
    return [_state(name, parts[name]) for name in sorted(parts)]


def _state(name: str, containers: list[_Container]) -> ToolState:
    running = sum(container.running for container in containers)
    troubles = sorted(container.trouble for container in containers if container.trouble is not None)
    status = "stopped" if running == 0 else "degraded" if troubles else "running"
    detail = "; ".join(troubles)[:_DETAIL_CHARACTERS] or None
    return ToolState(name, status, detail, running, len(containers) - running)
