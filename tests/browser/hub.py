"""A real Hub as a process, seeded through its API, and scripted wrappers that ask: synchronous, for browser tests."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from protocol.canonical import args_hash

OWNER = ("owner@hub.example", "correct horse battery staple")
CUSTOMER = ("maria@acme.example", "correct horse battery staple 2")
PATIENCE_SECONDS = 20.0


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class HubProcess:
    """`hub serve` on a fixed port, so that it can come back where it was."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[str] | None = None
        #: The folder that mail goes to.
        self.mail = state.parent / "mail"
        self.mail.mkdir(exist_ok=True)

    def letter(self, to: str, holding: str) -> str:
        """The text of a letter to somebody that holds these words, waited for if need be."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for path in sorted(self.mail.rglob("*.eml")):
                message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                body = message.get_body(("plain",))
                words = "" if body is None else str(body.get_content())
                if to in str(message["to"]) and holding in words:
                    return words
            time.sleep(0.1)
        raise TimeoutError(f"no letter to {to} holds {holding!r}; there are {len(list(self.mail.rglob('*')))} files")

    def start(self) -> None:
        """Start it and wait until it takes requests."""
        environment = {
            **os.environ,
            "HUB_STATE_DIR": str(self.state),
            "HUB_RATE_LIMIT_PER_MINUTE": "6000",
            "HUB_PUBLIC_URL": self.url,
            "HUB_SMTP_URL": self.mail.as_uri(),
            "HUB_MAIL_GRACE_SECONDS": "1",
        }
        with (self.state.parent / "hub.log").open("a") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).parent / "hub"), "serve", "--bind", f"127.0.0.1:{self.port}"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                if self.process.poll() is not None:
                    break
            time.sleep(0.1)
        raise RuntimeError(f"the Hub did not start; its log: {(self.state.parent / 'hub.log').read_text()[-2000:]}")

    def stop(self, *, hard: bool = False) -> None:
        """Stop it, with SIGTERM or, hard, with SIGKILL."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        self.process.wait(30)
        self.process = None


