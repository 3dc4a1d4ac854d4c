"""The gate that every tool call passes: judged by the policy, put before a person where that says so, else closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from protocol.words import ApprovalOutcome, CommandClass, ToolOverride
from wrapper.approvals import DEFAULT_EXPIRY_SECONDS, Approvals, NotAskable
from wrapper.config import Configuration
from wrapper.journal.approvals import ApprovalRow, ApprovalState
from wrapper.journal.database import JournalFull
from wrapper.policy import Ruling, judge
from wrapper.ports import Clock

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What an agent wants to do.

    Attributes:
        impact: what it touches, as "47 files, 2.3 GB".
        reference: the caller's own id of this call, to find it again after a crash.
        waiting_limit: how many requests of one agent may wait for a decision at a time.
    """

    agent_id: str
    tool_name: str
    tool_args: Any
    human_readable: str
    impact: str | None = None
    expires_in_seconds: int = DEFAULT_EXPIRY_SECONDS
    owner: str = "agent"
    reference: str | None = None
    waiting_limit: int | None = None


class Pass:
    """The answer of the gate. A granted one opens once: `use` it, act, then `report`."""

    def __init__(self, approvals: Approvals, *, granted: bool, why: str, row: ApprovalRow | None) -> None:
        self._approvals = approvals
        self._open = granted
        self.granted = granted
        self.why = why
        self.row = row

    async def use(self) -> bool:
        """Use it up, in the journal, before the tool is released; True exactly once."""
        if not self._open:
            return False
        self._open = False
        return self.row is None or await self._approvals.use(self.row)

    async def report(self, outcome: ApprovalOutcome, detail: str | None = None) -> None:
        """Say what came of it; calls that needed no approval are not told of."""
        if self.row is not None:
            await self._approvals.report(self.row.request_id, outcome, detail)


class Gate:
    """Where the agents' side of this wrapper asks.

    Attributes:
        last_active: when each agent last asked for anything.
    """

    def __init__(self, approvals: Approvals, configuration: Configuration, clock: Clock) -> None:
        self._approvals = approvals
        self._configuration = configuration
        self._clock = clock
        self.last_active: dict[str, datetime] = {}

    def judge(self, agent_id: str, tool_name: str) -> Ruling:
        """What the configuration in force says of a call, now."""
        return judge(self._configuration.current, agent_id, tool_name)

    async def ask(self, call: ToolCall) -> Pass:
        """Judge a call and wait for a person where one must decide; in doubt the answer is no."""
        pending = await self.submit(call)
        return pending if isinstance(pending, Pass) else await self.answer(pending)

    async def submit(self, call: ToolCall) -> Pass | ApprovalRow:
        """Judge a call: a Pass when no person is needed, else the request which is now on its way."""
        if call.agent_id in self.last_active or len(self.last_active) < 1000:
            self.last_active[call.agent_id] = self._clock.now()
        ruling = self.judge(call.agent_id, call.tool_name)
        if ruling.verdict is not ToolOverride.ASK:
            granted = ruling.verdict is ToolOverride.ALLOW
            return Pass(self._approvals, granted=granted, why=ruling.why, row=None)
        return await self._request(call, ruling.command_class)

    async def _request(self, call: ToolCall, command_class: CommandClass) -> Pass | ApprovalRow:
        try:
            return await self._approvals.request(
                agent_id=call.agent_id,
                tool_name=call.tool_name,
                tool_args=call.tool_args,
                human_readable=call.human_readable,
                command_class=command_class,
                impact=call.impact,
                expires_in_seconds=call.expires_in_seconds,
                owner=call.owner,
                reference=call.reference,
                waiting_limit=call.waiting_limit,
            )
        except (NotAskable, JournalFull) as error:
            log.warning("gate.closed", agent=call.agent_id, tool=call.tool_name, reason=str(error))
            return Pass(self._approvals, granted=False, why=f"cannot be asked for: {error}", row=None)

    async def answer(self, row: ApprovalRow) -> Pass:
        """Wait for the decision of a request."""
        settled = await self._approvals.decision(row.request_id)
        granted = settled.state is ApprovalState.APPROVED
        why = settled.reason or settled.state.value
        return Pass(self._approvals, granted=granted, why=why, row=settled)
