"""Wrappers for the console's bench: a fleet that beats in a thread of its own, and asks when it is told to."""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid

from bench.hub_process import HubProcess, Tenant
from bench.said import ack, headers_of, hello
from bench.wire import Fleet, Socket
from protocol.canonical import args_hash
from protocol.tenant import SOCKET_PATH

_BEAT_SECONDS = 30.0


class BeatingFleet:
    """One bare wrapper for each tenant, each with a heartbeat every 30 s.

    Args:
        hub: where they connect.
        tenants: who they are.
    """

    def __init__(self, hub: HubProcess, tenants: list[Tenant]) -> None:
        self._fleet = Fleet()
        self._sockets: list[Socket] = []
        self._orders: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self._accepted: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = False
        for tenant in tenants:
            socket = self._fleet.connect("127.0.0.1", hub.port, SOCKET_PATH, headers_of(tenant), self._on_text)
            socket.send(hello(str(uuid.uuid4())))
            self._sockets.append(socket)
            self._fleet.turn(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ask(self, number: int, text: str, arguments: dict[str, object], command_class: str = "yellow") -> str:
        """Have a wrapper ask for an approval; answers the request's id at once."""
        tool, request_id = "service_restart", str(uuid.uuid4())
        frame = {
            "type": "approvalRequest",
            "id": request_id,
            "agentId": "it-admin",
            "commandClass": command_class,
            "toolName": tool,
            "toolArgs": arguments,
            "argsHash": args_hash(tool, arguments),
            "humanReadable": text,
        }
        self._orders.put((number % len(self._sockets), json.dumps(frame).encode()))
        return request_id

    def wait_accepted(self, requests: set[str], *, seconds: float = 60) -> None:
        """Wait until the Hub has taken these requests.

        Raises:
            TimeoutError: it has not, in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: requests <= self._accepted, seconds):
                raise TimeoutError(f"{len(requests - self._accepted)} of {len(requests)} requests were not accepted")

    def close(self) -> None:
        """Hang up."""
        self._stopping = True
        self._thread.join(10)
        self._fleet.close()

    def _run(self) -> None:
        each = _BEAT_SECONDS / len(self._sockets)
        due, turn = time.monotonic(), 0
        while not self._stopping:
            self._fleet.turn(0.01)
            while not self._orders.empty():
                number, frame = self._orders.get()
                self._sockets[number].send(frame)
            while due <= time.monotonic():
                self._sockets[turn % len(self._sockets)].send(_beat(turn))
                due, turn = due + each, turn + 1

    def _on_text(self, socket: Socket, data: bytes) -> None:
        frame = json.loads(data)
        if "seq" in frame:
            socket.send(ack(frame["seq"]))
        if frame["type"] == "accepted":
            with self._changed:
                self._accepted.update(frame["ids"])
                self._changed.notify_all()


def _beat(turn: int) -> bytes:
    frame = {
        "type": "heartbeat",
        "status": "healthy",
        "safetyWrapperVersion": "1.0.3",
        "configVersion": 1,
        "resources": {
            "cpuPercent": turn * 37 % 100,
            "memoryUsedMb": 2000 + turn * 61 % 5000,
            "memoryTotalMb": 8000,
            "diskUsedGb": 40 + turn % 100,
            "diskTotalGb": 200,
        },
    }
    return json.dumps(frame).encode()
