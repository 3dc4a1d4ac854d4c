"""Scripted agents: they ask for believable commands at a human pace and, when allowed, write one line into a file of
their own. For the demo and for load: they touch nothing but that file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import structlog
import trio

from protocol.words import ApprovalOutcome, ToolOverride
from wrapper.commands import CommandCall, CommandFailed, Executor
from wrapper.daemon import Wrapper
from wrapper.gate import Pass, ToolCall
from wrapper.journal.approvals import ApprovalRow, ApprovalState
from wrapper.journal.commands import INTERRUPTED
from wrapper.ports import Clock, Randomness, SystemClock, SystemRandomness
from wrapper.script import DEFAULT, Scenario, Wish, scenario
from wrapper.scripted_reports import ScriptedReports

log = structlog.get_logger()

OWNER: Final = "scripted"
#: The first wish comes soon, however long an agent then thinks: somebody is watching.
FIRST_WISH_SECONDS: Final = 4.0
#: More of a company's agents than this do not wait for a person at a time; the others read meanwhile.
MOST_WAITING: Final = 3
#: How long it takes to do what is allowed, at most, and as a part of the time it takes to want something.
LONGEST_WORK_SECONDS: Final = 6.0
_WORK_SHARE: Final = 0.2
_CONFIGURATION_SECONDS: Final = 0.5


@dataclass(slots=True)
class Tally:
    """What agents and commands have done so far, of as many wrappers as share it."""

    asked: int = 0
    decided: int = 0
    acted: int = 0
    commands: int = 0
    errors: int = 0


class Written(Protocol):
    """Where effects are left."""

    def write(self, what: dict[str, Any]) -> None:
        """Leave one; it is kept when this returns."""
        ...


class Effects:
    """The file in which every effect leaves one line, on the disk when `write` returns."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def write(self, what: dict[str, Any]) -> None:
        line = msgspec.json.encode({"at": self._clock.now(), **what}) + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class NoEffects:
    """Keeps nothing: for load, where a thousand files would be in the way."""

    def write(self, what: dict[str, Any]) -> None:
        """Leave nothing."""


def scripted_executors(
    effects: Written, *, randomness: Randomness | None = None, tally: Tally | None = None
) -> dict[str, Executor]:
    """Commands that the demo's tenants take: each takes its time and leaves one line."""
    dice, counted = randomness or SystemRandomness(), tally or Tally()

    async def act(call: CommandCall) -> float:
        seconds = dice.uniform(0.3, 3.0)
        await trio.sleep(seconds)
        await _write(effects, {"command": call.id, "type": call.type, "payload": call.payload})
        counted.commands += 1
        return seconds

    async def restart(call: CommandCall) -> str:
        service = call.payload.get("service") if isinstance(call.payload, dict) else None
        if not isinstance(service, str) or not service:
            raise CommandFailed('which service? The payload must be like {"service": "ghost"}')
        return f"{service} restarted, healthy after {await act(call):.1f} s"

    async def back_up(call: CommandCall) -> str:
        return f"backup finished, {3 + await act(call):.1f} GB"

    return {
        "RESTART_SERVICE": Executor(restart, idempotent=True, limit_seconds=30),
        "RUN_BACKUP": Executor(back_up, idempotent=False, limit_seconds=30),
    }


async def run_scripted_agents(
    wrapper: Wrapper,
    effects: Written,
    *,
    pace_seconds: float,
    randomness: Randomness,
    script: Scenario | None = None,
    tally: Tally | None = None,
    opens: bool = True,
) -> None:
    """Play all agents of a scenario, for ever.

    Args:
        pace_seconds: how long an agent thinks between two wishes, on average.
        opens: the scenario's opening is played; without, the agents begin anywhere.
    """
    crew = _Crew(wrapper, effects, pace_seconds, randomness, script or scenario(DEFAULT), tally or Tally(), opens)
    await crew.run()


