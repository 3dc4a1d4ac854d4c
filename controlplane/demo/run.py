"""The demo from start to end: the Hub in a process of its own, seeded, five wrappers beside it, until told to stop."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import httpx
import trio

from controlplane.demo.address import choose_bind, local_address
from controlplane.demo.cast import CUSTOMER, OWNER
from controlplane.demo.client import Client
from controlplane.demo.failure import DemoFailed
from controlplane.demo.family import Child, Family, Program, Undertaker
from controlplane.demo.home import Home
from controlplane.demo.screen import Ready, Screen, ready_screen
from controlplane.demo.seed import TOKEN_FILE, Seeded, Tenant, customer_session, owner_session, seed
from controlplane.settings import PREFIX, Settings, process_environment
from controlplane.state_folder import StateFolder
from protocol.objects import CommandApproval, Server
from protocol.words import CommandClass, Presence

T = TypeVar("T")

#: How long an agent thinks between two wishes, on average.
PACE_SECONDS: Final = 15.0
#: PostgreSQL may have a crash to recover from.
HUB_SECONDS: Final = 150.0
ONLINE_SECONDS: Final = 60.0
WISH_SECONDS: Final = 15.0
#: From then on one tenant whose agents ask is enough.
ALL_WISH_SECONDS: Final = 3.0
#: A decision should still be possible when somebody has read the screen.
LONG_LIVED: Final = timedelta(hours=1)
_LONGEST_SESSION_SECONDS: Final = 6 * 3600.0
_LOOK_SECONDS: Final = 0.25
_TOKEN_SECONDS: Final = 1.0
_MOST: Final = 100

# SIGINT, because a Hub that has not begun to handle signals then still unwinds and ends its database. A second signal
# has it drop what is under way.
_HUB_ENDINGS: Final = ((signal.SIGINT, 4.0), (signal.SIGTERM, 3.0))
_WRAPPER_ENDINGS: Final = ((signal.SIGTERM, 2.0),)

_READY_LINE: Final = "LetsBe Hub is ready on "
_TOKEN_LINE: Final = re.compile(r"setupToken to POST /api/v1/setup: (\S+)")
#: Event of the Hub's log → what it means to somebody who waits.
_PROGRESS: Final = {
    "postgres.made": "a new database has been made",
    "postgres.ready": "PostgreSQL runs",
    "schema.migrated": "the schema is up to date",
}


async def run(settings: Settings, folder: StateFolder) -> None:
    """Run the demo until SIGINT, SIGTERM or SIGHUP; a second signal ends it at once, gently or not.

    Raises:
        DemoFailed, StateFolderError, Fault: with a sentence for the person who started it; may come in a group.
    """
    screen, home = Screen(), Home(folder)
    home.make()
    patience = trio.CancelScope(shield=True)
    with trio.open_signal_receiver(*_signals()) as arrivals:
        async with trio.open_nursery() as watching:
            until_told = trio.CancelScope()
            watching.start_soon(_obey, arrivals, until_told, patience, screen)
            with until_told:
                async with (
                    home.alone(screen.say) as holding,
                    Undertaker.open(holding=holding) as undertaker,
                    trio.open_nursery() as nursery,
                ):
                    family = Family(nursery, undertaker, screen.say, patience)
                    try:
                        await _Demo(settings, folder, home, screen, family).live()
                    finally:
                        # Nobody watches over them any more: from here on their ends are wanted.
                        nursery.cancel_scope.cancel()
                        await family.stop()
            watching.cancel_scope.cancel()
    screen.say("everything has ended")


def _signals() -> list[signal.Signals]:
    wanted = [signal.SIGINT, signal.SIGTERM]
    # Under nohup the terminal may go.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    return wanted


async def _obey(
    arrivals: AsyncIterator[int], until_told: trio.CancelScope, patience: trio.CancelScope, screen: Screen
) -> None:
    async for _ in arrivals:
        if until_told.cancel_called:
            patience.cancel()
        else:
            screen.say("ending the wrappers, the Hub and its database … (again: at once)")
            until_told.cancel()


class _Demo:
    """One start of the demo."""

    def __init__(self, settings: Settings, folder: StateFolder, home: Home, screen: Screen, family: Family) -> None:
        self._screen = screen
        self._home = home
        self._folder = folder
        self._family = family
        self._started_at = datetime.now(UTC)
        self._bind = choose_bind(settings)
        self._settings = Settings.of_process(bind=self._bind)
        self._local = local_address(self._settings)
        self._hub_ready = trio.Event()
        self._token_told = trio.Event()

    async def live(self) -> None:
        """Start, seed, show the screen, and keep the sessions of the curl files alive for ever."""
        hub = await self._start_hub()
        async with Client.connections(self._local) as http:
            api = Client(http, self._screen.say)
            staff, seeded = await self._patiently(lambda: self._seed(api))
            hub.settled = True
            wrappers = {tenant.order_id: self._start_wrapper(tenant) for tenant in seeded.tenants}
            await self._until_online(staff, seeded, wrappers)
            customer = await self._patiently(lambda: self._sign_in_customer(api))
            await self._show(staff, customer, seeded)
            while True:
                await trio.sleep(min(_LONGEST_SESSION_SECONDS, self._settings.session_idle_hours * 3600 / 3))
                await self._patiently(lambda: self._sign_in_staff(api))
                await self._patiently(lambda: self._sign_in_customer(api))

    # --- the Hub -----------------------------------------------------------------------------------------

    async def _start_hub(self) -> Child:
        log = self._home.log("hub")
        child = self._family.start(
            Program(
                name="the Hub",
                words=(sys.executable, "-m", "controlplane", "serve", "--bind", self._bind),
                log=log,
                environment=process_environment(),
                endings=_HUB_ENDINGS,
                on_line=self._hear,
            )
        )
        with trio.move_on_after(HUB_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell_progress, log)
                await self._hub_ready.wait()
                nursery.cancel_scope.cancel()
        if not self._hub_ready.is_set():
            raise DemoFailed(f"the Hub was not ready after {HUB_SECONDS:.0f} s; its log is {log}")
        self._screen.say(f"the Hub takes requests on {self._local}")
        if not self._settings.loopback_only:
            # A Hub that others can reach says its setup token once, in the line after.
            with trio.move_on_after(_TOKEN_SECONDS):
                await self._token_told.wait()
        return child

    def _hear(self, line: str) -> None:
        if found := _TOKEN_LINE.search(line):
            self._home.keep_setup_token(found[1])
            self._token_told.set()
        elif line.startswith(_READY_LINE):
            if self._hub_ready.is_set():
                self._screen.say("the Hub takes requests again")
            self._hub_ready.set()

    async def _tell_progress(self, log: Path) -> None:
        awaited = dict(_PROGRESS)
        text = ""
        with log.open(encoding="utf-8", errors="replace") as file:
            while awaited:
                text += file.read()
                for event in [event for event in awaited if event in text]:
                    self._screen.say(awaited.pop(event))
                await trio.sleep(_LOOK_SECONDS / 2)

    # --- people and tenants ------------------------------------------------------------------------------

    async def _seed(self, api: Client) -> tuple[Client, Seeded]:
        staff = await self._sign_in_staff(api)
        seeded = await seed(staff, self._home)
        made = f"{seeded.made} of these made now" if seeded.made else "as before"
        self._screen.say(f"the customer, {len(seeded.tenants)} tenants and their agents are in their places ({made})")
        return staff, seeded

    async def _sign_in_staff(self, api: Client) -> Client:
        session = await owner_session(api, self._home)
        self._home.keep_session(OWNER.who, session)
        return api.signed_in(session)

    async def _sign_in_customer(self, api: Client) -> Client:
        session = await customer_session(api, self._home)
        self._home.keep_session(CUSTOMER.who, session)
        return api.signed_in(session)

    def _start_wrapper(self, tenant: Tenant) -> Child:
        hidden = (PREFIX, "SAFETY_WRAPPER", "DATABASE_URL")
        environment = {name: text for name, text in process_environment().items() if not name.startswith(hidden)}
        words = [sys.executable, "-m", "wrapper", "run", "--hub", self._local, "--state", str(tenant.state)]
        words += ["--registration-token-file", str(tenant.state / TOKEN_FILE), "--listen", "127.0.0.1:0"]
        words += ["--scripted-agents", str(PACE_SECONDS)]
        if not self._settings.loopback_only:
            words.append("--allow-plain-http")  # to an address of this very machine
        return self._family.start(
            Program(
                name=f"the wrapper of {tenant.part.domain}",
                words=tuple(words),
                log=self._home.log(tenant.part.name),
                environment=environment,
                endings=_WRAPPER_ENDINGS,
            )
        )

    async def _until_online(self, staff: Client, seeded: Seeded, wrappers: dict[str, Child]) -> None:
        missing = {tenant.order_id: tenant.part.domain for tenant in seeded.tenants}
        with trio.move_on_after(ONLINE_SECONDS):
            while True:
                for order_id, server in (await self._servers(staff)).items():
                    # What the database remembers of a Hub that was killed does not count.
                    since = server.connected_at
                    if server.presence is Presence.ONLINE and since is not None and since >= self._started_at:
                        missing.pop(order_id, None)
                        if order_id in wrappers:
                            wrappers[order_id].settled = True
                if not missing:
                    self._screen.say(f"{len(wrappers)} of {len(wrappers)} wrappers are online")
                    return
                await trio.sleep(_LOOK_SECONDS)
        logs = self._home.path / "logs"
        raise DemoFailed(
            f"not online after {ONLINE_SECONDS:.0f} s: {', '.join(missing.values())}; the logs are in {logs}"
        )

    async def _servers(self, staff: Client) -> dict[str, Server]:
        found = await self._patiently(lambda: staff.get("/api/v1/admin/servers", list[Server], pageSize=_MOST))
        return {server.order_id: server for server in found}

    # --- the screen --------------------------------------------------------------------------------------

    async def _show(self, staff: Client, customer: Client, seeded: Seeded) -> None:
        asked = await self._first_wish(customer, seeded)
        servers = await self._servers(staff)
        domains = {tenant.order_id: tenant.part.domain for tenant in seeded.tenants}
        ready = Ready(
            seconds=self._screen.seconds,
            address=self._settings.public_address,
            local=self._local,
            owner_password=self._home.password(OWNER.who),
            customer_password=self._home.password(CUSTOMER.who),
            tenants=[
                (domain, servers[order_id].presence.value, servers[order_id].pending_approvals)
                for order_id, domain in domains.items()
            ],
            asked=asked,
            asked_by=domains[asked.order_id] if asked else "",
            curl_file=self._home.curl_file(CUSTOMER.who),
            state=self._folder.path.absolute(),
        )
        self._screen.show(ready_screen(ready))

    async def _first_wish(self, customer: Client, seeded: Seeded) -> CommandApproval | None:
        """An approval that will wait for long: a red one where there is one; None when no agent asks."""
        path = "/api/v1/customer/approvals"
        known = {tenant.order_id for tenant in seeded.tenants}
        began_at = trio.current_time()
        while trio.current_time() < began_at + WISH_SECONDS:
            pending = await self._patiently(lambda: customer.get(path, list[CommandApproval], pageSize=_MOST))
            soon = datetime.now(UTC) + LONG_LIVED
            lasting = [approval for approval in pending if approval.expires_at > soon and approval.order_id in known]
            all_ask = {approval.order_id for approval in lasting} == known
            if all_ask or (lasting and trio.current_time() > began_at + ALL_WISH_SECONDS):
                red = [approval for approval in lasting if approval.command_class is CommandClass.RED]
                return (red or lasting)[0]
            await trio.sleep(2 * _LOOK_SECONDS)
        return None

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer: a Hub that was killed is being started again meanwhile."""
        while True:
            try:
                return await ask()
            except httpx.TransportError:
                await trio.sleep(_LOOK_SECONDS)
