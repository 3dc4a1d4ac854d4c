"""The one place where things are built and joined: a Hub from its settings and its state folder."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Final, cast

import structlog
import trio

from actors.root import plant, tenant_of
from actors.runtime.ports import Clock, SystemClock, SystemIds, SystemRandomness
from actors.runtime.system import ActorSystem
from actors.tenant.messages import GoingAway
from controlplane.api.guards import origin_allowed
from controlplane.api.guards_people import session_cookie
from controlplane.api.hub import Hub
from controlplane.api.incoming import read_cookies
from controlplane.api.limits import Limits, standard_limits
from controlplane.api.mount import build_app
from controlplane.api.routes import routers
from controlplane.api.watching import access_of
from controlplane.door import front
from controlplane.door.asgi import App
from controlplane.door.console_socket import Consoles, Doorkeeping
from controlplane.door.front import Door
from controlplane.door.options import DoorOptions
from controlplane.door.process import raise_file_limit, tune_gc
from controlplane.door.sockets.frames import text_frame
from controlplane.door.tenant_socket import TenantSocket
from controlplane.opening import build_mail, locked_settings, open_database, open_identity
from controlplane.services import waking
from controlplane.services.approval_mail import ApprovalMailer, rules
from controlplane.services.audit_sealer import AuditSealer
from controlplane.services.audit_witness import AuditWitness
from controlplane.services.console_feed import Feed
from controlplane.services.console_presence import PresenceFeed
from controlplane.services.jobs import Expiry, standing_jobs
from controlplane.services.live_query import LiveQueries
from controlplane.services.sealing import Sealer
from controlplane.services.setting_seals import seal_settings_anew
from controlplane.services.upkeep import Job, Sweep, Upkeep
from controlplane.services.webhook_address import Addresses
from controlplane.services.webhook_client import WebhookClient
from controlplane.services.webhook_courier import WebhookCourier
from controlplane.settings import Settings
from controlplane.state_folder import StateFolder
from controlplane.store import migrate
from controlplane.store.activities import ActivityStore
from controlplane.store.agents import AgentStore
from controlplane.store.api_keys import ApiKeyStore
from controlplane.store.approval_mail import ApprovalMailStore
from controlplane.store.approvals import ApprovalStore
from controlplane.store.audit import NEWS as AUDIT
from controlplane.store.audit_chain import Signer
from controlplane.store.audit_log import AuditLog
from controlplane.store.audit_sealing import AuditSealing
from controlplane.store.backups import BackupStore
from controlplane.store.billing import BillingStore
from controlplane.store.commands import CommandStore
from controlplane.store.customers import CustomerStore
from controlplane.store.database import Database
from controlplane.store.events import NEWS as EVENTS
from controlplane.store.events import EventStore
from controlplane.store.forgetting import Forgetting
from controlplane.store.founding_members import FoundingMemberStore
from controlplane.store.job_runs import JobRunStore
from controlplane.store.mail import NEWS as MAIL
from controlplane.store.order_book import PostgresOrderBook
from controlplane.store.orders import OrderStore
from controlplane.store.outside_orders import OutsideOrderStore
from controlplane.store.polling import PollingStore
from controlplane.store.preferences import PreferenceStore
from controlplane.store.presence import PresenceStore
from controlplane.store.servers import ServerStore
from controlplane.store.system_settings import NEWS as SETTINGS
from controlplane.store.system_settings import SettingStore
from controlplane.store.tenant_book import PostgresTenantBook
from controlplane.store.usage import UsageStore
from controlplane.store.waiting_approvals import WaitingApprovals
from controlplane.store.webhook_carriers import WebhookStore
from controlplane.store.webhooks import ServerWebhookStore
from protocol.console import ADMIN_SOCKET_PATH, CUSTOMER_SOCKET_PATH
from protocol.faults import Fault
from protocol.ids import OrderId
from protocol.tenant import SOCKET_PATH
from protocol.words import UserType

log = structlog.get_logger()


#: How long a Hub that was told to end says so before it stops listening, and when its wrappers shall come back.
LAST_SECONDS: Final = 1.0
RECONNECT_AFTER_MS: Final = 2000


@asynccontextmanager
async def open_hub(
    settings: Settings, folder: StateFolder, database: Database
) -> AsyncIterator[tuple[Hub, TenantSocket, Consoles]]:
    """Everything but the door: stores, actors and the Hub over an open, migrated database."""
    clock, randomness = SystemClock(), SystemRandomness()
    ids = SystemIds(clock, randomness)
    master_keys = settings.master_key or folder.master_keys()
    waiting = WaitingApprovals()
    tenant_book = PostgresTenantBook(database, ids=ids, heartbeat_seconds=settings.heartbeat_seconds, waiting=waiting)
    async with ActorSystem.open(clock=clock, ids=ids, randomness=randomness, refusals=(Fault,)) as system:
        plant(
            system,
            tenant_book=tenant_book,
            order_book=PostgresOrderBook(database),
            heartbeat_seconds=settings.heartbeat_seconds,
        )
        servers = ServerStore(database, ids=ids, randomness=randomness, heartbeat_seconds=settings.heartbeat_seconds)
        sealer = Sealer(master_keys)
        chosen = SettingStore(database, clock=clock, ids=ids, vault=sealer, locked=locked_settings(settings))
        mail = build_mail(database, settings, chosen, sealer, clock=clock, randomness=randomness)
        identity = open_identity(database, settings, folder, sealer, mail, clock=clock, ids=ids, randomness=randomness)
        seals = {"older seals of settings": partial(seal_settings_anew, chosen, sealer)}
        approvals = ApprovalStore(database, waiting=waiting)
        jobs = _jobs(database, system, tenant_book, approvals, {**identity.sweeps, **seals}, clock)
        hub = Hub(
            clock=clock,
            ids=ids,
            randomness=randomness,
            limits=Limits(clock, standard_limits(settings.rate_limit_per_minute)),
            accounts=identity.accounts,
            sessions=identity.sessions,
            session_endings=identity.session_endings,
            credentials=identity.credentials,
            two_factor=identity.two_factor,
            staff=identity.staff,
            invitations=identity.invitations,
            photos=identity.photos,
            customers=CustomerStore(database, clock=clock, ids=ids),
            orders=OrderStore(database, clock=clock, ids=ids),
            outside_orders=OutsideOrderStore(database, clock=clock, ids=ids),
            approvals=approvals,
            commands=CommandStore(database),
            servers=servers,
            polling=PollingStore(database, heartbeat_seconds=settings.heartbeat_seconds),
            webhooks=ServerWebhookStore(database),
            agents=AgentStore(database, clock=clock, ids=ids, heartbeat_seconds=settings.heartbeat_seconds),
            events=EventStore(database),
            questions=LiveQueries(partial(tenant_of, system), ids),
            sealer=sealer,
            mail=mail,
            preferences=PreferenceStore(database, clock=clock),
            settings=chosen,
            api_keys=ApiKeyStore(database, clock=clock, ids=ids, randomness=randomness),
            founding_members=FoundingMemberStore(database, clock=clock, ids=ids),
            usage=UsageStore(database, clock=clock, ids=ids),
            billing=BillingStore(database, clock=clock),
            backups=BackupStore(database),
            activities=ActivityStore(database),
            audit=AuditLog(database),
            upkeep=Upkeep(jobs, JobRunStore(database), clock=clock, ids=ids),
            cron_secret=settings.cron_secret or folder.cron_secret(),
            system=system,
            csrf_secret=hashlib.sha256(b"csrf " + master_keys[0].reveal().encode()).digest(),
            public_url=settings.public_address,
            allowed_origins=tuple(settings.origins),
            trusted_proxies=settings.trusted_proxies,
            readiness=(partial(_database_ready, database),),
        )
        _measure(hub, database)
        # Whatever falls due must find its tenant awake, however long the Hub was away.
        await waking.wake(system, tenant_book.tenants_with_something_due)
        tenant_socket = TenantSocket(servers, partial(tenant_of, system), clock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tenant_socket.run)
            nursery.start_soon(waking.sweep, system, partial(_overdue, tenant_book, clock))
            nursery.start_soon(hub.upkeep.run)
            _start_webhooks(nursery, hub, database, settings)
            _start_audit(nursery, hub, database, folder, Signer(master_keys))
            yield hub, tenant_socket, await _start_consoles(nursery, hub, database, settings)
            nursery.cancel_scope.cancel()


def _jobs(
    database: Database,
    system: ActorSystem,
    book: PostgresTenantBook,
    approvals: ApprovalStore,
    sweeps: Mapping[str, Sweep],
    clock: Clock,
) -> list[Job]:
    """What runs by the clock; `sweeps` are those of the people's side."""
    forgetting = Forgetting(database, clock=clock)
    expiry = Expiry(system, partial(_overdue, book, clock), partial(_overdue_approvals, approvals, clock))
    tenants = {"promises": forgetting.promises, "messages": forgetting.messages, "events": forgetting.events}
    return standing_jobs(
        expiry=expiry.sweep,
        statistics={"statistics": forgetting.statistics, "usage hours": forgetting.usage_hours},
        forgetting={**sweeps, **tenants},
    )


