"""`safety-wrapper run` as it is, but for what its commands do: write down each step, and stall where they are told.

ONCE must not run twice, AGAIN may. The payload's `stall` names the step after which the first run stands still.
"""

from __future__ import annotations

import trio

import wrapper.process
from wrapper.agents import Effects
from wrapper.cli import main
from wrapper.commands import CommandCall, Executor


def stalling_executors(effects: Effects) -> dict[str, Executor]:
    async def step(call: CommandCall, name: str) -> None:
        await trio.to_thread.run_sync(effects.write, {"command": call.id, "step": name, "attempt": call.attempt})
        if call.attempt == 1 and call.payload.get("stall") == name:
            await trio.sleep_forever()

    async def act(call: CommandCall) -> str:
        await step(call, "begun")
        await step(call, "acted")
        return f"acted in run {call.attempt}"

    return {"AGAIN": Executor(act, idempotent=True), "ONCE": Executor(act, idempotent=False)}


wrapper.process.scripted_executors = stalling_executors

if __name__ == "__main__":
    main()
