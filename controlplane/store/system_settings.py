"""What staff have chosen for the whole Hub: read where it is used, changed together or not at all.

Nothing is cached. Whoever needs a setting reads it in the transaction it is for, or by one SELECT: so a change counts
everywhere with the next call, on every node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, text

from actors.people import Author
from actors.runtime.ports import Clock, Ids
from controlplane.secret import Secret
from controlplane.store import audit, events
from controlplane.store.database import Database
from controlplane.store.transaction import tell_after_commit
from controlplane.store.versions import demand_version
from controlplane.system_settings.category import Category
from controlplane.system_settings.own import Email, Hub
from controlplane.system_settings.registry import CATEGORIES, SETTINGS, Kind, Setting
from controlplane.time_zones import zone_problems
from protocol.console import SettingsTold
from protocol.faults import FieldProblem, ValidationError

C = TypeVar("C", bound=Category)

#: What listeners of `Database.listen` are told by.
NEWS: Final = "settings"

_ALL = text("SELECT name, value, sealed, updated_at, updated_by FROM system_settings")
_OF_CATEGORY = text("SELECT name, value, sealed FROM system_settings WHERE name LIKE CAST(:beginning AS text)")
# One change at a time, so that what a version was compared with is what is changed; readers are not held up.
_LOCK = text("LOCK TABLE system_settings IN SHARE ROW EXCLUSIVE MODE")
_SET = text("""
    INSERT INTO system_settings (id, name, value, sealed, updated_at, updated_by)
    VALUES (CAST(:id AS uuid), CAST(:name AS text), CAST(:value AS text), CAST(:sealed AS bytea),
            CAST(:at AS timestamptz), CAST(:by AS text))
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, sealed = excluded.sealed,
        updated_at = excluded.updated_at, updated_by = excluded.updated_by""")
_SEALED = text("SELECT name, sealed FROM system_settings WHERE sealed IS NOT NULL ORDER BY name")
_RESEAL = text("""
    UPDATE system_settings SET sealed = CAST(:new AS bytea)
    WHERE name = CAST(:name AS text) AND sealed = CAST(:old AS bytea)""")
_FORGET = text("DELETE FROM system_settings WHERE name = CAST(:name AS text)")

_CATEGORY_OF: Final = {struct: name for name, struct in CATEGORIES.items()}
_encode: Final = msgspec.json.Encoder().encode


class Vault(Protocol):
    """Seals secrets at rest, and opens them."""

    def seal(self, value: bytes) -> bytes: ...
    def open(self, sealed: bytes) -> bytes: ...


class ShownSetting(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One setting as staff see it.

    Args:
        name: `category.key`, as a change names it.
        value: what counts now; of a secret always null.
        default: what counts while nobody has chosen.
        is_set: somebody has chosen; of a secret: there is one.
        awaits: the outside system that reads it and is not connected yet; null: it counts now.
        locked_by: the environment variable that decides in its place; such a setting cannot be changed here.
    """

    name: str
    type: Kind
    value: bool | int | float | str | list[str] | None
    default: bool | int | float | str | list[str] | None
    is_set: bool
    description: str
    minimum: float | int | None
    maximum: float | int | None
    max_length: int | None
    pattern: str | None
    choices: list[str] | None
    awaits: str | None
    locked_by: str | None
    updated_at: datetime | None
    updated_by: str | None


class ShownSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting by category, in the order to be shown."""

    hub: list[ShownSetting]
    provisioning: list[ShownSetting]
    docker: list[ShownSetting]
    dockerhub: list[ShownSetting]
    gitea: list[ShownSetting]
    netcup: list[ShownSetting]
    email: list[ShownSetting]
    notifications: list[ShownSetting]
    storage: list[ShownSetting]


def chosen(connection: Connection, category: type[C], vault: Vault | None = None) -> C:
    """A category as it counts in this transaction.

    Args:
        vault: opens its secrets; None: they are left out.
    """
    beginning = f"{_CATEGORY_OF[category]}."
    values: dict[str, Any] = {}
    for row in connection.execute(_OF_CATEGORY, {"beginning": f"{beginning}%"}):
        setting = SETTINGS.get(row.name)
        if setting is None:
            continue  # of a later or earlier release
        if row.sealed is None:
            values[setting.field] = _value_of(setting, row.value)
        elif vault is not None:
            values[setting.field] = Secret(vault.open(row.sealed).decode())
    return category(**values)


class SettingStore:
    """The settings in the database.

    Args:
        vault: seals secrets.
        locked: by name: the environment variable that decides in its place.
    """

    def __init__(
        self, database: Database, *, clock: Clock, ids: Ids, vault: Vault, locked: Mapping[str, str] | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._vault = vault
        self._locked = locked or {}

    async def all(self) -> ShownSettings:
        """Every setting, without secrets."""
        return await self._database.look(_shown, self._locked)

    async def of(self, category: type[C], *, secrets: bool = True) -> C:
        """A category as it counts now.

        Args:
            secrets: with its secrets.

        Raises:
            Unsealable: no master key opens one of its secrets.
        """
        return await self._database.look(chosen, category, self._vault if secrets else None)

    async def sealed(self) -> list[tuple[str, bytes]]:
        """Every secret as it is kept, by the setting's name."""
        return await self._database.look(_all_sealed)

    async def reseal(self, name: str, old: bytes, new: bytes) -> int:
        """Keep the same secret sealed anew, unless it was changed meanwhile; returns how many that were."""
        return await self._database.write(_reseal, name, old, new)

    async def change(self, author: Author, changes: Mapping[str, Any], *, version: str | None = None) -> ShownSettings:
        """Change settings, all or none.

        Args:
            changes: values by name, of the settings' types; None goes back to the default.
            version: what its author read; None: whatever it is.

        Raises:
            ValidationError: a setting that does not exist, or that the environment decides.
            Conflict: it is not what its author read.
        """
        keys = {name: self._ids.uuid7() for name in changes}
        return await self._database.write(
            _change, author, changes, keys, version, self._vault, self._locked, self._clock.now()
        )


def _all_sealed(connection: Connection) -> list[tuple[str, bytes]]:
    return [(row.name, bytes(row.sealed)) for row in connection.execute(_SEALED)]


def _reseal(connection: Connection, name: str, old: bytes, new: bytes) -> int:
    return connection.execute(_RESEAL, {"name": name, "old": old, "new": new}).rowcount


def _value_of(setting: Setting, stored: str) -> Any:
    """A stored value, if the setting still takes it; else its default."""
    try:
        return msgspec.json.decode(stored, type=setting.wanted)
    except msgspec.ValidationError:
        return setting.default


def _shown(connection: Connection, locked: Mapping[str, str]) -> ShownSettings:
    rows = {row.name: row for row in connection.execute(_ALL)}
    shown: dict[str, list[ShownSetting]] = {category: [] for category in CATEGORIES}
    for name, setting in SETTINGS.items():
        row = rows.get(name)
        secret = setting.kind is Kind.SECRET
        value = None if secret else setting.default if row is None else _value_of(setting, row.value)
        shown[setting.category].append(
            ShownSetting(
                name=name,
                type=setting.kind,
                value=_plain(value),
                default=None if secret else _plain(setting.default),
                is_set=row is not None,
                description=setting.description,
                awaits=setting.awaits,
                locked_by=locked.get(name),
                updated_at=None if row is None else row.updated_at,
                updated_by=None if row is None else row.updated_by,
                **_bounds(setting),
            )
        )
    return ShownSettings(**shown)


