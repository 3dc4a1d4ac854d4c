"""Listening sockets: opened once, accepted from for ever, whatever the kernel says meanwhile."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable

import structlog
import trio

log = structlog.get_logger()

BACKLOG = 4096  # a reconnect storm is larger than the usual hundred
ACCEPTS_AT_ONCE = 64
EXHAUSTED_SECONDS = 0.5
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def split_bind(bind: str) -> tuple[str | None, int]:
    """Split "host:port"; "[::1]:8000" for IPv6, ":8000" for every address.

    Raises:
        ValueError: it has no port, or the port is no number from 0 to 65535.
    """
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 0xFFFF:
        raise ValueError(f"{bind!r} is not an address to listen on; write host:port, such as 127.0.0.1:8000")
    return host.strip("[]") or None, int(port)


async def open_listeners(bind: str, *, reuse_port: bool = False) -> list[socket.socket]:
    """Listen on every address that a name stands for.

    Args:
        bind: host:port; port 0 lets the kernel choose.
        reuse_port: let several processes share the port (SO_REUSEPORT), each with its own queue.

    Returns:
        Non-blocking listening sockets; the caller closes them.

    Raises:
        OSError: an address is taken or not ours.
        ValueError: see `split_bind`.
    """
    host, port = split_bind(bind)
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    try:
        for family, _type, _protocol, _name, address in dict.fromkeys(found):
            listeners.append(_listen(family, address, reuse_port=reuse_port))
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _listen(family: int, address: object, *, reuse_port: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)  # type: ignore[arg-type]  # getaddrinfo's own answer
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


async def accept_forever(
    listener: socket.socket,
    take: Callable[[socket.socket, str], None],
    *,
    user_timeout_seconds: float,
) -> None:
    """Accept until cancelled. Running out of descriptors or memory is logged and waited out, not spun on.

    Args:
        listener: non-blocking listening socket.
        take: given each accepted socket, non-blocking, and the peer's IP address; must not wait or raise.
        user_timeout_seconds: TCP_USER_TIMEOUT of the accepted sockets.
    """
    while True:
        await trio.lowlevel.wait_readable(listener)
        try:
            for _ in range(ACCEPTS_AT_ONCE):
                sock, address = listener.accept()
                _prepare(sock, user_timeout_seconds)
                take(sock, address[0])
        except (BlockingIOError, InterruptedError):
            continue
        except OSError as error:
            if error.errno in _EXHAUSTED:
                log.warning("door.accept_exhausted", error=str(error), pause_seconds=EXHAUSTED_SECONDS)
                await trio.sleep(EXHAUSTED_SECONDS)
            else:  # the one connection failed before it was accepted (accept(2): "Error handling")
                log.info("door.accept_failed", error=str(error))
                await trio.lowlevel.checkpoint()


def _prepare(sock: socket.socket, user_timeout_seconds: float) -> None:
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            milliseconds = int(user_timeout_seconds * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    except OSError:  # reset already; the first read will tell
        return
