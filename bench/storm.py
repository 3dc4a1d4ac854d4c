"""How long until everybody is back after all sockets were cut at once: `python -m bench.storm`."""

from __future__ import annotations

import json
import random
import sys
import uuid

import click
import trio

from bench.hub_process import HubProcess, Tenant, running_hub, seed
from bench.process_figures import cpu_seconds
from bench.said import ack, headers_of, hello
from bench.wire import Fleet, Http, Socket, now_ms, percentile
from protocol.tenant import SOCKET_PATH

GOAL_SECONDS = 15.0
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)  # the longest wait before each try, of which a random part is waited
WELCOME_SECONDS = 20.0


class Missing:
    """The commands nobody has yet."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.none = trio.Event()

    def arrived(self, command_id: str) -> None:
        """One is there."""
        self.ids.discard(command_id)
        if not self.ids:
            self.none.set()


class Wrapper:
    """A wrapper that journals by its number alone, and comes back as the protocol says."""

    def __init__(self, fleet: Fleet, hub: HubProcess, tenant: Tenant, missing: Missing) -> None:
        self.tenant = tenant
        self.missing = missing
        self.last_seq = 0
        self.config_version: int | None = None
        self.doubled = 0
        self.tries = 0
        self.socket: Socket | None = None
        self._fleet = fleet
        self._hub = hub
        self._welcomed = trio.Event()

    async def come(self, dice: random.Random, *, at_once: bool = False) -> None:
        """Connect until the Hub has said welcome."""
        while True:
            if not at_once or self.tries:
                await trio.sleep(dice.uniform(0, BACKOFF_SECONDS[min(self.tries, len(BACKOFF_SECONDS) - 1)]))
            self.tries += 1
            self._welcomed = trio.Event()
            try:
                socket = self._fleet.begin(
                    "127.0.0.1", self._hub.port, SOCKET_PATH, headers_of(self.tenant), self._on_text
                )
            except OSError:
                continue
            socket.send(hello(str(uuid.uuid4()), last_seq=self.last_seq, config_version=self.config_version))
            self.socket = socket
            with trio.move_on_after(WELCOME_SECONDS):
                await self._welcomed.wait()
                return
            self._fleet.drop(socket)

    def _on_text(self, socket: Socket, data: bytes) -> None:
        frame = json.loads(data)
        if frame["type"] == "welcome":
            self._welcomed.set()
        if "seq" in frame:
            if frame["seq"] <= self.last_seq:
                self.doubled += 1
            else:
                self.last_seq = frame["seq"]
                match frame["type"]:
                    case "command":
                        self.missing.arrived(frame["id"])
                    case "configOffered":
                        self.config_version = frame["configVersion"]
            socket.send(ack(self.last_seq))


async def _all_come(wrappers: list[Wrapper], dice: random.Random, *, at_once: bool) -> list[float]:
    """Connect all; after how many seconds each was welcome, in no order."""
    began = now_ms()
    took: list[float] = []

    async def one(wrapper: Wrapper) -> None:
        wrapper.tries = 0
        await wrapper.come(dice, at_once=at_once)
        took.append((now_ms() - began) / 1000)
        if sys.stderr.isatty():
            click.echo(f"\r  {len(took)} of {len(wrappers)} are welcome", nl=False, err=True)

    async with trio.open_nursery() as nursery:
        for wrapper in wrappers:
            nursery.start_soon(one, wrapper)
            if at_once:  # the first time in a row: it is no part of the storm
                await trio.sleep(0.002)
    if sys.stderr.isatty():
        click.echo(err=True)
    return took


async def storm(hub: HubProcess, sockets: int, commands: int, *, kill: bool) -> bool:
    """Cut all off, and see them come back; whether nothing was lost and nothing came twice."""
    click.echo(f"seeding {sockets} tenants", err=True)
    staff, _, tenants = await seed(hub, sockets)
    http, fleet, dice, missing = Http("127.0.0.1", hub.port, staff), Fleet(), random.Random(1), Missing()
    wrappers = [Wrapper(fleet, hub, tenant, missing) for tenant in tenants]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fleet.run)
        await _all_come(wrappers, dice, at_once=True)
        await trio.sleep(3)  # for acknowledgements to be stored
        for wrapper in wrappers:
            assert wrapper.socket is not None
            fleet.drop(wrapper.socket)
        missing.ids = await _commands(http, commands)
        await http.aclose()
        if kill:
            hub.kill()
            hub.start()
        before = cpu_seconds(hub.pid)
        took = await _all_come(wrappers, dice, at_once=False)
        cpu = cpu_seconds(hub.pid) - before
        with trio.move_on_after(10 if missing.ids else 0):
            await missing.none.wait()
        nursery.cancel_scope.cancel()
    fleet.close()
    lost, doubled = len(missing.ids), sum(one.doubled for one in wrappers)
    tries = sum(one.tries for one in wrappers)
    click.echo(
        f"sockets={sockets} cut at once{', the Hub killed' if kill else ''}: all welcome after {max(took):.2f} s "
        f"(half after {percentile(took, 0.5):.2f} s), {tries / sockets:.2f} tries each, "
        f"hub_cpu={cpu / sockets * 1000:.2f} ms each; goal {GOAL_SECONDS:.0f} s"
    )
    click.echo(f"commands given meanwhile={commands} lost={lost} doubled={doubled}")
    return lost == 0 and doubled == 0


async def _commands(http: Http, many: int) -> set[str]:
    """Give so many commands to those who are away; their ids."""
    _, answer = await http.call("GET", "/api/v1/admin/servers?pageSize=100")
    sent: set[str] = set()
    for number in range(many):
        path = f"/api/v1/admin/servers/{answer['data'][number % len(answer['data'])]['id']}/command"
        status, given = await http.call("POST", path, {"type": "PING", "payload": {}})
        if not 200 <= status < 300:
            raise RuntimeError(f"command: {status} {given}")
        sent.add(given["data"]["id"])
    return sent


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--sockets", default=4000, help="How many are cut off.")
@click.option("--commands", default=200, help="Commands given while nobody is there.")
@click.option("--kill", is_flag=True, help="Kill the Hub meanwhile, and start it again.")
def main(sockets: int, commands: int, kill: bool) -> None:
    """Cut all sockets at once and measure until the last wrapper is welcome again.

    Starts a Hub with its database as a process of its own. Wrappers come back as the protocol says: each waits a random
    part of half a second, then of twice as much. What was given to them meanwhile must arrive, once.
    """
    with running_hub() as hub:
        whole = trio.run(lambda: storm(hub, sockets, commands, kill=kill))
    if not whole:
        sys.exit(1)


if __name__ == "__main__":
    main()
