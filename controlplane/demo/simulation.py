"""`hub simulate`: many real wrappers in this process against a Hub, with live figures and a summary."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click
import httpx
import trio

from actors.runtime.ports import SeededRandomness
from controlplane.demo.client import Client, patiently
from controlplane.demo.failure import DemoFailed
from controlplane.demo.simulated_tenants import Keys, make_missing
from controlplane.secret import Secret
from protocol.faults import Conflict, Fault, NotFound, Unauthorized
from protocol.objects import CommandApproval, RemoteCommand, Server
from wrapper.fleet import Fleet, Member
from wrapper.hub_address import HubAddress
from wrapper.keyring import Secret as WrapperSecret
from wrapper.script import Scenario

_GOODBYE_SECONDS: Final = 10.0
_LIVE_SECONDS: Final = 0.5
#: Where standard error is no terminal, a line now and then.
_LOG_SECONDS: Final = 10.0
_DECIDE_SECONDS: Final = 3.0
_DENIED_SHARE: Final = 0.2
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Simulation:
    """What the command line says.

    Attributes:
        scenarios: played in turn, one a tenant.
        state: where journals are kept; None keeps them in memory.
        ramp_per_second: how many wrappers start a second.
        for_seconds: None: until told to stop.
        commands_per_minute: sent to tenants at random.
    """

    address: HubAddress
    tenants: int
    keys: Path
    scenarios: list[Scenario]
    pace_seconds: float
    ramp_per_second: float
    seed: int
    state: Path | None = None
    for_seconds: float | None = None
    with_agents: bool = False
    decide: bool = False
    commands_per_minute: float = 0.0
    email: str | None = None
    password: Secret | None = None

    @property
    def needs_staff(self) -> bool:
        """Whether something besides making tenants is done by a person."""
        return self.decide or self.commands_per_minute > 0


async def simulate(wanted: Simulation) -> None:
    """Make what is missing, run it until SIGINT or SIGTERM or its time is up, and tell how it was.

    Raises:
        DemoFailed, Fault: with a sentence for the person who started it.
    """
    keys = Keys(wanted.keys, wanted.address.url)
    fleet = Fleet(wanted.address, measure_resources=False)
    live = Live(fleet, wanted.tenants)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as watching, Client.connections(wanted.address.url) as http:
            everything, working = trio.CancelScope(), trio.CancelScope()
            watching.start_soon(_obey, signals, working, everything)
            with everything:
                async with trio.open_nursery() as members:
                    with working:
                        staff = await _prepare(wanted, keys, http)
                        await _run(wanted, keys, fleet, live, staff, members)
                    live.note_end()
                    fleet.stop()
                    members.cancel_scope.deadline = trio.current_time() + _GOODBYE_SECONDS
            watching.cancel_scope.cancel()
    live.end()


async def _obey(signals: AsyncIterator[int], working: trio.CancelScope, everything: trio.CancelScope) -> None:
    """The first signal lets the wrappers say goodbye, the second ends at once."""
    async for _ in signals:
        if working.cancel_called:
            everything.cancel()
        working.cancel()


async def _prepare(wanted: Simulation, keys: Keys, http: httpx.AsyncClient) -> Client | None:
    """Sign in where that is needed, and make the tenants that are missing."""
    missing = max(wanted.tenants - len(keys.tenants), 0)
    if not missing and not wanted.needs_staff:
        return None
    if wanted.email is None or wanted.password is None:
        why = f"{missing} tenants are missing" if missing else "deciding and commands are staff's to do"
        raise DemoFailed(f"{why}: give --email, and the password when asked or by --password-file")
    nobody = Client(http, _waits)
    email, password = wanted.email, wanted.password
    try:
        staff = nobody.signed_in(await nobody.sign_in("credentials", email, password))
    except Unauthorized:
        raise DemoFailed(
            f"the Hub refused the sign-in of {email}: a staff account with its password, and without a second factor"
        ) from None
    except httpx.TransportError as error:
        raise DemoFailed(f"{wanted.address.url} cannot be reached: {error or type(error).__name__}") from None
    if missing:
        with click.progressbar(length=missing, label=f"making {missing} tenants", file=sys.stderr) as bar:
            await patiently(
                lambda: make_missing(
                    keys,
                    wanted.address.url,
                    wanted.tenants,
                    staff,
                    nobody,
                    with_agents=wanted.with_agents,
                    on_made=lambda: bar.update(1),
                )
            )
    return staff


def _waits(_: str) -> None:
    """The progress bar shows that it takes longer."""


async def _run(
    wanted: Simulation, keys: Keys, fleet: Fleet, live: Live, staff: Client | None, members: trio.Nursery
) -> None:
    """Run the wrappers, in the nursery of members, until the time is up."""
    with trio.move_on_after(wanted.for_seconds or float("inf")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(live.run)
            nursery.start_soon(_start_all, wanted, keys, fleet, members)
            if staff is not None and wanted.decide:
                nursery.start_soon(_decide, staff, wanted, keys)
            if staff is not None and wanted.commands_per_minute:
                nursery.start_soon(_command, staff, wanted, keys)


async def _start_all(wanted: Simulation, keys: Keys, fleet: Fleet, nursery: trio.Nursery) -> None:
    for position, key in enumerate(keys.tenants[: wanted.tenants]):
        folder = None
        if wanted.state is not None:
            folder = wanted.state / key.domain
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        member = Member(
            name=key.domain,
            key=WrapperSecret(key.key),
            script=wanted.scenarios[position % len(wanted.scenarios)],
            pace_seconds=wanted.pace_seconds,
            dice=SeededRandomness(wanted.seed * 1_000_003 + position),
            folder=folder,
            opens=False,
        )
        nursery.start_soon(fleet.run, member)
        await trio.sleep(1 / wanted.ramp_per_second)


async def _decide(staff: Client, wanted: Simulation, keys: Keys) -> None:
    """Decide what the simulated tenants ask for, as fast as the Hub lets one session; others' is left alone."""
    ours = {key.order_id for key in keys.tenants}
    dice = SeededRandomness(wanted.seed)
    path = "/api/v1/admin/approvals"
    while True:
        try:
            waiting = await patiently(lambda: staff.get(path, list[CommandApproval], pageSize=_PAGE))
            for approval in waiting:
                if approval.order_id in ours:
                    action = "deny" if dice.uniform(0, 1) < _DENIED_SHARE else "approve"
                    await _settle(staff, f"{path}/{approval.id}", action)
        except Fault:
            pass  # at the next look
        await trio.sleep(_DECIDE_SECONDS)


