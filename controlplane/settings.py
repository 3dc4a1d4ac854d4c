"""The Hub's settings: one declaration of every environment variable, read once into one frozen object."""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from controlplane import setting_kinds as kinds
from controlplane.mail_route import MailRoute, SmtpRoute, mail_address, mail_route
from controlplane.secret import MASK, Secret

T = TypeVar("T")

PREFIX: Final = "HUB_"
DEFAULT: Final = "default"


class SettingsError(Exception):
    """The environment does not make a Hub: every problem at once, each a sentence that names its variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Declaration:
    """How one setting is written: its variables, the kind of its value, and its words in the table."""

    kind: Callable[[str], Any]
    default: str | None
    description: str
    secret: bool
    unset: str
    also: Mapping[str, Callable[[str], Any]]
    show: Callable[[Any], str]


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _masked(_value: object) -> str:
    return MASK


def setting(
    kind: Callable[[str], T],
    default: str | None,
    description: str,
    *,
    secret: bool = False,
    unset: str = "",
    also: Mapping[str, Callable[[str], T]] | None = None,
    show: Callable[[T], str] | None = None,
) -> T:
    """Declare one setting of `Settings`; its variable is HUB_ and the field's name.

    Args:
        kind: turns the text into the value, or raises `Unfit`.
        default: the text taken when no variable is set; None leaves the field None.
        description: one line for `hub settings` and the documentation.
        secret: the text is never shown, not in an error either.
        unset: what an empty value means, for the table.
        also: other variables which set it, tried in order after its own.
        show: the value as the table shows it; a secret's otherwise is •••.
    """
    show = show or (_masked if secret else _plain)
    declaration = Declaration(kind, default, description, secret, unset, also or {}, show)
    return cast(T, field(metadata={"declaration": declaration}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of the Hub: `of_process` reads the environment, `read` any mapping."""

    state_dir: Path = setting(  # noqa: RUF009 - a field specifier
        kinds.folder,
        "./state",
        "Folder of the Hub's own secrets and its embedded database; made with mode 0700.",
    )
    bind: str = setting(
        kinds.address,
        "127.0.0.1:8000",
        "host:port to listen on. Where it is not set and PORT is, 0.0.0.0:$PORT.",
        also={"PORT": kinds.port_of_all_addresses},
    )
    public_url: str | None = setting(
        kinds.origin,
        None,
        "The address people and wrappers reach the Hub by; https makes cookies Secure.",
        unset="http:// and the bound address",
    )
    allowed_origins: tuple[str, ...] = setting(
        kinds.several(kinds.origin),
        "",
        "Further web origins, with commas between, whose pages may call with a session cookie.",
        unset="the public address only",
    )
    database_url: Secret | None = setting(  # noqa: RUF009 - a field specifier
        kinds.database_url,
        None,
        "PostgreSQL to use, postgresql://user:password@host:5432/database. Plain DATABASE_URL does the same.",
        unset="an embedded PostgreSQL in the state folder",
        secret=True,
        also={"DATABASE_URL": kinds.database_url},
        show=kinds.without_password,
    )
    master_key: tuple[Secret, ...] = setting(
        kinds.several(kinds.fernet_key),
        "",
        "Fernet keys, with commas between, which seal secrets at rest: the first seals, all open.",
        secret=True,
        unset="made in the state folder",
    )
    cron_secret: Secret | None = setting(  # noqa: RUF009 - a field specifier
        kinds.secret(24),
        None,
        "What an outside cron sends as Bearer token to /api/v1/cron/*.",
        secret=True,
        unset="made in the state folder",
    )
    smtp_url: MailRoute | None = setting(  # noqa: RUF009 - a field specifier
        mail_route,
        None,
        "How mail goes out: smtp://user:password@host:587 (STARTTLS), smtps:// (TLS), smtp+plain:// (to this machine "
        "only), or file:///folder, which keeps it (for development).",
        secret=True,
        unset="as chosen in the settings of mail",
        show=str,
    )
    mail_from: Address | None = setting(  # noqa: RUF009 - a field specifier
        mail_address,
        None,
        "Who mail comes from: hub@example.com, or LetsBe Hub <hub@example.com>. An SMTP server needs one.",
        unset="hub@localhost",
    )
    mail_grace_seconds: float = setting(
        kinds.number(0, 3600), "30", "How long an approval waits before its customer is told by mail."
    )
    mail_digest_minutes: float = setting(
        kinds.number(1, 1440), "60", "The time between two mails to a customer who wants a digest, at least."
    )
    trusted_proxies: int = setting(
        kinds.whole(0, 10), "0", "How many proxies stand before the Hub and add to X-Forwarded-For."
    )
    log_format: str = setting(
        kinds.choice("console", "json"), "console", "Log lines for people (console) or for machines (json)."
    )
    log_level: str = setting(
        kinds.choice("debug", "info", "warning", "error"), "info", "The least important log lines to write."
    )
    rate_limit_per_minute: int = setting(
        kinds.whole(1, 1_000_000), "60", "Requests a minute for each session; a burst of as many is allowed."
    )
    heartbeat_seconds: int = setting(
        kinds.whole(1, 3600), "30", "How often wrappers on a socket report; offline after three missed."
    )
    webhook_private_addresses: str = setting(
        kinds.choice("no", "yes"),
        "no",
        "Whether webhooks may go to private addresses and over plain http, as a safetyWrapperUrl may demand.",
    )
    session_idle_hours: float = setting(
        kinds.number(0.01, 8760), "24", "A sign-in ends after this long without a request."
    )
    session_absolute_days: float = setting(
        kinds.number(0.01, 365), "14", "A sign-in ends this long after it began, used or not."
    )
    pool_size: int = setting(kinds.whole(2, 200), "16", "Database connections of one Hub process, at most.")
    pool_timeout_seconds: float = setting(
        kinds.number(0.1, 60), "5", "How long a request waits for a free database connection before 503."
    )
    connect_timeout_seconds: float = setting(
        kinds.number(0.1, 60), "5", "How long opening a database connection may take."
    )
    statement_timeout_seconds: float = setting(
        kinds.number(0.1, 300), "10", "How long one database statement may take."
    )
    shutdown_seconds: float = setting(
        kinds.number(0.1, 300), "10", "After SIGTERM or Ctrl-C, how long what is under way may take to end."
    )

    @classmethod
    def of_process(cls, **overrides: str | None) -> Settings:
        """Read the process's environment; an override (`bind="…"`) that is not None stands for its variable.

        Raises:
            SettingsError: names every wrong variable.
        """
        return cls.read(process_environment(**overrides))

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Read settings from variables. A variable set to nothing counts as not set.

        Raises:
            SettingsError: names every wrong variable.
        """
        problems: list[str] = []
        values: dict[str, Any] = {}
        for name, declaration in declarations().items():
            variable, text, kind = _find(name, declaration, environment)
            try:
                values[name] = None if text is None else kind(text)
            except kinds.Unfit as unfit:
                # An @ may stand after a password, in a setting which should have none.
                shown = "" if declaration.secret or "@" in str(text) else f"={text!r}"
                problems.append(f"{variable}{shown} {unfit.problem}: write {unfit.remedy}.")
        problems += _unknown(environment)
        if not problems:
            settings = cls(**values)
            problems = settings._contradictions()
        if problems:
            raise SettingsError(problems)
        return settings

    def _contradictions(self) -> list[str]:
        if self.session_idle_hours > self.session_absolute_days * 24:
            return [
                f"HUB_SESSION_IDLE_HOURS={self.session_idle_hours:g} is longer than "
                f"HUB_SESSION_ABSOLUTE_DAYS={self.session_absolute_days:g}, so it would never count: "
                "write a shorter one."
            ]
        if isinstance(self.smtp_url, SmtpRoute) and self.mail_from is None:
            return ["HUB_MAIL_FROM is not set and HUB_SMTP_URL is: write the address that mail comes from."]
        return []

    @property
    def embedded(self) -> bool:
        """Whether the Hub runs its own PostgreSQL in the state folder."""
        return self.database_url is None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on; the host without brackets."""
        return kinds.split_address(self.bind)

    @property
    def loopback_only(self) -> bool:
        """Whether only this machine can reach the Hub directly."""
        host, _ = self.address
        return _is_loopback(host)

    @property
    def public_address(self) -> str:
        """`scheme://host[:port]` by which people reach the Hub; the bound address where none is set."""
        if self.public_url is not None:
            return self.public_url
        host, port = self.address
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            host = "localhost"
        return kinds.origin(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    @property
    def only_here(self) -> bool:
        """Whether this machine's own programs are the only ones that reach the Hub, proxies included."""
        host = urlsplit(self.public_address).hostname or ""
        return self.loopback_only and self.trusted_proxies == 0 and _is_loopback(host)

    @property
    def secure(self) -> bool:
        """Whether people reach the Hub by https, so that cookies can be Secure."""
        return self.public_address.startswith("https://")

    @property
    def origins(self) -> frozenset[str]:
        """Web origins whose pages may call with a session cookie."""
        return frozenset((self.public_address, *self.allowed_origins))


class Line(msgspec.Struct, frozen=True):
    """One setting as `hub settings` shows it; a secret's value is •••, an unset one null."""

    name: str
    value: str | None
    source: str
    default: str
    description: str


def process_environment(**overrides: str | None) -> dict[str, str]:
    """A copy of the process's environment; an override that is not None stands for its variable."""
    given = {variable_of(name): text for name, text in overrides.items() if text is not None}
    return {**os.environ, **given}


def declarations() -> dict[str, Declaration]:
    """Every setting's declaration by its field name, in the order of the table."""
    return {entry.name: entry.metadata["declaration"] for entry in dataclasses.fields(Settings)}


def variable_of(name: str) -> str:
    """The environment variable of a field."""
    return PREFIX + name.upper()


def table(environment: Mapping[str, str]) -> list[Line]:
    """Every setting with its value and where that came from; secrets masked.

    Raises:
        SettingsError: names every wrong variable.
    """
    settings = Settings.read(environment)
    lines = []
    for name, declaration in declarations().items():
        variable, text, _ = _find(name, declaration, environment)
        shown = declaration.show(getattr(settings, name)) if text else None
        source = DEFAULT if variable is None else variable
        default = declaration.default or declaration.unset
        lines.append(Line(variable_of(name), shown, source, default, declaration.description))
    return lines


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _find(
    name: str, declaration: Declaration, environment: Mapping[str, str]
) -> tuple[str | None, str | None, Callable[[str], Any]]:
    """The variable that sets a field, its text, and the kind to read it by."""
    for variable, kind in {variable_of(name): declaration.kind, **declaration.also}.items():
        if text := environment.get(variable, "").strip():
            return variable, text, kind
    return None, declaration.default, declaration.kind


def _unknown(environment: Mapping[str, str]) -> list[str]:
    known = [variable_of(name) for name in declarations()]
    problems = []
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in known:
            continue
        near = difflib.get_close_matches(variable, known, n=1)
        remedy = f"write {near[0]}" if near else "`hub settings` lists those there are"
        problems.append(f"{variable} is not a setting of the Hub: {remedy}.")
    return problems
