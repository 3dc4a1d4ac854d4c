"""A Hub as a process of its own, and what a bench reads of it: memory, CPU time, a seeded fleet of tenants."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
import trio

from bench.wire import Http

PASSWORD = "bench with a long password"
START_SECONDS = 60


class Tenant(msgspec.Struct):
    """One seeded tenant."""

    order_id: str
    key: str


class HubProcess:
    """`hub serve` on a state folder of its own; may be killed and started again.

    Args:
        state: the state folder.
        port: 0 takes a free one at the first start, kept for the later ones.
    """

    def __init__(self, state: Path, *, port: int = 0) -> None:
        self.state = state
        self.port = port
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it takes requests.

        Raises:
            RuntimeError: it does not within a minute.
        """
        hub = Path(sys.executable).with_name("hub")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        environment |= {
            "HUB_STATE_DIR": str(self.state),
            "HUB_RATE_LIMIT_PER_MINUTE": "1000000",
            "HUB_LOG_LEVEL": "warning",
        }
        with (self.state / "hub.log").open("a") as log:
            self._process = subprocess.Popen(
                [hub, "serve", "--bind", f"127.0.0.1:{self.port}"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if select.select([self._process.stdout], [], [], 0.5)[0]:
                line = self._process.stdout.readline()
                if "ready on" in line:
                    self.port = int(line.strip().rpartition(":")[2])
                    return
                if not line:
                    break
        raise RuntimeError(f"the Hub did not start; see {self.state / 'hub.log'}")

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


def free_port() -> int:
    """A port nobody listens on now: whoever brings an Origin needs to know the address before the start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_hub(*, port: int = 0) -> Iterator[HubProcess]:
    """A Hub on a fresh state folder, ended and removed afterwards."""
    state = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    hub = HubProcess(state, port=port)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
        shutil.rmtree(state, ignore_errors=True)


async def sign_in(hub: HubProcess, kind: str, email: str) -> str:
    """A session token of staff (`credentials`) or a customer (`customer`)."""
    body = f'{{"email":"{email}","password":"{PASSWORD}"}}'.encode()
    tcp = await trio.open_tcp_stream("127.0.0.1", hub.port)
    async with tcp:
        await tcp.send_all(
            f"POST /api/auth/callback/{kind} HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        answer = b""
        async for data in tcp:
            answer += data
    for line in answer.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(": ")
        if name.lower() == "set-cookie" and value.startswith("next-auth.session-token="):
            return value.partition("=")[2].partition(";")[0]
    raise RuntimeError(f"no session: {answer[:300]!r}")


async def seed(hub: HubProcess, tenants: int, *, at_once: int = 8) -> tuple[str, str, list[Tenant]]:
    """An owner, a customer and so many registered tenants; returns both sessions' tokens and the tenants."""
    public = Http("127.0.0.1", hub.port)
    owner = {"email": "owner@bench.example", "name": "Owner", "password": PASSWORD}
    status, answer = await public.call("POST", "/api/v1/setup", owner)
    if status != 201:
        raise RuntimeError(f"setup: {status} {answer}")
    staff = await sign_in(hub, "credentials", "owner@bench.example")
    admin = Http("127.0.0.1", hub.port, staff)
    customer = {"email": "c@bench.example", "name": "Customer", "company": "Bench", "password": PASSWORD}
    _, answer = await admin.call("POST", "/api/v1/admin/customers", customer)
    customer_id = answer["data"]["id"]
    made: list[Tenant] = []
    numbers = iter(range(tenants))

    async def work() -> None:
        by_staff, by_wrapper = Http("127.0.0.1", hub.port, staff), Http("127.0.0.1", hub.port)
        for number in numbers:
            order = {"userId": customer_id, "tier": "Build", "domain": f"t{number}.bench.example"}
            _, answer = await by_staff.call("POST", "/api/v1/admin/orders", order)
            order_id = answer["data"]["id"]
            path = f"/api/v1/admin/orders/{order_id}/registration-token"
            _, answer = await by_staff.call("POST", path)
            token = {"registrationToken": answer["data"]["registrationToken"]}
            _, answer = await by_wrapper.call("POST", "/api/v1/tenant/register", token)
            made.append(Tenant(order_id, answer["data"]["hubApiKey"]))
            if len(made) % 250 == 0:
                click.echo(f"  seeded {len(made)} of {tenants} tenants", err=True)
        await by_staff.aclose()
        await by_wrapper.aclose()

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(work)
    return staff, await sign_in(hub, "customer", "c@bench.example"), made
