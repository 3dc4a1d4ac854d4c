"""The Safety Wrapper put together: journal, gate, commands, configuration and link, under one nursery."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import trio

from protocol.objects import Resources
from protocol.queries import TOOLS
from protocol.session import WrapperSession
from protocol.tenant import PROTOCOL_VERSION, Heartbeat, Hello
from wrapper.answerers import Answerer, unconfigured
from wrapper.approvals import Approvals
from wrapper.commands import Commands, Executor, HubTime, StopLeftovers, leave_none
from wrapper.config import Applier, Configuration
from wrapper.containers import ContainerCount, ContainerEngine
from wrapper.conversation import Parts
from wrapper.fallback import Pace
from wrapper.gate import Gate
from wrapper.heartbeat import ResourceMeter, heartbeat
from wrapper.hub_address import HubAddress
from wrapper.inbox import CAPABILITIES, Inbox
from wrapper.journal import approvals, commands, messages, promises, reports
from wrapper.journal.database import Journal
from wrapper.keyring import Secret
from wrapper.link import Dial, Link, dial, status_of
from wrapper.ports import Clock, Randomness, SystemClock, SystemRandomness, new_id
from wrapper.reports import Reports
from wrapper.webhooks import Webhooks

log = structlog.get_logger()

_FORGET_EVERY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Fittings:
    """What a wrapper is built with; the defaults are the machine's own.

    Attributes:
        executors: what runs commands of further types, besides PING.
        stop_leftovers: ends what an earlier life still runs for commands.
        appliers: called with each configuration before it is in force.
        answerers: further live questions, besides `ping` and `status`.
        container_engine: the engine's Unix socket: counts in heartbeats, and the answer to `tools`; None: neither.
        measure_resources: False leaves them out of heartbeats (thousands of wrappers in one process).
        pace: how often the Hub is asked over HTTP, while sockets are blocked.
        accept_v1: take webhooks under the specification's signature alone.
        diun_token: what Diun's webhooks carry; None: they are refused.
    """

    version: str
    executors: Mapping[str, Executor] = field(default_factory=dict)
    stop_leftovers: StopLeftovers = leave_none
    appliers: tuple[Applier, ...] = ()
    answerers: Mapping[str, Answerer] = field(default_factory=dict)
    container_engine: Path | None = None
    measure_resources: bool = True
    clock: Clock = field(default_factory=SystemClock)
    randomness: Randomness = field(default_factory=SystemRandomness)
    dial: Dial = dial
    pace: Pace = field(default_factory=Pace)
    accept_v1: bool = False
    diun_token: Secret | None = None


class Wrapper:
    """One tenant's Safety Wrapper.

    Attributes:
        gate: where tool calls ask.
        approvals: for owners that take up unfinished ones after a crash.
        configuration: the one in force.
        link: the socket to the Hub.
        reports: what programs of this server tell the Hub.
        webhooks: what is taken by webhook.
        openclaw: what a bridge tells about its gateway; empty without one.
    """

    def __init__(self, address: HubAddress, key: Secret, journal: Journal, session: WrapperSession, fittings: Fittings):
        self._fittings = fittings
        self._journal = journal
        self._session = session
        clock = fittings.clock
        self._boot_id = new_id(clock, fittings.randomness)
        self._started_at = clock.now()
        self._meter: ResourceMeter | None = None
        self.openclaw: dict[str, Any] = {}
        time = HubTime(clock)
        self.approvals = Approvals(journal, clock)
        self.configuration = Configuration(journal, fittings.appliers)
        self.commands = Commands(journal, fittings.executors, time, fittings.stop_leftovers)
        self.gate = Gate(self.approvals, self.configuration, clock)
        self.reports = Reports(journal, now=time.now, last_active=self.gate.last_active)
        socket = fittings.container_engine
        self._containers = None if socket is None else ContainerEngine(socket)
        answerers = {**unconfigured(), "ping": self._answer_ping, "status": self._answer_status}
        if self._containers is not None:
            answerers[TOOLS] = self._containers.answer_tools
        inbox = Inbox(
            journal,
            session,
            commands=self.commands,
            approvals=self.approvals,
            configuration=self.configuration,
            answerers={**answerers, **fittings.answerers},
        )
        parts = Parts(
            journal=journal,
            session=session,
            inbox=inbox,
            time=time,
            randomness=fittings.randomness,
            hello=self._hello,
            heartbeat=self._heartbeat,
        )
        self._inbox = inbox
        self.link = Link(address, lambda: key, parts, clock, dial=fittings.dial, pace=fittings.pace)
        self.webhooks = Webhooks(
            inbox,
            journal,
            key=lambda: key,
            time=time,
            pull=self.link.pull_configuration,
            accept_v1=fittings.accept_v1,
            diun_token=fittings.diun_token,
        )
        journal.on_enqueued = self.link.enqueued

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, address: HubAddress, key: Secret, *, journal_path: Path | None, fittings: Fittings
    ) -> AsyncIterator[Wrapper]:
        """A running wrapper: it keeps its link, runs commands and settles approvals until the block is left.

        Args:
            key: the hub API key.
            journal_path: None keeps the journal in memory: for load generators only, it promises nothing.

        Raises:
            sqlite3.DatabaseError: the journal is damaged.
        """
        async with (
            Journal.open(journal_path, clock=fittings.clock, randomness=fittings.randomness) as journal,
            trio.open_nursery() as nursery,
        ):
            session = WrapperSession(
                last_seq=await journal.run(promises.last_seq), unaccepted=await journal.run(messages.unaccepted)
            )
            wrapper = cls(address, key, journal, session, fittings)
            if fittings.measure_resources:
                wrapper._meter = ResourceMeter(journal_path or Path("/"), wrapper._count_containers)
            await wrapper.configuration.load()
            await wrapper.reports.load()
            nursery.start_soon(wrapper.commands.run)
            nursery.start_soon(wrapper.configuration.run)
            nursery.start_soon(wrapper.approvals.run)
            nursery.start_soon(wrapper.reports.run)
            if wrapper._containers is not None:
                nursery.start_soon(wrapper._containers.run)
            nursery.start_soon(wrapper._forget)
            nursery.start_soon(wrapper.link.run)
            try:
                yield wrapper
            finally:
                await wrapper.link.close()
                nursery.cancel_scope.cancel()

    async def _forget(self) -> None:
        while True:
            await self._journal.run(commands.forget_old)
            await self._journal.run(approvals.forget_old)
            await self._journal.run(reports.forget_old)
            await trio.sleep(_FORGET_EVERY_SECONDS)

    # --- what it says of itself --------------------------------------------------------------------------

    def _hello(self, last_seq: int) -> Hello:
        config = self.configuration.current
        return Hello(
            protocol_min=PROTOCOL_VERSION,
            protocol_max=PROTOCOL_VERSION,
            wrapper_version=self._fittings.version,
            openclaw_version=self.openclaw.get("version"),
            boot_id=self._boot_id,
            last_seq=last_seq,
            config_version=config.config_version if config else 0,
            config_hash=config.config_hash if config else None,
            capabilities=CAPABILITIES,
        )

    def _heartbeat(self) -> Heartbeat:
        resources: Resources | None = self._meter.read() if self._meter else None
        return heartbeat(
            now=self._fittings.clock.now(),
            version=self._fittings.version,
            openclaw_version=self.openclaw.get("version"),
            config=self.configuration.current,
            last_active=self.gate.last_active,
            resources=resources,
            backup=self.reports.backup,
            healthy=not self.openclaw or bool(self.openclaw.get("connected")),
        )

    def _count_containers(self) -> ContainerCount | None:
        return None if self._containers is None else self._containers.count

    @property
    def journal(self) -> Journal:
        """Where programs beside the wrapper keep what they report to the Hub."""
        return self._journal

    def status(self) -> dict[str, Any]:
        """How everything is, for `/health` and the Hub's `status` question."""
        config = self.configuration.current
        connected = self.link.state.connected
        return {
            "status": "ok" if connected and (not self.openclaw or self.openclaw.get("connected")) else "degraded",
            "safetyWrapper": {
                "version": self._fittings.version,
                "startedAt": self._started_at,
                **status_of(self.link),
                "lastSeq": self._session.journalled,
                "owed": self._session.owed,
                "activitiesDropped": self.reports.dropped,
                "configVersion": config.config_version if config else 0,
                "ignoredFrames": self._inbox.ignored,
            },
            "openclaw": self.openclaw or None,
        }

    async def _answer_ping(self, _: dict[str, Any]) -> Any:
        return {"pong": self._fittings.clock.now()}

    async def _answer_status(self, _: dict[str, Any]) -> Any:
        return self.status()
