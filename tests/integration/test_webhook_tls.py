"""A webhook over TLS: the connection goes to the address that was judged, the certificate must be the name's."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.runtime.ports import SystemClock
from controlplane.secret import Secret
from controlplane.services.webhook_address import Addresses
from controlplane.services.webhook_client import Answered, NotDelivered, WebhookClient
from tests.end_to_end.webhook_receiver import Receiver

NAME = "t1.letsbe.example"
KEY = "hk_000000000001_secret"


class Authority:
    """A throw-away certificate authority."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nobody's authority")])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        self.certificate = self._signed(
            self._name, self._key, (x509.BasicConstraints(ca=True, path_length=0), True), (usage, True)
        )

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: tuple[x509.ExtensionType, bool]
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())

    def server(self, folder: Path, *alternatives: x509.GeneralName) -> ssl.SSLContext:
        """What a server needs that is called so."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
        certificate = self._signed(subject, key, (x509.SubjectAlternativeName(alternatives), False))
        path = folder / "server.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def trusted(self) -> ssl.SSLContext:
        """What a client needs that trusts this authority alone."""
        return ssl.create_default_context(cadata=self.certificate.public_bytes(serialization.Encoding.PEM).decode())


@dataclass
class House:
    """A TLS server that takes webhooks.

    Attributes:
        called: the names by which clients called it.
    """

    receiver: Receiver
    port: int
    called: list[str | None] = field(default_factory=list)


@asynccontextmanager
async def house(context: ssl.SSLContext, host: str = "127.0.0.1") -> AsyncIterator[House]:
    house = House(Receiver(), 0)

    def called(_: Any, name: str | None, __: Any) -> None:
        house.called.append(name)

    context.sni_callback = called

    async def serve(task_status: trio.TaskStatus[list[Any]]) -> None:
        await trio.serve_ssl_over_tcp(house.receiver.one, 0, context, host=host, task_status=task_status)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(serve)
        house.port = listeners[0].transport_listener.socket.getsockname()[1]
        yield house
        nursery.cancel_scope.cancel()


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """What names mean, each time one is asked for, the last answer for ever; returns the names asked for.

    Numbers mean what they always do.
    """
    asked: list[str] = []
    truly = socket.getaddrinfo

    def resolve(host: Any, port: Any, *more: Any, **named: Any) -> list[Any]:
        try:
            ipaddress.ip_address(host if isinstance(host, str) else host.decode())
        except ValueError:
            asked.append(host)
            found = answers[min(len(asked), len(answers)) - 1]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in found]
        return truly(host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


async def push(base: str, tls: ssl.SSLContext, *, turn: int = 0) -> Answered:
    client = WebhookClient(Addresses(private_allowed=False, loopback_allowed=True), SystemClock(), tls=tls)
    try:
        return await client.send(base, event="command", body=b"{}", key=Secret(KEY), message_id="dlv_1", turn=turn)
    finally:
        await client.aclose()


async def test_pinned_to_the_address_that_was_judged_and_called_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = Authority()
    asked = names(monkeypatch, ["127.0.0.1"], ["192.168.1.1"])  # the second answer is the trap
    async with house(authority.server(tmp_path, x509.DNSName(NAME))) as server:
        answered = await push(f"https://{NAME}:{server.port}/hooks", authority.trusted())
        assert answered.status == 200
        assert asked == [NAME]
        assert server.called == [NAME]
        [arrived] = server.receiver.arrived
        assert arrived.headers["host"] == f"{NAME}:{server.port}"
        assert arrived.path == "/hooks/webhooks/command"
        arrived.check(KEY)


@pytest.mark.parametrize(
    "alternative",
    [
        x509.DNSName("t2.letsbe.example"),
        x509.DNSName("letsbe.example"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ],
    ids=["another name", "the domain above", "the number it was reached at"],
)
async def test_a_certificate_of_anothers_name_is_refused_before_a_byte_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, alternative: x509.GeneralName
) -> None:
    authority = Authority()
    names(monkeypatch, ["127.0.0.1"])
    async with house(authority.server(tmp_path, alternative)) as server:
        with pytest.raises(NotDelivered, match="Hostname mismatch"):
            await push(f"https://{NAME}:{server.port}", authority.trusted())
        assert server.called == [NAME]
        assert server.receiver.arrived == []


async def test_a_certificate_of_an_unknown_authority_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names(monkeypatch, ["127.0.0.1"])
    async with house(Authority().server(tmp_path, x509.DNSName(NAME))) as server:
        for trusted in (Authority().trusted(), ssl.create_default_context()):
            with pytest.raises(NotDelivered, match="CERTIFICATE_VERIFY_FAILED"):
                await push(f"https://{NAME}:{server.port}", trusted)
        assert server.receiver.arrived == []


async def test_an_address_that_is_a_number_needs_a_certificate_of_the_number(tmp_path: Path) -> None:
    authority = Authority()
    context = authority.server(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    async with house(context) as server:
        assert (await push(f"https://127.0.0.1:{server.port}", authority.trusted())).status == 200
        assert server.called == [None]  # numbers are no server names (RFC 6066, 3)
    async with house(authority.server(tmp_path, x509.DNSName(NAME))) as server:
        with pytest.raises(NotDelivered, match="mismatch"):
            await push(f"https://127.0.0.1:{server.port}", authority.trusted())


async def test_each_address_of_a_name_has_its_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority()
    names(monkeypatch, ["127.0.0.1", "127.0.0.2"])
    async with house(authority.server(tmp_path, x509.DNSName(NAME)), host="127.0.0.2") as server:
        base = f"https://{NAME}:{server.port}"
        with pytest.raises(NotDelivered):
            await push(base, authority.trusted())
        assert (await push(base, authority.trusted(), turn=1)).status == 200
        assert len(server.receiver.arrived) == 1