def _bounds(setting: Setting) -> dict[str, Any]:
    meta = setting.meta if setting.kind is not Kind.SECRET else Meta()
    return {
        "minimum": meta.ge,
        "maximum": meta.le,
        "max_length": meta.max_length,
        "pattern": meta.pattern,
        "choices": list(setting.choices) or None,
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else msgspec.to_builtins(value)


def _change(
    connection: Connection,
    author: Author,
    changes: Mapping[str, Any],
    keys: Mapping[str, UUID],
    version: str | None,
    vault: Vault,
    locked: Mapping[str, str],
    now: datetime,
) -> ShownSettings:
    _demand_free(changes, locked)
    connection.execute(_LOCK)
    before = _shown(connection, locked)
    demand_version(before, version, "a setting")
    changed = [name for name, value in changes.items() if _differs(name, value, before)]
    if not changed:
        return before
    for name in changed:
        _write(connection, SETTINGS[name], changes[name], keys[name], vault, author, now)
    if problems := _contradictions(connection, changed, vault):
        raise ValidationError(details=problems)
    after = _shown(connection, locked)
    old, new = ({name: _audited(name, shown) for name in changed} for shown in (before, after))
    audit.record(connection, author, "settings.changed", "settings", at=now, before=old, after=new)
    events.emit(connection, "settings.changed", at=now, data=SettingsTold(changed))
    tell_after_commit(connection, NEWS)
    return after


def _demand_free(changes: Mapping[str, Any], locked: Mapping[str, str]) -> None:
    problems = []
    for name in changes:
        setting = SETTINGS.get(name)
        if setting is None:
            problems.append(FieldProblem(name, "is not a known field"))
        elif name in locked:
            problems.append(FieldProblem(name, f"is decided by {locked[name]} of the Hub's environment"))
    if problems:
        raise ValidationError(details=problems)


def _of(name: str, shown: ShownSettings) -> ShownSetting:
    entries: list[ShownSetting] = getattr(shown, SETTINGS[name].category)
    return next(entry for entry in entries if entry.name == name)


def _differs(name: str, value: Any, shown: ShownSettings) -> bool:
    entry = _of(name, shown)
    if value is None:
        return entry.is_set
    # A secret is not compared: whoever sets one again means it.
    return SETTINGS[name].kind is Kind.SECRET or not entry.is_set or entry.value != _plain(value)


def _write(
    connection: Connection,
    setting: Setting,
    value: Any,
    key: UUID,
    vault: Vault,
    author: Author,
    now: datetime,
) -> None:
    if value is None:
        connection.execute(_FORGET, {"name": setting.name})
        return
    secret = setting.kind is Kind.SECRET
    connection.execute(
        _SET,
        {
            "id": key,
            "name": setting.name,
            "value": None if secret else _encode(value).decode(),
            "sealed": vault.seal(value.encode()) if secret else None,
            "at": now,
            "by": author.name,
        },
    )


def _contradictions(connection: Connection, changed: Sequence[str], vault: Vault) -> list[FieldProblem]:
    """What of the settings changed does not go together with the others, as they stand in this transaction."""
    problems = []
    if any(name.startswith("email.") for name in changed):
        mail = chosen(connection, Email)
        rows = connection.execute(_OF_CATEGORY, {"beginning": "email.smtpPassword"}).one_or_none()
        if mail.smtp_host is not None and mail.from_address is None:
            problems.append(FieldProblem("email.fromAddress", "is required with email.smtpHost"))
        if (mail.smtp_user is None) != (rows is None):
            missing = "email.smtpUser" if mail.smtp_user is None else "email.smtpPassword"
            problems.append(FieldProblem(missing, "is required: a user and a password go together"))
        if rows is not None and not _carried(vault.open(rows.sealed)):
            problems.append(FieldProblem("email.smtpPassword", "must be printable ASCII in one line"))
    if "hub.defaultTimezone" in changed:
        problems += zone_problems("hub.defaultTimezone", chosen(connection, Hub).default_timezone)
    return problems


def _carried(password: bytes) -> bool:
    return password.isascii() and password.decode().isprintable()


def _audited(name: str, shown: ShownSettings) -> Any:
    entry = _of(name, shown)
    if SETTINGS[name].kind is Kind.SECRET:
        return audit.REDACTED if entry.is_set else None
    return entry.value
