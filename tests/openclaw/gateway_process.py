"""The real OpenClaw gateway as a process, installed from npm into .cache/openclaw, and a client that asks it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import trio
from websockets.trio.client import ClientConnection, connect

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "openclaw"
TOKEN = "gateway-token-of-the-tests"
START_SECONDS = 180


def install() -> None:
    """Install the locked packages where they are not yet: 400 packages, a minute or two."""
    CACHE.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = CACHE / "installed-lock.json"
    if stamp.exists() and stamp.read_bytes() == lock:
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, CACHE / name)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=CACHE, check=True, timeout=1200)
    stamp.write_bytes(lock)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class GatewayProcess:
    """One gateway of the specification's version; may be stopped and started again on the same port and state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        package = json.loads((CACHE / "node_modules" / "openclaw" / "package.json").read_text())
        assert package["version"] == "2026.2.1"
        state = self.folder / "state"
        state.mkdir(parents=True, exist_ok=True)
        (state / "openclaw.json").write_text(
            json.dumps({"update": {"checkOnStart": False}, "logging": {"file": str(self.folder / "gateway.log")}})
        )
        environment = {
            "PATH": f"{CACHE}/node_modules/node/bin:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "OPENCLAW_STATE_DIR": str(state),
            "OPENCLAW_GATEWAY_TOKEN": TOKEN,
            "OPENCLAW_SKIP_CHANNELS": "1",
            "OPENCLAW_SKIP_BROWSER_CONTROL_SERVER": "1",
            "OPENCLAW_SKIP_CANVAS_HOST": "1",
            "OPENCLAW_DISABLE_BONJOUR": "1",
        }
        command = ["node", "node_modules/openclaw/openclaw.mjs", "gateway", "--port", str(self.port)]
        command += ["--bind", "loopback", "--allow-unconfigured"]
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=CACHE, env=environment, stdout=output, stderr=output, start_new_session=True
            )

    async def ready(self) -> None:
        """Wait until it lets a client in."""
        with trio.fail_after(START_SECONDS):
            while True:
                assert self._process is not None
                assert self._process.poll() is None, (self.folder / "output.log").read_text()
                try:
                    async with asking(self.url):
                        return
                except OSError:
                    await trio.sleep(0.5)  # another process starts: there is no event to await

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, 9)
            self._process.wait(timeout=20)
            self._process = None


@contextmanager
def gateway_process(folder: Path) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(folder)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


class Asker:
    """What an agent's exec tool does: asks for approval and waits. Written from OpenClaw's protocol page."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.seen: list[dict[str, Any]] = []

    async def request(self, method: str, params: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
        request_id = str(uuid.uuid4())
        await self._socket.send(json.dumps({"type": "req", "id": request_id, "method": method, "params": params}))
        with trio.fail_after(seconds):
            while True:
                frame = json.loads(await self._socket.recv())
                if frame.get("id") == request_id:
                    return dict(frame)
                if str(frame.get("event", "")).startswith("exec.approval."):
                    self.seen.append(frame)

    async def ask(self, command: str, *, timeout_ms: int = 60_000, **more: Any) -> str | None:
        """Ask for a command; the decision, None when time ran out."""
        params = {"command": command, "cwd": "/srv", "agentId": "it-admin", "timeoutMs": timeout_ms, **more}
        answer = await self.request("exec.approval.request", params)
        assert answer["ok"], answer
        decision = answer["payload"]["decision"]
        return None if decision is None else str(decision)


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Asker]:
    async with connect(url, compression=None, max_size=2**25, open_timeout=10, close_timeout=1) as socket:
        asker = Asker(socket)
        hello = await asker.request(
            "connect",
            {
                "minProtocol": 3,
                "maxProtocol": 3,
                "client": {"id": "gateway-client", "version": "1.0.0", "platform": "linux", "mode": "backend"},
                "role": "operator",
                "scopes": ["operator.read", "operator.write", "operator.approvals", "operator.admin"],
                "auth": {"token": TOKEN},
            },
        )
        assert hello["ok"], hello
        yield asker
