"""Kill the Hub again and again under load, and hold it to what it acknowledged: `python -m bench.durable`."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections import Counter, deque

import click
import trio

from bench.hub_process import HubProcess, Tenant, running_hub, seed
from bench.said import Question, ack, headers_of, hello
from bench.wire import Fleet, Http, Socket
from protocol.tenant import SOCKET_PATH

ON_THE_WAY = 8  # unanswered messages of one wrapper
UNDECIDED = 60  # accepted requests waiting for a decision, before wrappers stop asking for more
QUESTION = Question(
    "shell",
    {"command": "tar czf /backup/a.tgz /srv", "cwd": "/srv"},
    "IT Admin wants to pack /srv (12 files, 80 MB)",
)
SETTLE_SECONDS = 120


class Ledger:
    """What the Hub has acknowledged and what has arrived, kept outside of it."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.decided: dict[str, str] = {}
        self.arrived: Counter[tuple[str, str]] = Counter()
        self.actions: dict[str, str] = {}
        self.undecided: deque[str] = deque()
        self.gaps: list[str] = []
        self.doubled_seqs = 0

    @property
    def acknowledgements(self) -> int:
        return len(self.accepted) + len(self.decided)


class Wrapper:
    """A wrapper whose journal survives: it asks, acknowledges, reconnects and sends again what was not accepted."""

    def __init__(self, fleet: Fleet, tenant: Tenant, ledger: Ledger) -> None:
        self._fleet = fleet
        self._tenant = tenant
        self._ledger = ledger
        self._boot_id = str(uuid.uuid4())
        self._unaccepted: dict[str, bytes] = {}
        self.last_seq = 0
        self.asking = True
        self.socket: Socket | None = None

    def connect(self, port: int) -> None:
        """Connect and say hello with what is journalled."""
        self.socket = self._fleet.connect("127.0.0.1", port, SOCKET_PATH, headers_of(self._tenant), self._on_text)
        self.socket.send(hello(self._boot_id, last_seq=self.last_seq))

    @property
    def waiting(self) -> int:
        """Messages without an answer."""
        return len(self._unaccepted)

    def _on_text(self, socket: Socket, data: bytes) -> None:
        frame = json.loads(data)
        if "seq" in frame:
            self._promise(socket, frame)
        match frame["type"]:
            case "welcome":
                for message in list(self._unaccepted.values()):
                    socket.send(message)
                self._ask_more(socket)
            case "accepted":
                for request_id in frame["ids"]:
                    self._unaccepted.pop(request_id, None)
                    self._ledger.accepted.add(request_id)
                    self._ledger.undecided.append(request_id)
                self._ask_more(socket)

    def _promise(self, socket: Socket, frame: dict[str, str | int]) -> None:
        seq = int(frame["seq"])
        if seq > self.last_seq + 1:
            self._ledger.gaps.append(f"{self._tenant.order_id}: {seq} after {self.last_seq}")
        if seq <= self.last_seq:
            self._ledger.doubled_seqs += 1  # told again after a lost acknowledgement: the journal makes it harmless
        else:
            self.last_seq = seq
            if frame["type"] == "approvalSettled":
                request_id = str(frame["requestId"])
                self._ledger.arrived[(request_id, str(frame["action"]))] += 1
        socket.send(ack(self.last_seq))

    def ask_more(self) -> None:
        """There is room for more requests again."""
        if self.socket is not None and self.socket.open:
            self._ask_more(self.socket)

    def _ask_more(self, socket: Socket) -> None:
        while self.asking and len(self._unaccepted) < ON_THE_WAY and len(self._ledger.undecided) < UNDECIDED:
            request_id = str(uuid.uuid4())
            self._unaccepted[request_id] = QUESTION.asked(request_id)
            socket.send(self._unaccepted[request_id])


