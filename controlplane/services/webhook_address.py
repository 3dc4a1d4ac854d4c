"""Where a webhook may go: a tenant names the address, so it must not lead into the Hub's own network.

The name is resolved here, every address it has is judged, and the connection is made to an address that was judged:
what the name says a moment later (DNS rebinding) does not matter.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import trio

RESOLVE_SECONDS: Final = 5.0
#: Names being looked up at a time, in threads of their own: a slow name server must not take the Hub's.
LOOKUPS: Final = 8

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Addresses that reach an IPv4 address from within another family: they would hide a private one.
_HIDING: Final = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10")
)


class AddressRefused(Exception):
    """No webhook goes there.

    Attributes:
        for_good: the address itself is at fault, not what its name means at the moment.
    """

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was judged.

    Args:
        url: with the number in place of the name.
        authority: what stands in the Host header: the name, and the port where it is not the scheme's.
        hostname: whose certificate is demanded.
    """

    url: str
    authority: str
    hostname: str


class Addresses:
    """Judges addresses.

    Args:
        private_allowed: let webhooks go to private addresses, and over plain http.
        loopback_allowed: the same for this machine's own, for a Hub that only this machine reaches.
    """

    def __init__(self, *, private_allowed: bool, loopback_allowed: bool) -> None:
        self._private_allowed = private_allowed
        self._loopback_allowed = loopback_allowed
        self._lookups = trio.CapacityLimiter(LOOKUPS)

    async def target(self, base: str, path: str, *, turn: int = 0) -> Target:
        """Where to connect for `base` + `path`.

        Args:
            base: the tenant's `safetyWrapperUrl`.
            turn: which of several addresses to take.

        Raises:
            AddressRefused: nowhere.
        """
        try:
            parts = urlsplit(base)
            port = parts.port
        except ValueError as error:
            raise AddressRefused(f"not an address: {error}", for_good=True) from error
        hostname = parts.hostname
        if parts.scheme not in ("https", "http") or not hostname:
            raise AddressRefused("not an https:// address", for_good=True)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise AddressRefused("holds a name, a password, a query or a fragment", for_good=True)
        secure = parts.scheme == "https"
        found = await self._resolve(hostname, port or (443 if secure else 80))
        for address in found:
            self._judge(address, secure=secure)
        number = found[turn % len(found)]
        literal = f"[{number}]" if number.version == 6 else str(number)
        place = "" if port is None else f":{port}"
        name = f"[{hostname}]" if ":" in hostname else hostname
        return Target(f"{parts.scheme}://{literal}{place}{parts.path.rstrip('/')}{path}", f"{name}{place}", hostname)

    async def _resolve(self, hostname: str, port: int) -> list[Address]:
        found = None
        try:
            with trio.move_on_after(RESOLVE_SECONDS):
                found = await trio.to_thread.run_sync(
                    lambda: socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM),
                    abandon_on_cancel=True,
                    limiter=self._lookups,
                )
        except (OSError, UnicodeError) as error:
            raise AddressRefused(f"the name {hostname} is not known: {error}") from error
        if not found:
            raise AddressRefused(f"the name {hostname} was not resolved within {RESOLVE_SECONDS:g} s")
        return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]

    def _judge(self, address: Address, *, secure: bool) -> None:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        real = mapped or address
        if self._private_allowed or (real.is_loopback and self._loopback_allowed):
            return
        if not is_public(real):
            raise AddressRefused(f"{address} is not a public address")
        if not secure:
            raise AddressRefused("plain http:// is not allowed: promises would travel unencrypted", for_good=True)


def is_public(address: Address) -> bool:
    """Whether an address is somewhere in the internet, and nowhere else."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _HIDING if network.version == address.version)