async def _start_consoles(nursery: trio.Nursery, hub: Hub, database: Database, settings: Settings) -> Consoles:
    """What tells the consoles of this node: events, presence, and the end of their sessions."""
    silence = PresenceStore(database, heartbeat_seconds=settings.heartbeat_seconds)
    presence = PresenceFeed(hub.servers, silence, hub.clock, frame=text_frame)
    feed = Feed(hub.events, frame=text_frame, on_order=presence.mark)
    keeping = Doorkeeping(
        origin_allowed=partial(origin_allowed, hub=hub),
        cookies=read_cookies,
        session_cookie=session_cookie(hub),
        access_of=access_of,
        heartbeat_seconds=settings.heartbeat_seconds,
    )
    consoles = Consoles(feed, hub.sessions, hub.clock, keeping)
    await nursery.start(feed.run)
    nursery.start_soon(presence.run, feed.viewers)
    nursery.start_soon(consoles.run)
    _start_mail(nursery, hub, database, settings, feed)
    hub.metrics.read("consoles", lambda: {"open": float(len(consoles)), "events": float(feed.published)})
    return consoles


def _start_audit(nursery: trio.Nursery, hub: Hub, database: Database, folder: StateFolder, signer: Signer) -> None:
    """What chains the audit log."""
    sealer = AuditSealer(AuditSealing(database, signer), signer, AuditWitness(folder.path), clock=hub.clock)
    database.listen(AUDIT, sealer.poke)
    nursery.start_soon(sealer.run)
    hub.metrics.read("audit", lambda: sealer.figures)


