"""Approvals as an agent's side sees them: ask, wait, use the grant once, say what came of it. Without a decision,
nothing runs.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import structlog
import trio

from protocol.canonical import NotCanonical, args_hash
from protocol.tenant import ApprovalRequest
from protocol.words import ApprovalOutcome, CommandClass
from wrapper.journal import approvals, messages
from wrapper.journal.approvals import ApprovalRow, ApprovalState
from wrapper.journal.database import Journal, Transaction
from wrapper.ports import Clock

log = structlog.get_logger()

DEFAULT_EXPIRY_SECONDS: Final = 86_400
#: The machine's clock may be set while we sleep: look again at least this often.
_LONGEST_SLEEP_SECONDS: Final = 60.0


class NotAskable(Exception):
    """The call cannot be put before a person, so it cannot run."""


class Approvals:
    """All approvals of this wrapper. Each has an owner, who may ask again after a crash by its own reference."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._waiters: dict[str, set[trio.Event]] = {}
        self._changed = trio.Event()

    async def request(
        self,
        *,
        agent_id: str,
        tool_name: str,
        tool_args: Any,
        human_readable: str,
        command_class: CommandClass,
        impact: str | None = None,
        expires_in_seconds: int = DEFAULT_EXPIRY_SECONDS,
        owner: str = "agent",
        reference: str | None = None,
        waiting_limit: int | None = None,
    ) -> ApprovalRow:
        """Put a call before a person. When this returns, the request is in the journal and on its way.

        Args:
            tool_args: any JSON value; exactly this is what an approval will be for.
            reference: the owner's own id of the call: asking again with it gives the same request.
            waiting_limit: how many requests of one agent may wait for a decision at a time.

        Raises:
            NotAskable: the arguments have no canonical form, something is longer than a frame allows, or too many
                requests of this agent wait already.
            JournalFull: too much waits for the Hub.
        """
        try:
            digest = args_hash(tool_name, tool_args)
            message = ApprovalRequest(
                id="unset",
                agent_id=agent_id,
                command_class=command_class,
                tool_name=tool_name,
                tool_args=msgspec.Raw(msgspec.json.encode(tool_args)),
                args_hash=digest,
                human_readable=human_readable,
                impact=impact,
                expires_in_seconds=expires_in_seconds,
            )
            # Struct constructors do not check limits; the decoder at the other end would.
            message = msgspec.json.decode(msgspec.json.encode(message), type=ApprovalRequest)
            row = await self._journal.run(
                _request, message, owner=owner, reference=reference, waiting_limit=waiting_limit
            )
        except (NotCanonical, ValueError, TypeError) as error:
            raise NotAskable(str(error)) from error
        self._changed.set()
        return row

    async def decision(self, request_id: str) -> ApprovalRow:
        """Wait until the request is settled: by a person, by time, or by a refusal. Bounded by its expiry and grace."""
        event = trio.Event()
        self._waiters.setdefault(request_id, set()).add(event)
        try:
            while True:
                row = await self._journal.run(approvals.get, request_id)
                if row is None:
                    raise NotAskable(f"there is no request {request_id}")
                if row.state is not ApprovalState.REQUESTED:
                    return row
                await event.wait()
        finally:
            waiters = self._waiters.get(request_id, set())
            waiters.discard(event)
            if not waiters:
                self._waiters.pop(request_id, None)

    async def use(self, row: ApprovalRow, *, outcome_within_seconds: float | None = None) -> bool:
        """Use the grant up, before the tool is released: True once, for the arguments that were approved.

        Args:
            outcome_within_seconds: after this long without a report it is reported as abandoned; None: never.
        """
        used = await self._journal.run(
            approvals.use, row.request_id, row.args_hash, outcome_within_seconds=outcome_within_seconds
        )
        self._changed.set()
        return used

    async def report(self, request_id: str, outcome: ApprovalOutcome, detail: str | None = None) -> bool:
        """Say once what became of an approved call; False when that was said before."""
        reported = await self._journal.run(approvals.report, request_id, outcome, detail)
        self._changed.set()
        return reported

    async def find(self, owner: str, name: str) -> ApprovalRow | None:
        """An owner's approval, by the owner's reference or by the request's own id."""
        return await self._journal.run(_find, owner, name)

    async def taken_by_the_hub(self, request_id: str) -> bool:
        """Whether the Hub has committed a request; before that, nobody can have seen it."""
        return not await self._journal.run(messages.is_kept, request_id)

    async def unfinished(self, owner: str) -> list[ApprovalRow]:
        """An owner's approvals that wait, are granted or are in use: what it takes up again after a crash."""
        return await self._journal.run(approvals.unfinished, owner)

    def settled(self, request_ids: list[str]) -> None:
        """The journal settled these: wake who waits."""
        self._tell(request_ids)
        self._changed.set()

    async def run(self) -> None:
        """Fail closed in time, for ever: requests nobody decided, grants nobody took up, outcomes nobody said."""
        while True:
            self._changed = trio.Event()
            failed_closed = await self._journal.run(approvals.expire_due)
            for request_id in failed_closed:
                log.warning("approval.failed_closed", request=request_id)
            self._tell(failed_closed)
            due = await self._journal.run(approvals.next_due)
            wait = _LONGEST_SLEEP_SECONDS if due is None else due - self._clock.now().timestamp()
            with trio.move_on_after(min(max(wait, 0.01), _LONGEST_SLEEP_SECONDS)):
                await self._changed.wait()

    def _tell(self, request_ids: list[str]) -> None:
        for request_id in request_ids:
            for event in self._waiters.get(request_id, ()):
                event.set()


def _find(transaction: Transaction, owner: str, name: str) -> ApprovalRow | None:
    row = approvals.by_reference(transaction, owner, name)
    if row is None:
        row = approvals.get(transaction, name)
    return row if row is not None and row.owner == owner else None


def _request(
    transaction: Transaction,
    message: ApprovalRequest,
    *,
    owner: str,
    reference: str | None,
    waiting_limit: int | None,
) -> ApprovalRow:
    if waiting_limit is not None and approvals.waiting(transaction, owner, message.agent_id) >= waiting_limit:
        known = None if reference is None else approvals.by_reference(transaction, owner, reference)
        if known is None:
            raise NotAskable(f"{waiting_limit} requests of agent {message.agent_id} wait for a decision already")
        return known
    message.id = transaction.new_id()
    return approvals.request(transaction, message, owner=owner, reference=reference)
