"""What commands open and join before their work: the log, the state folder, the database, the accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from email.headerregistry import Address

from actors.runtime.ports import Clock, Ids, Randomness
from controlplane import logs
from controlplane.identity import Identity, build_identity
from controlplane.integrations.folder_storage import FolderStorage
from controlplane.integrations.mail_carrier import Carrier
from controlplane.integrations.mail_folder import FolderCarrier
from controlplane.integrations.smtp import SmtpCarrier
from controlplane.mail_route import FolderRoute, SmtpRoute
from controlplane.services.mail import MailService
from controlplane.services.mail_choices import MailChoices
from controlplane.services.sealing import Sealer
from controlplane.settings import Settings
from controlplane.state_folder import StateFolder
from controlplane.store.database import Database
from controlplane.store.embedded import EmbeddedPostgres
from controlplane.store.mail import MailStore
from controlplane.store.system_settings import SettingStore
from controlplane.system_settings.registry import SETTINGS


def open_ground(settings: Settings) -> StateFolder:
    """Start the log and open the state folder.

    Raises:
        StateFolderError: the folder cannot be used.
    """
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    return StateFolder.open(settings.state_dir)


@asynccontextmanager
async def open_database(settings: Settings, folder: StateFolder, *, join: bool = False) -> AsyncIterator[Database]:
    """Open the database the settings name: PostgreSQL at its URL, or the embedded one in the state folder.

    Args:
        settings: where the database is, and its limits.
        folder: the state folder, for the embedded one.
        join: use the embedded one of a Hub that runs on the folder already, where there is one.

    Raises:
        EmbeddedPostgresError: the embedded one cannot run here, or another Hub runs it and `join` is off.
        DatabaseMisconfigured: the server refuses the URL's user, password or database.
    """
    async with AsyncExitStack() as stack:
        if settings.database_url is not None:
            url = settings.database_url.reveal()
        else:
            postgres = await stack.enter_async_context(EmbeddedPostgres.open(folder.path, join=join))
            url = postgres.url
        yield await stack.enter_async_context(
            Database.open(
                url,
                pool_size=settings.pool_size,
                pool_timeout_seconds=settings.pool_timeout_seconds,
                statement_timeout_seconds=settings.statement_timeout_seconds,
                connect_timeout_seconds=settings.connect_timeout_seconds,
            )
        )


def open_identity(
    database: Database,
    settings: Settings,
    folder: StateFolder,
    sealer: Sealer,
    mail: MailService,
    *,
    clock: Clock,
    ids: Ids,
    randomness: Randomness,
) -> Identity:
    """The parts of this Hub that know people, over its database and its folder."""
    return build_identity(
        database,
        clock=clock,
        ids=ids,
        randomness=randomness,
        sealer=sealer,
        drafts=mail,
        storage=FolderStorage(folder.path / "objects"),
        public_url=settings.public_address,
        session_idle=timedelta(hours=settings.session_idle_hours),
        session_absolute=timedelta(days=settings.session_absolute_days),
        setup_token_required=not settings.loopback_only,
    )


def mail_sender(settings: Settings) -> Address:
    """Who mail of this Hub comes from; a folder takes mail from anybody."""
    return settings.mail_from or Address("LetsBe Hub", "hub", "localhost")


def build_carrier(settings: Settings) -> Carrier | None:
    """What takes mail out of this Hub; None where it sends none."""
    if settings.smtp_url is None:
        return None
    if isinstance(settings.smtp_url, FolderRoute):
        return FolderCarrier(settings.smtp_url.folder)
    return SmtpCarrier(settings.smtp_url, hello_name=mail_sender(settings).domain)


def locked_settings(settings: Settings) -> dict[str, str]:
    """The settings of the database that the environment decides in their place, and the variables that do."""
    if settings.smtp_url is None:
        return {}
    return {name: "HUB_SMTP_URL" for name in SETTINGS if name.startswith(("email.smtp", "email.from"))}


def build_chosen_carrier(route: SmtpRoute, hello_name: str) -> Carrier:
    """What takes mail out by a route that staff have chosen."""
    return SmtpCarrier(route, hello_name=hello_name)


def build_mail(
    database: Database,
    settings: Settings,
    chosen: SettingStore,
    sealer: Sealer,
    *,
    clock: Clock,
    randomness: Randomness,
) -> MailService:
    """The mail of this Hub over its database."""
    return MailService(
        MailStore(database),
        carrier=build_carrier(settings),
        sender=mail_sender(settings),
        sealer=sealer,
        clock=clock,
        randomness=randomness,
        choices=MailChoices(chosen, build_chosen_carrier),
    )
