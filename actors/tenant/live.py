"""One wrapper's session on one socket: what the Hub says on it, and whether the wrapper is still heard."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from actors.ports import Attached, Delivery, Link, Progress
from actors.runtime.timers import Timer
from actors.tenant.messages import AskWrapper
from actors.tenant.presence import LATE_AFTER_HEARTBEATS, OFFLINE_AFTER_HEARTBEATS
from actors.tenant.questions import Questions
from protocol.faults import TenantOffline
from protocol.session import HubSession, Verdict
from protocol.tenant import (
    ALWAYS_ALLOWED,
    FRAME_LIMIT_BYTES,
    PROTOCOL_VERSION,
    Accepted,
    Drain,
    Hello,
    Refused,
    Reply,
    Void,
    Welcome,
    encode,
)

#: Promises on the way to a wrapper without its acknowledgement.
WINDOW: Final = 64
#: A hello waits less for its session than its wrapper for its welcome (20 s): when everybody comes at once, those who
#: have left meanwhile must cost nothing, or nobody would ever be served in time.
GREETING_SECONDS: Final = 15.0
#: What the Hub may want to send besides what every wrapper takes.
_OFFERED: Final = ("command", "approvalSettled", "configOffered", "query", "drain")


@dataclass(slots=True)
class Live:
    """A session.

    Args:
        takes: the frame types that may be sent; one tuple of constants, for thousands of these lie in memory.
        presence: fires when the wrapper should have been heard.
        retry: fires when promises are to be tried again after the database was away.
        questions: those the wrapper has not answered; None until the first is asked.
    """

    link: Link
    session: HubSession
    epoch: int
    takes: tuple[str, ...]
    boot_id: str
    presence: Timer | None = None
    retry: Timer | None = None
    questions: Questions | None = None

    @classmethod
    def begin(
        cls, link: Link, hello: Hello, attached: Attached, *, name: str, heartbeat_seconds: int, now: datetime
    ) -> Live:
        """Welcome a wrapper whose session the book has taken."""
        link.frame_limit = FRAME_LIMIT_BYTES
        session = HubSession.resume(
            last_seq=hello.last_seq, acknowledged=attached.acked_seq, issued=attached.issued_seq
        )
        welcome = Welcome(
            protocol=PROTOCOL_VERSION,
            session_id=f"{name}/{attached.epoch}",
            epoch=attached.epoch,
            server_time=now,
            heartbeat_seconds=heartbeat_seconds,
            max_frame_bytes=FRAME_LIMIT_BYTES,
            config_version=attached.config_version,
            resumed_from=session.resumed_from,
        )
        link.send_text(encode(welcome))
        takes = (*ALWAYS_ALLOWED, *(kind for kind in _OFFERED if kind in hello.capabilities))
        return cls(link, session, attached.epoch, takes, hello.boot_id)

    # --- promises ----------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many promises may be sent before the wrapper acknowledges."""
        return WINDOW - self.session.outstanding

    def is_next(self, delivery: Delivery) -> bool:
        """Whether a promise comes right after what was sent, and may be."""
        return self.session.sent == delivery.seq - 1 and self.room > 0

    def send(self, deliveries: list[Delivery], withdrawn: Container[int]) -> None:
        """Send promises in order, the withdrawn ones as `void`."""
        for delivery in deliveries:
            if self.session.sending(delivery.seq) is Verdict.NEW:
                frame = encode(Void(delivery.seq)) if delivery.seq in withdrawn else delivery.frame
                self.link.send_text(frame)

    def progress(self, order_id: UUID, at: datetime) -> Progress:
        """How far the promises have come."""
        return Progress(order_id, self.session.sent, self.session.acknowledged, at)

    # --- messages ----------------------------------------------------------------------------------------

    def accept(self, message_id: str) -> None:
        """The book has committed this message."""
        self.session.answered(message_id)
        self.link.send_text(encode(Accepted([message_id])))

    def refuse(self, message_id: str, code: str, reason: str, *, temporary: bool) -> None:
        """This message was not taken."""
        self.session.answered(message_id)
        self.link.send_text(encode(Refused(message_id, code, reason, temporary)))

    def send_away(self, reconnect_after_ms: int) -> None:
        """Tell a wrapper that knows the word that this node ends."""
        if "drain" in self.takes:
            self.link.send_text(encode(Drain(reconnect_after_ms)))

    # --- live questions ----------------------------------------------------------------------------------

    def ask(self, question: AskWrapper) -> None:
        """Put a question to the wrapper.

        Raises:
            TenantOffline: its socket is gone, or it takes no questions.
            Overloaded: too many wait already.
        """
        if "query" not in self.takes:
            raise TenantOffline("the server's Safety Wrapper is too old to be asked anything")
        if self.questions is None:
            self.questions = Questions()
        self.questions.put(self.link, question)

    def answered(self, reply: Reply) -> None:
        """The wrapper has answered; what nobody waits for any more is dropped."""
        if self.questions is not None:
            self.questions.answered(reply)

    def drop(self, question_id: str) -> None:
        """Nobody waits for this answer any more."""
        if self.questions is not None:
            self.questions.drop(question_id)

    # --- presence ----------------------------------------------------------------------------------------

    def silent_seconds(self, now: float) -> float:
        """Since when nothing came from the wrapper; `now` on trio's clock."""
        return max(0.0, now - self.link.last_received_at)

    def is_lively(self, now: float, heartbeat_seconds: int) -> bool:
        """Whether the wrapper still speaks, so that it is not the ghost of one that has come back."""
        return self.link.open and self.silent_seconds(now) < heartbeat_seconds * LATE_AFTER_HEARTBEATS

    def patience_seconds(self, now: float, heartbeat_seconds: int) -> float:
        """How much longer the wrapper may be silent; 0 or less: it is gone."""
        if not self.link.open:
            return 0.0
        return heartbeat_seconds * OFFLINE_AFTER_HEARTBEATS - self.silent_seconds(now)

    def end(self) -> None:
        """Wait for nothing more."""
        for timer in (self.presence, self.retry):
            if timer is not None:
                timer.cancel()
        self.presence = self.retry = None
        if self.questions is not None:
            self.questions.end()
