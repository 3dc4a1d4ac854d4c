"""One WebSocket on the server side: frames in and out of one file descriptor, and nothing in it ever waits."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

import structlog
from websockets.frames import BINARY, CLOSE, CONT, PING, TEXT, CloseCode, Frame
from websockets.protocol import OPEN, Event

from controlplane.door.sockets.backlog import Backlog
from controlplane.door.sockets.frames import binary_frame, plain_text_at, text_frame
from controlplane.door.sockets.partial import PartialMessage
from controlplane.door.sockets.poller import Poller, close_socket
from controlplane.door.sockets.profile import Profile
from controlplane.door.sockets.readiness import READ, WRITE
from controlplane.door.sockets.sansio import FrameProtocol, verdict

log = structlog.get_logger()

SLOW_CONSUMER: Final = 4003
TOO_FAST: Final = 4005
TOO_FAST_SECONDS: Final = 5
REASON_BYTES: Final = 123
_OPEN, _CLOSING, _GONE = range(3)


class SocketHandler(Protocol):
    """Who is told what arrives. Called by the poller: must not wait."""

    def on_text(self, connection: Connection, data: bytes) -> None:
        """A whole text message, valid UTF-8."""

    def on_close(self, connection: Connection, code: int, reason: str) -> None:
        """The connection is no longer open, for whatever cause. Called once, never from within another call.

        `code` is what was said first, by us or by the peer: 1005 when the peer's close frame carried none, 1006
        when it went without a word.
        """


class Connection:
    """An accepted WebSocket. All methods are synchronous and belong to the trio thread.

    Args:
        poller: watches the file descriptor already; the connection takes over its entry.
        sock: non-blocking, its handshake answered.
        handler: who is told what arrives; may be exchanged at any time.
        profile: limits and deadlines of the route.
        remote_address: the peer's IP address.
    """

    __slots__ = (
        "_backlog",
        "_corked",
        "_due",
        "_eof_wanted",
        "_fd",
        "_frame_limit",
        "_partial",
        "_phase",
        "_poller",
        "_profile",
        "_protocol",
        "_socket",
        "_watches_write",
        "handler",
        "last_received_at",
        "remote_address",
    )

    def __init__(
        self,
        *,
        poller: Poller,
        sock: socket.socket,
        handler: SocketHandler,
        profile: Profile,
        remote_address: str,
    ) -> None:
        self._poller = poller
        self._socket = sock
        self._fd = sock.fileno()
        self._profile = profile
        self._phase = _OPEN
        self._protocol = FrameProtocol()
        self._backlog: Backlog | None = None
        self._watches_write = False
        self._corked = False
        self._eof_wanted = False
        self._partial: PartialMessage | None = None
        self._due = 0.0
        self.frame_limit = profile.limits.frame_bytes
        self.handler = handler
        self.remote_address = remote_address
        self.last_received_at = poller.now
        """When the last byte came, on trio's clock; any frame proves life."""

    # What the owner does.

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self._phase == _OPEN

    @property
    def frame_limit(self) -> int:
        """Largest incoming message in bytes; more closes with 1009."""
        return self._frame_limit

    @frame_limit.setter
    def frame_limit(self, size_bytes: int) -> None:
        self._frame_limit = size_bytes
        self._protocol.max_message_size = size_bytes

    @property
    def backlog_bytes(self) -> int:
        """What the kernel has not taken yet, because the peer reads too slowly."""
        return 0 if self._backlog is None else self._backlog.size_bytes

    def send_text(self, data: bytes) -> bool:
        """Send a text message.

        Args:
            data: valid UTF-8.

        Returns:
            False when the connection is not open (any more).
        """
        return self.send_frame(text_frame(data))

    def send_binary(self, data: bytes) -> bool:
        """The same in a binary message."""
        return self.send_frame(binary_frame(data))

    def send_frame(self, frame: bytes) -> bool:
        """Send a whole message already made by `text_frame`, so that many receivers share its bytes."""
        if self._phase != _OPEN:
            return False
        self._poller.stats.messages_sent += 1
        self._write(frame)
        return self._phase == _OPEN

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake, which has a deadline. Nothing happens when it is not open.

        Args:
            code: WebSocket close code (RFC 6455 section 7.4).
            reason: words for the peer, cut to 123 bytes.
        """
        if self._phase != _OPEN:
            return
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, reason.encode()[:REASON_BYTES].decode(errors="ignore"))
        self._leave(code, reason)
        self._write_answers(self._protocol.data_to_send())

    # What the poller calls: see `Entry`.
    def ready(self, mask: int, /) -> None:
        if mask & WRITE:
            self._flush()
        if mask & ~WRITE and self._phase != _GONE:
            self._receive()

    def expire(self) -> None:
        if self._phase == _OPEN:
            self._drop_slow()
        else:
            self._cut(reset=True)

    def drain(self, code: int, reason: str, /) -> None:
        self.close(code, reason)

    def abort(self) -> None:
        self._cut()

    def feed(self, data: bytes) -> None:
        """Take what arrived together with the handshake."""
        room = len(self._poller.buffer)
        for start in range(0, len(data), room):
            piece = data[start : start + room]
            self._poller.view[: len(piece)] = piece
            if self._phase != _GONE:
                self._take(len(piece))

    # In.
    def _receive(self) -> None:
        try:
            size = self._socket.recv_into(self._poller.buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._cut()
            return
        if size:
            self._take(size)
        else:
            self._cut()

    def _take(self, size: int) -> None:
        """Handle the first `size` bytes of the shared buffer."""
        protocol, buffer = self._protocol, self._poller.buffer
        start = 0
        self.last_received_at = self._poller.now
        if self._phase == _OPEN and protocol.current_size is None and not protocol.reader.buffer:
            while self._phase == _OPEN:
                plain = plain_text_at(buffer, start, size, self._frame_limit)
                if plain is None:
                    break
                payload, start = plain
                if start < size:  # there is more: answer it all with one system call
                    self._corked = True
                if self._in_pace():
                    self._text(payload)
        if start < size and self._phase != _GONE:
            self._corked = True
            protocol.receive_data(buffer[start:size])
            self._take_frames(protocol.events_received(), protocol.data_to_send())
        if self._corked:
            self._corked = False
            self._flush()

    def _take_frames(self, frames: Iterable[Event], answers: list[bytes]) -> None:
        """Handle frames. `answers` are the protocol's own: a pong for each ping, in order, then perhaps a close."""
        pongs = 0
        for frame in frames:
            if not isinstance(frame, Frame):  # a request: its handshake is behind us
                continue
            if self._phase != _OPEN or frame.opcode is CLOSE or not self._in_pace():
                break
            if frame.opcode is PING:
                self._write(answers[pongs])
                pongs += 1
            elif frame.opcode is CONT:
                self._continue(frame)
            elif frame.opcode is BINARY and self._profile.on_binary is None:
                self.close(CloseCode.UNSUPPORTED_DATA, "this socket speaks text")
            elif not frame.fin:  # control frames are always final
                self._partial = PartialMessage(text=frame.opcode is TEXT)
                self._continue(frame)
            elif frame.opcode is TEXT:
                self._text(bytes(frame.data))
            elif frame.opcode is BINARY:
                self._hand_over(self._profile.on_binary, bytes(frame.data))
        if self._phase == _OPEN and self._protocol.state is not OPEN:
            self._leave(*verdict(self._protocol))
        self._write_answers(answers[pongs:])

    def _continue(self, frame: Frame) -> None:
        message = self._partial
        if message is None:
            return
        if not message.add(bytes(frame.data), final=frame.fin):
            self.close(CloseCode.INVALID_DATA, "not UTF-8")
        elif frame.fin:
            self._partial = None
            receiver = self.handler.on_text if message.text else self._profile.on_binary
            self._hand_over(receiver, message.whole())

    def _text(self, data: bytes) -> None:
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError as error:
                self.close(CloseCode.INVALID_DATA, f"not UTF-8 at byte {error.start}")
                return
        self._hand_over(self.handler.on_text, data)

    def _hand_over(self, receiver: Callable[[Connection, bytes], None] | None, data: bytes) -> None:
        if receiver is None:
            return
        self._poller.stats.messages_received += 1
        try:
            receiver(self, data)
        except Exception:
            log.exception("socket.handler_failed", remote_address=self.remote_address)
            self.close(CloseCode.INTERNAL_ERROR, "internal error")

    def _in_pace(self) -> bool:
        pace = self._profile.pace
        if pace is None:
            return True
        due = pace.next_due(self._due, self._poller.now)
        if due is None:
            self._poller.stats.dropped_too_fast += 1
            self.close(TOO_FAST, f"too many messages; reconnect in {TOO_FAST_SECONDS} s")
            return False
        self._due = due
        return True

    # Out.

    def _write(self, frame: bytes) -> None:
        """Give a frame to the kernel, or keep what it does not take."""
        backlog = self._backlog
        if backlog is None:
            sent = 0
            if not self._corked:
                try:
                    sent = self._socket.send(frame)
                except (BlockingIOError, InterruptedError):
                    pass
                except OSError:
                    self._cut()
                    return
                if sent == len(frame):
                    return
            self._backlog = backlog = Backlog()
            backlog.append(frame, already_sent=sent)
            if not self._corked:
                self._await_writable(progressed=True)
        else:
            backlog.append(frame)
        if backlog.size_bytes > self._profile.limits.output_bytes:
            self._overflow(backlog)

    def _write_answers(self, answers: list[bytes]) -> None:
        """What the protocol has to say itself; an empty answer asks for the end of the stream."""
        for data in answers:
            if self._phase == _GONE:
                return
            if data:
                self._write(data)
            else:
                self._eof_wanted = True
        if self._eof_wanted and self._backlog is None and self._phase != _GONE:
            self._end_stream()

    def _overflow(self, backlog: Backlog) -> None:
        if self._corked:  # the kernel was not asked yet
            self._flush()
        if backlog.size_bytes <= self._profile.limits.output_bytes:
            return
        if self._phase == _OPEN:
            self._drop_slow()
        elif self._phase == _CLOSING:
            self._cut(reset=True)

    def _flush(self) -> None:
        backlog = self._backlog
        if backlog is None:
            return
        try:
            progressed = backlog.send(self._socket)
        except OSError:
            self._cut()
            return
        if backlog.size_bytes:
            self._await_writable(progressed=progressed)
            return
        self._backlog = None
        if self._watches_write:
            self._watches_write = False
            self._poller.modify(self._fd, READ)
            if self._phase == _OPEN:
                self._poller.clear_deadline(self._fd)
        if self._eof_wanted:
            self._end_stream()

    def _await_writable(self, *, progressed: bool) -> None:
        if not self._watches_write:
            self._watches_write = progressed = True
            self._poller.modify(self._fd, READ | WRITE)
        if progressed and self._phase == _OPEN:
            self._poller.set_deadline(self._fd, self._profile.stall_seconds)

    # The end.

    def _drop_slow(self) -> None:
        """The peer does not read. What it has begun to receive stays whole, the rest is left for its resume."""
        self._poller.stats.dropped_slow += 1
        if self._backlog is not None:
            self._backlog.forget_unstarted()
        self.close(SLOW_CONSUMER, "slow consumer")

    def _leave(self, code: int, reason: str) -> None:
        """No longer open: only the good-bye is left, under a deadline."""
        self._phase = _CLOSING
        self._partial = None
        self._poller.set_deadline(self._fd, self._profile.close_seconds)
        self._poller.post(partial(self.handler.on_close, self, code, reason))

    def _end_stream(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._cut()

    def _cut(self, *, reset: bool = False) -> None:
        if self._phase == _GONE:
            return
        if self._phase == _OPEN:
            self._leave(CloseCode.ABNORMAL_CLOSURE, "")
        self._phase = _GONE
        self._backlog = None
        self._poller.remove(self._fd)
        close_socket(self._socket, reset=reset)
