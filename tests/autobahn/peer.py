"""The other end of an Autobahn case: a WebSocket client that says exactly what the case wants, right or wrong."""

from __future__ import annotations

import math
import os
from collections import Counter
from types import SimpleNamespace
from typing import Any

import trio

CLOSED, CONNECTING, CLOSING, OPEN = range(4)
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
DROP_SECONDS = 5.0
CASE_SECONDS = 300.0


class Peer:
    """What a case knows as `self.p`: methods and attributes have the names that the cases call.

    Payloads are texts of the code points 0 to 255, as in `convert.py`.
    """

    CLOSE_STATUS_CODE_NORMAL = 1000
    CLOSE_STATUS_CODE_PROTOCOL_ERROR = 1002
    CLOSE_STATUS_CODE_INVALID_PAYLOAD = 1007

    def __init__(self) -> None:
        self.factory = SimpleNamespace(isServer=False)
        self.state = CONNECTING
        self.connectionWasOpen = False
        self.closedByMe = self.failedByMe = self.droppedByMe = self.wasClean = False
        self.remoteCloseCode: int | None = None
        self.localCloseCode: int | None = None
        self.localCloseReason: str | None = None
        self.autoFragmentSize = 0
        self.txFrameStats: Counter[int] = Counter()
        self.trafficStats = None
        self.createWirelog = False
        self._close_received = False
        self._began = TEXT
        self._message: tuple[int, bytearray] | None = None
        self._send, self._to_send = trio.open_memory_channel[bytes](math.inf)

    async def run(self, case_class: type, port: int) -> Any:
        """Play a case to its end, and return it with its verdict."""
        case = case_class(self)
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream, trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + CASE_SECONDS
            self._nursery = nursery
            buffer = await self._shake_hands(stream, port)
            self.state, self.connectionWasOpen = OPEN, True
            nursery.start_soon(self._write, stream)
            case.onOpen()
            await self._read(stream, buffer, case)
            nursery.cancel_scope.cancel()
        self.state = CLOSED
        case.onConnectionLost(self.failedByMe)
        return case

    async def _shake_hands(self, stream: trio.SocketStream, port: int) -> bytearray:
        head = (
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await stream.send_all(head.encode())
        buffer = bytearray()
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            data = await stream.receive_some()
            if not data:
                raise ConnectionError(f"no handshake: {bytes(buffer)!r}")
            buffer += data
        if not buffer.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(f"no handshake: {bytes(buffer[:end])!r}")
        del buffer[: end + 4]
        return buffer

    async def _write(self, stream: trio.SocketStream) -> None:
        try:
            async for data in self._to_send:
                await stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the reader sees the end too

    async def _read(self, stream: trio.SocketStream, buffer: bytearray, case: Any) -> None:
        while self.state != CLOSED:
            while (frame := take_frame(buffer)) is not None:
                self._take(frame, case)
            try:
                data = await stream.receive_some(256 * 1024)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data:
                self.wasClean = self.state == CLOSING and self._close_received
                return
            buffer += data

    def _take(self, frame: tuple[bool, int, bytes], case: Any) -> None:
        final, opcode, payload = frame
        if opcode == CLOSE:
            self._close_received = True
            self.remoteCloseCode = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else None
            self.sendCloseFrame(self.remoteCloseCode, isReply=True)
        elif self.state != OPEN:
            return
        elif opcode == PING:
            self.sendFrame(PONG, payload.decode("latin-1"))
            case.onPing(payload.decode("latin-1"))
        elif opcode == PONG:
            case.onPong(payload.decode("latin-1"))
        else:
            if opcode != CONTINUATION:
                self._message = (opcode, bytearray())
            assert self._message is not None, "the server continues what it has not begun"
            self._message[1].extend(payload)
            if final:
                kind, data = self._message
                self._message = None
                case.onMessage(data.decode("latin-1"), kind == BINARY)

    # What the cases call.

    def enableWirelog(self, enable: bool) -> None:
        """There is no wire log."""

    def sendFrame(
        self,
        opcode: int,
        payload: str = "",
        fin: bool = True,
        rsv: int = 0,
        payload_len: int | None = None,
        chopsize: int | None = None,
        sync: bool = False,
    ) -> None:
        data = payload.encode("latin-1")
        if payload_len is not None:
            data = (data * (payload_len // len(data) + 1))[:payload_len]
        self.txFrameStats[opcode] += 1
        frame = masked_frame(opcode, data, fin=fin, rsv=rsv)
        step = chopsize or len(frame)
        for start in range(0, len(frame), step):
            self._send.send_nowait(frame[start : start + step])

    def sendMessage(self, payload: str, isBinary: bool = False, fragmentSize: int | None = None) -> None:
        size = fragmentSize or self.autoFragmentSize or max(len(payload), 1)
        for start in range(0, max(len(payload), 1), size):
            opcode = CONTINUATION if start else BINARY if isBinary else TEXT
            self.sendFrame(opcode, payload[start : start + size], fin=start + size >= len(payload))

    def beginMessage(self, isBinary: bool = False) -> None:
        self._began = BINARY if isBinary else TEXT

    def beginMessageFrame(self, length: int) -> None:
        self._send.send_nowait(frame_head(self._began, length, fin=False, rsv=0) + bytes(4))

    def sendMessageFrameData(self, payload: str, sync: bool = False) -> None:
        self._send.send_nowait(payload.encode("latin-1"))

    def endMessage(self) -> None:
        self.sendFrame(CONTINUATION)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: str | None = None, isReply: bool = False) -> None:
        if self.state != OPEN:
            return
        payload = "" if code is None else code.to_bytes(2, "big").decode("latin-1") + (reasonUtf8 or "")
        self.sendFrame(CLOSE, payload)
        self.state, self.closedByMe = CLOSING, not isReply
        self.localCloseCode, self.localCloseReason = code, reasonUtf8
        self._later(DROP_SECONDS, self._drop)

    def sendClose(self, code: int | None = None, reason: str | None = None) -> None:
        self.sendCloseFrame(1000 if code is None else code, reason)

    def killAfter(self, seconds: float) -> None:
        self._later(seconds, self._drop)

    def closeAfter(self, seconds: float) -> None:
        self._later(seconds, self.sendClose)

    def continueLater(self, seconds: float, step: Any, tag: str | None = None) -> None:
        self._later(seconds, step)

    def _drop(self) -> None:
        self.state = CLOSED
        self.failedByMe = self.droppedByMe = True
        self._nursery.cancel_scope.cancel()

    def _later(self, seconds: float, step: Any) -> None:
        async def wait() -> None:
            await trio.sleep(seconds)
            if self.state != CLOSED:
                step()

        self._nursery.start_soon(wait)


def frame_head(opcode: int, length: int, *, fin: bool, rsv: int) -> bytes:
    """The head of a masked frame, without its mask."""
    first = (0x80 if fin else 0) | (rsv % 8) << 4 | opcode % 16
    if length < 126:
        return bytes((first, 0x80 | length))
    if length < 0x10000:
        return bytes((first, 0xFE)) + length.to_bytes(2, "big")
    return bytes((first, 0xFF)) + length.to_bytes(8, "big")


def masked_frame(opcode: int, data: bytes, *, fin: bool, rsv: int) -> bytes:
    """A whole frame as a client sends it."""
    mask, length = os.urandom(4), len(data)
    covered = (mask * (length // 4 + 1))[:length]
    masked = (int.from_bytes(data, "big") ^ int.from_bytes(covered, "big")).to_bytes(length, "big")
    return frame_head(opcode, length, fin=fin, rsv=rsv) + mask + masked


def take_frame(buffer: bytearray) -> tuple[bool, int, bytes] | None:
    """Cut one unmasked frame off the buffer's beginning: whether it is final, its opcode, its payload."""
    if len(buffer) < 2:
        return None
    length, start = buffer[1] & 0x7F, 2
    if length >= 126:
        start = 4 if length == 126 else 10
        if len(buffer) < start:
            return None
        length = int.from_bytes(buffer[2:start], "big")
    if len(buffer) < start + length:
        return None
    frame = (bool(buffer[0] & 0x80), buffer[0] & 0x0F, bytes(buffer[start : start + length]))
    del buffer[: start + length]
    return frame
