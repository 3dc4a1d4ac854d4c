"""What customers have chosen for themselves: time zone, locale, and how they are told of what waits."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection, text

from actors.people import Author
from actors.runtime.ports import Clock
from controlplane.store import audit
from controlplane.store.account_rows import Account, tell
from controlplane.store.database import Database
from controlplane.store.keys import key_of, missing
from controlplane.store.mail import NEWS as MAIL
from controlplane.store.system_settings import chosen
from controlplane.store.transaction import tell_after_commit
from controlplane.store.versions import demand_version
from controlplane.system_settings.own import Hub, Notifications
from protocol.ids import CustomerId
from protocol.words import ApprovalMail, UserType

_READ = text("""
    SELECT timezone, locale, approval_mail FROM customer_preferences WHERE user_id = CAST(:user_id AS uuid)""")
_LOCK = text("SELECT id FROM users WHERE id = CAST(:user_id AS uuid) FOR NO KEY UPDATE")
_WRITE = text("""
    INSERT INTO customer_preferences (user_id, timezone, locale, approval_mail, updated_at)
    VALUES (CAST(:user_id AS uuid), :timezone, :locale, :approval_mail, CAST(:now AS timestamptz))
    ON CONFLICT (user_id) DO UPDATE SET timezone = excluded.timezone, locale = excluded.locale,
        approval_mail = excluded.approval_mail, updated_at = excluded.updated_at""")


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's choices.

    Args:
        timezone: a name of the IANA time zone database, as `Europe/Berlin`.
        locale: a BCP 47 tag, as `de-DE`.
        approval_mail: when a mail tells of requests that wait.
    """

    timezone: str
    locale: str
    approval_mail: ApprovalMail


class PreferenceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changes; what is not set stays."""

    timezone: str | UnsetType = UNSET
    locale: str | UnsetType = UNSET
    approval_mail: ApprovalMail | UnsetType = UNSET


def default_preferences(connection: Connection) -> Preferences:
    """What holds for a customer who never chose: as staff have chosen for all of them."""
    hub = chosen(connection, Hub)
    mode = chosen(connection, Notifications).approval_mail
    return Preferences(timezone=hub.default_timezone, locale=hub.default_locale, approval_mail=mode)


class PreferenceStore:
    """The customers' choices in the database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, customer_id: CustomerId) -> Preferences:
        """A customer's choices; the defaults where there are none."""
        return await self._database.read(_read, key_of("cust", customer_id))

    async def change(
        self, author: Author, customer_id: CustomerId, change: PreferenceChange, *, version: str | None = None
    ) -> Preferences:
        """Change a customer's choices.

        Args:
            version: what the author saw; None: they did not say.

        Raises:
            NotFound: there is no such customer.
            Conflict: they were changed meanwhile.
        """
        return await self._database.write(_change, author, customer_id, change, version, self._clock.now())


def _read(connection: Connection, user_id: UUID) -> Preferences:
    row = connection.execute(_READ, {"user_id": user_id}).one_or_none()
    if row is None:
        return default_preferences(connection)
    return Preferences(timezone=row.timezone, locale=row.locale, approval_mail=ApprovalMail(row.approval_mail))


def _change(
    connection: Connection,
    author: Author,
    customer_id: CustomerId,
    change: PreferenceChange,
    version: str | None,
    now: datetime,
) -> Preferences:
    key = key_of("cust", customer_id)
    if connection.execute(_LOCK, {"user_id": key}).one_or_none() is None:
        raise missing("cust", customer_id)
    before = _read(connection, key)
    demand_version(before, version, "your preferences")
    values = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
    after = msgspec.structs.replace(before, **values)
    if after == before:
        return before
    values = {**msgspec.structs.asdict(after), "approval_mail": after.approval_mail.value}
    connection.execute(_WRITE, {**values, "user_id": key, "now": now})
    old, new = audit.difference(before, after)
    action = "customer.preferences_changed"
    audit.record(connection, author, action, customer_id, at=now, before=old, after=new, customer_id=key)
    tell(connection, Account(UserType.CUSTOMER, key), "preferencesChanged", at=now)
    tell_after_commit(connection, MAIL)  # what was not to be told may be so now
    return after
