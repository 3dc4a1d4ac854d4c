"""How mail goes out as staff have chosen it, where the environment does not say: settings made into a carrier."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from email.headerregistry import Address

import structlog

from controlplane.integrations.mail_carrier import Carrier
from controlplane.mail_route import Security, SmtpRoute
from controlplane.services.mail import Way
from controlplane.services.sealing import Unsealable
from controlplane.store.system_settings import SettingStore
from controlplane.system_settings.own import Email

log = structlog.get_logger()


class MailChoices:
    """Reads the settings of mail each time it is asked; one carrier lives as long as its settings.

    Args:
        build: makes a carrier of a route, and the name it calls itself by.
    """

    def __init__(self, settings: SettingStore, build: Callable[[SmtpRoute, str], Carrier]) -> None:
        self._settings = settings
        self._build = build
        self._chosen: Email | None = None
        self._way: Way | None = None

    async def way(self) -> Way | None:
        """How mail goes out; None: no server is named, or its password cannot be opened."""
        try:
            chosen = await self._settings.of(Email)
        except Unsealable as reason:
            log.warning("mail.password_sealed", reason=str(reason))
            self._chosen, self._way = None, None
            return None
        if chosen != self._chosen:
            self._chosen, self._way = chosen, self._way_of(chosen)
        return self._way

    async def kept(self) -> timedelta:
        """How long a mail is kept after its end."""
        return timedelta(days=(await self._settings.of(Email, secrets=False)).kept_days)

    def _way_of(self, chosen: Email) -> Way | None:
        if chosen.smtp_host is None or chosen.from_address is None:
            return None
        sender = Address(chosen.from_name, addr_spec=chosen.from_address)
        route = SmtpRoute(
            chosen.smtp_host,
            chosen.smtp_port,
            Security(chosen.smtp_security),
            chosen.smtp_user,
            chosen.smtp_password,
        )
        return Way(self._build(route, sender.domain), sender)
