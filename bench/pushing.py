"""What both push servers say: one command as the Hub frames it, and one step of a session."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from protocol.session import HubSession
from protocol.tenant import Ack, Command, encode, from_tenant

_AT = datetime(2026, 3, 15, 14, 22, tzinfo=UTC)
_PAYLOAD = msgspec.Raw(b'{"service":"ghost","reason":"the customer asked for it","graceful":true}')


def command_frame(seq: int) -> bytes:
    """A command as it travels, some 250 bytes."""
    return encode(
        Command(
            seq=seq,
            id="cmd_01hf7yat00egct8p07qq1zp0wf",
            command_type="RESTART_SERVICE",
            payload=_PAYLOAD,
            issued_at=_AT,
            expires_at=_AT,
        )
    )


def acknowledged(session: HubSession, data: bytes) -> bool:
    """Take a frame; True when it acknowledges a push for the first time."""
    frame = from_tenant.decode(data)
    return isinstance(frame, Ack) and session.acknowledge(frame.seq) > 0


def next_push(session: HubSession) -> bytes:
    """The next promise of a session, counted as sent."""
    seq = session.sent + 1
    session.sending(seq)
    return command_frame(seq)
