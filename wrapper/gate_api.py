"""`POST /gate` of the local port: may this agent run this tool with these arguments? And what became of it.

The caller says who it is and what it wants, never how harmful that is: the class comes from the configuration. The
answer is `allow`, `deny`, or `pending` when nobody has decided within the caller's wait; asking again with the same
`requestId` goes on waiting for the same decision. A grant is used up in the journal before `allow` is said, so it is
said once: an answer that is lost on its way opens nothing a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
import structlog
import trio
from msgspec import Meta

from protocol.canonical import NotCanonical, args_hash
from protocol.faults import Conflict, Forbidden, NotFound, Overloaded, Unauthorized
from protocol.tenant import Long, MessageId, Name
from protocol.words import ApprovalOutcome, CommandClass, ToolOverride
from wrapper.agent_tokens import AgentTokens
from wrapper.approvals import DEFAULT_EXPIRY_SECONDS
from wrapper.daemon import Wrapper
from wrapper.gate import Pass, ToolCall
from wrapper.journal.approvals import ApprovalRow, ApprovalState
from wrapper.journal.database import sayable
from wrapper.local_api import HANDLER_SECONDS, LocalApi, LocalRequest, LocalResponse
from wrapper.policy import Ruling
from wrapper.reading import read_fields

log = structlog.get_logger()

OWNER: Final = "gate"
WAIT_SECONDS: Final = 60
WAIT_LIMIT_SECONDS: Final = 600
OUTCOME_SECONDS: Final = 3600
#: Callers that wait at a time; further ones are answered at once, and ask again.
WAITING_CALLERS: Final = 192
#: Requests of one agent that wait for a decision at a time; further ones are denied: nobody reads a thousand cards.
WAITING_REQUESTS: Final = 100
_SHOWN_CHARACTERS: Final = 2000


class GateRequest(msgspec.Struct, rename="camel"):
    """What an agent asks.

    Attributes:
        human_readable: what a person reads; made of tool and arguments where it is missing.
        impact: what it touches, as "47 files, 2.3 GB".
        wait_seconds: how long this call may wait for a decision.
        expires_in_seconds: how long people have to decide.
        request_id: the caller's own id of this call; without one the answer gives one.
        outcome_within_seconds: how long after `allow` the caller may take to say what became of it.
    """

    agent_id: Name
    tool_name: Name
    tool_args: Any
    human_readable: Annotated[str, Meta(min_length=1, max_length=200_000)] | None = None
    impact: Annotated[str, Meta(max_length=2000)] | None = None
    wait_seconds: Annotated[float, Meta(ge=0, le=WAIT_LIMIT_SECONDS)] = WAIT_SECONDS
    expires_in_seconds: Annotated[int, Meta(ge=1, le=30 * 86_400)] = DEFAULT_EXPIRY_SECONDS
    request_id: MessageId | None = None
    outcome_within_seconds: Annotated[int, Meta(ge=1, le=7 * 86_400)] = OUTCOME_SECONDS


class GateAnswer(msgspec.Struct, rename="camel"):
    """What the gate says.

    Attributes:
        reason: why, in words for the agent.
        request_id: None where nobody had to be asked.
        outcome_expected: whether the caller is to say what became of it.
    """

    decision: Literal["allow", "deny", "pending"]
    reason: str
    agent_id: str
    tool_name: str
    command_class: CommandClass
    request_id: str | None = None
    approval_id: str | None = None
    responded_by: str | None = None
    args_hash: str | None = None
    expires_at: datetime | None = None
    outcome_expected: bool = False


class OutcomeReport(msgspec.Struct, rename="camel"):
    """What became of an allowed call."""

    outcome: ApprovalOutcome
    detail: Long | None = None


class GateApi:
    """Answers `/gate` for one wrapper.

    Args:
        wrapper: the running wrapper; None while it is still registering.
        tokens: by which agents are told apart; None: a caller is believed.
    """

    def __init__(self, wrapper: Callable[[], Wrapper | None], tokens: AgentTokens | None = None) -> None:
        self._find_wrapper = wrapper
        self._tokens = tokens
        self._waiting = 0

    def add_to(self, api: LocalApi) -> None:
        """Put the gate's routes on the port, for programs of this machine alone."""
        api.route("POST", "/gate", self._ask, seconds=WAIT_LIMIT_SECONDS + HANDLER_SECONDS, ends_with_caller=True)
        api.route("POST", "/gate/{requestId}/outcome", self._outcome)

    @property
    def _wrapper(self) -> Wrapper:
        wrapper = self._find_wrapper()
        if wrapper is None:
            raise Overloaded("the wrapper is not registered with the Hub yet, so nothing runs", retry_after_seconds=5)
        return wrapper

    def _demand_agent(self, request: LocalRequest, agent_id: str) -> None:
        if self._tokens is None:
            return
        try:
            self._tokens.demand(request.headers, agent_id)
        except (Unauthorized, Forbidden) as fault:
            log.warning("gate.refused", agent=agent_id, reason=fault.message)
            raise

    # --- asking ------------------------------------------------------------------------------------------

    async def _ask(self, request: LocalRequest) -> LocalResponse:
        asked = read_fields(request.json(), GateRequest)
        self._demand_agent(request, asked.agent_id)
        answer = await self._answer(asked)
        log.info(
            "gate.answered",
            agent=asked.agent_id,
            tool=asked.tool_name,
            decision=answer.decision,
            request=answer.request_id,
        )
        return LocalResponse(answer, 202 if answer.decision == "pending" else 200)

    async def _answer(self, asked: GateRequest) -> GateAnswer:
        wrapper = self._wrapper
        row = None
        if asked.request_id is not None:
            row = await wrapper.approvals.find(OWNER, asked.request_id)
        if row is None:
            submitted = await wrapper.gate.submit(_call(asked))
            if isinstance(submitted, Pass):
                ruling = wrapper.gate.judge(asked.agent_id, asked.tool_name)
                return _by_policy(asked, ruling, submitted)
            row = submitted
        _demand_same_call(asked, row)
        ruling = wrapper.gate.judge(asked.agent_id, asked.tool_name)
        if ruling.verdict is not ToolOverride.DENY:
            row = await self._wait(wrapper, row, asked.wait_seconds)
            ruling = wrapper.gate.judge(asked.agent_id, asked.tool_name)
        if ruling.verdict is ToolOverride.DENY:
            # The configuration has changed since the request was made, and what it denies no person may allow.
            if row.state is ApprovalState.APPROVED:
                await wrapper.approvals.report(row.request_id, ApprovalOutcome.ABANDONED, ruling.why)
            return _of(asked, row, "deny", ruling.why)
        if row.state is not ApprovalState.APPROVED:
            return await self._closed(wrapper, asked, row)
        if await wrapper.approvals.use(row, outcome_within_seconds=asked.outcome_within_seconds):
            return _of(asked, row, "allow", _with_reason(f"approved by {row.responded_by or 'a person'}", row.reason))
        kept = await wrapper.approvals.find(OWNER, row.request_id)
        return await self._closed(wrapper, asked, kept or row)

    async def _wait(self, wrapper: Wrapper, row: ApprovalRow, seconds: float) -> ApprovalRow:
        """The request once it is decided, or as it is when the time is over."""
        if row.state is not ApprovalState.REQUESTED or self._waiting >= WAITING_CALLERS:
            return row
        self._waiting += 1
        try:
            with trio.move_on_after(seconds):
                return await wrapper.approvals.decision(row.request_id)
        finally:
            self._waiting -= 1
        return await wrapper.approvals.find(OWNER, row.request_id) or row

    async def _closed(self, wrapper: Wrapper, asked: GateRequest, row: ApprovalRow) -> GateAnswer:
        """The answer for a request that opens nothing, or nothing yet."""
        by = row.responded_by or "a person"
        match row.state:
            case ApprovalState.REQUESTED:
                if await wrapper.approvals.taken_by_the_hub(row.request_id):
                    where = "it waits for a person's decision"
                else:
                    where = "the Hub has not taken the request yet, so nobody has seen it"
                again = f"ask again with requestId {row.reference or row.request_id} to go on waiting"
                return _of(asked, row, "pending", f"{where}; {again}")
            case ApprovalState.DENIED:
                why = _with_reason(f"denied by {by}", row.reason)
            case ApprovalState.EXPIRED:
                why = _with_reason("expired before anybody decided", row.reason)
            case ApprovalState.REFUSED:
                why = _with_reason("the Hub does not take this request", row.reason)
            case ApprovalState.APPROVED:
                why = f"approved by {by}, but too long ago: nobody took the approval up in time; ask anew"
            case ApprovalState.ABANDONED:
                why = _with_reason("the approval was given back and is no longer valid", row.reason)
            case ApprovalState.USED | ApprovalState.DONE:
                why = f"approved by {by} and released once already; an approval is for one run, so ask anew"
        return _of(asked, row, "deny", why)

    # --- what became of it -------------------------------------------------------------------------------

    async def _outcome(self, request: LocalRequest) -> LocalResponse:
        said = read_fields(request.json(), OutcomeReport)
        name = request.parameters["requestId"]
        if self._tokens is not None:
            self._tokens.owner(request.headers)
        row = await self._wrapper.approvals.find(OWNER, name)
        if row is None:
            raise NotFound(f"there is no request {name[:100]}; calls that needed no approval have no outcome to say")
        self._demand_agent(request, row.agent_id)
        withdrawn = row.state is ApprovalState.APPROVED and said.outcome is ApprovalOutcome.ABANDONED
        detail = None if said.detail is None else sayable(said.detail)
        if (row.state is ApprovalState.USED or withdrawn) and await self._wrapper.approvals.report(
            row.request_id, said.outcome, detail
        ):
            return LocalResponse({"requestId": name, "outcome": said.outcome})
        row = await self._wrapper.approvals.find(OWNER, name) or row
        if row.outcome == said.outcome.value:
            return LocalResponse({"requestId": name, "outcome": said.outcome})
        if row.outcome is not None:
            raise Conflict(f"its outcome was told as {row.outcome} already", details={"outcome": row.outcome})
        raise Conflict(f"it was never released: the request is {row.state.value}", details={"state": row.state.value})


