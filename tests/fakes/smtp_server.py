"""An SMTP server that keeps what it takes (RFC 5321, STARTTLS of RFC 3207, AUTH of RFC 4954), obedient or not."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: What a script may hold in place of a reply: say nothing any more, or hang up.
SILENCE, HANG_UP = "silence", "hang up"


@dataclass(frozen=True)
class Received:
    """A mail that was taken."""

    sender: str
    recipient: str
    content: bytes
    encrypted: bool
    signed_in_as: str | None

    @property
    def message(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.content, policy=policy.default))

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])

    def body(self, kind: str) -> str:
        """The text of the part of this kind: plain or html."""
        part = self.message.get_body((kind,))
        assert part is not None
        return str(part.get_content())


@dataclass
class SmtpServer:
    """A mail server on 127.0.0.1.

    Attributes:
        context: for STARTTLS; for TLS from the first byte with `implicit_tls`.
        accounts: users by name with their passwords; not empty: who does not sign in is refused at MAIL.
        script: replies by command (`CONNECT`, `EHLO`, `MAIL`, `RCPT`, `DATA`, `END`), used up one a time, before the
            server's own; also SILENCE or HANG_UP. At `END` the mail is kept where the scripted reply is a 250 or
            HANG_UP.
        on_taken: called after a mail was kept, before the sender hears of it.
    """

    context: ssl.SSLContext | None = None
    implicit_tls: bool = False
    accounts: dict[str, str] = field(default_factory=dict)
    script: dict[str, deque[str]] = field(default_factory=dict)
    mails: list[Received] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_at_once: int = 0
    commands: list[str] = field(default_factory=list)
    port: int = 0
    on_taken: Callable[[], object] = lambda: None

    def plan(self, command: str, *replies: str) -> None:
        """Reply so to the next such commands."""
        self.script.setdefault(command, deque()).extend(replies)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answer on its port, the same one every time."""
        [listener] = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, self._serve, [listener])
            yield
            nursery.cancel_scope.cancel()

    async def _serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        self.open_now += 1
        self.most_at_once = max(self.most_at_once, self.open_now)
        try:
            await _Session(self, stream).run()
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, _HungUp):
            pass
        finally:
            self.open_now -= 1
            await trio.aclose_forcefully(stream)


class _HungUp(Exception):
    """The conversation is over."""


class _Session:
    """One conversation."""

    def __init__(self, server: SmtpServer, stream: trio.abc.Stream) -> None:
        self._server = server
        self._stream = stream
        self._buffer = bytearray()
        self._encrypted = False
        self._user: str | None = None
        self._sender = self._recipient = ""

    async def run(self) -> None:
        if self._server.implicit_tls:
            self._secure()
        await self._reply("CONNECT", "220 sink.test ready")
        while True:
            line = (await self._line()).decode("utf-8", "replace")
            verb = line.split(" ", 1)[0].upper()
            self._server.commands.append(verb)
            await self._obey(verb, line)

    async def _obey(self, verb: str, line: str) -> None:
        match verb:
            case "EHLO":
                offered = ["sink.test", "8BITMIME", "SMTPUTF8", "SIZE 10000000"]
                if self._server.context is not None and not self._encrypted:
                    offered.append("STARTTLS")
                if self._server.accounts:
                    offered.append("AUTH PLAIN")
                lines = [f"250-{word}" for word in offered[:-1]] + [f"250 {offered[-1]}"]
                await self._reply("EHLO", "\r\n".join(lines))
            case "STARTTLS":
                await self._say("220 go ahead")
                self._buffer.clear()
                self._secure()
            case "AUTH":
                _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                right = self._server.accounts.get(user) == password
                self._user = user if right else None
                await self._say("235 welcome" if right else "535 5.7.8 bad credentials")
            case "MAIL":
                self._sender = line.partition("<")[2].partition(">")[0]
                refused = self._server.accounts and self._user is None
                await self._reply("MAIL", "530 5.7.0 sign in first" if refused else "250 ok")
            case "RCPT":
                self._recipient = line.partition("<")[2].partition(">")[0]
                await self._reply("RCPT", "250 ok")
            case "DATA":
                if await self._reply("DATA", "354 go on"):
                    await self._take()
            case "QUIT":
                await self._say("221 bye")
                raise _HungUp
            case _:
                await self._say("250 ok")

    async def _take(self) -> None:
        lines = []
        while (line := await self._line()) != b".":
            assert len(line) <= 998, "longer than RFC 5321 section 4.5.3.1.6 allows"
            lines.append(line.removeprefix(b"."))
        planned = self._server.script.get("END") or deque(["250 ok"])
        if planned[0].startswith("250") or planned[0] == HANG_UP:
            content = b"\r\n".join(lines) + b"\r\n"
            self._server.mails.append(Received(self._sender, self._recipient, content, self._encrypted, self._user))
            self._server.on_taken()
        await self._reply("END", "250 ok")

    async def _reply(self, command: str, usual: str) -> bool:
        """Say what is planned, or the usual; whether it was a yes."""
        planned = self._server.script.get(command)
        reply = planned.popleft() if planned else usual
        if reply == HANG_UP:
            raise _HungUp
        if reply == SILENCE:
            await trio.sleep_forever()
        await self._say(reply)
        return reply[0] in "23"

    async def _say(self, reply: str) -> None:
        await self._stream.send_all(reply.encode() + b"\r\n")

    async def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            chunk = await self._stream.receive_some(65536)
            if not chunk:
                raise _HungUp
            self._buffer += chunk
        line, _, rest = bytes(self._buffer).partition(b"\r\n")
        self._buffer = bytearray(rest)
        return line

    def _secure(self) -> None:
        assert self._server.context is not None
        self._stream = trio.SSLStream(self._stream, self._server.context, server_side=True)
        self._encrypted = True


def certificates(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for 127.0.0.1, and a client's that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate_file, key_file)
    return server, ssl.create_default_context(cafile=str(certificate_file))
