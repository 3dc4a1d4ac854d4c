"""Bare client ends for load: WebSocket frames and HTTP over plain sockets, as cheap as Python allows."""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import trio

_KEY = b"\0\0\0\0"  # a masking key of zeros is a valid one, and costs no masking (RFC 6455 section 5.3)


def text_frame(payload: bytes) -> bytes:
    """A masked text frame."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x81, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x81, 0xFE, size)
    else:
        head = struct.pack("!BBQ", 0x81, 0xFF, size)
    return head + _KEY + payload


class Socket:
    """One client WebSocket.

    Attributes:
        on_text: called with each text message.
        upgraded: the server has agreed to the handshake.
        open: neither side has closed, nor the server refused.
        refusal: the head with which it refused.
    """

    __slots__ = ("_buffer", "_out", "on_text", "open", "refusal", "sock", "upgraded")

    def __init__(self, sock: socket.socket, on_text: Callable[[Socket, bytes], None]) -> None:
        self.sock = sock
        self.on_text = on_text
        self.upgraded = False
        self.open = True
        self.refusal = ""
        self._buffer = b""
        self._out = b""

    def send(self, payload: bytes) -> None:
        """Send a text message; what the kernel does not take waits for the next turn."""
        self._out += text_frame(payload)
        self.flush()

    def flush(self) -> None:
        """Send what waits."""
        while self._out and self.open:
            try:
                self._out = self._out[self.sock.send(self._out) :]
            except BlockingIOError:
                return
            except OSError:
                self.open = False

    def receive(self) -> None:
        """Read what has arrived and hand over whole messages."""
        try:
            data = self.sock.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.open = False
            return
        buffer = self._buffer + data if self._buffer else data
        if not self.upgraded:
            head, whole, buffer = buffer.partition(b"\r\n\r\n")
            if not whole:
                self._buffer = head
                return
            self.upgraded = self.open = b" 101 " in head.split(b"\r\n", 1)[0]
            if not self.upgraded:
                self.refusal = head.decode(errors="replace")[:300]
                return
        at = 0
        while True:
            end, opcode, payload = _frame(buffer, at)
            if end < 0:
                break
            at = end
            if opcode == 1:
                self.on_text(self, payload)
            elif opcode == 8:
                self.open = False
        self._buffer = buffer[at:]


def _frame(buffer: bytes, at: int) -> tuple[int, int, bytes]:
    """The end, opcode and payload of the frame at `at`; end -1: not all there."""
    have = len(buffer) - at
    if have < 2:
        return -1, 0, b""
    size, head = buffer[at + 1] & 0x7F, 2
    if size == 126:
        if have < 4:
            return -1, 0, b""
        size, head = struct.unpack_from("!H", buffer, at + 2)[0], 4
    elif size == 127:
        if have < 10:
            return -1, 0, b""
        size, head = struct.unpack_from("!Q", buffer, at + 2)[0], 10
    if have < head + size:
        return -1, 0, b""
    return at + head + size, buffer[at] & 0x0F, buffer[at + head : at + head + size]


class Fleet:
    """Many client WebSockets under one epoll, driven by one trio task or by `turn`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, Socket] = {}

    def connect(
        self, host: str, port: int, path: str, headers: dict[str, str], on_text: Callable[[Socket, bytes], None]
    ) -> Socket:
        """Open one, blocking until the handshake is answered.

        Raises:
            ConnectionError: the server refused it.
        """
        client = self._set_out(host, port, path, headers, on_text)
        while client.open and not client.upgraded:
            client.receive()
        if not client.open:
            client.sock.close()
            raise ConnectionError(client.refusal or "closed in the handshake")
        self._watch(client)
        return client

    def begin(
        self, host: str, port: int, path: str, headers: dict[str, str], on_text: Callable[[Socket, bytes], None]
    ) -> Socket:
        """Send one's handshake, whose answer comes with the turns."""
        client = self._set_out(host, port, path, headers, on_text)
        self._watch(client)
        return client

    def _set_out(
        self, host: str, port: int, path: str, headers: dict[str, str], on_text: Callable[[Socket, bytes], None]
    ) -> Socket:
        sock = socket.create_connection((host, port), timeout=30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        return Socket(sock, on_text)

    def _watch(self, client: Socket) -> None:
        client.sock.setblocking(False)
        self._sockets[client.sock.fileno()] = client
        self._epoll.register(client.sock.fileno(), select.EPOLLIN)

    def turn(self, timeout_seconds: float) -> None:
        """Wait for messages once, and hand them over."""
        for number, _ in self._epoll.poll(timeout_seconds, 1024):
            client = self._sockets.get(number)
            if client is None:
                continue
            client.receive()
            client.flush()
            if not client.open:
                self._forget(client)

    async def run(self) -> None:
        """Hand messages over as they come, until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            self.turn(0)

    def drop(self, client: Socket) -> None:
        """Cut one off without a word."""
        client.open = False
        self._forget(client)

    def _forget(self, client: Socket) -> None:
        if self._sockets.pop(client.sock.fileno(), None) is None:
            return
        self._epoll.unregister(client.sock.fileno())
        client.sock.close()

    def close(self) -> None:
        """Close all."""
        for client in list(self._sockets.values()):
            self._forget(client)
        self._epoll.close()


class Http:
    """One kept-alive HTTP/1.1 connection to the Hub, speaking JSON.

    Args:
        token: sent as Bearer, where given.
    """

    def __init__(self, host: str, port: int, token: str | None = None) -> None:
        self._address = (host, port)
        self._token = token
        self._stream: trio.SocketStream | None = None

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One request; the status and the decoded answer.

        Raises:
            OSError, trio.BrokenResourceError: the connection broke; whether the request was taken is unknown.
        """
        if self._stream is None:
            self._stream = await trio.open_tcp_stream(*self._address)
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._address[0]}:{self._address[1]}\r\n"
        if self._token is not None:
            head += f"Authorization: Bearer {self._token}\r\n"
        if body is not None:
            head += "Content-Type: application/json\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        try:
            await self._stream.send_all(head.encode() + content)
            return await self._answer()
        except BaseException:
            stream, self._stream = self._stream, None
            await trio.aclose_forcefully(stream)
            raise

    async def _answer(self) -> tuple[int, Any]:
        assert self._stream is not None
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self._more()
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        size = next(int(line[15:]) for line in lines if line.lower().startswith("content-length:"))
        while len(rest) < size:
            rest += await self._more()
        if any(line.lower() == "connection: close" for line in lines):  # the Hub lets a connection go in the end
            await self.aclose()
        return int(lines[0].split(" ")[1]), json.loads(rest) if rest else None

    async def _more(self) -> bytes:
        assert self._stream is not None
        data = await self._stream.receive_some(65536)
        if not data:
            raise trio.BrokenResourceError("the server closed the connection")
        return bytes(data)

    async def aclose(self) -> None:
        """Close the connection."""
        if self._stream is not None:
            await self._stream.aclose()
            self._stream = None


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def now_ms() -> float:
    """A monotonic time in milliseconds."""
    return time.perf_counter() * 1000
