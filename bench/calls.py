"""What a request costs beside a bare Quart-trio route, and lists at 100,000 rows: `python -m bench.calls`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import click
import trio

from bench.crowd import MANY, fill, statements
from bench.hub_process import HubProcess, Tenant, running_hub, seed
from bench.process_figures import cpu_seconds
from bench.wire import Http, now_ms, percentile
from protocol.ids import parse_id

GOAL = 2.0
_WISH = {
    "agentId": "it-admin",
    "commandClass": "red",
    "toolName": "file_delete",
    "toolArgs": {"path": "/srv/old"},
    "humanReadable": "Delete /srv/old",
}

#: One call over a connection; its status.
Call = Callable[[Http], Awaitable[int]]


@dataclass
class Load:
    """What one round showed.

    Attributes:
        cpu_seconds: of the server's process, without PostgreSQL.
    """

    requests: int
    seconds: float
    cpu_seconds: float

    @property
    def cpu_ms(self) -> float:
        """Of the server, for each request."""
        return self.cpu_seconds / self.requests * 1000

    def __str__(self) -> str:
        return f"{self.requests / self.seconds:.0f} requests/s, {self.cpu_ms:.3f} ms of the server's CPU each"


async def drive(pid: int, port: int, token: str | None, requests: int, connections: int, call: Call) -> Load:
    """So many requests over so many kept-alive connections."""
    numbers = iter(range(requests))

    async def work() -> None:
        http = Http("127.0.0.1", port, token)
        for _ in numbers:
            status = await call(http)
            if status != 200:
                raise RuntimeError(f"status {status}")
        await http.aclose()

    cpu, began = cpu_seconds(pid), now_ms()
    async with trio.open_nursery() as nursery:
        for _ in range(connections):
            nursery.start_soon(work)
    return Load(requests, (now_ms() - began) / 1000, cpu_seconds(pid) - cpu)


@contextmanager
def bare_peer(port: int, answer: object, hub: HubProcess) -> Iterator[int]:
    """The bare routes as a process, beside the Hub's database; its pid."""
    words = [sys.executable, "-m", "bench.peers.quart_bare", "--port", str(port), "--answer", json.dumps(answer)]
    words += ["--database", f"postgresql://hub@/hub?host={hub.state}/postgres"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


async def _listening(port: int) -> None:
    with trio.fail_after(60):
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                return
            except OSError:
                await trio.sleep(0.05)


async def _ask(hub: HubProcess, tenants: list[Tenant], count: int) -> list[str]:
    """Approvals that wait to be decided; their ids."""
    made: list[str] = []
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            http = Http("127.0.0.1", hub.port, tenants[number % len(tenants)].key)
            status, answer = await http.call("POST", "/api/v1/tenant/approval-request", _WISH)
            if status != 201:
                raise RuntimeError(f"approval: {status} {answer}")
            made.append(answer["data"]["id"])
            await http.aclose()

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(work)
    return made


async def beside_the_peer(
    hub: HubProcess, customer: str, tenants: list[Tenant], requests: int, connections: int, rounds: int
) -> None:
    """GET and POST of the Hub and of the bare routes, in turns."""
    waiting = iter(await _ask(hub, tenants, requests * rounds + 25))
    path = "/api/v1/customer/approvals"

    async def read(http: Http) -> int:
        return (await http.call("GET", path))[0]

    async def decide(http: Http) -> int:
        return (await http.call("POST", f"{path}/{next(waiting)}", {"action": "deny"}))[0]

    async def read_bare(http: Http) -> int:
        return (await http.call("GET", "/things"))[0]

    async def read_asked(http: Http) -> int:
        return (await http.call("GET", "/asked"))[0]

    async def look(http: Http) -> int:
        return (await http.call("GET", "/healthz"))[0]

    async def decide_bare(http: Http) -> int:
        return (await http.call("POST", "/things/7", {"action": "deny"}))[0]

    http = Http("127.0.0.1", hub.port, customer)
    _, answer = await http.call("GET", path)
    await http.aclose()
    with trio.socket.socket() as probe:
        await probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shown: dict[str, list[Load]] = {}
    with bare_peer(port, answer, hub) as peer:
        await _listening(port)
        plans: list[tuple[str, int, int, str | None, Call]] = [
            ("GET approvals, the Hub", hub.pid, hub.port, customer, read),
            ("GET /healthz, the Hub", hub.pid, hub.port, None, look),
            ("GET, bare route", peer, port, None, read_bare),
            ("GET, bare route with one SELECT", peer, port, None, read_asked),
            ("POST approvals, the Hub", hub.pid, hub.port, customer, decide),
            ("POST, bare route", peer, port, None, decide_bare),
        ]
        for _ in range(rounds):
            for name, pid, at, token, call in plans:
                shown.setdefault(name, []).append(await drive(pid, at, token, requests, connections, call))
    costs = {}
    for name, loads in shown.items():
        middle = sorted(loads, key=lambda load: load.cpu_ms)[len(loads) // 2]
        costs[name] = middle.cpu_ms
        click.echo(f"{name}: {middle}")
    for verb, bare in (("GET approvals", "GET"), ("POST approvals", "POST")):
        ratio = costs[f"{verb}, the Hub"] / costs[f"{bare}, bare route"]
        click.echo(f"{verb}: {ratio:.2f} of a bare route's CPU time (goal: at most {GOAL:g})")
    asking = costs["GET, bare route with one SELECT"]
    click.echo(f"GET approvals: {costs['GET approvals, the Hub'] / asking:.2f} of a bare route's that asks one SELECT")


async def _fill(hub: HubProcess, order_id: str, customer_id: str, server_id: str, many: int) -> None:
    made = statements(
        order_id=parse_id("ord", order_id),
        customer_id=parse_id("cust", customer_id),
        server_id=parse_id("srv", server_id),
        many=many,
    )

    async def run() -> None:
        await fill(await asyncpg.connect(host=str(Path(hub.state) / "postgres"), user="hub", database="hub"), made)

    await trio.to_thread.run_sync(asyncio.run, run())


async def lists(hub: HubProcess, staff: str, customer: str, tenant: Tenant, many: int, calls: int) -> None:
    """The latency of each list among many rows, one call at a time."""
    http = Http("127.0.0.1", hub.port, staff)
    _, order = await http.call("GET", f"/api/v1/admin/orders/{tenant.order_id}")
    _, servers = await http.call("GET", "/api/v1/admin/servers?pageSize=100")
    server_id = next(one["id"] for one in servers["data"] if one["orderId"] == tenant.order_id)
    click.echo(f"filling {many} customers, orders and servers", err=True)
    await _fill(hub, tenant.order_id, order["data"]["userId"], server_id, many)
    admin, deep = "/api/v1/admin", many // 25
    looked = [
        (staff, f"{admin}/customers"),
        (staff, f"{admin}/customers?search=acme7"),
        (staff, f"{admin}/customers?page={deep}"),
        (staff, f"{admin}/orders"),
        (staff, f"{admin}/orders?status=PROVISIONING&tier=Build"),
        (staff, f"{admin}/orders?search=acme7"),
        (staff, f"{admin}/orders?page={deep}"),
        (staff, f"{admin}/servers"),
        (staff, f"{admin}/servers/{server_id}/commands"),
        (staff, f"{admin}/approvals"),
        (staff, f"{admin}/approvals?status=APPROVED"),
        (staff, f"{admin}/staff"),
        (staff, f"{admin}/staff/invitations"),
        (staff, f"{admin}/events"),
        (staff, f"{admin}/orders/{tenant.order_id}/events"),
        (staff, f"{admin}/founding-members"),
        (customer, "/api/v1/customer/approvals?status=DENIED"),
        (customer, "/api/v1/customer/agents"),
    ]
    for token, path in looked:
        caller = Http("127.0.0.1", hub.port, token)
        times = []
        for _ in range(calls):
            began = now_ms()
            status, answer = await caller.call("GET", path)
            times.append(now_ms() - began)
            if status != 200:
                raise RuntimeError(f"{path}: {status} {answer}")
        await caller.aclose()
        shown = path.replace(tenant.order_id, "{order}").replace(server_id, "{server}")
        click.echo(f"GET {shown}: p50={percentile(times, 0.5):.1f} ms p99={percentile(times, 0.99):.1f} ms")
    await http.aclose()


async def measure(hub: HubProcess, requests: int, connections: int, rounds: int, many: int, calls: int) -> None:
    """Both parts, on one Hub."""
    staff, customer, tenants = await seed(hub, 8)
    await beside_the_peer(hub, customer, tenants, requests, connections, rounds)
    if many:
        await lists(hub, staff, customer, tenants[0], many, calls)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--requests", default=2000, help="Requests of each kind in a round.")
@click.option("--connections", default=8, help="Kept-alive connections at a time.")
@click.option("--rounds", default=3, help="Turns of Hub and peer; the median counts.")
@click.option("--many", default=MANY, help="Customers, orders and servers among which lists are read; 0: none.")
@click.option("--calls", default=200, help="Calls of each list.")
def main(requests: int, connections: int, rounds: int, many: int, calls: int) -> None:
    """Measure requests beside a bare Quart-trio route on Hypercorn, and lists among many rows.

    Hub and peer are processes of their own; this process is the client.
    """
    with running_hub() as hub:
        trio.run(measure, hub, requests, connections, rounds, many, calls)


if __name__ == "__main__":
    main()
