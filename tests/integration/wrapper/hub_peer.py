"""A Hub by script, written from PROTOCOL on websockets' own server: plays along, drops, doubles, stalls and closes.

It shares no session code with the wrapper: numbers, acknowledgements and the taking of messages are kept by hand, as
plain dicts, so that it can disagree.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import trio
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.trio.server import Server, ServerConnection, serve

from tests.integration.wrapper.hub_front import SOCKET_PATH, Answer, Front, refusal

KEY = "hk_test_0123456789abcdefghij"
TOKEN = "rt_0123456789abcdefghij"


def moment(seconds_from_now: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds_from_now)).isoformat().replace("+00:00", "Z")


class HubPeer:
    """The scripted Hub.

    Attributes:
        promises: every promise made, by number; a test may turn one into a void.
        acknowledged: the highest number acked, or said by a hello.
        taken: the messages committed, by id, in the order of their first arrival.
        arrivals: how often each message id arrived, taken or not.
        frames: every frame received, in order, on any connection.
        keys: the keys that open the socket.
    """

    def __init__(self) -> None:
        self.promises: dict[int, dict[str, Any]] = {}
        self.acknowledged = 0
        self.taken: dict[str, dict[str, Any]] = {}
        self.arrivals: Counter[str] = Counter()
        self.frames: list[dict[str, Any]] = []
        self.hellos: list[dict[str, Any]] = []
        self.handshakes: list[float] = []
        self.keys = {KEY}
        self.tokens = {TOKEN}
        self.registrations: list[dict[str, Any]] = []
        self.lose_registration_answers = 0
        self.heartbeat_seconds = 30
        self.resumed_from: int | None = None
        self.refuse_handshakes: list[tuple[int, dict[str, str]]] = []
        self.blocked: str | None = None  # what stands on the way of sockets: a status, "silence", "cut" or "mute"
        self.http: list[tuple[str, str, dict[str, Any]]] = []  # method, path below /tenant, body
        self.http_answers: list[tuple[int, dict[str, str], Any]] = []  # given instead of what would be
        self.lose_http_answers = 0
        self.elsewhere = 0  # promises up to here are the test's own, and come by webhook
        self.on_http: Callable[[str], Awaitable[None] | None] = lambda path: None
        self.config: dict[str, Any] | None = None
        self.approval_ids: dict[str, str] = {}
        self.max_frame_bytes = 1024 * 1024
        self.push = True  # send promises by itself
        self.accept = True  # answer messages
        self.double = False  # send everything twice
        self.refuse: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda frame: None
        self.on_frame: Callable[[dict[str, Any]], Awaitable[None] | None] = lambda frame: None
        self.socket: ServerConnection | None = None
        self.port = 0
        self._changed = trio.Event()
        self._stalled = trio.Event()
        self._stalled.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # --- what a test does ----------------------------------------------------------------------------------

    async def promise(self, frame_type: str, **fields: Any) -> int:
        """Make a promise, and push it if there is a wrapper."""
        seq = len(self.promises) + 1
        self.promises[seq] = {"type": frame_type, "seq": seq, **fields}
        if self.socket is not None and self.push:
            with contextlib.suppress(ConnectionClosed):  # it is promised all the same
                await self.say(self.promises[seq])
        return seq

    async def command(self, command_type: str, *, command_id: str = "", expires: float = 600, **payload: Any) -> str:
        command_id = command_id or f"cmd_{len(self.promises) + 1}"
        await self.promise(
            "command",
            id=command_id,
            commandType=command_type,
            payload=payload,
            issuedAt=moment(),
            expiresAt=moment(expires),
        )
        return command_id

    async def settle(self, request: dict[str, Any], action: str, **changes: Any) -> str:
        approval_id = f"appr_{request['id']}"
        fields: dict[str, Any] = {
            "approvalId": approval_id,
            "requestId": request["id"],
            "action": action,
            "respondedBy": "Maria",
            "reason": None,
            "argsHash": request["argsHash"],
            "settledAt": moment(),
        }
        await self.promise("approvalSettled", **(fields | changes))
        return approval_id

    async def say(self, frame: dict[str, Any], times: int = 1) -> None:
        assert self.socket is not None
        for _ in range(2 if self.double else times):
            await self.socket.send(json.dumps(frame))

    async def hang_up(self, code: int, reason: str = "") -> None:
        """Close with a verdict, and wait until the connection is gone."""
        assert self.socket is not None
        await self.socket.aclose(code, reason)
        await self.until(lambda: self.socket is None)

    async def cut(self) -> None:
        """Drop the connection without a word."""
        assert self.socket is not None
        await trio.aclose_forcefully(self.socket.stream)
        await self.until(lambda: self.socket is None)

    def stall(self) -> None:
        """Stop reading."""
        self._stalled = trio.Event()

    def flow(self) -> None:
        self._stalled.set()

    # --- what a test awaits --------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], Any], seconds: float = 20) -> Any:
        with trio.fail_after(seconds):
            while not (value := condition()):
                await self._changed.wait()
        return value

    async def message(self, frame_type: str, count: int = 1) -> dict[str, Any]:
        """The `count`-th committed message of a type."""

        def found() -> dict[str, Any] | None:
            of_type = [frame for frame in self.taken.values() if frame["type"] == frame_type]
            return of_type[count - 1] if len(of_type) >= count else None

        return await self.until(found)

    async def result(self, command_id: str) -> dict[str, Any]:
        return await self.until(lambda: next(iter(self.results(command_id)), None))

    def results(self, command_id: str) -> list[dict[str, Any]]:
        return [frame for frame in self.taken.values() if frame.get("commandId") == command_id]

    async def acked(self, seq: int) -> None:
        await self.until(lambda: self.acknowledged >= seq)

    async def connected(self, times: int = 1) -> None:
        await self.until(lambda: len(self.hellos) >= times and self.socket is not None)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # --- the server ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[HubPeer]:
        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        quiet = logging.Logger("hub-peer")
        quiet.addHandler(logging.NullHandler())
        async with trio.open_nursery() as nursery:
            front = Front(listeners[0].socket, self, nursery)
            server: Server = await nursery.start(
                lambda task_status: serve(
                    self._talk,
                    listeners=[front],
                    subprotocols=["letsbe.tenant.v1"],  # type: ignore[list-item]
                    compression=None,
                    process_request=self._admit,
                    ping_interval=None,
                    close_timeout=1,
                    logger=quiet,
                    task_status=task_status,
                )
            )
            assert server is not None
            try:
                yield self
            finally:
                self.flow()
                nursery.cancel_scope.cancel()

    def knocked(self) -> None:
        """Somebody wants a socket."""
        self.handshakes.append(trio.current_time())
        self._tell()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.knocked()
        if self.refuse_handshakes:
            status, headers = self.refuse_handshakes.pop(0)
            response = _refused(connection, status)
            for name, value in headers.items():
                response.headers[name] = value
            return response
        if request.path != SOCKET_PATH:
            return connection.respond(HTTPStatus.NOT_FOUND, "no\n")
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.keys:
            return _refused(connection, 401)
        return None

    async def _talk(self, socket: ServerConnection) -> None:
        try:
            hello = json.loads(await socket.recv())
            if self.blocked == "mute":
                await trio.sleep_forever()
            assert hello["type"] == "hello", hello
            self.hellos.append(hello)
            resumed = max(hello["lastSeq"], self.acknowledged) if self.resumed_from is None else self.resumed_from
            self.acknowledged = max(self.acknowledged, hello["lastSeq"])
            await socket.send(
                json.dumps(
                    {
                        "type": "welcome",
                        "protocol": 1,
                        "sessionId": f"sess_{len(self.hellos)}",
                        "epoch": len(self.hellos),
                        "serverTime": moment(),
                        "heartbeatSeconds": self.heartbeat_seconds,
                        "maxFrameBytes": self.max_frame_bytes,
                        "configVersion": 0,
                        "resumedFrom": resumed,
                        "aFieldOfTheFuture": True,
                    }
                )
            )
            self.socket = socket
            self._tell()
            if self.push:
                for seq in range(resumed + 1, len(self.promises) + 1):
                    await self.say(self.promises[seq])
            while True:
                data = await socket.recv()
                await self._stalled.wait()
                await self._hear(json.loads(data))
        except ConnectionClosed:
            pass
        finally:
            if self.socket is socket:
                self.socket = None
            self._tell()

    async def _hear(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        waiting = self.on_frame(frame)
        if waiting is not None:
            await waiting
        if frame["type"] == "ack":
            assert frame["seq"] <= len(self.promises), "acked what was never made"
            self.acknowledged = max(self.acknowledged, frame["seq"])
        elif "id" in frame:
            await self._message(frame)
        self._tell()

    async def _message(self, frame: dict[str, Any]) -> None:
        self.arrivals[frame["id"]] += 1
        refusal = self.refuse(frame)
        if refusal is not None:
            await self.say({"type": "refused", "id": frame["id"], **refusal})
        elif self.accept:
            self.taken.setdefault(frame["id"], frame)
            await self.say({"type": "accepted", "ids": [frame["id"]]})

    # --- the same over HTTP --------------------------------------------------------------------------------

    async def answer(self, method: str, path: str, key: str, body: dict[str, Any]) -> Answer | None:
        """One request below /api/v1/tenant; None: the answer is lost."""
        if path == "/register":
            return self._register(body)
        self.http.append((method, path, body))
        waiting = self.on_http(path)
        if waiting is not None:
            await waiting
        if self.http_answers:
            answer: Answer | None = self.http_answers.pop(0)
        elif key not in self.keys:
            answer = refusal(401, "UNAUTHORIZED")
        elif path == "/heartbeat":
            answer = self._heartbeat(body)
        elif path == "/config":
            answer = (200, {}, {"success": True, "data": self.config})
        else:
            answer = self._report(path, body)
        if self.lose_http_answers:
            self.lose_http_answers -= 1
            answer = None
        self._tell()
        return answer

    def _heartbeat(self, body: dict[str, Any]) -> Answer:
        assert body["ackSeq"] <= max(len(self.promises), self.elsewhere), "acked what was never made"
        self.acknowledged = max(self.acknowledged, body["ackSeq"])
        waiting = [self.promises[seq] for seq in range(self.acknowledged + 1, len(self.promises) + 1)]
        names = {"commandType": "type", "approvalId": "id"}
        items = {
            kind: [
                {names.get(name, name): value for name, value in frame.items() if name != "type"}
                for frame in waiting
                if frame["type"] == kind
            ]
            for kind in ("command", "approvalSettled")
        }
        version = 0 if self.config is None else self.config["configVersion"]
        data = {
            "configVersion": version,
            "configChanged": version != body["configVersion"],
            "answeredSeq": len(self.promises),
            "serverTime": moment(),
            "pendingCommands": items["command"],
            "pendingApprovals": items["approvalSettled"],
        }
        return 200, {}, {"success": True, "data": data}

    def _report(self, path: str, body: dict[str, Any]) -> Answer:
        self.arrivals[body["id"]] += 1
        told = self.refuse(body)
        if told is not None:
            return refusal(503 if told["temporary"] else 400, told["code"])
        repeated = body["id"] in self.taken
        self.taken.setdefault(body["id"], body)
        if path == "/approval-request":
            return 200 if repeated else 201, {}, {"success": True, "data": {"id": f"appr_{body['id']}"}}
        return 200, {}, {"success": True, "data": {"id": body["id"], "accepted": True}}

    def _register(self, body: dict[str, Any]) -> Answer | None:
        self.registrations.append(body)
        if body.get("registrationToken") not in self.tokens:
            return refusal(401, "UNAUTHORIZED", "unknown registration token")
        if self.lose_registration_answers:
            self.lose_registration_answers -= 1
            return None
        return 201, {}, {"success": True, "data": {"hubApiKey": KEY}}


def _refused(connection: ServerConnection, status: int) -> Response:
    """A refusal of the Hub's own, in its envelope."""
    codes = {400: "VALIDATION_ERROR", 401: "UNAUTHORIZED", 404: "NOT_FOUND", 503: "OVERLOADED"}
    return connection.respond(HTTPStatus(status), json.dumps(refusal(status, codes.get(status, "INTERNAL_ERROR"))[2]))
