"""Where webhooks may go: judged by what a name resolves to, pinned to what was judged."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from controlplane.services.webhook_address import Addresses, AddressRefused

STRICT = {"private_allowed": False, "loopback_allowed": False}


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name means these addresses."""

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, 1, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_what_is_not_public_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    names(monkeypatch, address)
    with pytest.raises(AddressRefused, match="not a public address") as refused:
        await Addresses(**STRICT).target("https://t1.example", "/webhooks/command")
    assert not refused.value.for_good  # the name may mean something else tomorrow


@pytest.mark.parametrize("turn", [0, 1, 2])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("hidden", ["192.168.0.1", "::1", "::ffff:127.0.0.1"])
async def test_one_private_address_among_public_ones_spoils_them_all(
    monkeypatch: pytest.MonkeyPatch, hidden: str, place: int, turn: int
) -> None:
    addresses = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]
    addresses.insert(place, hidden)
    names(monkeypatch, *addresses)
    with pytest.raises(AddressRefused, match="not a public address"):
        await Addresses(**STRICT).target("https://t1.example", "/x", turn=turn)


async def test_the_connection_goes_to_the_address_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    addresses = Addresses(**STRICT)
    first = await addresses.target("https://t1.example:8443/base/", "/webhooks/command")
    assert (first.url, first.authority, first.hostname) == (
        "https://93.184.215.14:8443/base/webhooks/command",
        "t1.example:8443",
        "t1.example",
    )
    second = await addresses.target("https://t1.example", "/x", turn=1)
    assert second.url == "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/x"
    assert (second.authority, second.hostname) == ("t1.example", "t1.example")
    third = await addresses.target("https://t1.example", "/x", turn=2)
    assert third.url == "https://93.184.215.14/x"


async def test_a_number_is_a_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    target = await Addresses(**STRICT).target("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:444", "/x")
    assert target.url == "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:444/x"
    assert target.authority == "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:444"


@pytest.mark.parametrize(("base", "port"), [("https://t1.example", 443), ("https://t1.example:8443", 8443)])
async def test_the_name_is_asked_for_at_its_port(monkeypatch: pytest.MonkeyPatch, base: str, port: int) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append((host, port))
        return [(socket.AF_INET, 1, 6, "", ("93.184.215.14", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    await Addresses(**STRICT).target(base, "/x")
    assert asked == [("t1.example", port)]


@pytest.mark.parametrize(
    "base",
    [
        "ftp://t1.example",
        "file:///etc/passwd",
        "gopher://t1.example",
        "t1.example",
        "https://",
        "https://:443",
        "https://user:password@t1.example",
        "https://user@t1.example",
        "https://:password@t1.example",
        "https://t1.example/?q=1",
        "https://t1.example/#f",
        "https://t1.example:99999",
        "https://t1.example:-1",
        "https://t1.example:port",
        "https://[::1",
        "http://t1.example",
    ],
)
async def test_an_address_at_fault_itself_is_refused_for_good(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    names(monkeypatch, "93.184.215.14")
    with pytest.raises(AddressRefused) as refused:
        await Addresses(**STRICT).target(base, "/x")
    assert refused.value.for_good


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "0", "[::1]"])
async def test_disguised_loopback_is_seen_through(host: str) -> None:
    with pytest.raises(AddressRefused, match="not a public address"):
        await Addresses(**STRICT).target(f"https://{host}", "/x")


async def test_loopback_is_for_a_hub_that_only_this_machine_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Addresses(private_allowed=False, loopback_allowed=True)
    assert (await here.target("http://127.0.0.1:9000", "/x")).url == "http://127.0.0.1:9000/x"
    names(monkeypatch, "127.0.0.1", "192.168.1.1")
    with pytest.raises(AddressRefused, match=r"192\.168\.1\.1 is not a public address"):
        await here.target("https://t1.example", "/x")
    names(monkeypatch, "192.168.1.1")
    own_network = Addresses(private_allowed=True, loopback_allowed=False)
    assert (await own_network.target("http://t1.example", "/x")).url == "http://192.168.1.1/x"


async def test_an_unknown_name_may_be_known_tomorrow(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(AddressRefused, match="not known") as refused:
        await Addresses(**STRICT).target("https://t1.example", "/x")
    assert not refused.value.for_good
