"""The Hub's address as it was configured: checked once, so that the key never travels where it can be read."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from protocol.tenant import SOCKET_PATH


class BadAddress(ValueError):
    """The address cannot be used; the words say what it must be."""


class HubAddress:
    """Where the Hub is.

    Args:
        url: `https://host[:port][/prefix]`; `http://` for this machine only, unless `allow_plain`.

    Raises:
        BadAddress: it is not such an address.
    """

    def __init__(self, url: str, *, allow_plain: bool = False) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise BadAddress(f"the Hub's address has a bad port: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadAddress("the Hub's address must be https://host[:port]")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise BadAddress("the Hub's address must not hold a name, a password, a query or a fragment")
        self.loopback = is_loopback(parts.hostname)
        if parts.scheme == "http" and not self.loopback and not allow_plain:
            raise BadAddress(
                f"the key would travel unencrypted to {parts.hostname}: use https://,"
                " or allow it with --allow-plain-http"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        place = f"{host}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"
        self.url = f"{parts.scheme}://{place}"
        self.socket_url = f"{'wss' if parts.scheme == 'https' else 'ws'}://{place}{SOCKET_PATH}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by name or by address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
