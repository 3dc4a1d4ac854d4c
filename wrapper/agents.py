"""Scripted agents: they ask for believable commands at a human pace and, when allowed, write one line into a file of
their own. For the demo and for load: they touch nothing but that file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import trio

from protocol.words import ApprovalOutcome
from wrapper.commands import CommandCall, Executor
from wrapper.daemon import Wrapper
from wrapper.gate import Pass, ToolCall
from wrapper.journal.approvals import ApprovalRow, ApprovalState
from wrapper.journal.commands import INTERRUPTED
from wrapper.ports import Clock, Randomness
from wrapper.script import SCRIPT, Wish

log = structlog.get_logger()

OWNER: Final = "scripted"
#: The first wish comes soon, however long an agent then thinks: somebody is watching.
FIRST_WISH_SECONDS: Final = 4.0


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


def scripted_executors(effects: Effects) -> dict[str, Executor]:
    """Commands that the demo's tenants take: each leaves one line."""

    async def act(call: CommandCall) -> str:
        await trio.to_thread.run_sync(effects.write, {"command": call.id, "type": call.type, "payload": call.payload})
        return f"{call.type} done"

    return {
        "RESTART_SERVICE": Executor(act, idempotent=True, limit_seconds=30),
        "RUN_BACKUP": Executor(act, idempotent=False, limit_seconds=30),
    }


async def run_scripted_agents(
    wrapper: Wrapper, effects: Effects, *, pace_seconds: float, randomness: Randomness
) -> None:
    """Play all agents of the script, for ever.

    Args:
        pace_seconds: how long an agent thinks between two wishes, on average.
    """
    unfinished = await wrapper.approvals.unfinished(OWNER)
    async with trio.open_nursery() as nursery:
        for agent_id, wishes in SCRIPT.items():
            mine = [row for row in unfinished if row.agent_id == agent_id]
            nursery.start_soon(_play, wrapper, effects, agent_id, wishes, mine, pace_seconds, randomness)


async def _play(
    wrapper: Wrapper,
    effects: Effects,
    agent_id: str,
    wishes: tuple[Wish, ...],
    unfinished: list[ApprovalRow],
    pace_seconds: float,
    randomness: Randomness,
) -> None:
    for row in unfinished:
        if row.state is ApprovalState.USED:
            await wrapper.approvals.report(row.request_id, ApprovalOutcome.FAILED, INTERRUPTED)
        else:
            args = msgspec.json.decode(row.tool_args)
            await _act(await wrapper.gate.answer(row), effects, agent_id, row.tool_name, args)
    turn = int(randomness.uniform(0, len(wishes)))
    think_seconds = min(pace_seconds, FIRST_WISH_SECONDS)
    while True:
        await trio.sleep(think_seconds * randomness.uniform(0.5, 1.5))
        think_seconds = pace_seconds
        wish = wishes[turn % len(wishes)]
        turn += 1
        call = ToolCall(
            agent_id=agent_id,
            tool_name=wish.tool_name,
            tool_args=wish.tool_args,
            human_readable=wish.human_readable,
            impact=wish.impact,
            owner=OWNER,
        )
        await _act(await wrapper.gate.ask(call), effects, agent_id, wish.tool_name, wish.tool_args)


async def _act(answer: Pass, effects: Effects, agent_id: str, tool_name: str, tool_args: Any) -> None:
    if not await answer.use():
        log.info("agent.stopped", agent=agent_id, tool=tool_name, why=answer.why)
        return
    await trio.to_thread.run_sync(effects.write, {"agent": agent_id, "tool": tool_name, "args": tool_args})
    await answer.report(ApprovalOutcome.EXECUTED, f"{tool_name} done")
    log.info("agent.acted", agent=agent_id, tool=tool_name)