async def _settle(staff: Client, path: str, action: str) -> None:
    try:
        await patiently(lambda: staff.post(path, CommandApproval, {"action": action}))
    except (Conflict, NotFound):
        return  # somebody, or time, was first


async def _command(staff: Client, wanted: Simulation, keys: Keys) -> None:
    """Send commands to simulated tenants at random."""
    ours = {key.order_id for key in keys.tenants[: wanted.tenants]}
    dice = SeededRandomness(wanted.seed + 1)
    servers: list[str] = []
    page = 1
    while len(servers) < len(ours):
        query = {"page": page, "pageSize": _PAGE}
        found = await patiently(partial(staff.get, "/api/v1/admin/servers", list[Server], **query))
        servers += [server.id for server in found if server.order_id in ours]
        if len(found) < _PAGE:
            break
        page += 1
    while servers:
        await trio.sleep(60 / wanted.commands_per_minute)
        path = f"/api/v1/admin/servers/{servers[int(dice.uniform(0, len(servers)))]}/command"
        body = {"type": "RESTART_SERVICE", "payload": {"service": "ghost"}, "expiresInSeconds": 600}
        try:
            await patiently(partial(staff.post, path, RemoteCommand, body))
        except Fault:
            continue


class Live:
    """One line of figures on standard error, again and again, and the summary on standard output."""

    def __init__(self, fleet: Fleet, wanted: int) -> None:
        self._fleet = fleet
        self._wanted = wanted
        self._began_at: float | None = None
        self._most_connected = 0
        self._lost = 0
        self._lasted = 0.0

    async def run(self) -> None:
        """Show the figures, for ever."""
        self._began_at = trio.current_time()
        terminal = sys.stderr.isatty()
        while True:
            await trio.sleep(_LIVE_SECONDS if terminal else _LOG_SECONDS)
            self._most_connected = max(self._most_connected, self._fleet.connected)
            click.echo(f"\r{self._line()}\x1b[K" if terminal else self._line(), err=True, nl=not terminal)

    def note_end(self) -> None:
        """Take the last figures while the wrappers still run."""
        self._most_connected = max(self._most_connected, self._fleet.connected)
        self._lost = self._fleet.reconnections
        self._lasted = trio.current_time() - self._began_at if self._began_at is not None else 0.0

    def _line(self) -> str:
        tally, seconds = self._fleet.tally, trio.current_time() - (self._began_at or 0.0)
        endings = self._fleet.endings()
        worst = max(endings, key=lambda ending: endings[ending]) if endings else ""
        return (
            f"{seconds:6.0f} s  {self._fleet.connected}/{self._wanted} connected  {tally.asked} asked  "
            f"{tally.decided} decided  {tally.acted} acted  {tally.commands} commands done  "
            f"{self._fleet.reconnections} reconnected{f'  last: {worst[:60]}' if worst else ''}"
        )

    def end(self) -> None:
        """The summary."""
        tally = self._fleet.tally
        if sys.stderr.isatty():
            click.echo(err=True)
        click.echo(
            f"{self._most_connected} of {self._wanted} wrappers were connected at once, for {self._lasted:.0f} s in "
            f"all; {self._lost} reconnected\n"
            f"{tally.asked} approvals asked, {tally.decided} decided, {tally.acted} things done, "
            f"{tally.commands} commands done\n"
            f"most memory: {_peak_mb():.0f} MB"
        )


def _peak_mb() -> float:
    """What this process has had in memory at most (getrusage(2): KiB, on macOS bytes)."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1_000_000 if sys.platform == "darwin" else 1_000_000 / 1024)