class _Crew:
    """The agents of one company."""

    def __init__(
        self,
        wrapper: Wrapper,
        effects: Written,
        pace_seconds: float,
        randomness: Randomness,
        script: Scenario,
        tally: Tally,
        opens: bool,
    ) -> None:
        self._wrapper = wrapper
        self._effects = effects
        self._pace_seconds = pace_seconds
        self._randomness = randomness
        self._script = script
        self._tally = tally
        self._opens = opens
        self._waiting = 0
        past = not isinstance(effects, NoEffects)
        self._reports = ScriptedReports(wrapper, randomness, SystemClock(), company=script.about, past=past)

    async def run(self) -> None:
        unfinished = await self._wrapper.approvals.unfinished(OWNER)
        opening = self._script.opening if self._opens and not unfinished else []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reports.run, list(self._script.agents), self._pace_seconds)
            for agent_id, wishes in self._script.agents.items():
                mine = [row for row in unfinished if row.agent_id == agent_id]
                place = opening.index(agent_id) if agent_id in opening else None
                nursery.start_soon(self._play, agent_id, wishes, mine, place)

    async def _play(self, agent_id: str, wishes: list[Wish], unfinished: list[ApprovalRow], place: int | None) -> None:
        for row in unfinished:
            await self._resume(row, agent_id, wishes)
        first = min(self._pace_seconds, FIRST_WISH_SECONDS)
        turn = int(self._randomness.uniform(0, len(wishes)))
        if place is not None:
            turn, think_seconds = 0, first * (place + 1) / 2
        else:
            think_seconds = self._pace_seconds if self._opens and self._script.opening else first
        while True:
            await trio.sleep(think_seconds * self._randomness.uniform(0.5, 1.5))
            while self._wrapper.configuration.current is None:  # noqa: ASYNC110 - nobody tells when it has come
                await trio.sleep(_CONFIGURATION_SECONDS)
            think_seconds = self._pace_seconds
            wish = wishes[turn % len(wishes)]
            turn += 1
            asks = self._wrapper.gate.judge(agent_id, wish.tool).verdict is ToolOverride.ASK
            if not asks or self._waiting < MOST_WAITING:
                await self._want(agent_id, wish, asks)

    async def _want(self, agent_id: str, wish: Wish, asks: bool) -> None:
        call = ToolCall(
            agent_id=agent_id,
            tool_name=wish.tool,
            tool_args=wish.args,
            human_readable=wish.says,
            impact=wish.impact,
            expires_in_seconds=wish.expires_in_seconds,
            owner=OWNER,
        )
        answer = await (self._decision(call) if asks else self._wrapper.gate.ask(call))
        await self._act(answer, agent_id, wish)

    async def _decision(self, call: ToolCall) -> Pass:
        self._waiting += 1
        try:
            pending = await self._wrapper.gate.submit(call)
            if isinstance(pending, Pass):
                return pending
            self._tally.asked += 1
            answer = await self._wrapper.gate.answer(pending)
            self._tally.decided += 1
            return answer
        finally:
            self._waiting -= 1

    async def _resume(self, row: ApprovalRow, agent_id: str, wishes: list[Wish]) -> None:
        """Take up what a crash or a stop has cut off."""
        if row.state is ApprovalState.USED:
            await self._wrapper.approvals.report(row.request_id, ApprovalOutcome.FAILED, INTERRUPTED)
            return
        args = msgspec.json.decode(row.tool_args)
        known = [wish for wish in wishes if wish.tool == row.tool_name and wish.args == args]
        wish = known[0] if known else Wish(tool=row.tool_name, says=row.human_readable, args=args)
        self._waiting += 1
        try:
            answer = await self._wrapper.gate.answer(row)
        finally:
            self._waiting -= 1
        self._tally.decided += 1
        await self._act(answer, agent_id, wish)

    async def _act(self, answer: Pass, agent_id: str, wish: Wish) -> None:
        if not await answer.use():
            log.info("agent.stopped", agent=agent_id, tool=wish.tool, why=answer.why)
            await self._reports.told(agent_id, "stopped", f"{wish.says}: not done, {answer.why}", wish.tool)
            return
        longest = min(LONGEST_WORK_SECONDS, self._pace_seconds * _WORK_SHARE)
        await trio.sleep(longest * self._randomness.uniform(0.1, 1.0))
        if wish.fails is not None:
            await answer.report(ApprovalOutcome.FAILED, wish.fails)
            await self._reports.told(agent_id, "failed", f"{wish.says}: {wish.fails}", wish.tool)
            log.info("agent.failed", agent=agent_id, tool=wish.tool)
            return
        await _write(self._effects, {"agent": agent_id, "tool": wish.tool, "args": wish.args})
        await answer.report(ApprovalOutcome.EXECUTED, wish.done)
        self._tally.acted += 1
        await self._reports.told(agent_id, "acted", f"{wish.says}: {wish.done}", wish.tool)
        log.info("agent.acted", agent=agent_id, tool=wish.tool)


async def _write(effects: Written, what: dict[str, Any]) -> None:
    if isinstance(effects, NoEffects):
        return
    await trio.to_thread.run_sync(effects.write, what)
