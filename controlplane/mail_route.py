"""How mail leaves the Hub: what the settings of mail may say, and the route they make."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from email.headerregistry import Address
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from controlplane.secret import MASK, Secret
from controlplane.setting_kinds import Unfit

_REMEDY: Final = (
    "smtp://user:password@host:587 (STARTTLS), smtps://user:password@host:465 (TLS), smtp+plain://127.0.0.1:25 "
    "(this machine only) or file:///folder; special characters of the password percent-encoded"
)
_FROM_REMEDY: Final = "an address, as in hub@example.com or LetsBe Hub <hub@example.com>"
_ADDRESS: Final = re.compile(r"[A-Za-z0-9._%+=-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_NAMED: Final = re.compile(r"(?P<name>[^<>\x00-\x1f\x7f]*)<(?P<address>[^<>]+)>")


class Security(StrEnum):
    """How a connection to the mail server is kept from being read."""

    STARTTLS = "starttls"
    TLS = "tls"
    PLAIN = "plain"  # to this machine only


_SCHEMES: Final = {
    "smtp": (Security.STARTTLS, 587),
    "smtps": (Security.TLS, 465),
    "smtp+plain": (Security.PLAIN, 25),
}


@dataclass(frozen=True, slots=True)
class SmtpRoute:
    """A mail server that takes our mail."""

    host: str
    port: int
    security: Security
    user: str | None = None
    password: Secret | None = None

    def __str__(self) -> str:
        scheme = next(name for name, (security, _) in _SCHEMES.items() if security is self.security)
        who = "" if self.user is None else f"{self.user}:{MASK}@"
        return f"{scheme}://{who}{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class FolderRoute:
    """A folder that mails are written into as files: for development, nobody gets them."""

    folder: Path

    def __str__(self) -> str:
        return f"file://{self.folder}"


MailRoute = SmtpRoute | FolderRoute


def mail_route(text: str) -> MailRoute:
    """The route a URL names."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Unfit("is not a URL", _REMEDY) from None
    if parts.query or parts.fragment:
        raise Unfit("has a ? or #", _REMEDY)
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise Unfit("names no folder of this machine", "file:///folder, with three slashes")
        return _folder(Path(unquote(parts.path)))
    if parts.scheme not in _SCHEMES or "://" not in text:
        raise Unfit("is of no kind that the Hub sends mail by", _REMEDY)
    if not parts.hostname or parts.path not in ("", "/"):
        raise Unfit("names no host, or more than a host", _REMEDY)
    security, default_port = _SCHEMES[parts.scheme]
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    if (not user) != (not password):
        raise Unfit("has a user without a password, or a password without a user", _REMEDY)
    if any(not (letter.isascii() and letter.isprintable()) for letter in f"{user or ''}{password or ''}"):
        raise Unfit("has a user or password which SMTP's sign-in cannot carry", "printable ASCII there")
    if security is Security.PLAIN and not _is_this_machine(parts.hostname):
        raise Unfit("would send mail through the network for everybody to read", "smtp:// or smtps:// for this host")
    return SmtpRoute(
        parts.hostname,
        default_port if port is None else port,
        security,
        user or None,
        Secret(password) if password else None,
    )


def _folder(path: Path) -> FolderRoute:
    if path.exists() and not path.is_dir():
        raise Unfit("names a file", "file:///folder; the folder may be missing and is then made")
    return FolderRoute(path)


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def mail_address(text: str) -> Address:
    """An address that mail comes from, with or without a name before it."""
    named = _NAMED.fullmatch(text)
    name, address = (
        (named["name"].strip().strip('"').strip(), named["address"].strip()) if named else ("", text.strip())
    )
    if not _ADDRESS.fullmatch(address) or len(name) > 100:
        raise Unfit("is no mail address", _FROM_REMEDY)
    return Address(display_name=name, addr_spec=address)
