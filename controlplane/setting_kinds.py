"""Kinds of values that settings have: each turns text into a value, or tells what is wrong with it."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from controlplane.secret import Secret

T = TypeVar("T")

Kind = Callable[[str], T]

_DRIVER: Final = "postgresql+asyncpg"
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?", re.I
)
# What asyncpg's connect takes and makes sense in a URL; `sslmode` is libpq's name for its `ssl`.
_DATABASE_OPTIONS: Final = frozenset({"host", "port", "ssl", "prepared_statement_cache_size"})
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class Unfit(ValueError):
    """A value which a setting does not take.

    Args:
        problem: what is wrong, continuing "HUB_NAME …", as in "has no port". Must not repeat a secret.
        remedy: what to write, continuing "write …", as in "host:port".
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}: write {remedy}")
        self.problem = problem
        self.remedy = remedy


def whole(minimum: int, maximum: int) -> Kind[int]:
    """A whole number within bounds, both included."""
    remedy = f"a whole number from {minimum} to {maximum}"

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
            raise Unfit("is not a whole number", remedy)
        if not minimum <= int(text) <= maximum:
            raise Unfit("is out of range", remedy)
        return int(text)

    return parse


def number(minimum: float, maximum: float) -> Kind[float]:
    """A decimal number within bounds, both included."""
    remedy = f"a number from {minimum:g} to {maximum:g}"

    def parse(text: str) -> float:
        if not re.fullmatch(r"[+-]?[0-9]{1,12}(\.[0-9]{1,9})?", text):
            raise Unfit("is not a number", remedy)
        if not minimum <= float(text) <= maximum:
            raise Unfit("is out of range", remedy)
        return float(text)

    return parse


def choice(*words: str) -> Kind[str]:
    """One of a few words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise Unfit("is none of its choices", " or ".join(words))
        return text.lower()

    return parse


def folder(text: str) -> Path:
    """A folder's path, made absolute; it need not exist yet."""
    path = Path(text).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise Unfit("is a file", "the path of a folder, which may be missing and is then made")
    return path


def split_address(text: str) -> tuple[str, int]:
    """Host and port of `host:port`; an IPv6 host stands in brackets.

    Raises:
        Unfit: no host, no port, or a port outside 0 to 65535.
    """
    remedy = "host:port, as in 127.0.0.1:8000 or [::1]:8000"
    host, colon, port = text.rpartition(":")
    if not colon or not port:
        raise Unfit("has no port", remedy)
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise Unfit("has a port which is not a number from 0 to 65535", remedy)
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1])), int(port)
        except ValueError:
            raise Unfit("has no IPv6 address in its brackets", remedy) from None
    if not _HOST_NAME.fullmatch(host):
        raise Unfit("has no host", remedy)
    return host, int(port)


def address(text: str) -> str:
    """`host:port` to listen on; port 0 takes a free one."""
    split_address(text)
    return text


def port_of_all_addresses(text: str) -> str:
    """A platform's bare PORT: every IPv4 address, that port."""
    return f"0.0.0.0:{whole(1, 65535)(text)}"


def origin(text: str) -> str:
    """`scheme://host[:port]` as browsers send it in Origin: lower case, no default port, no path."""
    remedy = "scheme://host[:port] and nothing after it, as in https://hub.example.com"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Unfit("is not a web address", remedy) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unfit("is not a web address", remedy)
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Unfit("has more than scheme, host and port", remedy)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" if port in (None, default) else f"{parts.scheme}://{host}:{port}"


def several(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """Values of a kind with commas between them; empty places are passed over."""

    def parse(text: str) -> tuple[T, ...]:
        return tuple(kind(part.strip()) for part in text.split(",") if part.strip())

    return parse


def secret(minimum_characters: int) -> Kind[Secret]:
    """A secret text of a least length."""

    def parse(text: str) -> Secret:
        if len(text) < minimum_characters:
            raise Unfit(
                f"is too short to be safe ({len(text)} characters)",
                f"at least {minimum_characters} characters, as `openssl rand -base64 32` makes them",
            )
        if not text.isascii() or not text.isprintable():
            raise Unfit("has characters which a header cannot carry", "printable ASCII only")
        return Secret(text)

    return parse


def fernet_key(text: str) -> Secret:
    """One Fernet key: 32 bytes in URL-safe base64 (cryptography.io, Fernet)."""
    remedy = "32 random bytes in URL-safe base64, as `openssl rand -base64 32 | tr +/ -_` makes them"
    try:
        size_bytes = len(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True))
    except (binascii.Error, UnicodeEncodeError):
        raise Unfit("holds a key which is not URL-safe base64", remedy) from None
    if size_bytes != 32:
        raise Unfit(f"holds a key of {size_bytes} bytes", remedy)
    return Secret(text)


def database_url(text: str) -> Secret:
    """A PostgreSQL URL in any platform's spelling, as SQLAlchemy's asyncpg dialect takes it.

    `postgres://` and `postgresql://` become `postgresql+asyncpg://`, `sslmode` becomes `ssl`.
    """
    remedy = "postgresql://user:password@host:5432/database"
    encoded = f"{remedy}, with special characters of the password percent-encoded"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Unfit("is not a URL", encoded) from None
    if "://" not in text:
        # Whatever stands before a colon here may be anything, a password included.
        raise Unfit("is not a URL", remedy)
    if parts.scheme not in ("postgres", "postgresql", _DRIVER):
        raise Unfit(f"begins with {parts.scheme}://, and the Hub runs on PostgreSQL only", remedy)
    if parts.fragment:
        raise Unfit("has a #", encoded)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if not parts.hostname and "host" not in dict(pairs):
        raise Unfit("names no host", f"{remedy}, or ?host=/folder/of/the/socket at its end")
    if not parts.path.strip("/"):
        raise Unfit("names no database", remedy)
    options = _database_options(pairs)
    user = "" if parts.username is None else quote(unquote(parts.username), safe="")
    password = "" if parts.password is None else ":" + quote(unquote(parts.password), safe="")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    where = f"{user}{password}@{host}" if user else host
    query = "?" + urlencode(options, safe="/") if options else ""
    return Secret(f"{_DRIVER}://{where}{f':{port}' if port else ''}{parts.path}{query}")


def _database_options(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in pairs:
        known = "ssl" if name == "sslmode" else name
        if known not in _DATABASE_OPTIONS:
            raise Unfit(f"has the option {name}, which asyncpg does not take", "the URL without it")
        if known == "ssl" and value not in _SSL_MODES:
            raise Unfit("has an sslmode which does not exist", f"sslmode= one of {', '.join(_SSL_MODES)}")
        options[known] = value
    return options


def without_password(url: Secret) -> str:
    """A database URL as it may be shown: its password as •••."""
    scheme, _, rest = url.reveal().partition("://")
    who, at, where = rest.rpartition("@")
    user, colon, _ = who.partition(":")
    return f"{scheme}://{user}{f':{Secret(who)}' if colon else ''}{at}{where}"
