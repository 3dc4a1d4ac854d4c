"""The second carrier: heartbeats and messages over HTTP, while sockets are blocked.

It works on the same journal, inbox and session as the socket, so that carriers may change at any moment: a promise is
acknowledged by number once it is on the disk, a message is kept until it was taken, and both ends take each once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
import trio

from protocol.tenant import encode
from wrapper.conversation import Parts
from wrapper.fallback_answer import Answer, read
from wrapper.fallback_client import HubAway, HubClient, HubFailed, HubRefused, KeyRefused, decoded
from wrapper.journal import messages, unnumbered
from wrapper.journal.database import Transaction
from wrapper.reconnect import PATIENT_SECONDS, Backoff

log = structlog.get_logger()

#: Where each message goes, by its frame type.
PATHS: Final = {
    "commandResult": "/commands/{command_id}/result",
    "approvalRequest": "/approval-request",
    "approvalOutcome": "/approval-outcome",
    "configApplied": "/config-applied",
    "usage": "/usage",
    "backupStatus": "/backup-status",
    "activity": "/activity",
    "imageUpdate": "/image-update",
}
#: A configuration that could not be put in force is not pulled again before this.
_PULL_AGAIN_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the Hub is asked, in seconds.

    Attributes:
        idle: while nothing is waited for; the specification wants to hear at least every five minutes.
        waiting: while somebody waits for a decision.
    """

    idle: float = 60.0
    waiting: float = 5.0


class _Kind(msgspec.Struct, rename="camel"):
    type: str
    command_id: str = ""


class _Named(msgspec.Struct):
    id: str


