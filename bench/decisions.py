"""From a decision posted to the wrapper having it, and what an idle tenant weighs: `python -m bench.decisions`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

import click
import trio
import trio.lowlevel

from bench.hub_process import HubProcess, Tenant, running_hub, seed
from bench.process_figures import cpu_seconds, resident_kib
from bench.said import Question, ack, headers_of, hello
from bench.wire import Fleet, Http, Socket, now_ms, percentile
from protocol.tenant import SOCKET_PATH

QUESTION = Question(
    "file_delete",
    {"path": "/opt/letsbe/stacks/nextcloud/data/tmp/*", "recursive": True},
    "IT Admin wants to delete /nextcloud/data/tmp/* (47 files, 2.3GB)",
)


class Wrapper:
    """A wrapper that says hello, acknowledges every promise, and notes when a decision arrives."""

    def __init__(self, fleet: Fleet, hub: HubProcess, tenant: Tenant, board: Board) -> None:
        self._board = board
        self.socket = fleet.connect("127.0.0.1", hub.port, SOCKET_PATH, headers_of(tenant), self._on_text)
        self.socket.send(hello(str(uuid.uuid4())))

    def ask(self, request_id: str) -> None:
        """Ask for an approval."""
        self.socket.send(QUESTION.asked(request_id))

    def _on_text(self, socket: Socket, data: bytes) -> None:
        at = now_ms()
        frame = json.loads(data)
        if "seq" in frame:
            socket.send(ack(frame["seq"]))
        match frame["type"]:
            case "configOffered":
                self._board.configured_one()
            case "accepted":
                for request_id in frame["ids"]:
                    self._board.accepted[request_id].set()
            case "approvalSettled":
                self._board.arrived[frame["requestId"]] = at
                self._board.settled[frame["requestId"]].set()


class Board:
    """What has happened so far, by request id."""

    def __init__(self) -> None:
        self.configured = 0
        self.accepted: dict[str, trio.Event] = {}
        self.settled: dict[str, trio.Event] = {}
        self.arrived: dict[str, float] = {}
        self._wanted = 0
        self._reached = trio.Event()

    async def all_configured(self, count: int) -> None:
        """Wait until so many wrappers have their configuration."""
        self._wanted, self._reached = count, trio.Event()
        if self.configured < count:
            await self._reached.wait()

    def configured_one(self) -> None:
        """Another wrapper has its configuration."""
        self.configured += 1
        if self.configured >= self._wanted:
            self._reached.set()


async def _decide(
    board: Board, http: Http, wrapper: Wrapper, by_request: dict[str, str], latencies: list[float]
) -> None:
    request_id = str(uuid.uuid4())
    board.accepted[request_id], board.settled[request_id] = trio.Event(), trio.Event()
    wrapper.ask(request_id)
    await board.accepted[request_id].wait()
    approval_id = by_request.get(request_id) or await _find(http, request_id, by_request)
    posted = now_ms()
    status, answer = await http.call("POST", f"/api/v1/customer/approvals/{approval_id}", {"action": "approve"})
    if status != 200:
        raise RuntimeError(f"decision: {status} {answer}")
    await board.settled[request_id].wait()
    latencies.append(board.arrived[request_id] - posted)


async def _find(http: Http, request_id: str, by_request: dict[str, str]) -> str:
    _, answer = await http.call("GET", "/api/v1/customer/approvals?pageSize=100")
    by_request |= {approval["requestId"]: approval["id"] for approval in answer["data"]}
    return by_request[request_id]


async def measure(hub: HubProcess, sizes: Sequence[int], decisions: int, at_once: int) -> None:
    """Connect the sizes one after the other, and measure at each."""
    click.echo(f"seeding {max(sizes)} tenants", err=True)
    _, customer, tenants = await seed(hub, max(sizes))
    fleet, board = Fleet(), Board()
    weights: list[tuple[int, int]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fleet.run)
        wrappers: list[Wrapper] = []
        for size in sizes:
            for tenant in tenants[len(wrappers) : size]:
                wrappers.append(Wrapper(fleet, hub, tenant, board))
                await trio.lowlevel.checkpoint()
            await board.all_configured(size)
            await trio.sleep(5)  # for acknowledgements to be stored and memory to settle
            weights.append((size, resident_kib(hub.pid)))
            latencies: list[float] = []
            numbers = iter(range(decisions))

            async def work(size: int = size, latencies: list[float] = latencies, numbers: object = numbers) -> None:
                http, known = Http("127.0.0.1", hub.port, customer), {}  # type: ignore[var-annotated]
                for number in numbers:  # type: ignore[attr-defined]
                    await _decide(board, http, wrappers[number * 7919 % size], known, latencies)

            before = cpu_seconds(hub.pid)
            async with trio.open_nursery() as workers:
                for _ in range(at_once):
                    workers.start_soon(work)
            cpu = cpu_seconds(hub.pid) - before
            click.echo(
                f"sockets={size} decisions={len(latencies)} at_once={at_once} "
                f"p50={percentile(latencies, 0.5):.2f} ms p99={percentile(latencies, 0.99):.2f} ms "
                f"max={max(latencies):.2f} ms hub_cpu_per_decision={cpu / len(latencies) * 1000:.2f} ms"
            )
        nursery.cancel_scope.cancel()
    (first, light), (last, heavy) = weights[0], weights[-1]
    for size, kib in weights:
        click.echo(f"sockets={size} resident={kib} KiB")
    if last > first:
        click.echo(f"memory per idle tenant (socket and actor): {(heavy - light) / (last - first):.2f} KiB")
    fleet.close()


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--sizes", default="500,2000", help="How many sockets, in steps.")
@click.option("--decisions", default=500, help="Decisions at each step.")
@click.option("--at-once", default=1, help="Decisions under way at a time.")
def main(sizes: str, decisions: int, at_once: int) -> None:
    """Measure a decision's way from the customer's POST to the wrapper, among many sockets that said hello.

    Starts a Hub with its database as a process of its own; this process plays all wrappers and the customer.
    """
    with running_hub() as hub:
        trio.run(measure, hub, [int(size) for size in sizes.split(",")], decisions, at_once)


if __name__ == "__main__":
    main()
