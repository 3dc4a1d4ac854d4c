"""A real wrapper process that kills itself (SIGKILL) at a chosen point: `python -m … HUB_URL STATE_DIR POINT`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import trio

from protocol.words import ApprovalOutcome
from tests.integration.wrapper.hub_peer import KEY
from wrapper.agents import Effects
from wrapper.commands import CommandCall, Executor
from wrapper.daemon import Fittings, Wrapper
from wrapper.gate import ToolCall
from wrapper.gate_api import GateApi
from wrapper.hub_address import HubAddress
from wrapper.journal.approvals import ApprovalState
from wrapper.journal.database import Journal
from wrapper.keyring import Secret
from wrapper.local_api import LocalApi
from wrapper.ports import SystemClock
from wrapper.state_folder import StateFolder

#: Where it dies: before or after the transaction of a name. `ack-seen` is made by the test when the ack has arrived.
POINTS = {
    "after-journal": ("take", "after"),
    "after-ack": ("start", "before"),
    "after-intent": ("start", "after"),
    "after-act": ("finish", "before"),
    "after-report": ("finish", "after"),
    "after-settle": ("take", "after"),
    "before-use": ("use", "before"),
    "after-use": ("use", "after"),
    "after-request": ("_request", "after"),
    "before-outcome": ("report", "before"),
    "after-outcome": ("report", "after"),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def arm(point: str, state: Path) -> None:
    """Make the journal of this process deadly."""
    if point not in POINTS:
        return
    victim, moment = POINTS[point]
    original = Journal._transact

    def transact(self: Journal, fn: Any, *args: Any, **kwargs: Any) -> Any:
        deadly = fn.__name__ == victim
        if deadly and moment == "before":
            while point == "after-ack" and not (state / "ack-seen").exists():
                time.sleep(0.01)
            die()
        result = original(self, fn, *args, **kwargs)
        if deadly and moment == "after":
            die()
        return result

    Journal._transact = transact  # type: ignore[method-assign]


async def run(hub_url: str, state: Path, point: str) -> None:
    effects = Effects(state / "effects.log", SystemClock())

    async def act(call: CommandCall) -> str:
        effects.write({"command": call.id, "attempt": call.attempt})
        if point == "mid-act":
            die()
        return "done"

    executors = {"ONCE": Executor(act), "AGAIN": Executor(act, idempotent=True)}
    fittings = Fittings(version="1.0.0", executors=executors)
    with StateFolder.lock(state) as folder:
        async with Wrapper.open(
            HubAddress(hub_url), Secret(KEY), journal_path=folder.journal, fittings=fittings
        ) as wrapper:
            if "AT_THE_GATE" in os.environ:
                await at_the_gate(wrapper, state / "port")
            await gated(wrapper, effects)


async def at_the_gate(wrapper: Wrapper, port_file: Path) -> None:
    """Answer agents on a port that is written into a file."""
    api = LocalApi()
    GateApi(lambda: wrapper).add_to(api)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(api.serve, "127.0.0.1", 0)
        draft = port_file.with_suffix(".new")
        draft.write_text(str(port))
        draft.rename(port_file)


async def gated(wrapper: Wrapper, effects: Effects) -> None:
    """One gated call, taken up again after a crash as every owner must."""
    if "GATED" in os.environ:
        rows = await wrapper.approvals.unfinished("victim")
        call = ToolCall("it-admin", "shell", {"n": 1}, "the only call", owner="victim", reference="the-one")
        if rows and rows[0].state is ApprovalState.USED:
            await wrapper.approvals.report(rows[0].request_id, ApprovalOutcome.FAILED, "interrupted, outcome unknown")
        else:
            answer = await wrapper.gate.ask(call)
            if await answer.use():
                effects.write({"call": "the-one"})
                await answer.report(ApprovalOutcome.EXECUTED)
    await trio.sleep_forever()


if __name__ == "__main__":
    hub_url, folder, point = sys.argv[1:]
    arm(point, Path(folder))
    trio.run(run, hub_url, Path(folder), point)