class Fallback:
    """Carries over HTTP from `begin` to `end`.

    Args:
        open_client: makes the client when it is first needed.
        on_change: told whether the Hub is being reached this way.
        on_returned: messages that were being sent may be sent by another carrier.
    """

    def __init__(
        self,
        open_client: Callable[[], HubClient],
        parts: Parts,
        *,
        pace: Pace,
        on_change: Callable[[bool, str], None],
        on_returned: Callable[[], None],
    ) -> None:
        self._open_client = open_client
        self._parts = parts
        self._pace = pace
        self._on_change = on_change
        self._on_returned = on_returned
        self._backoff = Backoff(parts.randomness)
        self._begun = trio.Event()
        self._scope: trio.CancelScope | None = None
        self._to_send = trio.Event()
        self._hurry = trio.Event()
        self._not_before = 0.0
        self._pull_wanted = False
        self._pulled: tuple[int, float] | None = None

    @property
    def carrying(self) -> bool:
        """Whether it is this carrier's turn."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Carry from now on."""
        self._begun.set()

    def end(self) -> None:
        """Stop: the socket carries again."""
        if self._begun.is_set():
            self._begun = trio.Event()
        if self._scope is not None:
            self._scope.cancel()

    def wake(self) -> None:
        """There may be something to send."""
        self._to_send.set()

    def pull(self) -> None:
        """There is another configuration: ask now."""
        self._pull_wanted = True
        self._hurry.set()

    async def run(self) -> None:
        """Carry whenever it is this carrier's turn, for ever."""
        while True:
            while not self._begun.is_set():
                await self._begun.wait()
            client = self._open_client()
            try:
                with trio.CancelScope() as self._scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._beat_on, client)
                        nursery.start_soon(self._send_on, client)
            finally:
                self._scope = None
                with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                    await client.aclose()

    # --- going well, and not ---------------------------------------------------------------------------

    def _went_well(self) -> None:
        self._backoff.reset()
        self._on_change(True, "")

    def _went_wrong(self, error: HubAway | HubFailed | HubRefused | KeyRefused) -> None:
        pause = self._backoff.next()
        uniform = self._parts.randomness.uniform
        if isinstance(error, KeyRefused):
            pause = PATIENT_SECONDS + uniform(0, PATIENT_SECONDS / 10)
        elif isinstance(error, HubAway) and error.given_seconds:
            pause = error.given_seconds + uniform(0, max(error.given_seconds, pause))
        self._not_before = max(self._not_before, trio.current_time() + pause)
        log.warning("http.postponed", reason=str(error), retry_in_seconds=round(pause, 1))
        if not isinstance(error, HubFailed):
            self._on_change(False, str(error))

    async def _turn(self) -> None:
        """Wait as long as the Hub, or what became of the last try, demands."""
        await trio.sleep_until(self._not_before)

    # --- heartbeats --------------------------------------------------------------------------------------

    async def _beat_on(self, client: HubClient) -> None:
        while True:
            await self._turn()
            self._hurry = trio.Event()
            try:
                if self._pull_wanted:
                    self._pull_wanted = False
                    await self._pull(client)
                if await self._beat(client):
                    continue  # acknowledge it now
            except (HubAway, HubFailed, HubRefused, KeyRefused) as error:
                self._went_wrong(error)
                continue
            waits = await self._parts.journal.run(_somebody_waits)
            pause = self._pace.waiting if waits else self._pace.idle
            with trio.move_on_after(pause * self._parts.randomness.uniform(0.9, 1.0)):
                await self._hurry.wait()

    async def _beat(self, client: HubClient) -> bool:
        """One heartbeat; returns whether it brought promises."""
        parts = self._parts
        body = msgspec.structs.replace(parts.heartbeat(), ack_seq=parts.session.journalled)
        answer: Answer = decoded(await client.ask("POST", "/heartbeat", encode(body)), Answer)
        self._went_well()
        if answer.server_time is not None and answer.server_time.tzinfo is not None:
            parts.time.learned(answer.server_time.timestamp())
        news = await self._take(answer)
        if answer.config_changed and self._worth_pulling(answer.config_version):
            await self._pull(client)
        return news

    async def _take(self, answer: Answer) -> bool:
        inbox, now = self._parts.inbox, self._parts.time.now()
        brought = read(answer)
        for command in brought.commands:
            await inbox.take_command(command, delivery=None, now=now)
        for decision in brought.decisions:
            await inbox.take_decision(decision, delivery=None, now=now)
        if answer.answered_seq is None:
            return False
        return await inbox.take_answer(brought.frames, answer.answered_seq)

    def _worth_pulling(self, version: int) -> bool:
        if self._pulled is None or self._pulled[0] != version:
            return True
        return trio.current_time() - self._pulled[1] >= _PULL_AGAIN_SECONDS

    async def _pull(self, client: HubClient) -> None:
        """Ask for the whole configuration. It is applied like an offer; what became of it is told as of one."""
        config = await client.ask("GET", "/config")
        self._went_well()
        version = self._parts.inbox.configuration_pulled(config)
        self._pulled = (version, trio.current_time())

    # --- messages ----------------------------------------------------------------------------------------

    async def _send_on(self, client: HubClient) -> None:
        session = self._parts.session
        while True:
            await self._turn()
            self._to_send = trio.Event()
            ids = session.to_send()
            if not ids:
                await self._to_send.wait()
                continue
            left = dict.fromkeys(ids)
            try:
                frames = await self._parts.journal.run(messages.load, ids)
                for message_id in ids:
                    await self._send(client, message_id, frames.get(message_id))
                    del left[message_id]
            except (HubAway, KeyRefused) as error:
                self._went_wrong(error)
            except HubFailed as error:
                # This one goes behind the others, which are not to suffer from it.
                session.refused(message_id, temporary=True)
                session.retry(message_id)
                self._went_wrong(error)
            finally:
                session.unanswered(left)
                self._on_returned()

    async def _send(self, client: HubClient, message_id: str, body: bytes | None) -> None:
        parts = self._parts
        if body is None:  # no longer owed: an approval request that expired while it waited
            parts.session.refused(message_id, temporary=False)
            return
        kind = msgspec.json.decode(body, type=_Kind)
        path = PATHS[kind.type].format(command_id=kind.command_id)
        try:
            data = await client.ask("POST", path, body)
        except HubRefused as refusal:
            self._went_well()
            await parts.inbox.give_up(message_id, str(refusal))
            return
        self._went_well()
        if kind.type == "approvalRequest":
            approval: _Named = decoded(data, _Named)
            await parts.journal.run(unnumbered.know_approval, message_id, approval.id)
            self._hurry.set()
        await parts.inbox.message_taken(message_id)


def _somebody_waits(transaction: Transaction) -> bool:
    """Whether a request waits for its decision."""
    (waits,) = transaction.execute("SELECT EXISTS (SELECT 1 FROM approvals WHERE state = 'requested')").fetchone()
    return bool(waits)
