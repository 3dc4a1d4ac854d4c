"""The Sans-I/O protocol of `websockets`, made lean: no logger of its own, nothing kept of the handshake."""

from __future__ import annotations

import logging
import uuid

from websockets.frames import CLOSE, Close, CloseCode, Frame
from websockets.protocol import SERVER, Protocol

#: Outside the tree of loggers, and never enabled: the door logs what matters, without header values.
QUIET = logging.Logger("controlplane.door.frames", logging.CRITICAL)

_NO_ID = uuid.UUID(int=0)


class FrameProtocol(Protocol):
    """The protocol of a connection whose handshake is done: frames only, no extension."""

    def __init__(self) -> None:
        super().__init__(SERVER, logger=QUIET)
        self.id = _NO_ID  # made for its logs; one shared object instead of one a connection

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame. A peer may close between two fragments: RFC 6455 section 5.4 lets control frames stand there,
        and the message that will never be whole is no reason to answer 1002 (Autobahn case 7.1.5)."""
        if frame.opcode is CLOSE:
            self.current_size = None
        super().recv_frame(frame)


def verdict(protocol: Protocol) -> tuple[int, str]:
    """Why a protocol is no longer open: what failed it, else what the peer's close frame said."""
    said: Close | None = protocol.close_rcvd
    if protocol.parser_exc is not None and protocol.close_sent is not None:
        said = protocol.close_sent
    if said is None:
        return CloseCode.ABNORMAL_CLOSURE, ""
    return said.code, said.reason