class Wrapper:
    """A tenant's wrapper by script: asks, acknowledges, comes back when the Hub does."""

    def __init__(self, hub: HubProcess, key: str) -> None:
        self._hub, self._key = hub, key
        self._socket: ClientConnection | None = None
        self._welcomed = threading.Event()
        self._stopping = False
        self._last_seq = 0
        #: Messages by id that no `accepted` has named yet: said again on every new connection, as a wrapper must.
        self._unaccepted: dict[str, dict[str, Any]] = {}
        self.heard: list[dict[str, Any]] = []
        self._changed = threading.Condition()  # its lock may be taken again by its holder
        #: Answers to a command: (status, output), or None to leave it running.
        self.on_command: Callable[[dict[str, Any]], tuple[str, str] | None] = lambda frame: ("succeeded", "done")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._welcomed.wait(PATIENCE_SECONDS):
            raise RuntimeError("the Hub did not welcome the wrapper")

    def _run(self) -> None:
        while not self._stopping:
            # The Hub is away, or has hung up: the next try follows.
            with contextlib.suppress(OSError, ConnectionClosed, InvalidStatus, TimeoutError):
                self._converse()
            self._welcomed.clear()
            time.sleep(0.2)

    def _converse(self) -> None:
        with connect(
            f"ws://127.0.0.1:{self._hub.port}/api/v1/tenant/socket",
            additional_headers={"authorization": f"Bearer {self._key}"},
            subprotocols=[Subprotocol("letsbe.tenant.v1")],
            compression=None,
            proxy=None,
        ) as self._socket:
            self.say(
                type="hello",
                protocolMin=1,
                protocolMax=1,
                wrapperVersion="1.0.3",
                bootId=str(uuid.uuid4()),
                lastSeq=self._last_seq,
                capabilities=["command", "approvalSettled", "configOffered"],
            )
            for text in self._socket:
                self._hear(json.loads(text))

    def _hear(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "welcome":
            with self._changed:
                self._welcomed.set()
                for message in self._unaccepted.values():
                    self.say(**message)
        if frame["type"] in ("accepted", "refused"):
            with self._changed:
                for identity in frame.get("ids", [frame.get("id")]):
                    self._unaccepted.pop(identity, None)
        if "seq" in frame:
            self._last_seq = max(self._last_seq, frame["seq"])
            self.say(type="ack", seq=frame["seq"])
        if frame["type"] == "command":
            answer = self.on_command(frame)
            if answer is not None:
                self.message(type="commandResult", commandId=frame["id"], status=answer[0], output=answer[1])
        with self._changed:
            self.heard.append(frame)
            self._changed.notify_all()

    def say(self, **frame: Any) -> None:
        assert self._socket is not None
        self._socket.send(json.dumps(frame))

    def message(self, **frame: Any) -> None:
        """State, which is said once, or a message, which is said until the Hub has `accepted` it; not waited for."""
        if frame["type"] == "heartbeat":
            self.say(**frame)
        else:
            self._keep(id=str(uuid.uuid4()), **frame)

    def _keep(self, **message: Any) -> None:
        """Say a message now if the Hub has welcomed this connection, and on the next ones until it is accepted."""
        with self._changed:
            self._unaccepted[message["id"]] = message
            if self._welcomed.is_set():
                with contextlib.suppress(ConnectionClosed):  # the next connection says it
                    self.say(**message)

    def ask(self, human_readable: str, *, tool: str = "file_delete", command_class: str = "red", **more: Any) -> str:
        """Ask for an approval and wait until the Hub has it; answers the request's id."""
        arguments = more.pop("args", {"path": "/opt/letsbe/stacks/nextcloud/data/tmp/*", "recursive": True})
        request = str(uuid.uuid4())
        self._keep(
            type="approvalRequest",
            id=request,
            agentId=more.pop("agent", "it-admin"),
            commandClass=command_class,
            toolName=tool,
            toolArgs=arguments,
            argsHash=args_hash(tool, arguments),
            humanReadable=human_readable,
            **more,
        )
        self.wait(lambda frame: request in frame.get("ids", ()) or frame.get("id") == request)
        return request

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first frame heard that is wanted, waited for if need be."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._changed:
            while True:
                for frame in self.heard:
                    if wanted(frame):
                        return frame
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"not heard; heard {self.heard[-3:]}")

    def hang_up(self) -> None:
        """Lose the connection; the wrapper comes back by itself."""
        assert self._socket is not None
        self._socket.close()

    def close(self) -> None:
        self._stopping = True
        if self._socket is not None:
            self._socket.close()
        self._thread.join(10)


class Staff:
    """The API as a program of the owner uses it."""

    def __init__(self, hub: HubProcess) -> None:
        self._client = httpx.Client(base_url=hub.url, timeout=20)
        email, password = OWNER
        self.call("POST", "/api/v1/setup", {"email": email, "name": "Nora Lindt", "password": password})
        signed_in = self._client.post("/api/auth/callback/credentials", json={"email": email, "password": password})
        self._client.headers["authorization"] = f"Bearer {signed_in.cookies['next-auth.session-token']}"
        self._client.cookies.clear()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def customer(self, email: str, password: str, name: str, company: str) -> str:
        body = {"email": email, "password": password, "name": name, "company": company}
        identity: str = self.call("POST", "/api/v1/admin/customers", body)["id"]
        return identity

    def order(self, customer: str, domain: str) -> str:
        """An order with its agents; answers its id."""
        tools = ["nextcloud", "ghost", "listmonk", "odoo", "chatwoot"]
        body = {"userId": customer, "tier": "Build", "domain": domain, "tools": tools, "serverIp": "88.99.14.207"}
        identity: str = self.call("POST", "/api/v1/admin/orders", body)["id"]
        for role in ("it-admin", "marketing"):
            self.call("POST", f"/api/v1/admin/orders/{identity}/agents", {"role": role})
        return identity

    def register(self, order: str) -> str:
        """The key of a newly registered server."""
        token = self.call("POST", f"/api/v1/admin/orders/{order}/registration-token")["registrationToken"]
        key: str = self.call("POST", "/api/v1/tenant/register", {"registrationToken": token})["hubApiKey"]
        return key

    def servers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "/api/v1/admin/servers?pageSize=100")
        return found

    def close(self) -> None:
        self._client.close()
