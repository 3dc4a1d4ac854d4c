"""The bridge to an OpenClaw gateway: what the gateway asks becomes an approval request, the decision its answer.

The gateway keeps what it asks in memory, for two minutes unless its caller says otherwise, and denies by itself when
that is over. The bridge answers `allow-once` for a grant that has been used up in the journal, and `deny` for all
else; `allow-always` is never said. Which request belongs to which gateway id is in the journal, so a restart of either
side in between loses nothing that the gateway still waits for.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any, Final

import msgspec
import structlog
import trio

from protocol.words import ApprovalOutcome
from wrapper.daemon import Wrapper
from wrapper.gate import Pass, ToolCall
from wrapper.gateway import Gateway, GatewayAddress, GatewayLost, GatewayRefused
from wrapper.journal.approvals import ApprovalRow, ApprovalState
from wrapper.journal.commands import INTERRUPTED
from wrapper.journal.database import sayable
from wrapper.keyring import Secret
from wrapper.ports import Clock, Randomness
from wrapper.reconnect import CALM_SECONDS, Backoff

log = structlog.get_logger()

OWNER: Final = "openclaw"
#: Questions handled at the same time; further ones are denied.
OPEN_LIMIT: Final = 500
COMMAND_LIMIT_CHARACTERS: Final = 50_000


class _Question(msgspec.Struct, rename="camel"):
    """`exec.approval.requested`."""

    id: str
    request: dict[str, Any]
    created_at_ms: int
    expires_at_ms: int

    @property
    def reference(self) -> str:
        """An id may be used again once its question is over; with its moment it is the only one."""
        return f"{self.created_at_ms}:{self.expires_at_ms}:{self.id}"


def _gateway_id(reference: str) -> tuple[str, float]:
    """The gateway's id and when it stops waiting (Unix seconds), out of a reference."""
    _, expires_at_ms, gateway_id = reference.split(":", 2)
    return gateway_id, int(expires_at_ms) / 1000


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Bridge:
    """Bridges one gateway.

    Args:
        tool_name: under which the gateway's commands are judged and shown.
    """

    def __init__(
        self,
        address: GatewayAddress,
        token: Secret | None,
        *,
        tool_name: str = "exec",
        randomness: Randomness,
        clock: Clock,
    ) -> None:
        self._address = address
        self._token = token
        self._tool_name = tool_name
        self._randomness = randomness
        self._clock = clock
        self._gateway: Gateway | None = None
        self._changed = trio.Event()
        self._open: set[str] = set()

    async def run(self, wrapper: Wrapper) -> None:
        """Keep the connection to the gateway and answer it, for ever."""
        version = importlib.metadata.version("letsbe-hub")
        backoff = Backoff(self._randomness)
        wrapper.openclaw = {"connected": False, "version": None}
        async with trio.open_nursery() as nursery:
            for row in await wrapper.approvals.unfinished(OWNER):
                if row.reference is not None:
                    self._open.add(row.reference)
                    nursery.start_soon(self._take_up, wrapper, row)

            def on_event(name: str, payload: bytes) -> None:
                if name == "exec.approval.requested":
                    self._asked(wrapper, payload, nursery)

            while True:
                began = trio.current_time()
                reason = await self._once(wrapper, version, on_event)
                if trio.current_time() - began >= CALM_SECONDS:
                    backoff.reset()
                wrapper.openclaw = {**wrapper.openclaw, "connected": False, "lastEnding": reason}
                pause = backoff.next()
                log.warning("gateway.lost", reason=reason, retry_in_seconds=round(pause, 1))
                await trio.sleep(pause)

    async def _once(self, wrapper: Wrapper, version: str, on_event: Any) -> str:
        reason = "the gateway went away"
        try:
            async with Gateway.open(self._address, self._token, version, on_event) as gateway:
                self._gateway = gateway
                self._tell_change()
                wrapper.openclaw = {"connected": True, "version": gateway.hello.server.version}
                log.info("gateway.connected", version=gateway.hello.server.version)
                await gateway.lost()
        except* (GatewayLost, GatewayRefused) as errors:
            reason = str(_leaf(errors))
        finally:
            self._gateway = None
            self._tell_change()
        return reason

    async def request(self, method: str, params: dict[str, Any]) -> bytes:
        """Ask the gateway something that changes nothing; the answer's payload.

        Raises:
            GatewayRefused: the answer is an error.
            GatewayLost: it is not connected, or did not answer.
        """
        if self._gateway is None:
            raise GatewayLost("the gateway is not connected")
        return await self._gateway.request(method, params)

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # --- questions ---------------------------------------------------------------------------------------

    def _asked(self, wrapper: Wrapper, payload: bytes, nursery: trio.Nursery) -> None:
        try:
            question = msgspec.json.decode(payload, type=_Question)
        except (msgspec.MsgspecError, RecursionError) as error:
            log.error("gateway.unreadable", reason=str(error))
            return  # it will expire in the gateway, which denies
        if question.reference in self._open:
            return
        self._open.add(question.reference)
        if len(self._open) > OPEN_LIMIT:
            nursery.start_soon(self._deny, question.reference)
        else:
            nursery.start_soon(self._handle, wrapper, question)

    async def _deny(self, reference: str) -> None:
        log.warning("gateway.denied", reason="too many questions at once")
        await self._resolve(reference, "deny")
        self._open.discard(reference)

    async def _handle(self, wrapper: Wrapper, question: _Question) -> None:
        try:
            answer = await wrapper.gate.submit(self._call(question))
            if not isinstance(answer, Pass):
                log.info("gateway.asked", gateway_id=question.id, request=answer.request_id)
                answer = await wrapper.gate.answer(answer)
            await self._answer(answer, question.reference)
        finally:
            self._open.discard(question.reference)

    def _call(self, question: _Question) -> ToolCall:
        request = {name: value for name, value in question.request.items() if value is not None}
        agent_id = str(request.pop("agentId", None) or "main")[:200]
        command = str(request.get("command", ""))
        where = f" in {request['cwd']}" if request.get("cwd") else ""
        seconds = (question.expires_at_ms - question.created_at_ms) / 1000
        return ToolCall(
            agent_id=agent_id,
            tool_name=self._tool_name,
            tool_args=request,
            human_readable=sayable(f"{agent_id} wants to run{where}: {command}", COMMAND_LIMIT_CHARACTERS),
            expires_in_seconds=max(1, min(int(seconds), 30 * 86_400)),
            owner=OWNER,
            reference=question.reference,
        )

    async def _take_up(self, wrapper: Wrapper, row: ApprovalRow) -> None:
        """Go on with what a restart of this process cut off."""
        assert row.reference is not None
        try:
            if row.state is not ApprovalState.USED:
                await self._answer(await wrapper.gate.answer(row), row.reference)
                return
            # The grant is used up and the gateway may or may not have heard. If it still waits, it has not.
            heard = await self._resolve(row.reference, "allow-once")
            outcome = ApprovalOutcome.EXECUTED if heard else ApprovalOutcome.FAILED
            await wrapper.approvals.report(row.request_id, outcome, "released once" if heard else INTERRUPTED)
        finally:
            self._open.discard(row.reference)

    async def _answer(self, answer: Pass, reference: str) -> None:
        gateway_id, expires_at = _gateway_id(reference)
        if answer.granted and self._now() >= expires_at:
            await answer.report(ApprovalOutcome.ABANDONED, "the gateway stopped waiting before the decision")
            return
        if not await answer.use():
            denied = await self._resolve(reference, "deny")
            log.info("gateway.denied", gateway_id=gateway_id, why=answer.why, heard=denied)
            return
        released = await self._resolve(reference, "allow-once")
        log.info("gateway.released", gateway_id=gateway_id, heard=released)
        if released:
            await answer.report(ApprovalOutcome.EXECUTED, "released once by the gateway")
        elif released is None:
            await answer.report(ApprovalOutcome.FAILED, INTERRUPTED)
        else:
            await answer.report(ApprovalOutcome.ABANDONED, "the gateway no longer waits")

    async def _resolve(self, reference: str, decision: str) -> bool | None:
        """Tell the gateway; True: it was waiting and heard. False: it does not wait. None: nobody knows."""
        gateway_id, expires_at = _gateway_id(reference)
        doubtful = False
        while (left := expires_at - self._now()) > 0:
            gateway = self._gateway
            if gateway is None:
                with trio.move_on_after(left):
                    await self._changed.wait()
                continue
            try:
                await gateway.request("exec.approval.resolve", {"id": gateway_id, "decision": decision})
            except GatewayRefused as error:
                log.info("gateway.not_waiting", gateway_id=gateway_id, reason=str(error))
                return None if doubtful else False
            except GatewayLost:
                doubtful = True
                with trio.move_on_after(min(left, 1)):
                    await self._changed.wait()
            else:
                return True
        return None if doubtful else False

    def _now(self) -> float:
        """The gateway's expiries are of this machine's clock: both run on it."""
        return self._clock.now().timestamp()