def _start_webhooks(nursery: trio.Nursery, hub: Hub, database: Database, settings: Settings) -> None:
    """What pushes promises to tenants that have no socket, and take webhooks."""
    addresses = Addresses(
        private_allowed=settings.webhook_private_addresses == "yes", loopback_allowed=settings.only_here
    )
    courier = WebhookCourier(
        WebhookStore(database, ids=hub.ids, heartbeat_seconds=settings.heartbeat_seconds),
        WebhookClient(addresses, hub.clock),
        hub.sealer,
        clock=hub.clock,
        randomness=hub.randomness,
    )
    database.listen(EVENTS, courier.poke)
    nursery.start_soon(courier.run)
    hub.metrics.read("webhooks", lambda: courier.figures)


def _start_mail(nursery: trio.Nursery, hub: Hub, database: Database, settings: Settings, feed: Feed) -> None:
    """What sends mail, and what finds the approvals to mail about."""
    database.listen(MAIL, hub.mail.poke)
    nursery.start_soon(hub.mail.run)
    hub.metrics.read("mail", lambda: hub.mail.figures)
    database.listen(SETTINGS, hub.mail.choose_anew)
    mailer = ApprovalMailer(
        ApprovalMailStore(
            database, rules(grace_seconds=settings.mail_grace_seconds, digest_minutes=settings.mail_digest_minutes)
        ),
        hub.mail,
        watching=partial(feed.viewers.owners, "approvals", "approval"),
        clock=hub.clock,
        public_url=settings.public_address,
        grace_seconds=settings.mail_grace_seconds,
    )
    database.listen(EVENTS, mailer.poke)
    database.listen(MAIL, mailer.poke)
    nursery.start_soon(mailer.run)


async def serve(settings: Settings, folder: StateFolder, *, on_ready: Callable[[str, str | None], None]) -> None:
    """Run a Hub until SIGTERM or SIGINT, then let what is under way end.

    Args:
        on_ready: called once the Hub takes requests, with its address and, where the first owner will need one and
            it is new, the setup token.

    Raises:
        migrate.SchemaBehind: a DATABASE_URL whose schema must be migrated first.
    """
    raise_file_limit()
    shutdown, serving = trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_heed_signals, shutdown, serving, nursery.cancel_scope)
        await _run(settings, folder, shutdown, serving, on_ready)
        nursery.cancel_scope.cancel()