def _call(asked: GateRequest) -> ToolCall:
    return ToolCall(
        agent_id=asked.agent_id,
        tool_name=asked.tool_name,
        tool_args=asked.tool_args,
        human_readable=asked.human_readable or _in_words(asked),
        impact=asked.impact,
        expires_in_seconds=asked.expires_in_seconds,
        owner=OWNER,
        reference=asked.request_id,
        waiting_limit=WAITING_REQUESTS,
    )


def _demand_same_call(asked: GateRequest, row: ApprovalRow) -> None:
    """A request id opens nothing but the call it was given for."""
    try:
        same = row.args_hash == args_hash(asked.tool_name, asked.tool_args) and row.agent_id == asked.agent_id
    except NotCanonical:
        same = False
    if not same:
        raise Conflict(f"requestId {asked.request_id} is another call's: agent, tool and arguments must be the same")


def _by_policy(asked: GateRequest, ruling: Ruling, answer: Pass) -> GateAnswer:
    return GateAnswer(
        decision="allow" if answer.granted else "deny",
        reason=answer.why,
        agent_id=asked.agent_id,
        tool_name=asked.tool_name,
        command_class=ruling.command_class,
    )


def _of(asked: GateRequest, row: ApprovalRow, decision: Literal["allow", "deny", "pending"], why: str) -> GateAnswer:
    return GateAnswer(
        decision=decision,
        reason=why,
        agent_id=asked.agent_id,
        tool_name=asked.tool_name,
        command_class=CommandClass(row.command_class),
        request_id=row.reference or row.request_id,
        approval_id=row.approval_id,
        responded_by=row.responded_by,
        args_hash=row.args_hash,
        expires_at=datetime.fromtimestamp(row.expires_at, UTC),
        outcome_expected=decision == "allow",
    )


def _with_reason(words: str, reason: str | None) -> str:
    return f"{words}: {reason}" if reason else words


def _in_words(asked: GateRequest) -> str:
    text = msgspec.json.encode(asked.tool_args).decode()
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "…"
    return f"{asked.agent_id} wants to run {asked.tool_name} with {text}"