class Trial:
    """The load, the kills and the reckoning."""

    def __init__(self, hub: HubProcess, staff: str, customer: str, tenants: list[Tenant]) -> None:
        self._hub = hub
        self._staff = staff
        self._customer = customer
        self.ledger = Ledger()
        self._fleet = Fleet()
        self._wrappers = [Wrapper(self._fleet, tenant, self.ledger) for tenant in tenants]
        self._random = random.Random(2026)

    async def run(self, kills: int, between: int) -> None:
        """Kill the Hub so many times, with so many acknowledgements between two kills."""
        for number in range(1, kills + 1):
            before, started = self.ledger.acknowledgements, time.monotonic()
            with trio.move_on_after(180) as limit:
                await self._load(before + between)
            if limit.cancelled_caught:
                raise RuntimeError("the Hub acknowledges nothing any more")
            self._hub.kill()
            self._fleet.turn(0)
            gained = self.ledger.acknowledgements - before
            self._hub.start()
            if number % 5 == 0 or number == kills:
                took = time.monotonic() - started
                click.echo(f"  kill {number} of {kills}: {gained} acknowledgements before it, {took:.1f} s", err=True)
        await self._settle()

    async def _load(self, until: int) -> None:
        for wrapper in self._wrappers:
            wrapper.connect(self._hub.port)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fleet.run)
            for _ in range(4):
                nursery.start_soon(self._decide)
            while self.ledger.acknowledgements < until:  # noqa: ASYNC110 - a load generator may look
                await trio.sleep(0.01)
            await trio.sleep(self._random.uniform(0, 0.3))
            nursery.cancel_scope.cancel()

    async def _decide(self) -> None:
        """A customer deciding what was accepted, one after the other."""
        http = Http("127.0.0.1", self._hub.port, self._customer)
        known: dict[str, str] = {}
        while True:
            if not self.ledger.undecided:
                await trio.sleep(0.01)
                continue
            request_id = self.ledger.undecided.pop()
            if request_id not in known:
                _, answer = await http.call("GET", "/api/v1/customer/approvals?pageSize=100")
                known = {one["requestId"]: one["id"] for one in answer["data"]}
            if request_id not in known:
                continue
            action = self._random.choice(("approve", "deny"))
            self.ledger.actions[request_id] = action
            status, _ = await http.call("POST", f"/api/v1/customer/approvals/{known[request_id]}", {"action": action})
            if status == 200:
                self.ledger.decided[request_id] = action
            self._wrappers[self._random.randrange(len(self._wrappers))].ask_more()

    async def _settle(self) -> None:
        """Let everything arrive that was acknowledged."""
        for wrapper in self._wrappers:
            wrapper.asking = False
            wrapper.connect(self._hub.port)
        missing = len(self.ledger.decided)
        with trio.move_on_after(SETTLE_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fleet.run)
                while missing or any(wrapper.waiting for wrapper in self._wrappers):
                    await trio.sleep(0.2)
                    missing = sum(1 for pair in self.ledger.decided.items() if not self.ledger.arrived[pair])
                nursery.cancel_scope.cancel()

    async def reckon(self) -> bool:
        """Hold the Hub's books against the ledger; print, and return whether nothing is lost and nothing doubled."""
        held: Counter[str] = Counter()
        statuses: dict[str, str] = {}
        http = Http("127.0.0.1", self._hub.port, self._staff)
        for status in ("PENDING", "APPROVED", "DENIED"):
            page = 1
            while True:
                path = f"/api/v1/admin/approvals?status={status}&pageSize=100&page={page}"
                _, answer = await http.call("GET", path)
                for one in answer["data"]:
                    held[one["requestId"]] += 1
                    statuses[one["requestId"]] = status
                if page * 100 >= answer["meta"]["total"]:
                    break
                page += 1
        ledger = self.ledger
        wanted = {"approve": "APPROVED", "deny": "DENIED"}
        lost_requests = sum(1 for one in ledger.accepted if not held[one])
        doubled_requests = sum(1 for count in held.values() if count > 1)
        lost_decisions = sum(1 for one, action in ledger.decided.items() if statuses.get(one) != wanted[action])
        lost_pushes = sum(1 for pair in ledger.decided.items() if not ledger.arrived[pair])
        arrivals = Counter(request_id for request_id, _ in ledger.arrived.elements())
        doubled_pushes = sum(1 for count in arrivals.values() if count > 1)
        click.echo(f"acknowledged: {len(ledger.accepted)} requests, {len(ledger.decided)} decisions")
        click.echo(f"lost: {lost_requests} requests, {lost_decisions} decisions, {lost_pushes} pushes of decisions")
        click.echo(f"doubled: {doubled_requests} requests, {doubled_pushes} pushes under two numbers")
        click.echo(f"gaps in the sequence: {len(ledger.gaps)}; promises told again and dropped: {ledger.doubled_seqs}")
        return not any((lost_requests, doubled_requests, lost_decisions, lost_pushes, doubled_pushes, len(ledger.gaps)))


async def trial(hub: HubProcess, kills: int, between: int, tenants: int) -> bool:
    """Seed, kill, reckon."""
    staff, customer, seeded = await seed(hub, tenants)
    one = Trial(hub, staff, customer, seeded)
    started = time.monotonic()
    await one.run(kills, between)
    click.echo(f"{kills} kills in {time.monotonic() - started:.0f} s")
    return await one.reckon()


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--kills", default=50, help="How often the Hub is killed with SIGKILL.")
@click.option("--between", default=500, help="Acknowledgements between two kills, at least.")
@click.option("--tenants", default=20, help="Wrappers asking and being answered at once.")
def main(kills: int, between: int, tenants: int) -> None:
    """Kill -9 the Hub at random moments under load and count what it had acknowledged and lost.

    Wrappers ask for approvals and a customer decides them; every `accepted` and every 200 is written into a ledger in
    this process. After each kill the Hub starts again on the same state. Exit code 1 if anything was lost or doubled.
    """
    with running_hub() as hub:
        if not trio.run(trial, hub, kills, between, tenants):
            raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
