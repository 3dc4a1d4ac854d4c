"""The demo from start to end: the Hub in a process of its own, seeded, wrappers beside it, until told to stop."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

import trio

from controlplane.demo.address import choose_bind, local_address
from controlplane.demo.cast import ACME, COMPANIES, CUSTOMER, OWNER
from controlplane.demo.client import Client, patiently
from controlplane.demo.deciders import decide_for
from controlplane.demo.failure import DemoFailed
from controlplane.demo.family import Family, Undertaker
from controlplane.demo.home import Home
from controlplane.demo.hub_process import HubProcess
from controlplane.demo.screen import Ready, Screen, ready_screen
from controlplane.demo.seed import Seeding, Tenant, customer_session, owner_session
from controlplane.demo.wrappers import Wrappers
from controlplane.settings import Settings
from controlplane.state_folder import StateFolder
from protocol.objects import AgentConfig, CommandApproval, Server
from protocol.words import CommandClass, Presence
from wrapper.habits import Habit

ONLINE_SECONDS: Final = 60.0
WISH_SECONDS: Final = 15.0
#: So many questions wait for the customer before the screen is shown, or it waits no longer.
FEW_WISHES: Final = 3
#: A decision should still be possible when somebody has read the screen.
LONG_LIVED: Final = timedelta(hours=1)
#: Sessions in which a new fleet is made: one alone may ask only so much a minute.
LANES: Final = 3
_LONGEST_SESSION_SECONDS: Final = 6 * 3600.0
_LOOK_SECONDS: Final = 0.25
_MOST: Final = 100


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
        self._settings = Settings.of_process(bind=choose_bind(settings))
        self._local = local_address(self._settings)
        self._wrappers = Wrappers(self._settings, home, family, self._local)

    async def live(self) -> None:
        """Start, seed, show the screen; then play the other companies' people and keep the curl files' sessions."""
        hub = await HubProcess(self._settings, self._home, self._screen.say).start(self._family, self._local)
        async with Client.connections(self._local) as http, trio.open_nursery() as nursery:
            api = Client(http, self._screen.say)
            self._wrappers.start_crowd()
            staff = await patiently(lambda: self._seed(api))
            hub.settled = True
            await self._until_online(staff)
            await patiently(lambda: self._sign_in_staff(api))
            customer = await patiently(lambda: self._sign_in_customer(api))
            await self._show(staff, customer, hub.pid)
            quiet = Client(http, _say_nothing)
            for company in COMPANIES:
                if company.decides:
                    nursery.start_soon(decide_for, company, quiet, self._home)
            await self._outdate(staff)
            while True:
                await trio.sleep(min(_LONGEST_SESSION_SECONDS, self._settings.session_idle_hours * 3600 / 3))
                await patiently(lambda: self._sign_in_staff(api))
                await patiently(lambda: self._sign_in_customer(api))

    # --- people and tenants ------------------------------------------------------------------------------

    async def _seed(self, api: Client) -> Client:
        lanes = [api.signed_in(await owner_session(api, self._home))]
        if not await lanes[0].get("/api/v1/admin/servers", list[Server], pageSize=1):
            lanes += [api.signed_in(await owner_session(api, self._home)) for _ in range(LANES - 1)]
        seeding = Seeding(lanes, self._home, self._wrappers.arrived)
        await seeding.run()
        made = f"{seeding.made} of these made now" if seeding.made else "as before"
        fleet = f"{len(COMPANIES)} customers, {len(self._wrappers.tenants)} tenants and their agents"
        self._screen.say(f"{fleet} are in their places ({made})")
        return lanes[-1]  # has been asked for the least

    async def _sign_in_staff(self, api: Client) -> None:
        self._home.keep_session(OWNER.who, await owner_session(api, self._home))

    async def _sign_in_customer(self, api: Client) -> Client:
        session = await customer_session(api, self._home, CUSTOMER)
        self._home.keep_session(CUSTOMER.who, session)
        return api.signed_in(session)

    async def _until_online(self, staff: Client) -> None:
        missing = self._wrappers.awaited
        wanted = len(missing)
        with trio.move_on_after(ONLINE_SECONDS):
            while missing:
                for order_id, server in (await self._servers(staff)).items():
                    # What the database remembers of a Hub that was killed does not count.
                    since = server.connected_at
                    tenant = missing.get(order_id)
                    if tenant is None or since is None or since < self._started_at:
                        continue
                    # One that flaps may be away again by now.
                    if server.presence is Presence.ONLINE or tenant.part.habit is Habit.FLAPS:
                        del missing[order_id]
                        self._wrappers.came_online(order_id)
                await trio.sleep(2 * _LOOK_SECONDS)
        if missing:
            logs = self._home.path / "logs"
            names = ", ".join(tenant.part.domain for tenant in missing.values())
            raise DemoFailed(f"not online after {ONLINE_SECONDS:.0f} s: {names}; the logs are in {logs}")
        self._wrappers.all_came_online()
        self._screen.say(f"{wanted} wrappers are online")

    async def _outdate(self, staff: Client) -> None:
        """Offer another configuration to the one that keeps its old one, once it has one."""
        tenant = self._wrappers.with_habit(Habit.OUTDATED)
        server = (await self._servers(staff)).get(tenant.order_id)
        while server is None or server.config_applied_version == 0:
            await trio.sleep(4 * _LOOK_SECONDS)
            server = (await self._servers(staff)).get(tenant.order_id)
        if server.config_applied_version == server.config_version:
            await patiently(lambda: _change_an_agent(staff, tenant))

    async def _servers(self, staff: Client) -> dict[str, Server]:
        found = await patiently(lambda: staff.get("/api/v1/admin/servers", list[Server], pageSize=_MOST))
        return {server.order_id: server for server in found}

    # --- the screen --------------------------------------------------------------------------------------

    async def _show(self, staff: Client, customer: Client, hub_pid: int | None) -> None:
        asked, waiting = await self._first_wishes(customer)
        servers = await self._servers(staff)
        mine = {order_id: servers[order_id] for order_id in self._wrappers.tenants if order_id in servers}
        ready = Ready(
            seconds=self._screen.seconds,
            address=self._settings.public_address,
            local=self._local,
            owner_password=self._home.password(OWNER.who),
            customer_password=self._home.password(CUSTOMER.who),
            tenants=len(self._wrappers.tenants),
            online=sum(server.presence is Presence.ONLINE for server in mine.values()),
            waiting=waiting,
            waiting_in_all=sum(server.pending_approvals for server in mine.values()),
            asked=asked,
            curl_file=self._home.curl_file(CUSTOMER.who),
            switch=self._wrappers.write_switch(),
            reader=self._home.write_reader() if self._settings.smtp_url is None else None,
            home=self._home.path,
            hub_pid=hub_pid,
        )
        self._screen.show(ready_screen(ready))

    async def _first_wishes(self, customer: Client) -> tuple[CommandApproval | None, int]:
        """An approval that will wait for long, a red one where there is one, and how many there are."""
        path = "/api/v1/customer/approvals"
        known = {order_id for order_id, tenant in self._wrappers.tenants.items() if tenant.company is ACME}
        pending: list[CommandApproval] = []
        lasting: list[CommandApproval] = []
        began_at = trio.current_time()
        while trio.current_time() < began_at + WISH_SECONDS and len(lasting) < FEW_WISHES:
            pending = await patiently(lambda: customer.get(path, list[CommandApproval], pageSize=_MOST))
            soon = datetime.now(UTC) + LONG_LIVED
            lasting = [approval for approval in pending if approval.expires_at > soon and approval.order_id in known]
            await trio.sleep(_LOOK_SECONDS)
        red = [approval for approval in lasting if approval.command_class is CommandClass.RED]
        return next(iter(red or lasting), None), len(pending)


async def _change_an_agent(staff: Client, tenant: Tenant) -> None:
    path = f"/api/v1/admin/orders/{tenant.order_id}/agents"
    agents = await staff.get(path, list[AgentConfig], pageSize=_MOST)
    if agents:
        changed = {"autonomyLevel": 1 if agents[-1].autonomy_level == 2 else 2}
        await staff.patch(f"{path}/{agents[-1].agent_id}", AgentConfig, changed)


def _say_nothing(_: str) -> None:
    """For those who only play along."""
