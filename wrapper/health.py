"""The local HTTP server: GET /health, and nothing else. h11 on trio, for callers on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import h11
import msgspec
import structlog
import trio

log = structlog.get_logger()

#: One request has to be asked and answered within this time.
REQUEST_SECONDS: Final = 10.0
CONNECTIONS: Final = 64
Status = Callable[[], dict[str, Any]]


async def serve_health(
    host: str, port: int, status: Status, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer for ever; the started value is the port, which was chosen by the system if 0 was asked for.

    Raises:
        OSError: the address cannot be listened on.
    """
    listeners = await trio.open_tcp_listeners(port, host=host)
    limiter = trio.CapacityLimiter(CONNECTIONS)
    task_status.started(listeners[0].socket.getsockname()[1])

    async def one(stream: trio.SocketStream) -> None:
        try:
            limiter.acquire_on_behalf_of_nowait(stream)
        except trio.WouldBlock:
            await trio.aclose_forcefully(stream)
            return
        try:
            with trio.move_on_after(REQUEST_SECONDS):
                await _answer(stream, status)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the caller went away
        finally:
            limiter.release_on_behalf_of(stream)
            await trio.aclose_forcefully(stream)

    await trio.serve_listeners(one, listeners)


async def _answer(stream: trio.SocketStream, status: Status) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=16 * 1024)
    without_body = False
    try:
        request = await _request(connection, stream)
        if request is None:
            return
        without_body = request.method == b"HEAD"
        code, content = _route(request, status)
    except h11.RemoteProtocolError as error:
        code, content = error.error_status_hint, {"error": "not HTTP/1.1"}
    body = msgspec.json.encode(content)
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "close"),
    ]
    if code == 405:
        headers.append(("Allow", "GET, HEAD"))
    if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    head = connection.send(h11.Response(status_code=code, headers=headers))
    assert head is not None
    data = b"" if without_body else connection.send(h11.Data(data=body)) or b""
    await stream.send_all(head + data)


async def _request(connection: h11.Connection, stream: trio.SocketStream) -> h11.Request | None:
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some())
        else:
            return None


def _route(request: h11.Request, status: Status) -> tuple[int, dict[str, Any]]:
    if request.target.split(b"?")[0] != b"/health":
        return 404, {"error": "only /health is here"}
    if request.method not in (b"GET", b"HEAD"):
        return 405, {"error": "only GET"}
    return 200, status()
