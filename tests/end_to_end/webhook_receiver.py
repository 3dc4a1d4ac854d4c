"""A wrapper's webhook end by script: checks signatures by hand, keeps what came, answers what a test says."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import h11
import trio

#: Status, headers, body.
Answer = tuple[int, dict[str, str], Any]
TAKEN: Answer = (200, {}, {"success": True})


@dataclass(frozen=True)
class Arrived:
    """One webhook."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.raw))

    def check(self, key: str) -> None:
        """Both signatures hold, and the time is now."""

        def signature(data: bytes) -> str:
            return hmac.new(key.encode(), data, hashlib.sha256).hexdigest()

        headers = self.headers
        assert headers["x-letsbe-signature"] == signature(self.raw)
        moment = headers["x-letsbe-timestamp"]
        assert abs(time.time() - int(moment)) < 120
        signed = f"{headers['x-letsbe-id']}.{moment}.".encode() + self.raw
        assert headers["x-letsbe-signature-v2"] == signature(signed)
        assert self.path.endswith(f"/webhooks/{headers['x-letsbe-event']}")


class Receiver:
    """Where a tenant's webhooks arrive.

    Attributes:
        arrived: everything that came, answered or not.
        answers: given instead of 200, one each; None hangs up without an answer.
        always: given when those are used up.
    """

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.answers: list[Answer | None] = []
        self.always: Callable[[Arrived], Answer | None] = lambda _: TAKEN
        self.hold = trio.Event()
        self.hold.set()
        self.port = 0
        self._changed = trio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @classmethod
    @asynccontextmanager
    async def listening(cls, port: int = 0) -> AsyncIterator[Receiver]:
        receiver = cls()
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(lambda task_status: _serve(receiver, port, task_status))
            receiver.port = listeners[0].socket.getsockname()[1]
            yield receiver
            nursery.cancel_scope.cancel()

    async def until(self, count: int, seconds: float = 40) -> list[Arrived]:
        """What came, once it is so many."""
        with trio.fail_after(seconds):
            while len(self.arrived) < count:
                await self._changed.wait()
        return self.arrived

    async def one(self, stream: trio.SocketStream) -> None:
        try:
            async with stream:
                await self._one(stream)
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            pass  # the Hub went away

    async def _one(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        request, body = None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return
        assert request is not None
        headers = {name.decode(): value.decode() for name, value in request.headers}
        arrived = Arrived(request.target.decode(), headers, body)
        self.arrived.append(arrived)
        self._changed.set()
        self._changed = trio.Event()
        await self.hold.wait()
        answer = self.answers.pop(0) if self.answers else self.always(arrived)
        if answer is None:
            return
        status, more, content = answer
        data = json.dumps(content).encode()
        head = connection.send(
            h11.Response(status_code=status, headers=[("Content-Length", str(len(data))), *more.items()])
        )
        await stream.send_all((head or b"") + (connection.send(h11.Data(data=data)) or b""))


async def _serve(receiver: Receiver, port: int, task_status: trio.TaskStatus[list[trio.SocketListener]]) -> None:
    await trio.serve_tcp(receiver.one, port, host="127.0.0.1", task_status=task_status)