async def _run(
    settings: Settings,
    folder: StateFolder,
    shutdown: trio.Event,
    serving: trio.Event,
    on_ready: Callable[[str, str | None], None],
) -> None:
    """Open everything, say so, and close it again once `shutdown` is set."""
    async with open_database(settings, folder) as database:
        await _prepare_schema(settings, database)
        async with open_hub(settings, folder, database) as (hub, tenant_socket, consoles):
            setup_token = await hub.accounts.ensure_setup_token()

            async def drain() -> None:
                # While whoever routes to this node learns from /readyz that it ends, its wrappers hear so too.
                hub.draining = True
                for order_id in hub.system.living("tenant"):
                    hub.tenant(OrderId(order_id)).tell(GoingAway(RECONNECT_AFTER_MS), control=True)
                await trio.sleep(LAST_SECONDS)

            async with trio.open_nursery() as nursery:
                door: Door = await nursery.start(
                    partial(
                        front.serve,
                        bind=settings.bind,
                        app=cast(App, build_app(routers(), hub)),
                        routes={
                            SOCKET_PATH: tenant_socket,
                            ADMIN_SOCKET_PATH: consoles.route(UserType.STAFF),
                            CUSTOMER_SOCKET_PATH: consoles.route(UserType.CUSTOMER),
                        },
                        shutdown=shutdown,
                        on_drain=drain,
                        options=DoorOptions(drain_seconds=max(1.0, settings.shutdown_seconds - 5)),
                    )
                )
                hub.metrics.read("sockets", partial(_socket_numbers, door))
                hub.metrics.read("tenant_frames", partial(_frame_numbers, tenant_socket))
                tune_gc()
                serving.set()
                on_ready(f"http://{settings.bind.rpartition(':')[0]}:{door.port}", setup_token)


async def _heed_signals(
    shutdown: trio.Event,
    serving: trio.Event,
    scope: trio.CancelScope,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The first signal ends the Hub in order, a second one, or one during the start, at once."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            name = signal.Signals(number).name
            if shutdown.is_set() or not serving.is_set():
                log.warning("hub.stopped_at_once", signal=name)
                scope.cancel()
                return
            log.info("hub.stopping", signal=name)
            shutdown.set()


async def _prepare_schema(settings: Settings, database: Database) -> None:
    if settings.embedded:
        for step in await migrate.migrate(database):
            log.info("schema.migrated", step=step)
    elif behind := await migrate.pending(database):
        raise migrate.SchemaBehind(f"the database's schema is behind by {len(behind)} steps; run `hub migrate` first")


async def _overdue_approvals(approvals: ApprovalStore, clock: Clock) -> int:
    return await approvals.overdue(at=clock.now())


async def _overdue(book: PostgresTenantBook, clock: Clock) -> list[OrderId]:
    return await book.tenants_overdue(at=clock.now())


async def _database_ready(database: Database) -> str | None:
    return None if database.healthy else "the database is not reachable"


def _measure(hub: Hub, database: Database) -> None:
    hub.metrics.read("actors", lambda: _actor_numbers(hub.system))
    hub.metrics.read("database", lambda: {name: float(value) for name, value in asdict(database.stats).items()})


def _actor_numbers(system: ActorSystem) -> dict[str, float]:
    stats = system.stats()
    numbers = {"ready": stats.ready, "tasks": stats.tasks, "timers": stats.timers, "escalations": stats.escalations}
    for name, kind in stats.kinds.items():
        numbers |= {f"{name}_living": kind.living, f"{name}_waiting": kind.waiting}
        numbers |= {f"{name}_{counter}": value for counter, value in kind.counters.items()}
    numbers |= {f"dead_letters_{reason}": count for reason, count in stats.dead_letters.items()}
    return {name: float(value) for name, value in numbers.items()}


def _frame_numbers(tenant_socket: TenantSocket) -> dict[str, float]:
    return {"unknown": float(tenant_socket.unknown_frames), "bad": float(tenant_socket.bad_frames)}


def _socket_numbers(door: Door) -> dict[str, float]:
    numbers = {name: float(count) for name, count in door.poller.stats.as_dict().items()}
    return {**numbers, "open": float(len(door.poller)), "http_connections": float(door.http.connections)}
